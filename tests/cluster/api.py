"""The few reads of the API server that starting a cluster needs, faster than kubectl's start."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import ssl
from typing import Any

from tests.cluster import process
from tests.cluster.layout import API_PORT, NODE_ADDRESS, NODE_NAME, Layout


def connect(layout: Layout, user: str, seconds: float) -> http.client.HTTPSConnection:
    """A connection as the holder of certificate `user`.

    Args:
        layout: whose certificates are used.
        user: name of the certificate.
        seconds: how long to wait for any one answer.
    """
    context = ssl.create_default_context(cafile=layout.pki / "ca.crt")
    context.load_cert_chain(layout.pki / f"{user}.crt", layout.pki / f"{user}.key")
    return http.client.HTTPSConnection(
        str(NODE_ADDRESS), API_PORT, timeout=seconds, context=context
    )


def get(layout: Layout, path: str, seconds: float = 5.0) -> Any:
    """The decoded answer to a GET by the administrator; None unless it is 200 and in time.

    Args:
        layout: the cluster.
        path: path and query.
        seconds: how long to wait.
    """
    try:
        connection = connect(layout, "admin", seconds)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
    except (OSError, http.client.HTTPException):
        return None
    if answer.status != http.client.OK:
        return None
    return json.loads(body) if body.startswith(b"{") else body.decode()


def ready(layout: Layout) -> bool:
    """Whether the API server says that it is ready."""
    return get(layout, "/readyz") is not None


def node_ready(layout: Layout) -> bool:
    """Whether the kubelet that runs now has said that the node takes pods."""
    started = process.started_at(layout, "kubelet")
    found = get(layout, f"/api/v1/nodes/{NODE_NAME}") or {}
    return started is not None and any(
        condition["type"] == "Ready"
        and condition["status"] == "True"
        and dt.datetime.fromisoformat(condition["lastHeartbeatTime"]) >= started
        for condition in found.get("status", {}).get("conditions", [])
    )
