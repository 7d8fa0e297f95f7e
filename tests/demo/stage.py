"""What the demo sets up: cluster, operator, sandbox and a neighbour that calls it."""

from __future__ import annotations

import time
from typing import Any

from tests.bed import caller, platform
from tests.bed.caller import Caller
from tests.bed.kubectl import Kubectl, until
from tests.bed.platform import NAMESPACE as OPERATOR_NAMESPACE
from tests.bed.platform import Platform
from tests.bed.shell import REPOSITORY
from tests.cluster.choice import choose
from tests.demo.screen import Screen

NAMESPACE = "shop"
SANDBOX = "shop"
SAMPLE = REPOSITORY / "manifests" / "samples" / "shop.yaml"
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
# The payment plugin's HMAC key comes from a Secret, which only an administrator can grant.
ALLOW = {
    "fields": ["plugins[].secrets"],
    "namespaces": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
}


def build(screen: Screen) -> Platform:
    """Bring up the cluster with our images on it."""
    with screen.step("A real Kubernetes cluster"):
        kubectl = platform.connect()
        version = kubectl.get("nodes")["items"][0]["status"]["nodeInfo"]["kubeletVersion"]
        screen.say(f"{choose().kind} cluster, Kubernetes {version}")
    with screen.step("Images of the operator and the host"):
        ready = platform.prepare()
        for image in (ready.operator, ready.host):
            screen.say(f"{image.name}  {image.size / 1e6:.0f} MB")
    return ready


def install(screen: Screen, cluster: Platform) -> None:
    """Install the operator from the chart."""
    with screen.step(f"The operator, by Helm, into namespace {OPERATOR_NAMESPACE}"):
        cluster.install({"allow": [ALLOW]})


def apply(screen: Screen, cluster: Platform) -> float:
    """Apply the sample and wait until it is ready; return how many seconds that took."""
    kubectl = cluster.kubectl
    with screen.step("The sandbox: kubectl apply -f manifests/samples/shop.yaml"):
        if not kubectl.find("namespace", NAMESPACE):
            kubectl("create", "namespace", NAMESPACE)
        kubectl("label", "namespace", NAMESPACE, RESTRICTED, "--overwrite")
        began = time.monotonic()
        kubectl("apply", "--server-side", "-n", NAMESPACE, "-f", SAMPLE)
        target = ("-n", NAMESPACE, f"psb/{SANDBOX}", "--for=condition=Ready", "--timeout=120s")
        kubectl("wait", *target, timeout=150)
        # After an upgrade of the operator Ready still speaks of the pods that are being replaced.
        until("pods of this version alone", lambda: _all_run(kubectl, cluster.host.name))
        seconds = time.monotonic() - began
        screen.say(f"apply to Ready: {seconds:.2f} s")
    return seconds


def neighbour(screen: Screen, cluster: Platform) -> Caller:
    """Start a pod that calls the sandbox through its Service."""
    with screen.step("A neighbour in the same namespace, to call it through its Service"):
        return caller.start(cluster.kubectl, NAMESPACE, cluster.operator.name, endpoint(cluster))


def endpoint(cluster: Platform) -> str:
    """Return where the sandbox serves, as its status says."""
    found = cluster.kubectl.get("psb", SANDBOX, "-n", NAMESPACE)
    return str(found["status"]["endpoint"])


def pod(kubectl: Kubectl) -> str:
    """Return the name of the sandbox's pod."""
    running = [each for each in _pods(kubectl) if "deletionTimestamp" not in each["metadata"]]
    return str(running[0]["metadata"]["name"])


def _pods(kubectl: Kubectl) -> list[Any]:
    selector = f"pluginsandbox.dev/sandbox={SANDBOX}"
    found: list[Any] = kubectl.get("pods", "-n", NAMESPACE, "-l", selector)["items"]
    return found


def _all_run(kubectl: Kubectl, image: str) -> bool:
    pods = _pods(kubectl)
    return bool(pods) and all(each["spec"]["containers"][0]["image"] == image for each in pods)
