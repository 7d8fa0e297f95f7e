"""A pod that calls a sandbox through its Service, as a neighbour in the same namespace would."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from tests.bed.kubectl import Kubectl

NAME = "caller"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


@dataclasses.dataclass(frozen=True)
class Call:
    """One call: what was asked, and what came back."""

    plugin: str
    function: str
    context: str
    arguments: dict[str, Any]
    ok: bool
    result: Any
    """Decoded result, or the problem document."""
    timing: str
    """The header Server-Timing."""
    binding: str
    """The header Sandbox-Binding."""


@dataclasses.dataclass(frozen=True)
class Caller:
    """The pod, and the endpoint it calls."""

    kubectl: Kubectl
    namespace: str
    url: str

    def call(self, plugin: str, function: str, *, context: str = "", **arguments: Any) -> Call:
        """Call a function; an error answer is a result, too."""
        words = ["pluginsandbox", "call", plugin, function, "--url", self.url]
        words += ["--json", json.dumps(arguments)]
        words += ["--context", context] if context else []
        done = self.kubectl.run(
            "exec", "-n", self.namespace, NAME, "--", *words, check=False, timeout=60
        )
        told = dict(
            line.split(": ", 1)
            for line in done.stderr.splitlines()
            if line.startswith(("Server-Timing: ", "Sandbox-Binding: "))
        )
        return Call(
            plugin,
            function,
            context,
            arguments,
            ok=done.returncode == 0,
            result=_decoded(done.stdout) if done.returncode == 0 else _problem(done.stderr),
            timing=told.get("Server-Timing", ""),
            binding=told.get("Sandbox-Binding", ""),
        )

    def request(self, method: str, path: str) -> tuple[int, Any]:
        """Send a request without a body; return the status and the decoded answer."""
        script = (
            "import http.client,sys,urllib.parse as u\n"
            "url=u.urlsplit(sys.argv[1]);c=http.client.HTTPConnection(url.hostname,url.port,timeout=30)\n"
            "c.request(sys.argv[2],sys.argv[3]);r=c.getresponse()\n"
            "print(r.status);print(r.read().decode())"
        )
        words = ("python3", "-c", script, self.url, method, path)
        status, _, body = self.kubectl("exec", "-n", self.namespace, NAME, "--", *words).partition(
            "\n"
        )
        return int(status), _decoded(body)


def start(kubectl: Kubectl, namespace: str, image: str, url: str) -> Caller:
    """Start the pod unless it runs, and wait until it does."""
    known = kubectl.find("pod", NAME, "-n", namespace)
    if known and known["spec"]["containers"][0]["image"] != image:
        # Given another image the pod would stay Ready for a while with a container that ends.
        kubectl.delete("pod", NAME, "-n", namespace)
    kubectl.apply(json.dumps(pod(namespace, image)))
    kubectl("wait", "-n", namespace, f"pod/{NAME}", "--for=condition=Ready", "--timeout=60s")
    return Caller(kubectl, namespace, url)


def pod(
    namespace: str, image: str, *, name: str = NAME, labels: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return a pod that waits to have programs run in it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": image,
                    # The image has no shell and no sleep; only Python.
                    "command": ["python3", "-c", "import signal; signal.pause()"],
                    "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
                    "securityContext": RESTRICTED,
                }
            ],
        },
    }


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def _problem(text: str) -> Any:
    start = text.find("{")
    return _decoded(text[start : text.rfind("}") + 1]) if start >= 0 else text.strip()
