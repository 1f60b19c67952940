"""A database in MaxMind's format, written here so that no licensed one is shipped: one record for one IPv4 network."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

MARKER = b"\xab\xcd\xefMaxMind.com"


def write_database(path: Path, network: str, record: dict[str, Any]) -> None:
    """Addresses in `network` have `record`, all others nothing."""
    net = ipaddress.IPv4Network(network)
    bits = [(int(net.network_address) >> (31 - step)) & 1 for step in range(net.prefixlen)]
    nodes = len(bits)
    tree = b"".join(_node(step, bit, nodes) for step, bit in enumerate(bits))
    about = {
        "node_count": Uint(nodes),
        "record_size": Uint(24),
        "ip_version": Uint(4),
        "database_type": "Test",
        "binary_format_major_version": Uint(2),
        "binary_format_minor_version": Uint(0),
        "build_epoch": Uint(1),
        "languages": [],
        "description": {},
    }
    path.write_bytes(tree + bytes(16) + _encoded(record) + MARKER + _encoded(about))


def _node(step: int, bit: int, nodes: int) -> bytes:
    """Left and right, three bytes each: the next node, `nodes` for nothing, or beyond it the record."""
    onward = step + 1 if step + 1 < nodes else nodes + 16
    pair = (onward, nodes) if bit == 0 else (nodes, onward)
    return b"".join(number.to_bytes(3, "big") for number in pair)


class Uint(int):
    """An unsigned number of the metadata."""


def _encoded(value: Any) -> bytes:
    match value:
        case str():
            return _head(2, len(value.encode())) + value.encode()
        case Uint():
            raw = value.to_bytes(4, "big").lstrip(b"\0")
            return _head(6, len(raw)) + raw
        case dict():
            return _head(7, len(value)) + b"".join(_encoded(key) + _encoded(each) for key, each in value.items())
        case list():
            return bytes([len(value), 11 - 7]) + b"".join(map(_encoded, value))
    raise TypeError(value)


def _head(kind: int, size: int) -> bytes:
    return bytes([kind << 5 | size]) if size < 29 else bytes([kind << 5 | 29, size - 29])
