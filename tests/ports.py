"""Ports for servers of tests and benchmarks, and ports that refuse connections, on a machine where others look for some too."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

FIRST, BLOCK = 20_000, 10
LAST = 60_000  # where the kernel gives no range of its own

_held: list[IO[str]] = []  # locks of blocks, until this process ends


def reserve_ports(count: int = 1) -> int:
    """Return the first of `count` adjacent free ports, which are this process's until it ends.

    A port that was found free and let go may be taken before its server starts: by another process that looks for one, or
    by the kernel, for a connection. So each block of ports has a lock file, and blocks end below the ports that the
    kernel gives away.
    """
    if count > BLOCK:
        raise ValueError(f"At most {BLOCK} adjacent ports.")
    folder = Path(tempfile.gettempdir()) / f"regulars-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for first in range(FIRST, _given_by_kernel(), BLOCK):
        lock = (folder / str(first)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        if all(_is_free(first + offset) for offset in range(count)):
            _held.append(lock)
            return first
        lock.close()
    raise AssertionError("There are no free ports.")


@contextmanager
def refusing() -> Iterator[str]:
    """Yield the address of a port that refuses connections. It is bound and not listened on, so nothing else can take it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def _given_by_kernel() -> int:
    """Return the first port that the kernel may give to a connection, or `LAST` when it begins below ours."""
    try:
        begins = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return LAST
    return begins - BLOCK if begins > FIRST + 100 * BLOCK else LAST


def _is_free(port: int) -> bool:
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as error:
            if family == socket.AF_INET or error.errno == errno.EADDRINUSE:
                return False  # a machine without IPv6 has no listener there
    return True
