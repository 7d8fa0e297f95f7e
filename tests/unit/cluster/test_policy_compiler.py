"""What the policies say becomes rules, and nothing else does."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.cluster.policy.compiler import compile_table
from tests.cluster.policy.model import Cluster, Pod, Port, selects
from tests.cluster.system import succeeds

SERVER = Pod("shop", {"app": "server"}, "10.244.0.5", (Port("web", "TCP", 8080),))
CLIENT = Pod("shop", {"app": "client"}, "10.244.0.6", ())
FOREIGN = Pod("other", {"app": "client"}, "10.244.0.7", (Port("web", "TCP", 9090),))
# In a namespace of its own nft leaves the machine's filter as it is.
UNSHARED = ("unshare", "--user", "--map-root-user", "--net")
NAMESPACES = {"shop": {"team": "shop"}, "other": {"team": "other"}}


def _policy(**spec: Any) -> dict[str, Any]:
    kinds = [kind for kind in ("Ingress", "Egress") if kind.lower() in spec]
    spec = {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": kinds, **spec}
    return {"metadata": {"namespace": "shop", "name": "p"}, "spec": spec}


def _compile(*policies: dict[str, Any]) -> str:
    return compile_table(Cluster((SERVER, CLIENT, FOREIGN), NAMESPACES, policies))


def _rules(table: str) -> list[str]:
    """The rules of the only chain that isolates."""
    chains = [part for part in table.split("  chain ")[1:] if "drop\n" in part]
    assert len(chains) == 1
    return [line.strip() for line in chains[0].splitlines()[1:] if line.startswith("    ")]


def test_without_policies_nobody_is_isolated() -> None:
    table = _compile()

    assert "vmap" not in table
    assert "drop" not in table


def test_an_ingress_policy_without_rules_leaves_the_pod_to_itself() -> None:
    table = _compile(_policy(ingress=[]))

    assert _rules(table) == ["drop"]
    assert "ip saddr . ip daddr { 10.244.0.5 . 10.244.0.5 } accept" in table
    assert table.count("ip daddr vmap { 10.244.0.5 : jump ingress_") == 1
    assert "ip saddr vmap" not in table


def test_peers_are_pods_of_the_same_namespace_unless_one_is_named() -> None:
    peer = {"podSelector": {"matchLabels": {"app": "client"}}}

    near = _rules(_compile(_policy(ingress=[{"from": [peer]}])))
    far = _rules(_compile(_policy(ingress=[{"from": [{**peer, "namespaceSelector": {}}]}])))

    assert near == ["ip saddr { 10.244.0.6 } return", "drop"]
    assert far == ["ip saddr { 10.244.0.6, 10.244.0.7 } return", "drop"]


def test_a_namespace_is_chosen_by_its_labels() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"team": "other"}}}

    rules = _rules(_compile(_policy(ingress=[{"from": [peer]}])))

    assert rules == ["ip saddr { 10.244.0.7 } return", "drop"]


def test_a_rule_without_peers_lets_everybody_in_at_its_ports() -> None:
    ports = [{"port": 8080}, {"port": 53, "protocol": "UDP"}, {"port": 90, "endPort": 99}]

    rules = _rules(_compile(_policy(ingress=[{"ports": ports}])))

    assert rules == [
        "tcp dport 8080 return",
        "tcp dport 90-99 return",
        "udp dport 53 return",
        "drop",
    ]


def test_an_empty_rule_lets_everything_in() -> None:
    assert "return" in _rules(_compile(_policy(ingress=[{}])))


def test_a_peer_that_is_nobody_lets_nobody_in() -> None:
    peer = {"podSelector": {"matchLabels": {"app": "none"}}}

    assert _rules(_compile(_policy(ingress=[{"from": [peer]}]))) == ["drop"]


def test_a_port_name_is_looked_up_at_the_pod_that_is_called() -> None:
    named = [{"port": "web"}]

    ingress = _rules(_compile(_policy(ingress=[{"ports": named}])))
    peers: list[dict[str, Any]] = [{"namespaceSelector": {}}]
    egress = _rules(_compile(_policy(egress=[{"to": peers, "ports": named}])))

    assert ingress == ["tcp dport 8080 return", "drop"]
    assert egress[:-1] == [
        "ip daddr { 10.244.0.5 } tcp dport 8080 return",
        "ip daddr { 10.244.0.7 } tcp dport 9090 return",
    ]


def test_an_address_block_has_exceptions() -> None:
    block = {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}
    blocks = [{"ipBlock": block}, {"ipBlock": {"cidr": "fd00::/8"}}]

    rules = _rules(_compile(_policy(egress=[{"to": blocks}])))

    assert rules[0] == "ip daddr 10.0.0.0/8 ip daddr != { 10.1.0.0/16 } return"
    assert len(rules) == 2


def test_policies_add_up() -> None:
    rules = _rules(
        _compile(
            _policy(ingress=[{"ports": [{"port": 1}]}]), _policy(ingress=[{"ports": [{"port": 2}]}])
        )
    )

    assert rules == ["tcp dport 1 return", "tcp dport 2 return", "drop"]


def test_egress_is_held_on_the_way_to_the_node_too() -> None:
    table = _compile(_policy(egress=[]))

    assert table.count("ip saddr vmap { 10.244.0.5 : jump egress_") == 2


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "1", "b": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["0", "1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_label_selectors(selector: dict[str, Any], *, expected: bool) -> None:
    assert selects(selector, {"a": "1"}) is expected


def test_pods_without_an_address_of_their_own_do_not_count() -> None:
    metadata = {"namespace": "shop", "name": "x"}
    running = {"phase": "Running", "podIP": "10.244.0.9"}
    spec: dict[str, Any] = {"containers": [{"name": "a", "ports": [{"containerPort": 1}]}]}

    def read(spec: dict[str, Any], status: dict[str, Any]) -> Pod | None:
        return Pod.read({"metadata": metadata, "spec": spec, "status": status})

    assert read(spec, running) == Pod("shop", {}, "10.244.0.9", ())
    assert read(spec, {"phase": "Pending"}) is None
    assert read(spec, {**running, "phase": "Succeeded"}) is None
    assert read({**spec, "hostNetwork": True}, running) is None


@pytest.mark.skipif(
    not succeeds(*UNSHARED, "nft", "--version"), reason="no nft, or no network namespace of our own"
)
def test_nft_accepts_the_table() -> None:
    peers = [
        {"podSelector": {}, "namespaceSelector": {}},
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
    ]
    ports = [{"port": "web"}, {"port": 90, "endPort": 99}, {"protocol": "SCTP"}, {"port": 53}]
    table = _compile(
        _policy(
            ingress=[{"from": peers, "ports": ports}, {"ports": ports}, {}],
            egress=[{"to": peers, "ports": ports}, {"to": peers}],
        ),
        _policy(podSelector={}, ingress=[]),
    )

    check = [*UNSHARED, "nft", "-f", "-"]
    done = subprocess.run(check, input=table, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_pods_with_the_same_rules_share_a_chain() -> None:
    peers = [{"podSelector": {"matchLabels": {"app": "client"}}}]

    table = _compile(_policy(podSelector={}, ingress=[{"from": peers}]))

    assert table.count("chain ingress_") == 1
    assert table.count(" : jump ingress_") == 2
