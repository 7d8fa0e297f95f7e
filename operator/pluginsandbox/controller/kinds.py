"""The kinds of objects that the controller touches, and where the API server keeps them."""

from __future__ import annotations

import dataclasses
from urllib.parse import quote

from typing_extensions import override

from pluginsandbox.api.names import GROUP

VERSION = "v1alpha1"
FIELD_MANAGER = "pluginsandbox-operator"

SANDBOX_LABEL = f"{GROUP}/sandbox"
TRACK_LABEL = f"{GROUP}/track"
SOURCE_LABEL = f"{GROUP}/source"
"""`true` marks a ConfigMap with a plugin's files; `snapshot` one of our copies. One label for both
lets one watch see them."""
APPLIED_ANNOTATION = f"{GROUP}/applied"
"""Hash of the manifest that was applied last: shows that a field was dropped from it since."""
TEMPLATE_ANNOTATION = f"{GROUP}/template"
"""On pods: hash of the template they were made from."""
REVISION_ANNOTATION = f"{GROUP}/revision"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
"""On pods: Kubernetes' own; the lowest goes first."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of the API; each is there once, and is itself alone: it is looked up all the time.

    Args:
        name: As in `kind:`.
        group: API group, empty for the core.
        version: API version.
        plural: Name in paths.
        namespaced: Whether its objects live in namespaces.

    """

    name: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As in `apiVersion:`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """Path of the group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None, name: str | None = None, subresource: str = "") -> str:
        """Return the path of an object, or of all objects without a name."""
        parts = [self.root]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(name, safe="")] if name else []
        parts += [subresource] if subresource else []
        return "/".join(parts)


SANDBOX = Kind("PluginSandbox", GROUP, VERSION, "pluginsandboxes")
CONFIG_MAP = Kind("ConfigMap", "", "v1", "configmaps")
DEPLOYMENT = Kind("Deployment", "apps", "v1", "deployments")
REPLICA_SET = Kind("ReplicaSet", "apps", "v1", "replicasets")
SERVICE = Kind("Service", "", "v1", "services")
NETWORK_POLICY = Kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies")
SECRET = Kind("Secret", "", "v1", "secrets")
POD_DISRUPTION_BUDGET = Kind("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets")
POD = Kind("Pod", "", "v1", "pods")
POD_MONITOR = Kind("PodMonitor", "monitoring.coreos.com", "v1", "podmonitors")
NAMESPACE = Kind("Namespace", "", "v1", "namespaces", namespaced=False)
LEASE = Kind("Lease", "coordination.k8s.io", "v1", "leases")
TOKEN_REVIEW = Kind("TokenReview", "authentication.k8s.io", "v1", "tokenreviews", namespaced=False)
ACCESS_REVIEW = Kind(
    "SubjectAccessReview",
    "authorization.k8s.io",
    "v1",
    "subjectaccessreviews",
    namespaced=False,
)
EVENT = Kind("Event", "events.k8s.io", "v1", "events")

WATCHED: tuple[tuple[Kind, str], ...] = (
    (SANDBOX, ""),
    (CONFIG_MAP, f"{SOURCE_LABEL} in (true,snapshot)"),
    (DEPLOYMENT, SANDBOX_LABEL),
    (SERVICE, SANDBOX_LABEL),
    (NETWORK_POLICY, SANDBOX_LABEL),
    (POD_DISRUPTION_BUDGET, SANDBOX_LABEL),
    (POD, SANDBOX_LABEL),
)
"""What the store holds: kinds, and the label selector that the API server filters them by."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Key:
    """Namespace and name of a PluginSandbox: what the queue holds and a reconcile is about."""

    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
