"""What of pods, namespaces and policies decides who may talk to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Port:
    """A port that a container names."""

    name: str
    protocol: str
    number: int


@dataclass(frozen=True)
class Pod:
    """A pod with an address of its own."""

    namespace: str
    labels: Labels
    address: str
    ports: tuple[Port, ...]

    @staticmethod
    def read(found: Object) -> Pod | None:
        """The pod of an API object; None while, or because, it has no address of its own."""
        spec, status = found["spec"], found.get("status", {})
        over = status.get("phase") in ("Succeeded", "Failed")
        if over or spec.get("hostNetwork") or not status.get("podIP"):
            return None
        ports = tuple(
            Port(port["name"], port.get("protocol", "TCP"), port["containerPort"])
            for container in spec["containers"]
            for port in container.get("ports", ())
            if "name" in port
        )
        metadata = found["metadata"]
        labels = metadata.get("labels", {})
        return Pod(metadata["namespace"], labels, status["podIP"], ports)


@dataclass(frozen=True)
class Cluster:
    """All that the policies speak of.

    Args:
        pods: those with an address.
        namespaces: name to labels.
        policies: NetworkPolicy objects as the API server gives them, defaults filled in.
    """

    pods: tuple[Pod, ...]
    namespaces: Mapping[str, Labels]
    policies: tuple[Object, ...]


def selects(selector: Object, labels: Labels) -> bool:
    """Whether a LabelSelector matches; an empty one matches everything."""
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _matches(expression, labels) for expression in selector.get("matchExpressions", ())
    )


def _matches(expression: Object, labels: Labels) -> bool:
    key, values = expression["key"], expression.get("values", ())
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case unknown:
            raise ValueError(f"label selector operator {unknown!r}")
