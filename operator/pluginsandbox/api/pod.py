"""What an author and an administrator may set of the pods."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pluginsandbox.api.model import ListMap, Model
from pluginsandbox.api.names import Labels, ObjectName, OwnAnnotations, OwnLabels
from pluginsandbox.api.scheduling import Affinity, Tolerations, TopologySpreads


class SecretReference(Model):
    """A Secret of the same namespace."""

    name: ObjectName
    """Name of the Secret."""


class PodSettings(Model):
    """What is added to the pods.

    All but topologySpreadConstraints is refused (condition Stalled, reason NotAllowed) unless the
    administrator allows the field in this namespace.
    """

    labels: OwnLabels = Field(default_factory=dict)
    """Labels added to the pods. Reserved: pluginsandbox.dev/*, app.kubernetes.io/*, *.k8s.io/*,
    *.kubernetes.io/*."""
    annotations: OwnAnnotations = Field(default_factory=dict)
    """Annotations added to the pods. The same prefixes are reserved."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: Tolerations = ()
    """Taints of nodes that the pods put up with."""
    affinity: Affinity | None = None
    """Nodes and pods that the pods need or prefer."""
    topology_spread_constraints: TopologySpreads = ()
    """How evenly the pods are spread."""
    runtime_class_name: ObjectName | None = None
    """RuntimeClass of the pods, such as one for gVisor or Kata Containers."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""
    image_pull_secrets: Annotated[tuple[SecretReference, ...], Field(max_length=8), ListMap()] = ()
    """Credentials for the registries of the images."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of the pods; its token is not mounted. Absent: the namespace's default."""
