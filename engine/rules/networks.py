"""Networks that are trusted to say who is behind them. Must not know HTTP."""

from __future__ import annotations

from ipaddress import ip_address, ip_network


class Networks:
    """A set of addresses and networks in CIDR form."""

    def __init__(self, networks: list[str]) -> None:
        self._networks = [ip_network(network, strict=False) for network in networks]

    def trusts(self, address: str) -> bool:
        """Whether an address lies in one of the networks; text that is no address does not."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._networks if network.version == found.version)
