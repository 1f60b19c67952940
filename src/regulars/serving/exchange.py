"""One request and its response under way, with deadlines for what the client must do.

A client may take its time, but not ours: no thread and no lock of ours waits for it, and what waits for it ends. A deadline
counts only the time that a request waits for its client, never the time that Regulars itself works.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from regulars.base.client_network import client_network
from regulars.interfaces.collector.app import Receive, Scope, Send

WAIT_SECONDS = 30.0  # for one read or one send
WHOLE_SECONDS = 30.0  # for everything of one request, and longer by a second for each `BYTES_PER_SECOND` moved
BYTES_PER_SECOND = 8 * 1024
YIELD_SECONDS = 1.0  # a request that has waited longer for its client gives its place to another of the same client

Peer = tuple[str, str]  # address and port of the other end of a connection


@dataclass(slots=True)
class PeerRecord:
    """What the requests of one connection tell about it."""

    under_way: set[Exchange] = field(default_factory=set)
    ended_at: float = 0.0  # when its last request ended
    body_bytes: int = 0  # of responses, handed to the server for sending


class Exchange:
    """`receive` and `send` of one request. Each raises `TimeoutError` at its deadline."""

    __slots__ = (
        "_receive",
        "_send",
        "has_body",
        "ip",
        "is_late",
        "moved",
        "record",
        "waited",
        "waiter",
        "waiting_since",
    )

    def __init__(self, ip: str, record: PeerRecord, receive: Receive, send: Send, *, has_body: bool) -> None:
        self.ip = ip
        self.has_body = has_body  # the response: one to HEAD loses it in the server
        self.record = record
        self._receive = receive
        self._send = send
        self.is_late = False
        self.moved = 0  # bytes of both bodies
        self.waited = 0.0  # seconds for the client, in earlier reads and sends
        self.waiting_since = 0.0  # 0: not waiting for the client
        self.waiter: asyncio.Task[Any] | None = None  # the task that waits; None once it is ended

    async def receive(self) -> Any:
        self._begin_wait()
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            self._raise_if_late()
            raise
        finally:
            self._end_wait()
        self.moved += len(message.get("body", b""))
        return message

    async def send(self, message: Any) -> None:
        size = len(message.get("body", b""))
        self._begin_wait()
        try:
            await self._send(message)
        except asyncio.CancelledError:
            self._raise_if_late()
            raise
        finally:
            self._end_wait()
        self.moved += size
        if self.has_body:
            self.record.body_bytes += size

    def seconds_waiting(self, now: float) -> float:
        return now - self.waiting_since if self.waiting_since else 0.0

    def end_if_late(self, now: float) -> None:
        """End the read or send under way when its deadline, or that of the whole exchange, has passed."""
        waiting = self.seconds_waiting(now)
        if waiting > WAIT_SECONDS or waiting + self.waited > WHOLE_SECONDS + self.moved / BYTES_PER_SECOND:
            self.end_wait()

    def end_wait(self) -> None:
        """Let the read or send under way raise `TimeoutError`."""
        if self.waiting_since and self.waiter is not None:
            self.is_late = True
            self.waiter.cancel()
            self.waiter = None

    def _begin_wait(self) -> None:
        self.waiter = asyncio.current_task()
        self.waiting_since = time.monotonic()

    def _end_wait(self) -> None:
        self.waited += time.monotonic() - self.waiting_since
        self.waiting_since = 0.0

    def _raise_if_late(self) -> None:
        """Turn the cancellation by `end_if_late` into an error; any other goes on."""
        task = asyncio.current_task()
        if self.is_late and task is not None:
            task.uncancel()
            raise TimeoutError


class Exchanges:
    """All requests under way in this process, by connection and by the client's IP."""

    def __init__(self, per_ip: int) -> None:
        self.per_ip = per_ip  # 0: no limit
        self.under_way: set[Exchange] = set()
        self.by_ip: defaultdict[str, set[Exchange]] = defaultdict(set)
        self.peers: dict[Peer, PeerRecord] = {}

    def begin(self, peer: Peer, scope: Scope, receive: Receive, send: Send) -> Exchange | None:
        """Register a request; None when as many of its client are under way as may be, and none of them is slow."""
        site = client_network(peer_of(scope)[0])
        if self.per_ip and len(self.by_ip[site]) >= self.per_ip and not self._make_place(site):
            return None
        record = self.peers.get(peer)
        if record is None:
            record = self.peers[peer] = PeerRecord()
        exchange = Exchange(site, record, receive, send, has_body=scope["method"] != "HEAD")
        record.under_way.add(exchange)
        self.under_way.add(exchange)
        self.by_ip[site].add(exchange)
        return exchange

    def end(self, exchange: Exchange) -> None:
        self.under_way.discard(exchange)
        exchange.record.under_way.discard(exchange)
        exchange.record.ended_at = time.monotonic()
        same = self.by_ip[exchange.ip]
        same.discard(exchange)
        if not same:
            del self.by_ip[exchange.ip]

    def end_late(self, now: float) -> None:
        for exchange in list(self.under_way):
            exchange.end_if_late(now)

    def _make_place(self, site: str) -> bool:
        """End the request that has waited longest for its client: customers behind one IP are not locked out by it."""
        now = time.monotonic()
        slowest = max(self.by_ip[site], key=lambda each: each.seconds_waiting(now))
        if slowest.seconds_waiting(now) < YIELD_SECONDS:
            return False
        slowest.end_wait()
        self.by_ip[site].discard(slowest)  # its task ends in a later turn of the loop
        return True


def peer_of(scope: Scope) -> Peer:
    """Return the other end of the connection. Call before forwarded headers replace it."""
    address, port = scope.get("client") or ("", 0)
    return str(address), str(port)
