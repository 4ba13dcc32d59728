"""Which address a client has: behind a proxy that is known, the one that the proxy names."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address


class Proxies:
    """The proxies whose `X-Forwarded-For` is believed."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)

    def client_of(self, address: str, forwarded: Sequence[str]) -> str:
        """Return the nearest address that is no proxy of ours; what clients write in front of it says nothing."""
        named = ",".join(forwarded)
        while self._has(address) and named:
            named, _, last = named.rpartition(",")
            address = last.strip() or address
        return address

    def _has(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._networks)
