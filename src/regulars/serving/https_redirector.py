"""HTTPS redirector: pass TLS connections to the server behind, redirect plain HTTP on the same port to https.

python -m regulars.serving.https_redirector HOST PORT=INNER_PORT…
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

TLS_HANDSHAKE = b"\x16"  # the first byte of a TLS connection (RFC 8446, 5.1); no HTTP method begins with it
READ_TIMEOUT = 10.0  # seconds for a first byte, and for a plain request's head
LONGEST_HEAD = 16_384
CHUNK = 65_536


class HttpsRedirector:
    """Listens at `port` in front of the server at the port `inner`, both on this machine."""

    def __init__(self, port: int, inner: int) -> None:
        self.port = port
        self.inner = inner

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(READ_TIMEOUT):
                first = await reader.readexactly(1)
            if first == TLS_HANDSHAKE:
                await self._forward(first, reader, writer)
            else:
                async with asyncio.timeout(READ_TIMEOUT):
                    head = first + await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        writer.close()

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
            await writer.drain()
    writer.close()


async def serve(host: str, pairs: list[tuple[int, int]]) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    for port, inner in pairs:
        await asyncio.start_server(HttpsRedirector(port, inner).handle, host, port, limit=LONGEST_HEAD)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(
        serve(sys.argv[1], [(int(left), int(right)) for left, _, right in (a.partition("=") for a in sys.argv[2:])])
    )
