"""Tries to reach what is not the author's: other namespaces, Secrets, other people's objects."""

from __future__ import annotations

from typing import Any

from tests.deputy.record import (
    GRANT,
    NOTHING,
    OPERATOR,
    PRUNED,
    SCHEMA,
    SERVER,
    SNAPSHOT,
    Request,
    Try,
)
from tests.unit.api.cases import P
from tests.unit.api.objects import DIGEST, sandbox

CONFIG_MAP = f"{P}.source.configMap.name"
SECRETS_FIELD = f"{P}.secrets"
KEYS_OF_PEERS = "secretName must not end in '-peers'"


def secret(name: str, **fields: Any) -> dict[str, Any]:
    return {SECRETS_FIELD: [{"name": "s", "secretName": name, **fields}]}


def owner(kind: str, version: str) -> dict[str, Any]:
    uid = "00000000-0000-4000-8000-000000000000"
    reference = {"apiVersion": version, "kind": kind, "name": "till", "uid": uid}
    return {"metadata.ownerReferences": [{**reference, "controller": True}]}


ELSEWHERE = sandbox(**{"metadata.name": "elsewhere", "metadata.namespace": "other"})

NAMESPACES = (
    Try(
        "make a sandbox in a namespace of others",
        SERVER,
        request=Request("POST", "$THERE", sandbox()),
        says="forbidden",
    ),
    Try(
        "name another namespace than that of the request",
        SERVER,
        request=Request("POST", "$HERE", ELSEWHERE),
        says="does not match the namespace",
    ),
    Try("name a ConfigMap by namespace and name", SCHEMA, {CONFIG_MAP: "vault/loot"}, "configMap"),
    Try("name a ConfigMap by a path", SCHEMA, {CONFIG_MAP: "../vault/configmaps/loot"}, "match"),
    Try("name a ConfigMap by a coded path", SCHEMA, {CONFIG_MAP: "..%2fvault%2floot"}, "match"),
    Try("name a ConfigMap '..'", SCHEMA, {CONFIG_MAP: ".."}, "match"),
    Try("name a ConfigMap with a query", SCHEMA, {CONFIG_MAP: "loot?x=1"}, "match"),
    Try("name a ConfigMap that others have", OPERATOR, {CONFIG_MAP: "loot"}, "SourceMissing"),
    Try(
        "add a namespace to the ConfigMap's name",
        PRUNED,
        {f"{P}.source.configMap.namespace": "kube-system"},
    ),
    Try("name a Secret by namespace and name", SCHEMA, secret("vault/loot"), "secretName"),
    Try(
        "add a namespace to the Secret's name",
        GRANT,
        secret("loot", namespace="vault"),
        "plugins[].secrets",
    ),
    Try(
        "call from any namespace's pods",
        NOTHING,
        {"network.allowFrom": [{"namespaceSelector": {}}]},
    ),
    Try(
        "be near to the pods of another namespace",
        GRANT,
        {
            "pod.affinity": {
                "podAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {"topologyKey": "zone", "namespaces": ["kube-system"]}
                    ]
                }
            }
        },
        "pod.affinity",
    ),
)

SECRETS = (
    Try("read a Secret of the namespace", GRANT, secret("crown"), "plugins[].secrets"),
    Try("read a Secret by a ConfigMap's name", OPERATOR, {CONFIG_MAP: "crown"}, "SourceMissing"),
    Try(
        "read a ConfigMap that nobody gave as a source",
        OPERATOR,
        {CONFIG_MAP: "private"},
        "SourceNotLabelled",
    ),
    Try(
        "read the cluster's certificates as a source",
        OPERATOR,
        {CONFIG_MAP: "kube-root-ca.crt"},
        "SourceNotLabelled",
    ),
    Try("read another sandbox's snapshot", OPERATOR, {CONFIG_MAP: SNAPSHOT}, "SourceNotLabelled"),
    Try("read the key of another sandbox's peers", SCHEMA, secret("till-peers"), KEYS_OF_PEERS),
    Try("read the second key of its peers", SCHEMA, secret("till-peers-rotation"), KEYS_OF_PEERS),
    Try("read the key of its own peers", SCHEMA, secret("mine-peers"), KEYS_OF_PEERS),
    Try("read the operator's own Secret", GRANT, secret("operator-tls"), "plugins[].secrets"),
    Try("mount a Secret by its path", SCHEMA, secret("../../etc"), "match"),
    Try(
        "have a Secret be optional and executable",
        GRANT,
        secret("crown", optional=True),
        "plugins[].secrets",
    ),
    Try(
        "read nine Secrets",
        SCHEMA,
        {SECRETS_FIELD: [{"name": f"s{n}", "secretName": "crown"} for n in range(9)]},
        "must have at most 8 items",
    ),
    Try(
        "mount two Secrets at one place",
        SCHEMA,
        {SECRETS_FIELD: [{"name": "s", "secretName": each} for each in ("crown", "jewel")]},
        "Duplicate value",
    ),
    Try(
        "pull images with others' credentials",
        GRANT,
        {"pod.imagePullSecrets": [{"name": "crown"}]},
        "pod.imagePullSecrets",
    ),
    Try(
        "take a Secret for a source",
        SCHEMA,
        {f"{P}.source": {"secret": {"name": "crown"}}},
        "exactly one",
    ),
    Try(
        "hide a second source behind the first",
        SCHEMA,
        {f"{P}.source.image": {"reference": f"a@{DIGEST}"}},
        "exactly one",
    ),
    Try(
        "load files that its digest does not name",
        OPERATOR,
        {f"{P}.digest": DIGEST},
        "DigestMismatch",
    ),
    Try(
        "have configuration expand the environment",
        NOTHING,
        {f"{P}.config": {"a": "$(KUBERNETES_SERVICE_HOST)", "b": "${HOME}", "c": "{{ .Values }}"}},
    ),
    Try(
        "set the loader's variables by configuration",
        NOTHING,
        {f"{P}.config": {"LD_PRELOAD": "/plugins/x.so", "PYTHONPATH": "/plugins", "PATH": "/"}},
    ),
    Try("take the host's configuration for a file", NOTHING, {f"{P}.name": "host-config"}),
)

OBJECTS = (
    Try(
        "take over a Service and a Deployment by their name",
        OPERATOR,
        {"metadata.name": "till"},
        "NameConflict",
    ),
    Try(
        "take over what is named like its Service of peers",
        SCHEMA,
        {"metadata.name": "till-peers"},
        "must not end in '-peers'",
    ),
    Try(
        "be owned by a Deployment of others", NOTHING, owner("Deployment", "apps/v1"), deploys=False
    ),
    Try("be owned by a node", NOTHING, owner("Node", "v1"), deploys=False),
    Try("never go, by a finalizer", NOTHING, {"metadata.finalizers": ["example.com/never"]}),
    Try(
        "pass for another sandbox by its labels",
        NOTHING,
        {"metadata.labels": {"pluginsandbox.dev/sandbox": "till", "app": "till"}},
    ),
    Try(
        "pass for applied by its annotations",
        NOTHING,
        {"metadata.annotations": {"pluginsandbox.dev/applied": "0123456789"}},
    ),
    Try(
        "bring a status of its own",
        NOTHING,
        {"/status": {"observedGeneration": 9, "selector": "app=till", "endpoint": "http://till"}},
    ),
    Try(
        "write its status",
        SERVER,
        says="forbidden",
        request=Request(
            "PATCH",
            "$SANDBOX/status",
            {"status": {"selector": "app=till"}},
            "application/merge-patch+json",
        ),
    ),
    Try(
        "write its finalizers",
        SERVER,
        says="forbidden",
        request=Request("PUT", "$SANDBOX/finalizers", sandbox()),
    ),
    Try(
        "write in the operator's name",
        NOTHING,
        deploys=False,
        request=Request(
            "PATCH",
            "$SANDBOX?fieldManager=pluginsandbox-operator&force=true",
            {
                "apiVersion": "pluginsandbox.dev/v1alpha1",
                "kind": "PluginSandbox",
                "metadata": {"labels": {"by": "operator"}},
            },
            "application/apply-patch+yaml",
        ),
    ),
    Try("choose its own uid", NOTHING, {"metadata.uid": "00000000-0000-4000-8000-000000000000"}),
    Try("bring a version of its own", SERVER, {"metadata.resourceVersion": "1"}, "resourceVersion"),
    Try(
        "scale to more pods than the kind allows",
        SERVER,
        says="1000",
        request=Request(
            "PATCH",
            "$SANDBOX/scale",
            {"spec": {"replicas": 100000}},
            "application/merge-patch+json",
        ),
    ),
    Try(
        "scale to fewer than none",
        SERVER,
        says="non-negative",
        request=Request(
            "PATCH", "$SANDBOX/scale", {"spec": {"replicas": -1}}, "application/merge-patch+json"
        ),
    ),
)
