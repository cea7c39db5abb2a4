"""The operator on network addresses. Must not know conditions."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, ClassVar

from engine.catalogue import Example, Scope
from engine.language.operators import Check, Operator, Values
from engine.options import BAD, found, from_environment, option
from engine.source import Mapping, Node, Scalar, Sequence

Network = IPv4Network | IPv6Network
_MAPPED = ip_network("::ffff:0:0/96")


class Networks(list[str]):
    """A network in CIDR form or a single address, a list of them, or `{list: name}`."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, *Values.schema()["anyOf"]]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if isinstance(node, Scalar):
            text = from_environment(node, scope)
            items: Any = BAD if text is BAD else [text]
        else:
            items = Values.read(node, scope)
        if items is BAD:
            return BAD
        places = node.items if isinstance(node, Sequence) else [node] * len(items)
        bad = [(item, place) for item, place in zip(items, places, strict=True) if _network(item) is None]
        for item, place in bad:
            what = f"`{item}` in the list" if isinstance(node, Mapping) else found(place)
            scope.problem(
                "bad-cidr",
                f"expected a network or an address, found {what}",
                place.span,
                help="write it like `10.0.0.0/8`, `192.0.2.7` or `2001:db8::/32`",
            )
        return BAD if bad else [str(item) for item in items]


class Cidr(Operator, name="cidr", takes="string"):
    """The value is an IP address in one of these networks; an IPv4 address mapped into IPv6 counts as IPv4."""

    value: Networks = option("A network, an address, or a list of them.", whole=True)

    examples: ClassVar = [
        Example("inside", "cidr: 10.0.0.0/8", "10.1.2.3", True),
        Example("mapped into IPv6", "cidr: [192.168.0.0/16, 10.0.0.0/8]", "::ffff:10.1.2.3", True),
        Example("outside", "cidr: 10.0.0.0/8", "11.0.0.1", False, acts=False),
        Example("not an address", "cidr: 10.0.0.0/8", "localhost", False, acts=False),
    ]

    def compile(self) -> Check:
        networks = [network for network in map(_network, self.value) if network is not None]

        def inside(value: Any) -> bool:
            address = _address(value) if isinstance(value, str) else None
            return address is not None and any(address in network for network in networks)

        return inside


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _network(text: Any) -> Network | None:
    if not isinstance(text, str):
        return None
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and isinstance(_MAPPED, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return IPv4Network((int(mapped or 0), network.prefixlen - 96))
    return network
