"""The local cluster's own links, routes and packet filter.

Applied before anything else starts and removed last, so at no moment can a packet for a pod or a
Service leave the machine, nor one from outside reach them:

- pods live on a bridge of ours, whose address is also the node's;
- Service addresses are routed to a second bridge that never has a port. A blackhole route would
  not do: it makes connect() of a local client fail before kube-proxy's rules see the packet;
- should a bridge be gone, blackhole routes remain;
- a filter table of ours keeps both bridges and the rest of the machine's links apart.

The machine's own forwarding switch stays as it is: only our bridge forwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from tests.cluster.errors import ClusterError
from tests.cluster.layout import BRIDGE, NODE_ADDRESS, POD_RANGE, SERVICE_RANGE, SINK
from tests.cluster.policy.compiler import TABLE as POLICY_TABLE
from tests.cluster.system import run, succeeds

GUARD = "pluginsandbox_guard"
# A fixed address: by default a bridge takes over the lowest one of its ports, and pods would keep
# sending to the old one.
_BRIDGE_HARDWARE_ADDRESS = "0a:58:0a:f4:00:01"
_LAST_RESORT_METRIC = "32000"
_FILTERED_BRIDGES = Path("/proc/sys/net/bridge")


def apply() -> None:
    """Make links, routes and filter, or put them right again.

    Raises:
        ClusterError: the machine uses one of the ranges already, or runs another kube-proxy.
    """
    present = {link["ifname"] for link in json.loads(run("ip", "-json", "link", "show"))}
    if BRIDGE not in present:
        _refuse_conflicts()
    run("nft", "-f", "-", text=guard_rules())
    for each in (POD_RANGE, SERVICE_RANGE):
        run("ip", "route", "replace", "blackhole", str(each), "metric", _LAST_RESORT_METRIC)
    for name in (BRIDGE, SINK):
        if name not in present:
            run("ip", "link", "add", name, "type", "bridge")
        _set_interface(name)
        run("ip", "link", "set", name, "up")
    run("ip", "address", "replace", f"{NODE_ADDRESS}/{POD_RANGE.prefixlen}", "dev", BRIDGE)
    source = ("src", str(NODE_ADDRESS))
    run("ip", "route", "replace", str(SERVICE_RANGE), "dev", SINK, *source)


def _set_interface(name: str) -> None:
    settings = {"ipv4/conf/{}/send_redirects": "0", "ipv6/conf/{}/disable_ipv6": "1"}
    if name == BRIDGE:
        if not _FILTERED_BRIDGES.exists():
            run("modprobe", "br_netfilter")
        run("ip", "link", "set", name, "address", _BRIDGE_HARDWARE_ADDRESS)
        # Answers between two pods stay on the bridge; only so does the filter see them, and a
        # Service's address gets back into the answer.
        run("ip", "link", "set", name, "type", "bridge", "nf_call_iptables", "1")
        settings["ipv4/conf/{}/forwarding"] = "1"
    for setting, value in settings.items():
        path = Path("/proc/sys/net") / setting.format(name)
        if path.exists():
            path.write_text(value)


def remove() -> None:
    """Take away all that `apply` and the cluster's kube-proxy made."""
    present = {link["ifname"] for link in json.loads(run("ip", "-json", "link", "show"))}
    ours = BRIDGE in present or guard_exists()
    for name in (BRIDGE, SINK):
        if name in present:
            for port in json.loads(run("ip", "-json", "link", "show", "master", name)):
                succeeds("ip", "link", "delete", port["ifname"])
            run("ip", "link", "delete", name)
    for each in (POD_RANGE, SERVICE_RANGE):
        succeeds("ip", "route", "delete", "blackhole", str(each), "metric", _LAST_RESORT_METRIC)
    if ours:
        for family in ("ip", "ip6"):
            succeeds("nft", "delete", "table", family, "kube-proxy")
        for table in (POLICY_TABLE, GUARD):
            succeeds("nft", "delete", "table", "inet", table)
        for end in ("--orig-src", "--orig-dst"):
            for each in (POD_RANGE, SERVICE_RANGE):
                # Fails when there is none; a forgotten one would lead a new cluster's packets.
                succeeds("conntrack", "--delete", end, str(each))


def guard_exists() -> bool:
    """Whether our filter table is there."""
    return succeeds("nft", "list", "table", "inet", GUARD)


def _refuse_conflicts() -> None:
    routes = json.loads(run("ip", "-json", "-4", "route", "show", "table", "all"))
    taken = conflicts(routes)
    if taken:
        raise ClusterError(
            f"this machine already routes {', '.join(taken)}, and the local cluster needs "
            f"{POD_RANGE} and {SERVICE_RANGE}. Name a cluster instead: PLUGINSANDBOX_KUBECONFIG"
        )
    if not guard_exists() and succeeds("nft", "list", "table", "ip", "kube-proxy"):
        raise ClusterError(
            "another kube-proxy works on this machine (nft table 'ip kube-proxy'): it seems to be "
            "a node of a cluster. Name that one instead: PLUGINSANDBOX_KUBECONFIG=<file>"
        )


def conflicts(routes: Iterable[Mapping[str, Any]]) -> list[str]:
    """The destinations among `routes` (as ``ip -json route`` gives them) that lie in our ranges."""
    found = []
    for route in routes:
        if route["dst"] == "default" or route.get("metric") == int(_LAST_RESORT_METRIC):
            continue
        network = IPv4Network(route["dst"], strict=False)
        if any(network.overlaps(ours) for ours in (POD_RANGE, SERVICE_RANGE)):
            found.append(str(route["dst"]))
    return found


def guard_rules() -> str:
    """The filter table as nft text; replaces an older one in the same transaction."""
    ranges = f"{{ {POD_RANGE}, {SERVICE_RANGE} }}"
    ours = f'{{ "{BRIDGE}", "{SINK}" }}'
    return f"""
table inet {GUARD}
delete table inet {GUARD}
table inet {GUARD} {{
  chain forward {{
    type filter hook forward priority -10; policy accept;
    iifname "{BRIDGE}" oifname "{BRIDGE}" accept
    iifname {ours} drop
    oifname {ours} drop
  }}
  chain input {{
    type filter hook input priority -10; policy accept;
    iifname "{BRIDGE}" ip daddr != {NODE_ADDRESS} drop
    iifname != {{ "lo", "{BRIDGE}" }} ip daddr {ranges} drop
  }}
  chain output {{
    type filter hook output priority 10; policy accept;
    oifname != {{ "lo", "{BRIDGE}", "{SINK}" }} ip daddr {ranges} drop
  }}
}}
"""
