"""Tries to get other pods than those that everybody gets: privileges, paths, images."""

from __future__ import annotations

from typing import Any

from tests.deputy.record import NOTHING, PRUNED, SCHEMA, Try
from tests.unit.api.cases import P
from tests.unit.api.objects import DIGEST

HOST_PATH = {"name": "host", "hostPath": {"path": "/"}}
ROOT = {"privileged": True, "runAsUser": 0, "capabilities": {"add": ["SYS_ADMIN"]}}
OTHER = {"name": "other", "image": "evil", "securityContext": ROOT}

DROPPED: tuple[tuple[str, str, Any], ...] = (
    ("use the node's network", "pod.hostNetwork", True),
    ("use the node's processes", "pod.hostPID", True),
    ("use the node's memory segments", "pod.hostIPC", True),
    ("use the node's users", "pod.hostUsers", True),
    ("mount the node's root", "pod.volumes", [HOST_PATH]),
    ("bring a container of its own", "pod.containers", [OTHER]),
    ("bring a container that runs first", "pod.initContainers", [OTHER]),
    ("bring a container later", "pod.ephemeralContainers", [OTHER]),
    ("be root", "pod.securityContext", {"runAsUser": 0}),
    ("share the processes of the pod", "pod.shareProcessNamespace", True),
    ("have a token mounted", "pod.automountServiceAccountToken", True),
    ("name the node", "pod.nodeName", "control-plane"),
    ("name the scheduler", "pod.schedulerName", "mine"),
    ("write the pod's hosts file", "pod.hostAliases", [{"ip": "1.2.3.4", "hostnames": ["api"]}]),
    ("name the pod's DNS servers", "pod.dnsConfig", {"nameservers": ["1.2.3.4"]}),
    ("go on as the pod of a number", "pod.priority", 2000001000),
    ("patch the pod's template", "pod.template", {"spec": {"hostNetwork": True}}),
    ("name another host image", "host.image", "evil"),
    ("name another command", "host.command", ["/bin/sh"]),
    ("set the host's environment", "host.env", [{"name": "LD_PRELOAD", "value": "x.so"}]),
    ("be privileged in the host", "host.securityContext", ROOT),
    ("mount more into the host", "host.volumeMounts", [{"name": "config", "mountPath": "/"}]),
    ("ask for a device", "host.resources.limits.gpu", "1"),
    ("take a path of the node for a source", f"{P}.source.hostPath", {"path": "/"}),
    ("take a claim for a source", f"{P}.source.persistentVolumeClaim", {"claimName": "data"}),
    ("mount a source elsewhere", f"{P}.source.configMap.mountPath", "/etc"),
    ("pick keys of a source", f"{P}.source.configMap.items", [{"key": "a", "path": "../../etc"}]),
    ("write into a source", f"{P}.source.configMap.readOnly", False),
)

PODS = (
    *(Try(name, PRUNED, {path: value}) for name, path, value in DROPPED),
    Try("have a host without its wall", SCHEMA, {"host.confinement": "None"}, "Unsupported value"),
    Try("name a runtime that there is not", SCHEMA, {f"{P}.runtime": "Shell"}, "Unsupported value"),
    Try("run a function of the system as a plugin", NOTHING, {f"{P}.entryPoint": "os:system"}),
    Try(
        "have a command for an entry point",
        SCHEMA,
        {f"{P}.entryPoint": "os:system('id')"},
        "should match",
    ),
    Try(
        "load the host as a plugin",
        NOTHING,
        {f"{P}.entryPoint": "pluginsandbox.host.server:Server"},
    ),
)

IMAGE_PATHS = {
    "climb out of an image": "/../../etc",
    "climb out of an image in the middle": "/plugin/../../../etc",
    "climb out of an image at the end": "/plugin/..",
    "name an image's path without a root": "etc/passwd",
    "name an image's path with a point": "/./etc",
    "name an image's path with two slashes": "//etc",
    "name an image's path in code": "/%2e%2e/etc",
    "name an image's path with a NUL": "/plugin\x00/etc",
    "name an image's path with a line": "/plugin\n/etc",
    "name an image's path of 257 characters": "/" + "a" * 256,
}
REFERENCES = {
    "give an image a flag for a name": f"--privileged@{DIGEST}",
    "give an image two lines": f"a\nb@{DIGEST}",
    "give an image a space": f"a b@{DIGEST}",
    "give an image a NUL": f"a\x00@{DIGEST}",
    "give an image letters that look like others": f"reg\u0456stry/shop@{DIGEST}",
    "give an image no name": "",
    "give an image a name of 513 characters": f"{'a' * 441}@{DIGEST}x",
    "give an image a variable": f"$(REGISTRY)/a@{DIGEST}",
    "give an image a short digest": "a@sha256:abcd",
    "give an image a digest in capitals": f"a@{DIGEST.upper()}",
    "give an image a digest of another kind": f"a@sha512:{'ab' * 64}",
    "give an image a tag after its digest": f"a@{DIGEST}:latest",
}


def image(reference: str, **fields: str) -> dict[str, Any]:
    return {f"{P}.source": {"image": {"reference": reference, **fields}}}


PATHS = (
    *(
        Try(name, SCHEMA, image(f"a@{DIGEST}", path=path), "source.image.path")
        for name, path in IMAGE_PATHS.items()
    ),
    *(
        Try(name, SCHEMA, image(reference), "spec.plugins[0]")
        for name, reference in REFERENCES.items()
    ),
    Try("have an image by a tag", SCHEMA, image("a:latest"), "digest must be set"),
    Try("have the kubelet fetch a web page", NOTHING, image(f"http://169.254.169.254/a@{DIGEST}")),
    Try("have the kubelet fetch a file", NOTHING, image(f"file:///etc/passwd@{DIGEST}")),
    Try("give an image two digests", NOTHING, image(f"a@{DIGEST}@{DIGEST}")),
    Try(
        "pull an image by a rule of its own",
        SCHEMA,
        image(f"a@{DIGEST}", pullPolicy="Sometimes"),
        "Unsupported value",
    ),
)
