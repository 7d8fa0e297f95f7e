"""Says in plain words why pods are not ready: pure functions over what pods and hosts tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pluginsandbox.api.host_stats import HostStats, PluginStats
from pluginsandbox.api.reasons import Reason
from pluginsandbox.controller.kinds import TEMPLATE_ANNOTATION
from pluginsandbox.controller.observed import Observed, Problem
from pluginsandbox.controller.trim import Body

_IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
    | {"ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}
)
_CONTAINER = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}
)
MAX_QUOTE = 600


def quote(text: str) -> str:
    """Return another component's words on one line, bounded, and fit for a terminal.

    Plugins word some of them: what would move a cursor or turn the direction of writing is shown
    by its number instead.
    """
    line = "".join(map(_shown, " ".join(text.split())))
    return line if len(line) <= MAX_QUOTE else f"{line[: MAX_QUOTE - 1]}…"


def count(number: int, noun: str) -> str:
    """Return a number of things in words: `1 pod`, `3 pods`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def condition(body: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return a condition of an object, empty if it has none of that type."""
    conditions = (body.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), {})


def is_true(body: Mapping[str, Any], kind: str) -> bool:
    """Tell whether a condition of an object is True."""
    return condition(body, kind).get("status") == "True"


def is_ready(pod: Body) -> bool:
    """Tell whether a pod takes calls."""
    return is_true(pod, "Ready") and not pod["metadata"].get("deletionTimestamp")


def current_pods(observed: Observed, template: str) -> list[Body]:
    """Return the pods of a template that are not leaving."""
    return [
        pod
        for pod in observed.pods
        if not pod["metadata"].get("deletionTimestamp")
        and (pod["metadata"].get("annotations") or {}).get(TEMPLATE_ANNOTATION) == template
    ]


def running(pod: Body) -> bool:
    """Tell whether the host's process runs, ready or not."""
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    return any("running" in (each.get("state") or {}) for each in containers)


def problems(observed: Observed, template: str) -> list[Problem]:
    """Return what keeps pods of a template from being made and from becoming ready.

    What only an edit cures comes first.
    """
    found = [*_refusals(observed.deployment or {})]
    for pod in current_pods(observed, template):
        if not is_ready(pod):
            found += _of_pod(pod, observed)
    return sorted(found, key=lambda problem: not problem.edit)


def _refusals(deployment: Mapping[str, Any]) -> Iterator[Problem]:
    failure = condition(deployment, "ReplicaFailure")
    if failure.get("status") != "True":
        return
    message = quote(failure.get("message") or failure.get("reason") or "")
    if "exceeded quota" in message:
        yield Problem(
            Reason.QUOTA_EXCEEDED,
            f"no room for a pod in the namespace's quota; raise it or lower the limits: {message}",
        )
    else:
        yield Problem(
            Reason.POD_REFUSED, f"the API server refuses the pod; change what it names: {message}"
        )


def _of_pod(pod: Body, observed: Observed) -> Iterator[Problem]:
    uid, name = pod["metadata"]["uid"], pod["metadata"]["name"]
    if uid in observed.stats:
        strict = observed.sandbox.spec.host.confinement == "Strict"
        yield from _of_host(observed.stats[uid], name, strict=strict)
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        message = quote(scheduled.get("message") or scheduled.get("reason") or "")
        yield Problem(Reason.UNSCHEDULABLE, f"no node takes pod {name}: {message}")
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        yield from _of_container(container, name)
    if uid in observed.mount_failures:
        message = quote(observed.mount_failures[uid])
        yield Problem(Reason.MOUNT_FAILED, f"pod {name} cannot mount a volume: {message}")


def _of_container(container: Mapping[str, Any], pod: str) -> Iterator[Problem]:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason", ""), quote(waiting.get("message") or "")
    if reason in _IMAGE:
        yield Problem(
            Reason.IMAGE_PULL_FAILED,
            f"pod {pod} cannot get an image ({reason}); mend the reference, the registry or the "
            f"credentials: {message}",
        )
    elif reason in _CONTAINER:
        yield Problem(Reason.POD_CRASHING, f"pod {pod} cannot start its host ({reason}): {message}")
    else:
        ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
        if ended and not container.get("ready"):
            yield Problem(Reason.POD_CRASHING, _crash(ended, pod))


def _crash(ended: Mapping[str, Any], pod: str) -> str:
    if ended.get("reason") == "OOMKilled":
        return (
            f"the host of pod {pod} was killed for memory; lower limits.maxContexts or workers, "
            "or ask the administrator for a larger memory.reserve"
        )
    told = quote(ended.get("message") or "")
    return (
        f"the host of pod {pod} ended with exit code {ended.get('exitCode')}; read "
        f"`kubectl logs --previous {pod}`" + (f": {told}" if told else "")
    )


def _of_host(stats: HostStats, pod: str, *, strict: bool) -> Iterator[Problem]:
    for plugin in stats.plugins:
        if plugin.state == "Failed":
            yield Problem(load_reason(plugin), load_message(plugin, pod), edit=True)
    wall = stats.confinement
    if strict and wall is not None and not wall.holds:
        missing = quote("; ".join(wall.missing)) or "the host did not say what is missing"
        yield Problem(
            Reason.CONFINEMENT_IMPOSSIBLE,
            f"the node of pod {pod} cannot confine plugins: {missing}; use nodes with Landlock "
            "(Linux 5.13 and later)",
            edit=True,
        )


def load_reason(plugin: PluginStats) -> Reason:
    """Return why a plugin failed to load, as a reason of the closed list."""
    match plugin.reason:
        case "DigestMismatch":
            return Reason.DIGEST_MISMATCH
        case "ConfinementImpossible":
            return Reason.CONFINEMENT_IMPOSSIBLE
        case _:
            return Reason.PLUGIN_INVALID


def load_message(plugin: PluginStats, pod: str) -> str:
    """Return why a plugin failed to load, for a person."""
    why = quote(plugin.message or plugin.reason) or "the host did not say why"
    return f"plugin {quote(plugin.name)} cannot be loaded in pod {pod}: {why}"
