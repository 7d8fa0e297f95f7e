"""Selectors of objects by their labels, as Kubernetes writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pluginsandbox.api.model import LIST_TYPE, Model, Rule
from pluginsandbox.api.names import Labels, LabelValue, QualifiedKey

ATOMIC = {LIST_TYPE: "atomic"}
ATOMIC_OBJECT = {"x-kubernetes-map-type": "atomic"}

LabelOperator = Literal["In", "NotIn", "Exists", "DoesNotExist"]
NodeOperator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]

_VALUES_WITH_IN = Rule(
    cel="(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
    check=lambda item: (item.operator in ("In", "NotIn")) == bool(item.values),
    message="values must be set with operator In or NotIn, and with no other",
)


class LabelRequirement(Model):
    """A condition on one label."""

    key: QualifiedKey
    """Key of the label."""
    operator: LabelOperator
    """How the label's value relates to values."""
    values: Annotated[tuple[LabelValue, ...], Field(max_length=16, json_schema_extra=ATOMIC)] = ()
    """Values for In and NotIn; empty for Exists and DoesNotExist."""

    rules = (_VALUES_WITH_IN,)


class LabelSelector(Model):
    """A set of objects, by their labels: all conditions hold. Empty selects every object."""

    match_labels: Labels = Field(default_factory=dict)
    """Labels that an object must have."""
    match_expressions: Annotated[
        tuple[LabelRequirement, ...], Field(max_length=16, json_schema_extra=ATOMIC)
    ] = ()
    """Further conditions on labels."""

    schema_extra = ATOMIC_OBJECT


class NodeRequirement(Model):
    """A condition on one label, or one field, of a node."""

    key: QualifiedKey
    """Key of the label."""
    operator: NodeOperator
    """How the label's value relates to values."""
    values: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=253)], ...],
        Field(max_length=16, json_schema_extra=ATOMIC),
    ] = ()
    """Values for In and NotIn; one whole number for Gt and Lt; empty otherwise."""

    rules = (
        Rule(
            cel="self.operator in ['Gt', 'Lt']"
            " ? has(self.values) && size(self.values) == 1 && self.values[0].matches('^-?[0-9]+$')"
            " : (self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            check=lambda item: item.well_formed,
            message="values must be set with operator In or NotIn, be one whole number with Gt or "
            "Lt, and be absent otherwise",
        ),
    )

    @property
    def well_formed(self) -> bool:
        """Whether the values suit the operator."""
        if self.operator in ("Gt", "Lt"):
            return len(self.values) == 1 and self.values[0].removeprefix("-").isdecimal()
        return (self.operator in ("In", "NotIn")) == bool(self.values)


class NodeSelectorTerm(Model):
    """Conditions on a node that must all hold."""

    match_expressions: Annotated[
        tuple[NodeRequirement, ...], Field(max_length=16, json_schema_extra=ATOMIC)
    ] = ()
    """Conditions on the node's labels."""
    match_fields: Annotated[
        tuple[NodeRequirement, ...], Field(max_length=16, json_schema_extra=ATOMIC)
    ] = ()
    """Conditions on the node's fields, of which metadata.name is the only one."""

    schema_extra = ATOMIC_OBJECT
