"""What a sandbox wants, what there is of it and what it waits for, in plain words. Pure.

Told from the cluster alone, by whoever may read the sandbox's namespace; the operator need not run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pluginsandbox.api.conditions import Condition, ConditionType
from pluginsandbox.api.plugin import Plugin
from pluginsandbox.api.reasons import REASONS, Reason
from pluginsandbox.controller import explain, kinds
from pluginsandbox.controller.children.common import peers_name
from pluginsandbox.controller.children.deployment import template_hash
from pluginsandbox.controller.decide import desired_replicas, several, source_problems
from pluginsandbox.controller.observed import Observed, controlled_by
from pluginsandbox.controller.status import previous_conditions
from pluginsandbox.controller.trim import Body

_CHILDREN = (kinds.DEPLOYMENT, kinds.SERVICE, kinds.NETWORK_POLICY)
_QUIET: Mapping[str, str] = {
    ConditionType.STALLED: "False",
    ConditionType.RECONCILING: "False",
    ConditionType.READY: "True",
    ConditionType.PLUGINS_LOADED: "True",
    ConditionType.CONFINED: "True",
    ConditionType.SCALING_ACTIVE: "True",
}
"""Status of each condition when all is well; the one that tells most comes first."""


def explanation(observed: Observed) -> str:
    """Return the text."""
    metadata = observed.sandbox.metadata
    sections = {
        f"PluginSandbox {observed.key} (generation {metadata.generation}) wants:": _wanted,
        "There is:": _there,
        "It waits for:": _awaited,
    }
    return "\n\n".join(
        "\n".join((title, *(f"  - {line}" for line in lines(observed))))
        for title, lines in sections.items()
    )


def _wanted(observed: Observed) -> Iterator[str]:
    yield _pods_wanted(observed)
    for plugin in observed.sandbox.spec.plugins:
        yield f"plugin {plugin.name} ({plugin.runtime}, {plugin.isolation}) from {_source(plugin)}"


def _pods_wanted(observed: Observed) -> str:
    spec = observed.sandbox.spec
    if spec.operating_mode == "Suspended":
        return "no pods: spec.operatingMode is Suspended"
    if spec.replicas is not None:
        why = "spec.replicas says so"
    elif spec.scaling is None:
        why = "spec.replicas is absent"
    elif spec.scaling.on:
        why = f"the load decides, from {spec.scaling.min_replicas} to {spec.scaling.most}"
    else:
        why = f"spec.scaling holds them (paused: {spec.scaling.paused})"
    return f"{_count(desired_replicas(observed), 'pod')}: {why}"


def _source(plugin: Plugin) -> str:
    if plugin.source.config_map is not None:
        return f"ConfigMap {plugin.source.config_map.name}"
    image = plugin.source.image
    return f"image {image.reference}" if image else "nowhere"


def _there(observed: Observed) -> Iterator[str]:
    for name, source in observed.sources.items():
        if source.files is not None:
            files = _count(len(source.files.keys), "file")
            yield f"ConfigMap {source.name} of plugin {name}: {files}, {source.files.digest}"
    for kind, name in _children(observed):
        yield f"{kind.name} {name}: {_child(observed, kind, name)}"
    yield from _pods(observed)


def _children(observed: Observed) -> Iterator[tuple[kinds.Kind, str]]:
    name = observed.key.name
    yield from ((kind, name) for kind in _CHILDREN)
    together = several(observed, desired_replicas(observed))
    for at in ((kinds.SERVICE, peers_name(observed.sandbox)), (kinds.POD_DISRUPTION_BUDGET, name)):
        if together or at in observed.children:
            yield at


def _child(observed: Observed, kind: kinds.Kind, name: str) -> str:
    live = observed.children.get((kind, name))
    if live is None:
        return "not there"
    if not controlled_by(live, observed.sandbox):
        return "there, but not this sandbox's"
    status = live.get("status") or {}
    if kind is not kinds.DEPLOYMENT:
        return "there"
    pods, *numbers = (
        status.get(each) or 0 for each in ("replicas", "updatedReplicas", "readyReplicas")
    )
    told = explain.count(pods, "pod")
    return "there; {}, {} of the present template, {} ready".format(told, *numbers)


def _pods(observed: Observed) -> Iterator[str]:
    template = template_hash(observed.deployment or {})
    current = {each["metadata"]["name"] for each in explain.current_pods(observed, template)}
    for pod in observed.pods:
        name = pod["metadata"]["name"]
        old = "" if name in current else ", of an older template"
        yield f"pod {name}: {_pod(pod)}{old}"


def _pod(pod: Body) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return "leaving"
    if explain.is_ready(pod):
        return "ready"
    return "running, not ready" if explain.running(pod) else "not running yet"


def _awaited(observed: Observed) -> Iterator[str]:
    generation = observed.sandbox.metadata.generation
    seen = observed.status.get("observedGeneration", -1)
    if seen != generation:
        yield (
            f"the operator, which has not seen generation {generation} (last seen: {seen}): look "
            "whether it runs, watches this namespace and leads (kubectl get lease -A)"
        )
    trouble = _trouble(observed)
    # What the cluster shows now may be newer than what the operator has written.
    template = template_hash(observed.deployment or {})
    found = [*source_problems(observed), *explain.problems(observed, template)]
    for problem in found:
        if problem.message not in trouble:
            yield f"{problem.reason}: {problem.message}"
    for each in trouble.values():
        yield from _condition(each)
    if not trouble and not found and seen == generation:
        yield "nothing"


def _trouble(observed: Observed) -> dict[str, Condition]:
    """Return the conditions that are not as they should be, by what they say."""
    known = {each.type: each for each in previous_conditions(observed.status)}
    told: dict[str, Condition] = {}
    for kind, quiet in _QUIET.items():
        if kind in known and known[kind].status != quiet:
            told.setdefault(known[kind].message, known[kind])
    return told


def _condition(condition: Condition) -> Iterator[str]:
    yield f"{condition.type} is {condition.status}, {condition.reason}: {condition.message}"
    if condition.reason in set(Reason):
        told = REASONS[Reason(condition.reason)]
        yield f"  {told.meaning} Likely: {told.cause} Do: {told.action}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
