"""Who changed a child: read from what the API server keeps of field managers."""

from __future__ import annotations

from typing import Any

import pytest

from pluginsandbox.controller.repair import manager_of


def entry(manager: str, time: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "time": time, "fieldsV1": fields, **more}


IMAGE: dict[str, Any] = {"f:spec": {"f:containers": {'k:{"name":"host"}': {"f:image": {}}}}}
BODY = {
    "metadata": {
        "managedFields": [
            entry("pluginsandbox-operator", "5", {"f:spec": {"f:replicas": {}}}),
            entry("scaler", "2", {"f:spec": {"f:replicas": {}}}),
            entry("patcher", "1", IMAGE),
            entry("annotator", "3", {"f:metadata": {"f:annotations": {"f:x": {}}}}),
            entry("controller", "4", {"f:status": {}}, subresource="status"),
        ]
    }
}


@pytest.mark.parametrize(
    ("field", "manager"),
    [
        ("spec.replicas", "scaler"),
        ("spec.containers[host].image", "patcher"),
        ("spec.gone", "annotator"),
    ],
)
def test_the_manager_that_owns_the_field_did_it_or_else_the_latest(
    field: str, manager: str
) -> None:
    assert manager_of(BODY, (field,)) == manager


def test_without_other_managers_nobody_is_named() -> None:
    assert manager_of({"metadata": {}}, ("spec.replicas",)) == ""
