"""Special-purpose addresses: everything that is not an ordinary host of the public web, in a table of our own.

The blocks are those of IANA's registries of special-purpose addresses (IPv4 and IPv6, as of 2025), also where the registry
calls them globally reachable: no web service lives there. Python's `ipaddress` has such a table too, which differs from
version to version and judges an IPv6 address without the IPv4 address inside it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SPECIAL: dict[str, str] = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private use",
    "100.64.0.0/10": "shared by carriers",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private use",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "multicast tunnels (AMT)",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "private use",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved, and broadcast",
    "::/96": "unspecified, loopback, and IPv4-compatible",
    "::ffff:0:0/96": "IPv4-mapped",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64::/16": "IPv4 behind translators: 64:ff9b::/96, 64:ff9b:1::/48 and what may follow",
    "100::/64": "discard",
    "100:0:0:1::/64": "dummy prefix",
    "2001::/23": "protocol assignments: Teredo, benchmarks, AMT, AS112, ORCHID, drones",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "unique local",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
# Where machines of clouds find their own credentials, and what is no host at all: never called, whatever is listed.
NEVER: dict[str, str] = {
    "0.0.0.0/8": "this network",
    "100.100.100.200/32": "metadata of Alibaba's machines",
    "168.63.129.16/32": "metadata of Azure's machines",
    "169.254.0.0/16": "link-local: metadata of most clouds",
    "192.0.0.192/32": "metadata of Oracle's machines",
    "224.0.0.0/4": "multicast",
    "255.255.255.255/32": "broadcast",
    "::/128": "unspecified",
    "fd00:ec2::254/128": "metadata of Amazon's machines",
    "fe80::/10": "link-local",
    "ff00::/8": "multicast",
}
# The only part of IPv6 from which hosts of the Internet get addresses.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214, 6.1: the upper half of the interface's identifier
_LAST_32 = ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/32")


def is_special(address: Address) -> bool:
    """Return whether this is not an ordinary public address."""
    if isinstance(address, ipaddress.IPv6Address) and (address not in _GLOBAL_UNICAST or _is_isatap(address)):
        return True
    return any(address in network for network in _SPECIAL_BLOCKS[address.version])


def is_never_called(address: Address) -> bool:
    """Return whether no one may call this: not the demo, and not a host that the operator listed.

    An IPv6 address counts as the IPv4 address too that a gateway would deliver to.
    """
    return any(
        each in network for each in (address, *embedded_ipv4(address)) for network in _NEVER_BLOCKS[each.version]
    )


def is_loopback(address: Address) -> bool:
    """Return whether this is this machine. Python asks an IPv4-mapped address for the address inside, by its version."""
    return any(address in network for network in _LOOPBACK_BLOCKS[address.version])


def embedded_ipv4(address: Address) -> Iterator[ipaddress.IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address may embed, by every form that a gateway knows."""
    if isinstance(address, ipaddress.IPv4Address) or is_loopback(address):
        return
    bits = int(address)
    last = bits & 0xFFFF_FFFF
    # RFC 8215: a prefix of 48 bits (RFC 6052, 2.2, with eight empty bits) or a longer one.
    if bits >> 80 == 0x0064_FF9B_0001:
        yield ipaddress.IPv4Address((bits >> 64 & 0xFFFF) << 16 | bits >> 40 & 0xFFFF)
        if last:
            yield ipaddress.IPv4Address(last)
    elif _is_isatap(address) or any(address in network for network in _LAST_32_BLOCKS):
        yield ipaddress.IPv4Address(last)
    if address.sixtofour:
        yield address.sixtofour
    yield from address.teredo or ()


def _is_isatap(address: ipaddress.IPv6Address) -> bool:
    return int(address) >> 32 & 0xFFFF_FFFF in _ISATAP


def _blocks(table: dict[str, str]) -> dict[int, list[Network]]:
    networks = [ipaddress.ip_network(block) for block in table]
    return {version: [each for each in networks if each.version == version] for version in (4, 6)}


_SPECIAL_BLOCKS, _NEVER_BLOCKS = _blocks(SPECIAL), _blocks(NEVER)
_LOOPBACK_BLOCKS = _blocks({"127.0.0.0/8": "", "::1/128": ""})
_LAST_32_BLOCKS = [ipaddress.IPv6Network(block) for block in _LAST_32]
