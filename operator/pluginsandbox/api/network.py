"""Who may call a sandbox."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pluginsandbox.api.model import Model, Rule
from pluginsandbox.api.selectors import ATOMIC, LabelSelector

NetworkPolicyMode = Literal["Managed", "Unmanaged"]


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return "/" in text


CIDR = Rule(
    cel="isCIDR(self) && cidr(self) == cidr(self).masked()",
    check=_is_cidr,
    message="cidr and except must hold ranges such as 10.0.0.0/8 or fd00::/8, without host bits",
)
Cidr = Annotated[str, StringConstraints(min_length=1, max_length=43), CIDR]


class IpBlock(Model):
    """A range of addresses; excludes the other fields of a peer."""

    cidr: Cidr
    """The range, such as 10.0.0.0/8."""
    except_: Annotated[
        tuple[Cidr, ...], Field(alias="except", max_length=16, json_schema_extra=ATOMIC)
    ] = ()
    """Ranges within it that are left out."""

    rules = (
        Rule(
            cel="!has(self.except) || !isCIDR(self.cidr) || self.except.all(inner, !isCIDR(inner)"
            " || (cidr(self.cidr).containsCIDR(inner) && inner != self.cidr))",
            check=lambda block: block.well_formed,
            message="except must lie within cidr and be smaller",
        ),
    )

    @property
    def well_formed(self) -> bool:
        """Whether every exception is a true part of the range."""
        outer = ipaddress.ip_network(self.cidr)
        return all(_is_part(ipaddress.ip_network(inner), outer) for inner in self.except_)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _is_part(inner: Network, outer: Network) -> bool:
    same_version = inner.version == outer.version
    return same_version and inner != outer and inner.subnet_of(outer)  # type: ignore[arg-type]


class Peer(Model):
    """Callers: pods by their labels and their namespaces' labels, or a range of addresses."""

    pod_selector: LabelSelector | None = None
    """Pods: of the sandbox's namespace, or of those that namespaceSelector selects."""
    namespace_selector: LabelSelector | None = None
    """Namespaces: all their pods, or those that podSelector selects."""
    ip_block: IpBlock | None = None

    rules = (
        Rule(
            cel="has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))",
            check=lambda peer: peer.well_formed,
            message="a peer of allowFrom must have either ipBlock or at least one of podSelector "
            "and namespaceSelector",
        ),
    )

    @property
    def well_formed(self) -> bool:
        """Whether it is one of the two kinds of peers."""
        selects = self.pod_selector is not None or self.namespace_selector is not None
        return selects != (self.ip_block is not None)


class NetworkSettings(Model):
    """Who may call the sandbox. Plugins themselves have no network."""

    policy: NetworkPolicyMode = "Managed"
    """Managed: the operator writes a NetworkPolicy. Unmanaged: it writes none; only where the
    administrator allows it."""
    allow_from: Annotated[tuple[Peer, ...], Field(max_length=16, json_schema_extra=ATOMIC)] = ()
    """Who may call. Empty: the pods of the sandbox's namespace."""
