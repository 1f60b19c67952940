"""The HTTPS redirector holds neither a client that does not read nor more connections of one IP than it may."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress

from tests.serving.test_pool import run

from regulars.serving import https_redirector
from regulars.serving.https_redirector import TLS_HANDSHAKE, HttpsRedirector

LOCAL = "127.0.0.1"


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server behind that sends without end once it was spoken to."""
    with suppress(OSError):
        await reader.read(1)
        while True:
            writer.write(b"x" * 100_000)
            await writer.drain()


@asynccontextmanager
async def redirector(per_ip: int):
    """Yield the redirector and its port, with `flood` behind it."""
    inner = await asyncio.start_server(flood, LOCAL, 0)
    made = HttpsRedirector(8000, inner.sockets[0].getsockname()[1], per_ip)
    outer = await asyncio.start_server(made.accept, LOCAL, 0)
    try:
        yield made, outer.sockets[0].getsockname()[1]
    finally:
        outer.close()
        inner.close()


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.05)


def test_client_that_does_not_read_is_closed(monkeypatch):
    monkeypatch.setattr(https_redirector, "SEND_TIMEOUT", 0.3)

    async def not_reading():
        async with redirector(per_ip=0) as (made, port):
            with socket.create_connection((LOCAL, port)) as client:
                client.sendall(TLS_HANDSHAKE)
                await until(lambda: made.by_ip)
                await until(lambda: not made.by_ip)
                return True

    assert run(not_reading())


def test_connections_of_one_ip_are_limited_and_places_are_given_back():
    async def crowd():
        async with redirector(per_ip=2) as (made, port):
            held = [await asyncio.open_connection(LOCAL, port) for _ in range(2)]
            await until(lambda: made.by_ip[LOCAL] == 2)
            reader, _ = await asyncio.open_connection(LOCAL, port)
            try:
                third = await reader.read(1)
            except ConnectionResetError:
                third = b""
            for _, writer in held:
                writer.close()
            await until(lambda: not made.by_ip)
            reader, writer = await asyncio.open_connection(LOCAL, port)
            writer.write(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return third, await reader.readline()

    third, later = run(crowd())

    assert third == b""
    assert later == b"HTTP/1.1 308 Permanent Redirect\r\n"
