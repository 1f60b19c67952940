"""Forwarded headers: trusted from as many proxies as the operator configured, removed otherwise.

Applied once, at the root, so that rate limits, records, addresses and cookies agree.
"""

from __future__ import annotations

import ipaddress

from regulars.interfaces.collector.app import Scope

NAMES = frozenset({b"forwarded", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})
Pairs = list[tuple[bytes, bytes]]


def apply_forwarded(scope: Scope, proxies: int) -> Scope:
    """Return the scope with the browser's `client`, `scheme` and `host` header. `proxies` counts trusted proxies."""
    headers: Pairs = list(scope["headers"])
    kept = [(name, value) for name, value in headers if name not in NAMES and not name.startswith(b"x-forwarded-")]
    if not proxies:
        return {**scope, "headers": kept}
    found = {**scope, "headers": kept}
    address = _address(_trusted_value(headers, b"x-forwarded-for", proxies))
    if address:
        found["client"] = (address, 0)
    scheme = _trusted_value(headers, b"x-forwarded-proto", proxies)
    if scheme in ("http", "https"):
        found["scheme"] = scheme
    host = _trusted_value(headers, b"x-forwarded-host", proxies)
    if host:
        found["headers"] = [(b"host", host.encode("latin-1")), *(pair for pair in kept if pair[0] != b"host")]
    return found


def _trusted_value(headers: Pairs, name: bytes, proxies: int) -> str:
    """Return the value that the outermost trusted proxy added.

    Each proxy appends on the right, so values further left come from the browser. A proxy that overwrites leaves one.
    """
    values = b",".join(value for key, value in headers if key == name).decode("latin-1").split(",")
    return values[max(len(values) - proxies, 0)].strip()


def _address(text: str) -> str:
    """Return an IP address without its port; empty when the text holds none."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    for candidate in (host, host.rpartition(":")[0]):
        try:
            return str(ipaddress.ip_address(candidate))
        except ValueError:
            continue
    return ""
