"""What a proxy in front says of the browser: believed only from as many proxies as the operator named, else taken off.

It is settled once, at the root, so that rate limits, records, addresses and cookies cannot disagree about it.
"""

from __future__ import annotations

import ipaddress

from regulars.interfaces.collector.app import Scope

NAMES = frozenset({b"forwarded", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})
Pairs = list[tuple[bytes, bytes]]


def settled(scope: Scope, proxies: int) -> Scope:
    """The request as the browser made it: `client`, `scheme` and the `host` header. `proxies` is how many are ours."""
    headers: Pairs = list(scope["headers"])
    kept = [(name, value) for name, value in headers if name not in NAMES and not name.startswith(b"x-forwarded-")]
    if not proxies:
        return {**scope, "headers": kept}
    found = {**scope, "headers": kept}
    address = _address(_said(headers, b"x-forwarded-for", proxies))
    if address:
        found["client"] = (address, 0)
    scheme = _said(headers, b"x-forwarded-proto", proxies)
    if scheme in ("http", "https"):
        found["scheme"] = scheme
    host = _said(headers, b"x-forwarded-host", proxies)
    if host:
        found["headers"] = [(b"host", host.encode("latin-1")), *(pair for pair in kept if pair[0] != b"host")]
    return found


def _said(headers: Pairs, name: bytes, proxies: int) -> str:
    """What the outermost of our proxies said. Each adds on the right, so whatever stands further left is the browser's
    own invention. A proxy that overwrites instead leaves one value, which is ours."""
    values = b",".join(value for key, value in headers if key == name).decode("latin-1").split(",")
    return values[max(len(values) - proxies, 0)].strip()


def _address(text: str) -> str:
    """An address without its port; empty when it is none."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    for candidate in (host, host.rpartition(":")[0]):
        try:
            return str(ipaddress.ip_address(candidate))
        except ValueError:
            continue
    return ""
