"""A node of our own keeps to itself: addresses, kernel settings and everything that it listens on.

These tests look at this machine, so they run only where the node is on it.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.bed.kubectl import Kubectl, until
from tests.cluster import dns, network, process
from tests.cluster.choice import choose
from tests.cluster.layout import (
    API_SERVICE_ADDRESS,
    NODE_ADDRESS,
    SERVICE_RANGE,
    SINK,
    Layout,
)

pytestmark = pytest.mark.pods


@pytest.fixture(autouse=True)
def layout(kubectl: Kubectl) -> Layout:
    assert kubectl.kubeconfig.exists()
    if choose().kind != "local":
        pytest.skip("the cluster is not on this machine")
    return Layout()


def _listeners(pids: set[int]) -> set[tuple[int, str]]:
    shown = subprocess.run(
        ["ss", "-H", "-lntup"], capture_output=True, text=True, check=True
    ).stdout
    found = set()
    for line in shown.splitlines():
        address = line.split()[4].rpartition(":")[0].strip("[]").partition("%")[0]
        found |= {(int(p), address) for p in re.findall(r"pid=(\d+)", line) if int(p) in pids}
    return found


def test_nothing_listens_beyond_loopback_and_the_nodes_own_address(layout: Layout) -> None:
    listeners = _listeners(set(process.marked(layout)))

    assert len(listeners) >= 5
    for _, address in listeners:
        ip = ipaddress.ip_address("0.0.0.0" if address == "*" else address)  # noqa: S104
        assert ip.is_loopback or ip == NODE_ADDRESS


def test_a_service_is_reached_by_its_address_from_the_node() -> None:
    assert dns.ask("kubernetes.default.svc.cluster.local", 5) == API_SERVICE_ADDRESS
    assert dns.ask("nothing.default.svc.cluster.local", 5) is None

    with socket.create_connection((str(API_SERVICE_ADDRESS), 443), timeout=5):
        pass


def test_an_unused_service_address_leads_nowhere() -> None:
    unused = str(SERVICE_RANGE[-2])
    route = json.loads(
        subprocess.run(
            ["ip", "-json", "route", "get", unused], capture_output=True, text=True, check=True
        ).stdout
    )
    assert route[0]["dev"] == SINK
    with pytest.raises(OSError), socket.create_connection((unused, 80), timeout=2):  # noqa: PT011
        pass


def test_the_machines_own_settings_are_as_they_were(layout: Layout) -> None:
    assert not (layout.state / "sysctls.json").exists()


def test_every_write_is_in_the_audit_log(kubectl: Kubectl, layout: Layout) -> None:
    name = f"audited-{time.monotonic_ns()}"
    kubectl("create", "configmap", name, "-n", "default")
    kubectl("delete", "configmap", name, "-n", "default")

    def verbs() -> list[str]:
        lines = layout.audit_log.read_text().splitlines()
        found = [json.loads(line) for line in lines if name in line]
        assert all("requestObject" not in entry for entry in found)
        return [entry["verb"] for entry in found]

    until("both writes", lambda: verbs() == ["create", "delete"], seconds=10)


def test_a_second_up_is_quick_and_restarts_nothing(layout: Layout) -> None:
    before = {name: process.running(layout, name) for name in _components()}

    began = time.monotonic()
    choose().up()

    assert time.monotonic() - began < 5
    assert {name: process.running(layout, name) for name in _components()} == before
    assert network.guard_exists()


def _components() -> list[str]:
    return [path.stem for path in Layout().processes.glob("*.json")]


def test_secrets_are_closed_to_others(layout: Layout) -> None:
    secret = [layout.kubeconfig, *layout.pki.glob("*.key"), *layout.pki.glob("*.kubeconfig")]

    assert len(secret) > 10
    for path in secret:
        assert Path(path).stat().st_mode & 0o077 == 0
