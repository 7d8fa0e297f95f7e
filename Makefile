# PluginSandbox: everything a contributor runs. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_VENV := .venv-bench
BENCH_READY := $(BENCH_VENV)/.ready
PYTEST_ARGS ?=
FRAMES ?= 10000000
WHERE ?= laptop

.PHONY: help setup demo demo-down test test-unit hostile fuzz chaos handover drift outages outage-pods soak walk rbac check format generate lock bench bench-control bench-scalers bench-scaling churn rolling surge peers demo-gitops demo-gitops-down take-over drift-watch cluster cluster-down images clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make the virtual environment from the lock file

$(READY): requirements/dev.lock pyproject.toml
$(BENCH_READY): requirements/bench.lock pyproject.toml
$(READY) $(BENCH_READY):
	@echo "Setting up $(@D) from $<"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(@D)/bin/python -m compileall -q operator
	@touch $@

demo: setup ## Real cluster, operator by Helm, three plugins, calls and a report
	@$(BIN)/python -m tests.demo up

demo-down: setup ## Remove all that `make demo` made, the local cluster included
	@$(BIN)/python -m tests.demo down

test: check ## All tests, those on real pods included
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

test-unit: setup ## The quick tests: no cluster
	@$(BIN)/python -m pytest tests/unit $(PYTEST_ARGS)

hostile: setup ## Attack a host by hostile plugins; WHERE=pods does it on the cluster
	@$(BIN)/python -m tests.hostile --where $(WHERE)

fuzz: setup ## Send FRAMES damaged frames to the host's decoder; says what they cost in memory
	@$(BIN)/python -m tests.hostile.fuzz $(FRAMES)

KILLS ?= 1000
SIGKILLS ?= 60
chaos: setup ## Kill the operator KILLS times at its writes, SIGKILLS more as a process, and compare
	@CHAOS=long $(BIN)/python -m pytest tests/chaos --deselect tests/chaos/test_kills.py
	@$(BIN)/python -m tests.chaos --kills $(KILLS) --processes $(SIGKILLS)

COUNT ?=
handover: setup ## How soon another operator writes when the leader ends or is killed; COUNT=10 rounds of each
	@$(BIN)/python -m tests.chaos.handover $(if $(COUNT),--count $(COUNT))

drift: setup ## How soon an edited or deleted child is put right; COUNT=108 changes
	@$(BIN)/python -m tests.chaos.drifts $(if $(COUNT),--count $(COUNT))

outages: setup ## How soon all is as asked for once the API server is back; COUNT=100 outages
	@$(BIN)/python -m tests.chaos.outages $(if $(COUNT),--count $(COUNT))

outage-pods: setup ## Kill API server, etcd and kubelet under real pods that are called; COUNT=9 faults
	@$(BIN)/python -m tests.bed.outage $(if $(COUNT),--count $(COUNT))

MINUTES ?= 30
soak: setup ## Steady churn for MINUTES=30: the operator's memory, descriptors and queue
	@$(BIN)/python -m tests.chaos.soak --minutes $(MINUTES)

rbac: setup ## Take each of the operator's rights away and see a check fail, then all of them in place
	@RIGHTS=all $(BIN)/python -m pytest tests/integration/operator/test_rights.py

TRANSITIONS ?= 2000
walk: setup ## Walk through TRANSITIONS random specs; after each a fresh sandbox must have the same children
	@$(BIN)/python -m tests.walk --transitions $(TRANSITIONS)

check: setup ## Lint, types, import contracts, drift of generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.generate --check

format: setup ## Format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

generate: setup ## Write the generated files anew: CRD, samples, manifests, docs
	@$(BIN)/python -m tests.generate

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--no-emit-index-url --no-header --no-annotate pyproject.toml
lock: setup ## Resolve the lock files anew
	@$(LOCK) --extra host --extra api --extra operator --group dev -o requirements/dev.lock
	@$(LOCK) --extra host --extra api --extra operator --group dev --group bench -c requirements/dev.lock \
		-o requirements/bench.lock
	@$(LOCK) --extra host -c requirements/dev.lock -o requirements/host.lock
	@$(LOCK) --extra operator -c requirements/dev.lock -o requirements/operator.lock

bench: $(BENCH_READY) ## Time ourselves beside our peers and write docs/benchmarks.md; ONLY=calls,bind for some of it
	@$(BENCH_VENV)/bin/python -m tests.bench $(if $(ONLY),--only $(ONLY))

bench-scaling: setup ## Hold the autoscaler against others, and write docs/autoscaling.md
	@$(BIN)/python -m tests.bench --only scaling

bench-scalers: setup ## Let one operator scale 200 sandboxes on KWOK's pods, into docs/autoscaling.md
	@$(BIN)/python -m tests.bench.scalers

churn: setup ## A million contexts and ten thousand workers come and go; writes docs/contexts.md
	@$(BIN)/python -m tests.churn

RUNS ?= 5
surge: setup ## Let a load bring 12 pods to 86 and back, beside a plain `kubectl scale`: RUNS=5
	@$(BIN)/python -m tests.surge --runs $(RUNS)

CALLS ?= 60000
rolling: setup ## Roll a sandbox of three pods under load: CALLS=60000
	@$(BIN)/python -m tests.bed.rolling $(CALLS)

peers: setup ## Search the peers' protocol for minutes, and roll hosts on this machine under 60,000 calls
	@PEERS_STATES=all PEERS_WALKS=20000 PEERS_CALLS=60000 $(BIN)/python -m pytest -q -s --timeout 1200 -o faulthandler_timeout=1200 \
		tests/unit/host_peers tests/integration/test_peers_rolling.py

SUBJECTS ?=
bench-control: setup ## A thousand sandboxes on KWOK nodes beside the floor, into docs/benchmarks.md
	@$(BIN)/python -m tests.bench.control $(SUBJECTS) $(ARGS)

demo-gitops: setup ## From an empty cluster to a serving sandbox and on, by commits and Argo CD
	@$(BIN)/python -m tests.gitops demo

demo-gitops-down: setup ## Take off the cluster what a broken `make demo-gitops` left
	@$(BIN)/python -m tests.gitops clear

take-over: setup ## Let a HorizontalPodAutoscaler and metrics-server scale a sandbox, and hand back
	@TAKE_OVER=1 $(BIN)/python -m pytest -q tests/e2e/test_take_over.py

DECISIONS ?= 200
drift-watch: setup ## Let DECISIONS happen under Argo CD, by both its diffs, and say whether it saw a drift
	@$(BIN)/python -m tests.gitops drift --decisions $(DECISIONS)

cluster: setup ## Start the local Kubernetes cluster, or check that it runs
	@$(BIN)/python -m tests.cluster up

cluster-down: setup ## Stop the local cluster and remove what it made on this machine
	@$(BIN)/python -m tests.cluster down

images: setup ## Build the operator's and the host's images
	@$(BIN)/python -m tests.images build

clean: ## Remove the virtual environment and tool caches
	@rm -rf $(VENV) $(BENCH_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
