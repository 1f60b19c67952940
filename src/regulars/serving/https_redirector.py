"""HTTPS redirector: pass TLS connections to the server behind, redirect plain HTTP on the same port to https.

python -m regulars.serving.https_redirector HOST CONNECTIONS_PER_IP PORT=INNER_PORT…

The server behind sees one client, this program, so the limit of connections per IP is kept here. Connections that are
silent or do not read are closed by the server behind, and here when it has hung up.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import Counter

TLS_HANDSHAKE = b"\x16"  # the first byte of a TLS connection (RFC 8446, 5.1); no HTTP method begins with it
READ_TIMEOUT = 10.0  # seconds for a first byte, and for a plain request's head
LONGEST_HEAD = 16_384
CHUNK = 65_536
SEND_TIMEOUT = 30.0  # seconds for a client to take what waits for it


class HttpsRedirector:
    """Listens at `port` in front of the server at the port `inner`, both on this machine. `per_ip` 0 is no limit."""

    def __init__(self, port: int, inner: int, per_ip: int) -> None:
        self.port = port
        self.inner = inner
        self.per_ip = per_ip
        self.by_ip: Counter[str] = Counter()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection, unless its IP has as many as it may."""
        ip = writer.get_extra_info("peername", ("",))[0]
        if self.per_ip and self.by_ip[ip] >= self.per_ip:
            writer.transport.abort()
            return
        self.by_ip[ip] += 1
        try:
            await self.handle(reader, writer)
        finally:
            self.by_ip[ip] -= 1
            if not self.by_ip[ip]:
                del self.by_ip[ip]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(READ_TIMEOUT):
                first = await reader.readexactly(1)
            if first == TLS_HANDSHAKE:
                await self._forward(first, reader, writer)
            else:
                async with asyncio.timeout(READ_TIMEOUT):
                    head = first + await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
        await _close(writer)

    async def _forward(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.inner)
        inner_writer.write(first)
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))

    def _answer(self, head: bytes) -> bytes:
        """Redirect GET and HEAD. Reject the rest: a redirect would hide that the body was sent unencrypted."""
        method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
        path = rest.split(b" ")[0]
        address = f"https://localhost:{self.port}".encode()
        if method in (b"GET", b"HEAD") and path.startswith(b"/"):
            return _response(b"308 Permanent Redirect", b"Use https.\n", b"Location: " + address + path + b"\r\n")
        return _response(b"426 Upgrade Required", b"This port speaks https only: " + address + b"/ (https_only)\n")


def _response(status: bytes, body: bytes, extra: bytes = b"") -> bytes:
    length = str(len(body)).encode()
    return (
        b"HTTP/1.1 " + status + b"\r\n" + extra + b"Content-Type: text/plain\r\nContent-Length: " + length
        + b"\r\nConnection: close\r\nCache-Control: no-store\r\n\r\n" + body
    )  # fmt: skip


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # either side may hang up at any time
        while data := await reader.read(CHUNK):
            writer.write(data)
            async with asyncio.timeout(SEND_TIMEOUT):
                await writer.drain()
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close once what was written is taken, or without that after `SEND_TIMEOUT`."""
    writer.close()
    with contextlib.suppress(OSError):
        async with asyncio.timeout(SEND_TIMEOUT):
            await writer.wait_closed()
    writer.transport.abort()


async def serve(host: str, per_ip: int, pairs: list[tuple[int, int]]) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    for port, inner in pairs:
        await asyncio.start_server(HttpsRedirector(port, inner, per_ip).accept, host, port, limit=LONGEST_HEAD)
    await stop.wait()


if __name__ == "__main__":
    _host, _per_ip, *_ports = sys.argv[1:]
    asyncio.run(
        serve(_host, int(_per_ip), [(int(left), int(right)) for left, _, right in (p.partition("=") for p in _ports)])
    )
