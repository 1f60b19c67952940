"""What counts as one client where clients are limited by their IP address."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

IPV6_PREFIX = 64  # bits: a customer of a network has that many addresses at least


def client_network(ip: str) -> str:
    """Return an IPv4 address itself, and of an IPv6 address its network. Text that is no address is returned unchanged."""
    if ":" not in ip:
        return ip
    try:
        address = IPv6Address(ip.partition("%")[0])
    except ValueError:
        return ip
    return str(address.ipv4_mapped or IPv6Network((address, IPV6_PREFIX), strict=False))
