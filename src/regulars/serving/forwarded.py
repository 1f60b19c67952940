"""Forwarded headers: trusted from the proxies that the operator configured, removed otherwise.

Applied once, at the root, so that rate limits, records, addresses and cookies agree. Proxies are configured by their number
or by their networks. By networks is stricter: a client that reaches this server past the proxies is not one of them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from regulars.base.special_addresses import Network
from regulars.interfaces.collector.app import Scope

from .http_messages import Pairs

NAMES = frozenset({b"forwarded", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LONGEST = 64  # characters of an address with a zone, brackets and a port


def apply_forwarded(scope: Scope, proxies: int | Sequence[Network]) -> Scope:
    """Return the scope with the browser's `client`, `scheme` and `host` header. `proxies`: how many, or their networks."""
    headers: Pairs = list(scope["headers"])
    kept = [(name, value) for name, value in headers if name not in NAMES and not name.startswith(b"x-forwarded-")]
    found = {**scope, "headers": kept}
    peer = parse_ip((scope.get("client") or ("",))[0])
    if peer:
        found["client"] = (str(peer), *scope["client"][1:])
    hops = proxies if isinstance(proxies, int) else _trusted_hops(peer, headers, proxies)
    if not hops:
        return found
    address = parse_ip(_trusted_value(headers, b"x-forwarded-for", hops))
    if address:
        found["client"] = (str(address), 0)
    scheme = _trusted_value(headers, b"x-forwarded-proto", hops)
    if scheme in ("http", "https"):
        found["scheme"] = scheme
    host = _trusted_value(headers, b"x-forwarded-host", hops)
    if host:
        found["headers"] = [(b"host", host.encode("latin-1")), *(pair for pair in kept if pair[0] != b"host")]
    return found


def _trusted_hops(peer: Address | None, headers: Pairs, networks: Sequence[Network]) -> int:
    """Return how many proxies in a row are ours: the one that connected, then those that it and the next ones name."""
    hops, hop = 0, peer
    chain = _values(headers, b"x-forwarded-for")
    while hop and any(hop in network for network in networks) and hops < len(chain):
        hops += 1
        hop = parse_ip(chain[-hops].strip())
    return hops or int(bool(peer) and any(peer in network for network in networks))


def _trusted_value(headers: Pairs, name: bytes, proxies: int) -> str:
    """Return the value that the outermost trusted proxy added.

    Each proxy appends on the right, so values further left come from the browser. A proxy that overwrites leaves one.
    """
    values = _values(headers, name)
    return values[max(len(values) - proxies, 0)].strip()


def _values(headers: Pairs, name: bytes) -> list[str]:
    return b",".join(value for key, value in headers if key == name).decode("latin-1").split(",")


def parse_ip(text: str) -> Address | None:
    """Return an IP address without port and zone; None when the text holds none. An IPv4 address has one spelling."""
    return _parsed(text) if len(text) <= LONGEST else None


@lru_cache(
    maxsize=4096
)  # the same clients and proxies come again and again; parsing costs more than the rest of this module
def _parsed(text: str) -> Address | None:
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    for candidate in (host, host.rpartition(":")[0]):
        try:
            address = ipaddress.ip_address(candidate.partition("%")[0])
        except ValueError:
            continue
        return getattr(address, "ipv4_mapped", None) or address
    return None
