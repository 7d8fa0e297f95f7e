"""What the local cluster is made of: the one place that names versions.

Changing a version here needs ``go get`` and ``go mod tidy`` in the module's folder as well; the
build refuses to go on when the two differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

_MODULES = Path(__file__).with_name("modules")
_KUBERNETES = "v1.37.2"
_COMPONENTS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)
_CONTAINERD = "v2.4.2"
_HELM = "v4.3.1"
_ARGOCD = "v3.3.9"
_ARGOCD_PROGRAMS = ("argocd-application-controller", "argocd-repo-server", "kustomize")


@dataclass(frozen=True)
class Module:
    """One build: a folder with its own go.mod.

    Args:
        name: folder, and the prefix of the result's folder in the cache.
        requires: the Go module whose version counts.
        version: that version, as in go.mod; empty for a program of our own.
        outputs: program name to the Go package that it is built from.
        links: further names of a program that looks at the name it is called by.
        variables: Go string variables to set, as releases do.
        tags: Go build tags.
        modules: where its folder is.
    """

    name: str
    requires: str
    version: str
    outputs: dict[str, str]
    links: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    modules: Path = _MODULES

    @property
    def source(self) -> Path:
        """The folder with its go.mod."""
        return self.modules / self.name


ETCD = Module(
    name="etcd",
    requires="go.etcd.io/etcd/server/v3",
    version="v3.7.3",
    outputs={"etcd": "go.etcd.io/etcd/server/v3"},
)
KUBERNETES = Module(
    name="kubernetes",
    requires="k8s.io/kubernetes",
    version=_KUBERNETES,
    outputs={"kubernetes": "."},
    links=dict.fromkeys(_COMPONENTS, "kubernetes"),
    variables={
        "k8s.io/component-base/version.gitVersion": _KUBERNETES,
        "k8s.io/component-base/version.gitMajor": "1",
        "k8s.io/component-base/version.gitMinor": "37",
        "k8s.io/component-base/version.gitTreeState": "archive",
        "k8s.io/component-base/version.gitCommit": "unknown",
        "k8s.io/client-go/pkg/version.gitVersion": _KUBERNETES,
    },
)
CONTAINERD = Module(
    name="containerd",
    requires="github.com/containerd/containerd/v2",
    version=_CONTAINERD,
    outputs={
        program: f"github.com/containerd/containerd/v2/cmd/{program}"
        for program in ("containerd", "containerd-shim-runc-v2", "ctr")
    },
    variables={"github.com/containerd/containerd/v2/version.Version": _CONTAINERD},
    tags=("no_btrfs", "no_devmapper", "no_zfs"),
)
COREDNS = Module(
    name="coredns",
    requires="github.com/coredns/coredns",
    version="v1.15.0",
    outputs={"coredns": "."},
)
PAUSE = Module(name="pause", requires="", version="", outputs={"pause": "."})
HELM = Module(
    name="helm",
    requires="helm.sh/helm/v4",
    version=_HELM,
    outputs={"helm": "helm.sh/helm/v4/cmd/helm"},
    variables={"helm.sh/helm/v4/internal/version.version": _HELM},
)
# Not part of a cluster: what its tests run in pods.
PROBE = Module(name="probe", requires="", version="", outputs={"probe": "."})
# Not part of a cluster either: plays the nodes of `make bench-control`.
KWOK = Module(
    name="kwok",
    requires="sigs.k8s.io/kwok",
    version="v0.8.0",
    outputs={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
)

# Argo CD, which brings to a cluster what Git holds, and the kustomize that it calls.
ARGOCD = Module(
    name="argocd",
    requires="github.com/argoproj/argo-cd/v3",
    version=_ARGOCD,
    outputs={"argocd": "."},
    links=dict.fromkeys(_ARGOCD_PROGRAMS, "argocd"),
    variables={"github.com/argoproj/argo-cd/v3/common.version": _ARGOCD.removeprefix("v")},
)
# Measures pods for a HorizontalPodAutoscaler.
METRICS_SERVER = Module(
    name="metrics-server",
    requires="sigs.k8s.io/metrics-server",
    version="v0.9.0",
    outputs={"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"},
)

NODE = (ETCD, KUBERNETES, CONTAINERD, COREDNS, PAUSE)
ALL = (*NODE, HELM)
