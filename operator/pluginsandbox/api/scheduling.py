"""Where pods may run: tolerations, affinity and spreading, as Kubernetes writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pluginsandbox.api.model import ListMap, Model, Rule
from pluginsandbox.api.names import Int32, LabelValue, ObjectName, QualifiedKey
from pluginsandbox.api.selectors import ATOMIC, ATOMIC_OBJECT, LabelSelector, NodeSelectorTerm

Weight = Annotated[Int32, Field(ge=1, le=100)]


class Toleration(Model):
    """A taint of nodes that the pods put up with."""

    key: QualifiedKey | None = None
    """Key of the taint. Absent with operator Exists: every taint."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """How the taint's value relates to value."""
    value: LabelValue | None = None
    """Value of the taint, for Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. Absent: every effect."""
    toleration_seconds: Annotated[Int32, Field(ge=0, le=2**31 - 1)] | None = None
    """How long the pods stay after such a taint with NoExecute appears. Absent: for ever."""

    rules = (
        Rule(
            cel="has(self.key) || self.operator == 'Exists'",
            check=lambda item: item.key is not None or item.operator == "Exists",
            message="operator must be Exists where key is absent",
        ),
        Rule(
            cel="self.operator != 'Exists' || !has(self.value) || self.value == ''",
            check=lambda item: item.operator != "Exists" or not item.value,
            message="value must be absent with operator Exists",
        ),
        Rule(
            cel="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            check=lambda item: item.toleration_seconds is None or item.effect == "NoExecute",
            message="effect must be NoExecute where tolerationSeconds is set",
        ),
    )


class PreferredNodes(Model):
    """Nodes to prefer, and how much."""

    weight: Weight
    """How much, from 1 to 100."""
    preference: NodeSelectorTerm
    """Which nodes."""


class NodeSelector(Model):
    """Nodes that meet at least one of the terms."""

    node_selector_terms: Annotated[
        tuple[NodeSelectorTerm, ...], Field(min_length=1, max_length=16, json_schema_extra=ATOMIC)
    ]
    """Terms, of which one must be met."""

    schema_extra = ATOMIC_OBJECT


class NodeAffinity(Model):
    """Nodes that the pods need or prefer."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    """Nodes that the pods need."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[PreferredNodes, ...], Field(max_length=16, json_schema_extra=ATOMIC)
    ] = ()
    """Nodes that the pods prefer."""


class PodTerm(Model):
    """Pods to be near to, or away from, and what near means."""

    label_selector: LabelSelector | None = None
    """Which pods."""
    topology_key: QualifiedKey
    """Label of nodes; nodes with the same value are near."""
    namespaces: Annotated[
        tuple[ObjectName, ...], Field(max_length=16, json_schema_extra=ATOMIC)
    ] = ()
    """Namespaces of those pods. Absent, with namespaceSelector absent: that of the sandbox."""
    namespace_selector: LabelSelector | None = None
    """Further namespaces, by their labels."""


class PreferredPods(Model):
    """Pods to prefer to be near to, or away from, and how much."""

    weight: Weight
    """How much, from 1 to 100."""
    pod_affinity_term: PodTerm
    """Which pods."""


class PodAffinity(Model):
    """Pods to be near to, or away from."""

    required_during_scheduling_ignored_during_execution: Annotated[
        tuple[PodTerm, ...], Field(max_length=16, json_schema_extra=ATOMIC)
    ] = ()
    """What the pods need."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[PreferredPods, ...], Field(max_length=16, json_schema_extra=ATOMIC)
    ] = ()
    """What the pods prefer."""


class Affinity(Model):
    """Nodes and pods that the sandbox's pods need or prefer."""

    node_affinity: NodeAffinity | None = None
    """Nodes that the pods need or prefer."""
    pod_affinity: PodAffinity | None = None
    """Pods to be near to."""
    pod_anti_affinity: PodAffinity | None = None
    """Pods to be away from."""


class TopologySpread(Model):
    """How evenly pods are spread over zones, nodes or other parts of the cluster."""

    max_skew: Annotated[Int32, Field(ge=1, le=1000)]
    """By how many pods two parts may differ."""
    topology_key: QualifiedKey
    """Label of nodes; nodes with the same value are one part."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    """What to do with a pod that would break this."""
    label_selector: LabelSelector | None = None
    """Which pods count. Absent: those of this sandbox."""
    min_domains: Annotated[Int32, Field(ge=1, le=1000)] | None = None
    """Least number of parts; only with DoNotSchedule."""
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    """Whether nodes that the pods cannot use count. Absent: Honor, they do not."""
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    """Whether taints decide which nodes count. Absent: Ignore."""
    match_label_keys: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=317)], ...],
        Field(max_length=16, json_schema_extra=ATOMIC),
    ] = ()
    """Labels whose value in the new pod selects the pods that count, such as pod-template-hash."""

    rules = (
        Rule(
            cel="!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
            check=lambda item: (
                item.min_domains is None or item.when_unsatisfiable == "DoNotSchedule"
            ),
            message="whenUnsatisfiable must be DoNotSchedule where minDomains is set",
        ),
    )


Tolerations = Annotated[tuple[Toleration, ...], Field(max_length=16, json_schema_extra=ATOMIC)]
TopologySpreads = Annotated[
    tuple[TopologySpread, ...], Field(max_length=8), ListMap(("topologyKey", "whenUnsatisfiable"))
]
