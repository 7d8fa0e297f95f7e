"""Removes all that the demo made."""

from __future__ import annotations

from tests.bed import platform
from tests.bed.kubectl import Kubectl
from tests.bed.platform import NAMESPACE as OPERATOR_NAMESPACE
from tests.cluster.choice import choose
from tests.demo.screen import Screen
from tests.demo.stage import NAMESPACE

KIND = "pluginsandboxes.pluginsandbox.dev"


def run() -> None:
    """Take down a cluster that is ours; from anyone else's remove what we brought."""
    screen = Screen()
    cluster = choose()
    if cluster.kind == "user":
        _leave(screen, platform.client())
        return
    with screen.step(f"Take down the {cluster.kind} cluster"):
        cluster.down()
    screen.say("Built programs and images stay in the cache, ~/.cache/pluginsandbox: the next")
    screen.say("`make demo` is quick. Delete that folder to be rid of them.")


def _leave(screen: Screen, kubectl: Kubectl) -> None:
    with screen.step("Delete the sandbox and its namespace"):
        kubectl.delete("namespace", NAMESPACE, timeout=180)
    with screen.step("Uninstall the operator and the kind"):
        platform.uninstall(kubectl)
        kubectl.delete("customresourcedefinition", KIND)
        kubectl.delete("namespace", OPERATOR_NAMESPACE)
