"""From policies and pods to one nft table.

Each pod that a policy isolates gets a chain for that direction: what is allowed returns from it,
the rest is dropped at its end. Pods with the same rules share a chain.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.cluster.layout import BRIDGE
from tests.cluster.policy.model import Cluster, Object, Pod, selects

TABLE = "pluginsandbox_policy"


@dataclass(frozen=True)
class Direction:
    """What differs between the two directions of a policy.

    Args:
        kind: as in ``policyTypes``.
        rules: field of the policy's rules.
        peers: field of a rule's peers.
        own: nft's word for the isolated pod's address.
        other: nft's word for the peer's address.
    """

    kind: str
    rules: str
    peers: str
    own: str
    other: str


INGRESS = Direction("Ingress", "ingress", "from", "daddr", "saddr")
EGRESS = Direction("Egress", "egress", "to", "saddr", "daddr")


def compile_table(cluster: Cluster) -> str:
    """The whole table as nft text, replacing an older one in the same transaction."""
    chains: dict[str, str] = {}
    jumps = {direction: _jumps(cluster, direction, chains) for direction in (EGRESS, INGRESS)}
    bodies = "".join(f"  chain {name} {{\n{body}  }}\n" for name, body in sorted(chains.items()))
    start = "    ct state established,related accept\n" + _to_oneself(
        {*jumps[EGRESS], *jumps[INGRESS]}
    )
    to_node = start + _verdicts(EGRESS, jumps[EGRESS])
    forward = to_node + _verdicts(INGRESS, jumps[INGRESS])
    return f"""table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
{bodies}  chain forward {{
    type filter hook forward priority 10; policy accept;
{forward}  }}
  chain input {{
    type filter hook input priority 10; policy accept;
    iifname != "{BRIDGE}" accept
{to_node}  }}
}}
"""


def _to_oneself(addresses: set[str]) -> str:
    """A pod may always reach itself, by way of a Service too."""
    if not addresses:
        return ""
    pairs = ", ".join(f"{address} . {address}" for address in sorted(addresses))
    return f"    ip saddr . ip daddr {{ {pairs} }} accept\n"


def _verdicts(direction: Direction, jumps: Mapping[str, str]) -> str:
    if not jumps:
        return ""
    elements = ", ".join(f"{address} : jump {chain}" for address, chain in sorted(jumps.items()))
    return f"    ip {direction.own} vmap {{ {elements} }}\n"


def _jumps(cluster: Cluster, direction: Direction, chains: dict[str, str]) -> dict[str, str]:
    """Address to chain for every pod that is isolated; adds the chains."""
    jumps = {}
    for pod in cluster.pods:
        policies = [p for p in cluster.policies if _isolates(p, pod, direction)]
        if policies:
            rules = sorted(set(_allowed(cluster, pod, policies, direction)))
            body = "".join(f"    {rule}\n" for rule in [*rules, "drop"])
            digest = hashlib.sha256(body.encode()).hexdigest()[:12]
            name = f"{direction.rules}_{digest}"
            chains[name] = body
            jumps[pod.address] = name
    return jumps


def _isolates(policy: Object, pod: Pod, direction: Direction) -> bool:
    spec = policy["spec"]
    return (
        policy["metadata"]["namespace"] == pod.namespace
        and direction.kind in spec["policyTypes"]
        and selects(spec.get("podSelector", {}), pod.labels)
    )


def _allowed(
    cluster: Cluster, pod: Pod, policies: Iterable[Object], direction: Direction
) -> Iterator[str]:
    """The nft rules for all that the policies let through."""
    for policy in policies:
        for rule in policy["spec"].get(direction.rules, ()):
            for match, named in _peers(cluster, pod, rule.get(direction.peers), direction):
                for ports in _ports(rule.get("ports"), named):
                    yield " ".join(part for part in (match, ports, "return") if part)


def _peers(
    cluster: Cluster, pod: Pod, peers: list[Object] | None, direction: Direction
) -> Iterator[tuple[str, Pod | None]]:
    """Pairs of an nft match of peers' addresses and the pod whose port names count."""
    own = pod if direction is INGRESS else None
    if not peers:
        yield "", own
        return
    for peer in peers:
        if block := peer.get("ipBlock"):
            if ":" not in block["cidr"]:  # nothing here has an IPv6 address
                yield _block(block, direction), own
            continue
        chosen = _chosen(cluster, pod.namespace, peer)
        if direction is INGRESS:
            if chosen:
                addresses = ", ".join(sorted(each.address for each in chosen))
                yield f"ip {direction.other} {{ {addresses} }}", own
        else:
            for each in _by_ports(chosen):
                addresses = ", ".join(sorted(one.address for one in each))
                yield f"ip {direction.other} {{ {addresses} }}", each[0]


def _block(block: Object, direction: Direction) -> str:
    match = f"ip {direction.other} {block['cidr']}"
    without = ", ".join(sorted(block.get("except", ())))
    return f"{match} ip {direction.other} != {{ {without} }}" if without else match


def _chosen(cluster: Cluster, namespace: str, peer: Object) -> list[Pod]:
    if "namespaceSelector" in peer:
        every = cluster.namespaces.items()
        chosen = {name for name, labels in every if selects(peer["namespaceSelector"], labels)}
    else:
        chosen = {namespace}
    wanted = peer.get("podSelector", {})
    return [p for p in cluster.pods if p.namespace in chosen and selects(wanted, p.labels)]


def _by_ports(pods: Iterable[Pod]) -> Iterator[list[Pod]]:
    """Groups of pods whose port names mean the same numbers."""
    groups: dict[object, list[Pod]] = defaultdict(list)
    for pod in pods:
        groups[pod.ports].append(pod)
    yield from groups.values()


def _ports(ports: list[Object] | None, named: Pod | None) -> Iterator[str]:
    """The nft matches of a rule's ports; nothing if a name means no port of that pod."""
    if not ports:
        yield ""
        return
    for port in ports:
        protocol = port.get("protocol", "TCP")
        wanted = port.get("port")
        if wanted is None:
            yield f"meta l4proto {protocol.lower()}"
        elif isinstance(wanted, int):
            last = port.get("endPort", wanted)
            yield f"{protocol.lower()} dport {wanted if last == wanted else f'{wanted}-{last}'}"
        elif named is not None:
            for each in named.ports:
                if (each.name, each.protocol) == (wanted, protocol):
                    yield f"{protocol.lower()} dport {each.number}"
