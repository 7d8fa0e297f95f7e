"""Valid specs, drawn from the kind's schema; what a schema cannot say is tuned by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pluginsandbox.api import crd
from pluginsandbox.api.sandbox import PluginSandbox

Spec = dict[str, Any]
Strategy = st.SearchStrategy[Any]

DIGEST = f"@sha256:{'ab' * 32}"
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
APP = {"matchLabels": {"app": "web"}}
NEAR = [{"weight": 5, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": APP}}]


def _one_of(*values: Any) -> Strategy:
    return st.sampled_from(values)


def _some(strategy: Strategy, most: int, key: Callable[[Any], Any] | None = None) -> Strategy:
    return st.lists(strategy, max_size=most, unique_by=key)


TUNED: Mapping[str, Strategy] = {
    "plugins[].name": _one_of("alpha", "beta", "gamma"),
    "plugins[].source": _one_of(
        {"configMap": {"name": "one"}},
        {"configMap": {"name": "two"}},
        {"image": {"reference": f"registry.example/a{DIGEST}", "path": "/plugin"}},
        {"image": {"reference": f"registry.example/b{DIGEST}", "pullPolicy": "Always"}},
    ),
    "plugins[].digest": st.none(),
    "plugins[].entryPoint": _one_of("alpha:Alpha", "beta.gamma:Delta"),
    "plugins[].config": st.dictionaries(_one_of("a", "b", "é"), st.text(max_size=8), max_size=3),
    "plugins[].secrets": _some(
        st.fixed_dictionaries({"name": _one_of("x", "y"), "secretName": _one_of("k", "l")}),
        2,
        lambda each: each["name"],
    ),
    "plugins[].limits.memory": _one_of("1Mi", "64Mi", 67108864, "3Gi"),
    "plugins[].limits.requestBytes": _one_of("1", "64Ki", 4096, "64Mi"),
    "plugins[].limits.resultBytes": _one_of("1", "1Mi"),
    "plugins[].limits.durableBytes": _one_of("1", "64Ki", "16Mi"),
    "plugins[].limits.publishedBytes": _one_of("1", "8Mi"),
    "host.resources.requests.cpu": _one_of("1m", "250m", 1, "0.5"),
    "host.resources.requests.memory": _one_of("1Mi", "64M", "128Mi"),
    "host.resources.limits.cpu": _one_of("10m", "2", "1.5"),
    "replicas": st.integers(0, 3),
    "scaling.minReplicas": st.integers(1, 3),
    "scaling.maxReplicas": st.integers(1, 5),
    "scaling.schedules": st.lists(
        st.fixed_dictionaries(
            {
                "name": _one_of("evening", "morning"),
                "schedule": _one_of("0 20 * * *", "30 6 1 * 1-5"),
                "durationSeconds": st.integers(60, 3600),
                "minReplicas": st.just(1),
            },
            optional={"timeZone": _one_of("UTC", "Asia/Shanghai")},
        ),
        max_size=2,
        unique_by=lambda each: each["name"],
    ),
    "network.allowFrom": _some(
        _one_of(
            {"podSelector": {}},
            {"podSelector": APP, "namespaceSelector": {}},
            {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}},
            {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
            {"ipBlock": {"cidr": "fd00::/8"}},
        ),
        3,
    ),
    "pod.labels": st.dictionaries(_one_of("team", "example.com/a"), _one_of("x", ""), max_size=2),
    "pod.annotations": st.dictionaries(
        _one_of("a", "example.com/b"), st.text(max_size=8), max_size=2
    ),
    "pod.nodeSelector": st.dictionaries(_one_of("disk", "zone"), _one_of("fast", "a"), max_size=2),
    "pod.tolerations": _some(
        _one_of(
            {"operator": "Exists"},
            {"key": "gpu", "value": "yes", "effect": "NoSchedule"},
            {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
        ),
        3,
        str,
    ),
    "pod.affinity": _one_of(
        {},
        {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": NEAR}},
        {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": NEAR}},
    ),
    "pod.topologySpreadConstraints": _some(
        _one_of(
            SPREAD,
            {**SPREAD, "topologyKey": "host", "labelSelector": APP},
            {**SPREAD, "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2},
        ),
        2,
        lambda each: (each["topologyKey"], each["whenUnsatisfiable"]),
    ),
    "pod.runtimeClassName": _one_of("gvisor", "kata"),
    "pod.priorityClassName": _one_of("low", "high"),
    "pod.serviceAccountName": _one_of("default", "other"),
    "pod.imagePullSecrets": _some(
        st.fixed_dictionaries({"name": _one_of("r", "s")}), 2, lambda each: each["name"]
    ),
}
"""Strategies by the field's path; all other fields follow from the schema."""


def specs() -> Strategy:
    """Return a strategy of specs that the kind takes."""
    version = crd.definition()["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return _drawn(schema, "").map(_without_nulls).filter(is_valid)


def plan(count: int, start: int) -> list[Spec]:
    """Return as many specs; the same ones for the same start."""
    found: list[Spec] = []

    @seed(start)
    @settings(
        max_examples=count,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(specs())
    def gather(spec: Spec) -> None:
        found.append(spec)

    gather()
    while len(found) < count:  # Hypothesis repeats no example; the walk may
        found.append(found[(len(found) * 7) % len(found)])
    return found[:count]


def is_valid(spec: Spec) -> bool:
    """Tell whether the models take a spec; the API server takes the same."""
    envelope = {"apiVersion": "pluginsandbox.dev/v1alpha1", "kind": "PluginSandbox"}
    try:
        PluginSandbox.read({**envelope, "metadata": {"name": "walk"}, "spec": spec})
    except ValidationError:
        return False
    return True


def fields(value: Any, path: str = "") -> set[str]:
    """Return the paths of all fields that a spec sets."""
    match value:
        case dict() if path not in TUNED or path.endswith("source"):
            below = (fields(each, f"{path}.{name}".lstrip(".")) for name, each in value.items())
            return set().union(*below) or {path}
        case list() if path not in TUNED:
            return set().union(*(fields(each, f"{path}[]") for each in value)) or {path}
        case _:
            return {path}


def _drawn(schema: Mapping[str, Any], path: str) -> Strategy:
    if path in TUNED:
        return TUNED[path].map(_absent_if_empty)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            return _object(schema, path)
        case "array":
            return _list(schema, path)
        case "integer":
            least, most = schema["minimum"], schema["maximum"]
            return st.one_of(_one_of(least, most), st.integers(least, most))
        case "boolean":
            return st.booleans()
        case kind:
            raise ValueError(
                f"spec.{path}, {kind}, must be tuned: its schema is too wide to draw from"
            )


def _object(schema: Mapping[str, Any], path: str) -> Strategy:
    parts = {
        name: _drawn(part, f"{path}.{name}".lstrip("."))
        for name, part in schema["properties"].items()
    }
    needed = {name: parts.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(needed, optional=parts).map(_absent_if_empty)


def _absent_if_empty(value: Any) -> Any:
    """Return None for an empty object: server-side apply makes a null of one that lost its fields.

    The API server then refuses the author's own request; nothing of ours is in it.
    """
    return None if value == {} else value


def _list(schema: Mapping[str, Any], path: str) -> Strategy:
    keys = schema.get("x-kubernetes-list-map-keys")
    return st.lists(
        _drawn(schema["items"], f"{path}[]"),
        min_size=schema.get("minItems", 0),
        max_size=min(3, schema["maxItems"]),
        unique_by=(lambda item: tuple(item.get(key) for key in keys)) if keys else None,
    )


def _without_nulls(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_nulls(each) for key, each in value.items() if each is not None}
        case list():
            return [_without_nulls(each) for each in value]
        case _:
            return value
