"""What the hosts' own words add to the status: PluginsLoaded, Confined and `plugins[]`. Pure.

Hosts run next to other people's code, so their word explains and never decides.
"""

from __future__ import annotations

from pluginsandbox.api.conditions import ConditionStatus
from pluginsandbox.api.host_stats import MESSAGE_CHARACTERS, HostStats, PluginStats
from pluginsandbox.api.plugin import Plugin
from pluginsandbox.api.reasons import Reason
from pluginsandbox.api.status import PluginState, PluginStatus
from pluginsandbox.controller import explain
from pluginsandbox.controller.decide import Decision
from pluginsandbox.controller.observed import Observed
from pluginsandbox.controller.trim import Body

Verdict = tuple[ConditionStatus, Reason, str]


def plugins_loaded(observed: Observed, decision: Decision) -> Verdict:
    """Return whether every plugin is loaded on every ready pod of the wanted template."""
    failed = [
        (plugin, pod["metadata"]["name"])
        for pod, stats in _told(observed, decision)
        for plugin in stats.plugins
        if plugin.state == "Failed"
    ]
    if failed:
        plugin, name = failed[0]
        reason = explain.load_reason(plugin) if plugin.reason else Reason.LOAD_FAILED
        return "False", reason, explain.load_message(plugin, name)
    ready = _ready(observed, decision)
    if not ready:
        return "Unknown", Reason.NO_PODS, "no pod is ready"
    told = [observed.stats[_uid(pod)] for pod in ready if _uid(pod) in observed.stats]
    if not told:
        return "Unknown", Reason.HOSTS_UNREACHABLE, _unreachable(len(ready))
    wanted = {plugin.name for plugin in observed.sandbox.spec.plugins}
    if all(wanted <= _loaded(stats) for stats in told):
        pods = _pods(len(told), len(ready))
        return "True", Reason.ALL_LOADED, f"{explain.count(len(wanted), 'plugin')} on {pods}"
    missing = sorted(set().union(*(wanted - _loaded(stats) for stats in told)))
    return "False", Reason.LOADING, f"not yet loaded on every pod: {', '.join(missing)}"


def confined(observed: Observed, decision: Decision) -> Verdict:
    """Return whether every ready pod has proven that its plugins are confined."""
    ready = _ready(observed, decision)
    for pod, stats in _told(observed, decision):
        wall = stats.confinement
        if wall is not None and not wall.holds:
            missing = explain.quote("; ".join(wall.missing)) or "the host did not say what"
            strict = observed.sandbox.spec.host.confinement == "Strict"
            reason = Reason.CONFINEMENT_IMPOSSIBLE if strict else Reason.PARTLY_CONFINED
            return "False", reason, f"pod {pod['metadata']['name']} lacks: {missing}"
    if not ready:
        return "Unknown", Reason.NO_PODS, "no pod is ready"
    walls = [observed.stats[_uid(pod)].confinement for pod in ready if _uid(pod) in observed.stats]
    if not walls:
        return "Unknown", Reason.HOSTS_UNREACHABLE, _unreachable(len(ready))
    proven = [wall.landlock_abi for wall in walls if wall is not None]
    if len(proven) < len(walls):
        return "Unknown", Reason.PROVING, "not every pod has tried its wall yet"
    pods = _pods(len(walls), len(ready))
    return (
        "True",
        Reason.PROVEN,
        f"every forbidden act was stopped on {pods} (Landlock ABI {min(proven)})",
    )


def plugins(observed: Observed, decision: Decision) -> tuple[PluginStatus, ...]:
    """Return how each plugin of the spec fares."""
    ready = {_uid(pod) for pod in _ready(observed, decision)}
    told = _told(observed, decision)
    return tuple(_plugin(observed, plugin, told, ready) for plugin in observed.sandbox.spec.plugins)


def _plugin(
    observed: Observed, plugin: Plugin, told: list[tuple[Body, HostStats]], ready: set[str]
) -> PluginStatus:
    words = [
        (_uid(pod), each)
        for pod, stats in told
        for each in stats.plugins
        if each.name == plugin.name
    ]
    states = [each.state for uid, each in words if uid in ready]
    loaded = states.count("Loaded")
    failed = [each for _, each in words if each.state == "Failed"]
    state: PluginState = "Pending"
    if failed:
        state = "Failed"
    elif states and loaded == len(states):
        state = "Loaded"
    message = explain.quote(failed[0].message or failed[0].reason) if failed else None
    return PluginStatus(
        name=plugin.name,
        digest=_digest(observed, plugin, [each for _, each in words]),
        state=state,
        loaded_replicas=loaded,
        message=message[:MESSAGE_CHARACTERS] if message else None,
    )


def _digest(observed: Observed, plugin: Plugin, words: list[PluginStats]) -> str | None:
    """Return the digest of the files: computed by us, else pinned by the author, else as told."""
    source = observed.sources.get(plugin.name)
    if source is not None:
        return source.files.digest if source.files else None
    told = next((each.digest for each in words if each.digest), None)
    image = plugin.source.image
    pinned = (
        f"sha256:{image.reference.rpartition('@sha256:')[2]}" if image and image.pinned else None
    )
    return plugin.digest or pinned or told


def _told(observed: Observed, decision: Decision) -> list[tuple[Body, HostStats]]:
    return [
        (pod, observed.stats[_uid(pod)])
        for pod in explain.current_pods(observed, decision.template)
        if _uid(pod) in observed.stats
    ]


def _ready(observed: Observed, decision: Decision) -> list[Body]:
    return [
        pod for pod in explain.current_pods(observed, decision.template) if explain.is_ready(pod)
    ]


def _loaded(stats: HostStats) -> set[str]:
    return {each.name for each in stats.plugins if each.state == "Loaded"}


def _uid(pod: Body) -> str:
    return str(pod["metadata"]["uid"])


def _pods(told: int, ready: int) -> str:
    pods = explain.count(ready, "pod")
    return pods if told == ready else f"{told} of {pods}, the others not read yet"


def _unreachable(pods: int) -> str:
    return (
        f"/stats of {explain.count(pods, 'ready pod')} cannot be read; let the operator's "
        "namespace reach port 9090 of sandbox pods"
    )
