"""The administrator's side: the operator's configuration, one YAML file that the chart renders.

Every key, with its default (`hostImage` alone has none that works everywhere):

```yaml
hostImage: pluginsandbox/host:<version>   # what sandbox pods run
hostImagePullPolicy: IfNotPresent         # Always | IfNotPresent | Never
cpuRequest: 10m                           # of a pod whose author asks for nothing else
memory:
  reserve: 128Mi      # of a pod, for the host itself and the zygote
  maximum: 4Gi        # no pod gets a higher memory limit; what lacks is reported as overcommit
operator:
  namespace: ""       # where the operator's pods and Lease live; empty = the pod's own, or default
  podLabels: {}       # labels of the operator's pods, let into port 9090 of sandbox pods
  leaseName: pluginsandbox-operator
monitoring:
  namespace: ""       # namespace that may scrape port 9090 of sandbox pods; empty = none
  podMonitor: true    # make PodMonitors where that CRD exists
dns:
  namespace: kube-system
  podLabels: {k8s-app: kube-dns}
endpoints:
  tlsDirectory: ""    # folder with tls.crt and tls.key; empty = plain HTTP
  authentication: false   # let read /metrics and /decisions only whom the API server lets
allow:                # fields that only an administrator grants, by namespace; none by default
- fields: [pod.nodeSelector, "plugins[].secrets"]
  namespaces: {matchLabels: {team: shop}}   # a label selector; absent = every namespace
```

The chart value of the same name holds each key. Fields that `allow` knows are `FIELDS`.
"""

from __future__ import annotations

import pathlib
from typing import Annotated, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from pluginsandbox import __version__
from pluginsandbox.api.quantity import parse_bytes, parse_millicores

RestrictedField = Literal[
    "pod.labels",
    "pod.annotations",
    "pod.nodeSelector",
    "pod.tolerations",
    "pod.affinity",
    "pod.runtimeClassName",
    "pod.priorityClassName",
    "pod.imagePullSecrets",
    "pod.serviceAccountName",
    "plugins[].secrets",
    "network.policy",
    "host.confinement",
]
FIELDS: tuple[RestrictedField, ...] = get_args(RestrictedField)
"""Fields of a PluginSandbox that need the administrator's leave."""

SELECTOR_NAMESPACE = "kubernetes.io/metadata.name"
"""Label that every namespace carries with its own name."""


class SettingsError(Exception):
    """The configuration cannot be used; the message names the file, the field and the way out."""


class _Section(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="forbid", frozen=True
    )


def _bytes(text: str) -> str:
    parse_bytes(text)
    return text


def _cpu(text: str) -> str:
    parse_millicores(text)
    return text


Bytes = Annotated[str, AfterValidator(_bytes)]
Cpu = Annotated[str, AfterValidator(_cpu)]


class Memory(_Section):
    """How much memory sandbox pods get beyond what their plugins declare."""

    reserve: Bytes = "128Mi"
    maximum: Bytes = "4Gi"


class OperatorIdentity(_Section):
    """Where the operator itself lives."""

    namespace: str = ""
    pod_labels: dict[str, str] = {}
    lease_name: str = "pluginsandbox-operator"


class Monitoring(_Section):
    """Who scrapes the hosts."""

    namespace: str = ""
    pod_monitor: bool = True


class ScalingRights(_Section):
    """What the autoscaler may do beside counting."""

    choose_pods: bool = True
    """Mark the pods that are to go, which takes the right to patch pods."""


class Endpoints(_Section):
    """How the operator's own endpoints are served."""

    tls_directory: str = ""
    authentication: bool = False


class Dns(_Section):
    """Pods that sandbox pods may ask for names."""

    namespace: str = "kube-system"
    pod_labels: dict[str, str] = {"k8s-app": "kube-dns"}


class Requirement(_Section):
    """One `matchExpressions` entry of a label selector."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = []

    def matches(self, labels: dict[str, str]) -> bool:
        """Tell whether the labels satisfy this requirement."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


class NamespaceSelector(_Section):
    """A Kubernetes label selector over namespaces; empty selects all."""

    match_labels: dict[str, str] = {}
    match_expressions: list[Requirement] = []

    def matches(self, labels: dict[str, str]) -> bool:
        """Tell whether a namespace with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )

    def keys(self) -> set[str]:
        """Return the label keys that the answer depends on."""
        return {*self.match_labels, *(each.key for each in self.match_expressions)}


class Grant(_Section):
    """Fields that authors in the selected namespaces may set."""

    fields: list[RestrictedField] = Field(min_length=1)
    namespaces: NamespaceSelector = NamespaceSelector()


class Settings(_Section):
    """The whole configuration; see the module."""

    host_image: str = Field(default=f"pluginsandbox/host:{__version__}", min_length=1)
    host_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    cpu_request: Cpu = "10m"
    memory: Memory = Memory()
    operator: OperatorIdentity = OperatorIdentity()
    monitoring: Monitoring = Monitoring()
    dns: Dns = Dns()
    endpoints: Endpoints = Endpoints()
    scaling: ScalingRights = ScalingRights()
    allow: list[Grant] = []

    def allowed(self, namespace_labels: dict[str, str]) -> frozenset[str]:
        """Return the restricted fields that authors in a namespace with these labels may set."""
        granted = (grant for grant in self.allow if grant.namespaces.matches(namespace_labels))
        return frozenset(field for grant in granted for field in grant.fields)

    @property
    def namespace_labels_matter(self) -> bool:
        """Whether a grant depends on labels other than the namespace's name."""
        return any(grant.namespaces.keys() - {SELECTOR_NAMESPACE} for grant in self.allow)


def load(path: pathlib.Path | None) -> Settings:
    """Read the configuration.

    Args:
        path: YAML file; None = all defaults, for a laptop.

    Raises:
        SettingsError: The file cannot be read, is no YAML, or a field is unknown or wrong.

    """
    if path is None:
        return Settings()
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}; check --config") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not YAML: {error}") from error
    try:
        return Settings.model_validate({} if data is None else data)
    except ValidationError as error:
        raise SettingsError(f"{path}: {_explain(error)}") from error


def _explain(error: ValidationError) -> str:
    return "; ".join(
        f"{_path(item['loc'])}: {item['msg'][0].lower()}{item['msg'][1:]}"
        for item in error.errors()
    )


def _path(location: tuple[str | int, ...]) -> str:
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return words.lstrip(".") or "the document"
