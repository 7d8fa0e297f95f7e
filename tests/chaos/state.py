"""The state of a namespace with all that differs between two equal runs left out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from pluginsandbox.controller import kinds
from pluginsandbox.controller.kinds import Kind
from tests.integration.operator.bed import Bed

Body = dict[str, Any]
State = dict[str, Any]

CHILDREN = (
    *(kinds.CONFIG_MAP, kinds.NETWORK_POLICY, kinds.SERVICE, kinds.DEPLOYMENT),
    *(kinds.SECRET, kinds.POD_DISRUPTION_BUDGET),
)
KINDS = (kinds.SANDBOX, *CHILDREN, kinds.REPLICA_SET, kinds.POD)
_REVISION = "deployment.kubernetes.io/revision"
ASSIGNED = ("clusterIP", "clusterIPs")


async def state_of(bed: Bed) -> State:
    """Return what is there: names of kinds to what their objects say, in an order of its own."""
    lists = await asyncio.gather(*(bed.find(kind, _selector(kind)) for kind in KINDS))
    found = dict(zip(KINDS, lists, strict=True))
    if any("maxReplicas" in each["spec"].get("scaling", {}) for each in found[kinds.SANDBOX]):
        for each in found[kinds.DEPLOYMENT]:  # in how many steps it got there, the load says
            each["metadata"].pop("generation")
    uids = {each["metadata"]["uid"] for each in found[kinds.SANDBOX]}
    state = {
        kind.name: sorted((_VIEWS.get(kind, _child)(each) for each in bodies), key=json.dumps)
        for kind, bodies in found.items()
    }
    text = json.dumps(state, sort_keys=True)
    for uid in uids:
        text = text.replace(uid, "UID")
    parsed: State = json.loads(text)
    return parsed


def differences(found: Any, wanted: Any, path: str = "") -> list[str]:
    """Return where two states differ, one line each."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        names = sorted(found.keys() | wanted.keys())
        return [
            line
            for name in names
            for line in differences(found.get(name), wanted.get(name), f"{path}.{name}")
        ]
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        return [
            line
            for index, pair in enumerate(zip(found, wanted, strict=True))
            for line in differences(*pair, f"{path}[{index}]")
        ]
    return [] if found == wanted else [f"{path}: {_short(found)} instead of {_short(wanted)}"]


def counts(state: Mapping[str, Any]) -> dict[str, int]:
    """Return how many objects of each kind there are."""
    return {kind: len(bodies) for kind, bodies in state.items()}


def orphans(state: Mapping[str, Any]) -> list[str]:
    """Return children whose owner is not there any more."""
    return [
        f"{kind.name} {each['name']}"
        for kind in CHILDREN
        for each in state[kind.name]
        if each["owner"] != ["UID"]
    ]


def _selector(kind: Kind) -> str:
    return "" if kind is kinds.SANDBOX else kinds.SANDBOX_LABEL


def _sandbox(body: Body) -> Body:
    status = json.loads(json.dumps(body.get("status") or {}))
    for each in status.get("conditions") or ():
        each.pop("lastTransitionTime", None)
    # Who dies between the Deployment's write and the status's leaves no record of the decision.
    status.pop("scaling", None)
    return {"generation": body["metadata"]["generation"], "status": status}


def _child(body: Body) -> Body:
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    spec = {key: each for key, each in (body.get("spec") or {}).items() if key not in ASSIGNED}
    return {
        "name": metadata["name"],
        "labels": metadata["labels"],
        # its hash covers the sandbox's uid
        "annotations": {**annotations, kinds.APPLIED_ANNOTATION: ""},
        "revision": annotations.get(_REVISION),
        "owner": [each["uid"] for each in metadata.get("ownerReferences") or ()],
        "generation": metadata.get("generation"),
        "ours": [
            each.get("fieldsV1")
            for each in metadata.get("managedFields") or ()
            if each["manager"] == kinds.FIELD_MANAGER
        ],
        "spec": spec,
        "data": body.get("data"),
        "going": "deletionTimestamp" in metadata,
    }


def _secret(body: Body) -> Body:
    return {**_child(body), "data": sorted(body.get("data") or ())}  # the key is made at random


def _replica_set(body: Body) -> Body:
    annotations = body["metadata"].get("annotations") or {}
    return {
        "revision": annotations.get(_REVISION),
        "template": _template(body["spec"]["template"]),
        "replicas": body["spec"]["replicas"],
    }


def _pod(body: Body) -> Body:
    return {"template": _template(body), "going": "deletionTimestamp" in body["metadata"]}


def _template(body: Body) -> str:
    annotations = body["metadata"].get("annotations") or {}
    return str(annotations.get(kinds.TEMPLATE_ANNOTATION, ""))


_VIEWS = {
    kinds.SANDBOX: _sandbox,
    kinds.SECRET: _secret,
    kinds.REPLICA_SET: _replica_set,
    kinds.POD: _pod,
}


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 300 else f"{text[:300]}…"
