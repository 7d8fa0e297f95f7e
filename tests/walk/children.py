"""What a sandbox has in the cluster, without what differs between two of the same spec."""

from __future__ import annotations

import json
import re
from typing import Any

from pluginsandbox.controller import kinds
from pluginsandbox.controller.children.deployment import snapshot_name
from pluginsandbox.controller.kinds import SANDBOX_LABEL, Kind
from tests.integration.operator.bed import Bed

CHILDREN = (
    *(kinds.CONFIG_MAP, kinds.DEPLOYMENT, kinds.SERVICE, kinds.NETWORK_POLICY),
    *(kinds.POD_DISRUPTION_BUDGET, kinds.SECRET),
)
OF_SEVERAL = frozenset({"Service NAME-peers", "Secret NAME-peers", "PodDisruptionBudget NAME"})
"""Kept once they were needed, by design: pods that are leaving still need them."""
PARTS = ("spec", "data", "binaryData", "immutable", "type")
ASSIGNED = ("clusterIP", "clusterIPs")
"""By the API server; a headless Service says `None`, which its name tells as well."""

Children = dict[str, Any]


async def of(bed: Bed, name: str) -> Children:
    """Return the children of a sandbox, by kind and name; of snapshots that which pods are made of.

    Others are kept until the roll-out is over, which without pods it never is.
    """
    found: Children = {}
    hosts = await bed.get(kinds.DEPLOYMENT, name) or {}
    for kind in CHILDREN:
        for body in await bed.find(kind, f"{SANDBOX_LABEL}={name}"):
            if kind is kinds.CONFIG_MAP and body["metadata"]["name"] != snapshot_name(hosts):
                continue
            plain = _normal(kind, body, name)
            found[f"{kind.name} {plain['name']}"] = plain
    return found


def differences(walked: Children, fresh: Children, *, free_replicas: bool) -> list[str]:
    """Return what a sandbox that was changed has differently from a fresh one.

    Args:
        walked: Of the sandbox that was changed.
        fresh: Of the fresh one.
        free_replicas: Whether the number of pods may depend on what was before.

    """
    kept = OF_SEVERAL - fresh.keys()
    told = [f"{each}: left over" for each in walked.keys() - fresh.keys() - kept]
    told += [f"{each}: missing" for each in fresh.keys() - walked.keys()]
    for at in walked.keys() & fresh.keys():
        mine, theirs = ({**each[at]} for each in (walked, fresh))
        if free_replicas and at.startswith("Deployment"):
            mine, theirs = (
                {**each, "spec": {**each["spec"], "replicas": 0}} for each in (mine, theirs)
            )
        if mine != theirs:
            told.append(f"{at}: {_first_difference(mine, theirs)}")
    return told


def _normal(kind: Kind, body: dict[str, Any], name: str) -> dict[str, Any]:
    metadata = body["metadata"]
    plain = {part: body[part] for part in PARTS if part in body}
    if kind is kinds.SERVICE:
        plain["spec"] = {key: each for key, each in plain["spec"].items() if key not in ASSIGNED}
    if kind is kinds.SECRET:
        plain["data"] = sorted(plain["data"])
    plain |= {
        "name": metadata["name"],
        "labels": metadata["labels"],
        "annotations": sorted(metadata["annotations"]),
        "owners": [{**each, "uid": ""} for each in metadata["ownerReferences"]],
    }
    text = json.dumps(plain, sort_keys=True).replace(name, "NAME")
    text = re.sub(r"NAME-[0-9a-f]{10}(?![0-9a-f])", "NAME-HASH", text)
    text = re.sub(r'("pluginsandbox.dev/template": ")[0-9a-f]+', r"\1HASH", text)
    normal: dict[str, Any] = json.loads(text)
    return normal


def _first_difference(mine: Any, theirs: Any, path: str = "") -> str:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in sorted(mine.keys() | theirs.keys()):
            if mine.get(key) != theirs.get(key):
                return _first_difference(mine.get(key), theirs.get(key), f"{path}.{key}")
    return f"{path}: {json.dumps(mine)[:300]} instead of {json.dumps(theirs)[:300]}"
