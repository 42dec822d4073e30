"""Addresses that people name: what they lead to is looked up once and judged before a connection.

For answers that are sent to a URL and for pages that are fetched from one.
"""

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.ip_network("::/96")
"""IPv4 in IPv6, as it was once written."""


def look_up(host: str, port: int) -> list[Address]:
    """What a name leads to; connect to just that, since a second look-up may give another.

    Raises OSError.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"it is no host's name: {error}") from error
    return [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]


def is_public(address: Address) -> bool:
    """Whether an address is on the open internet, also where it holds another within it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _LOCAL_NAT64:
            return False
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64 or address in _COMPATIBLE:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if not all(each.is_global for each in inner if each is not None):
            return False
        if address.ipv4_mapped is not None:
            return True
    return address.is_global and not address.is_multicast


def shown(address: str) -> str:
    """An address `SCHEME:PLACE` as it may be logged: of a URL only where it leads.

    What follows the host may hold a token.
    """
    scheme, _, place = address.partition(":")
    if not place.startswith("//"):
        return address
    host = place.removeprefix("//").replace("?", "/").replace("#", "/").partition("/")[0]
    return f"{scheme}://{host.rpartition('@')[2]}/…"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, and nobody else's by DNS."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
