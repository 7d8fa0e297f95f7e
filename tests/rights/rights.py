"""The rights, one for each verb, in the order in which the chart gives them."""

from __future__ import annotations

import dataclasses
from typing import Any

LEADS = "it leads"
WATCHES = "it sees at once what happens"
COMES_UP = "a sandbox comes up"
MONITORED = "it is monitored"
TOLD = "events are told"
COUNTED = "repeated events are counted"
SEVERAL = "several pods come up"
CHANGES = "a changed source is rolled out, and the old snapshot goes"
CONFLICT = "a conflict is looked at again"
DRIFT = "drift is put right"
GRANTED = "what is granted by a label of the namespace is done"
EXPLAINED = "a volume that cannot be mounted is explained"
STOPS = "it is suspended, resumed and deleted"
MARKED = "the pods that are to go are marked"
CHECKS = (
    *(LEADS, COMES_UP, MONITORED, TOLD, COUNTED, SEVERAL, WATCHES, CHANGES, CONFLICT, DRIFT),
    *(GRANTED, EXPLAINED, STOPS, MARKED),
)
"""In the order in which they are made."""


@dataclasses.dataclass(frozen=True)
class Right:
    """One verb on one resource.

    Args:
        group: API group; empty for the core.
        resource: Its plural, with a subresource behind a slash.
        verb: One of RBAC's.
        why: What the operator does by it.
        check: What fails without it, one of `CHECKS`.
        home: Whether it holds in the operator's own namespace instead of where it watches.

    """

    group: str
    resource: str
    verb: str
    why: str
    check: str
    home: bool = False

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


WHO = "find out who has changed it, or has its name"


def _child(
    group: str, resource: str, check: str = COMES_UP, *, reads: str = DRIFT, why: str = WHO
) -> tuple[Right, ...]:
    """Return the rights on a kind of child that is watched.

    Args:
        group: API group.
        resource: Its plural.
        check: That fails unless it can be made.
        reads: That fails unless it can be read.
        why: It is read.

    """
    return (
        Right(group, resource, "get", why, reads),
        Right(group, resource, "list", "know those there are", COMES_UP),
        Right(group, resource, "watch", "see at once what happens to them", WATCHES),
        Right(group, resource, "create", "make it (server-side apply of a new object)", check),
        Right(group, resource, "patch", "apply it, and put drift right", check),
    )


GROUP = "pluginsandbox.dev"
NETWORK = "networking.k8s.io"
CONFIG_MAPS = _child("", "configmaps", reads=COMES_UP, why="copy the files of plugins")
POLICIES = _child(NETWORK, "networkpolicies")

RIGHTS: tuple[Right, ...] = (
    Right(GROUP, "pluginsandboxes", "get", "read it anew after a conflict", CONFLICT),
    Right(GROUP, "pluginsandboxes", "list", "know those there are", COMES_UP),
    Right(GROUP, "pluginsandboxes", "watch", "see at once what changes", WATCHES),
    Right(GROUP, "pluginsandboxes/status", "patch", "write the status", COMES_UP),
    Right(
        GROUP,
        "pluginsandboxes/finalizers",
        "update",
        "set owner references that block a deletion, where the cluster checks that",
        COMES_UP,
    ),
    *CONFIG_MAPS,
    Right("", "configmaps", "delete", "remove snapshots that no pod is made from", CHANGES),
    *_child("", "services"),
    *_child("apps", "deployments", reads=CONFLICT),
    Right(
        "apps", "replicasets", "list", "find the snapshots that pods are still made from", CHANGES
    ),
    *POLICIES,
    Right(NETWORK, "networkpolicies", "delete", "remove it where none is wanted", GRANTED),
    *_child("policy", "poddisruptionbudgets", SEVERAL),
    Right("", "secrets", "create", "make the key of several pods; it is never read", SEVERAL),
    Right("", "pods", "list", "know those there are", COMES_UP),
    Right("", "pods", "watch", "see at once which are ready", WATCHES),
    Right("", "pods", "patch", "mark those that are to go first (`scaling.choosePods`)", MARKED),
    Right("events.k8s.io", "events", "list", "find what the kubelet says of volumes", EXPLAINED),
    Right("events.k8s.io", "events", "create", "tell of changes and repairs", TOLD),
    Right("events.k8s.io", "events", "patch", "count an event that comes again", COUNTED),
    *(
        Right("monitoring.coreos.com", "podmonitors", verb, why, check)
        for verb, why, check in (
            ("get", "know the one there is (`monitoring.podMonitor`)", MONITORED),
            ("create", "make it", COMES_UP),
            ("patch", "apply it", COMES_UP),
        )
    ),
    Right("", "namespaces", "get", "read the labels that a grant of `allow` selects by", GRANTED),
    *(
        Right("coordination.k8s.io", "leases", verb, why, LEADS, home=True)
        for verb, why in (
            ("create", "make the Lease by which one of several operators acts"),
            ("get", "see who holds it"),
            ("update", "hold it, and let it go"),
        )
    ),
)


def without(rules: list[dict[str, Any]], right: Right) -> list[dict[str, Any]]:
    """Return rules that lack one right and are otherwise the same."""
    return [part for rule in rules for part in _split(rule, right)]


def _split(rule: dict[str, Any], right: Right) -> list[dict[str, Any]]:
    concerned = right.group in rule["apiGroups"] and right.resource in rule["resources"]
    if not concerned or right.verb not in rule["verbs"]:
        return [rule]
    verbs = [verb for verb in rule["verbs"] if verb != right.verb]
    return [{**rule, "verbs": verbs}] if verbs else []


def listed(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Return what rules give, one entry for each verb on each resource."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
