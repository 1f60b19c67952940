"""What counts as one client where clients are limited by their IP address, and what of an address is stored."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings

STORED_BITS = {4: 24, 6: 48}  # of an address that is stored in part
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


def stored_ip(ip: str) -> str:
    """Return the address as it may be stored: with `REGULARS_TRUNCATE_IPS` only its network, 203.0.113.7 as 203.0.113.0."""
    if not settings.TRUNCATE_IPS:
        return ip
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return ""
    address = getattr(address, "ipv4_mapped", None) or address
    return str(ip_network((address, STORED_BITS[address.version]), strict=False).network_address)
