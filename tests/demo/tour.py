"""The demo itself: set the stage, tell the story, report what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.bed.caller import Call
from tests.bed.platform import NAMESPACE as OPERATOR_NAMESPACE
from tests.bed.platform import Platform
from tests.demo import metrics, stage, story
from tests.demo.metrics import Series
from tests.demo.screen import Screen

METRICS_PORT = 9090
TOLD = ("_total", "_contexts", "_bindings", "_count")


def run() -> None:
    """Run it all and print the report."""
    screen = Screen()
    cluster = stage.build(screen)
    stage.install(screen, cluster)
    stage.apply(screen, cluster)
    neighbour = stage.neighbour(screen, cluster)
    target = f"pod/{stage.pod(cluster.kubectl)}"
    before = metrics.read(cluster.kubectl, stage.NAMESPACE, target, METRICS_PORT)
    with screen.step("Calls in several contexts, and their state given back"):
        calls, released = story.tell(neighbour)
        screen.say(f"{len(calls)} calls, {released} contexts released")
    after = metrics.read(cluster.kubectl, stage.NAMESPACE, target, METRICS_PORT)
    _report(screen, cluster, calls, before, after)


def _report(
    screen: Screen, cluster: Platform, calls: Sequence[Call], before: Series, after: Series
) -> None:
    _what_runs_where(screen, cluster)
    _the_calls(screen, calls)
    _reclaimed(screen, before, after)
    _changed(screen, before, after)
    _next(screen, cluster)
    screen.say(f"\nall of it took {screen.seconds:.0f} s")


def _what_runs_where(screen: Screen, cluster: Platform) -> None:
    kubectl = cluster.kubectl
    screen.title("What runs where")
    rows = [
        [
            each["metadata"]["namespace"],
            each["metadata"]["name"],
            each["spec"]["nodeName"],
            _image(each),
        ]
        for namespace in (OPERATOR_NAMESPACE, stage.NAMESPACE)
        for each in kubectl.get("pods", "-n", namespace)["items"]
    ]
    screen.table(("namespace", "pod", "node", "image"), rows)
    screen.title("kubectl get psb -n shop -o wide")
    screen.say(kubectl("get", "psb", "-n", stage.NAMESPACE, "-o", "wide"))
    found = kubectl.get("psb", stage.SANDBOX, "-n", stage.NAMESPACE)
    conditions = found["status"]["conditions"]
    rows = [[each["type"], each["status"], each["reason"], each["message"]] for each in conditions]
    screen.table(("condition", "status", "reason", "message"), rows)


def _the_calls(screen: Screen, calls: Sequence[Call]) -> None:
    screen.title("The calls, through the Service")
    rows = [
        [
            each.plugin,
            f"{each.function}({_short(each.arguments)})",
            each.context,
            _short(each.result if each.ok else _problem(each.result)),
            each.binding.partition(";")[0],
            each.timing,
        ]
        for each in calls
    ]
    heads = ("plugin", "function", "context", "answer", "binding", "Server-Timing (ms)")
    screen.table(heads, rows)


def _reclaimed(screen: Screen, before: Series, after: Series) -> None:
    screen.title("State given back, by cause")
    named = [
        (series, delta)
        for series, delta in metrics.changed(before, after)
        if series.startswith(("pluginsandbox_reclaims_total", "pluginsandbox_reclaimed_bytes"))
    ]
    for series, delta in named:
        screen.say(f"{series}  +{delta:.10g}")


def _changed(screen: Screen, before: Series, after: Series) -> None:
    screen.title("Metrics that changed")
    for series, delta in metrics.changed(before, after):
        if series.partition("{")[0].endswith(TOLD) and "reclaim" not in series:
            screen.say(f"{series}  {delta:+.10g}")


def _next(screen: Screen, cluster: Platform) -> None:
    kubectl = f"{cluster.kubectl.program} --kubeconfig {cluster.kubectl.kubeconfig}"
    screen.title("Try next")
    screen.say(
        f"alias k='{kubectl} -n {stage.NAMESPACE}'\n"
        "k describe psb shop                          # conditions and events\n"
        f"k port-forward service/{stage.SANDBOX} 8080          # then, in another terminal:\n"
        ".venv/bin/pluginsandbox call inventory-check available --context shanghai-1 sku=A-100\n"
        'k patch psb shop --type=merge -p \'{"spec":{"operatingMode":"Suspended"}}\'\n'
        "k edit configmap inventory-check             # a saved change rolls out at once\n"
        "make demo-down                               # removes all of it"
    )


def _image(pod: Mapping[str, Any]) -> str:
    return str(pod["spec"]["containers"][0]["image"]).removeprefix("docker.io/")


def _problem(document: Any) -> str:
    if not isinstance(document, dict):
        return str(document)
    where = f"{document['argument']} " if "argument" in document else ""
    return f"{document.get('status')}: {where}{document.get('detail')}"


def _short(value: object, most: int = 46) -> str:
    if isinstance(value, dict):
        text = ", ".join(f"{name}={_short(each, 12)}" for name, each in value.items())
    else:
        text = str(value)
    return text if len(text) <= most else text[: most - 3] + "..."
