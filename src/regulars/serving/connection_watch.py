"""Close connections that only cost: silent ones, those that do not read, and too many of one IP.

granian accepts every connection and waits for it without end, and hyper below it has no deadline for writing. A relay of our
own in front would copy every byte once more and hide the client's address. Instead the process that accepted the
connections looks at them twice a second: which there are (/proc/self/fd), what the kernel knows of them (TCP_INFO),
and what their requests do (`exchange`). Closing is `shutdown` on the socket, which the server takes for a hang-up.
Linux only: elsewhere the deadlines of requests hold, and these do not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from regulars.base.client_network import client_network
from regulars.base.special_addresses import Network

from .exchange import Exchanges, Peer, PeerRecord
from .forwarded import parse_ip
from .http_messages import seldom_log

FDS = "/proc/self/fd"
log = logging.getLogger("regulars.serving")

INTERVAL = 0.5  # seconds between two looks
FIRST_REQUEST_SECONDS = 10.0  # for a TLS handshake and the head of a first request
IDLE_SECONDS = 40.0  # between two requests; over HTTP/1.1 granian waits for 30
SEND_SECONDS = 20.0  # in which a client that is owed data must take `SEND_BYTES`
SEND_BYTES = 20 * 1024
CROWDED = 0.75  # of all places: from there on idle and silent connections wait a fifth of the time
CROWDED_FACTOR = 0.2

# struct tcp_info of linux/tcp.h: 8 bytes, 24 numbers of 32 bits, pacing rates, then these.
TCP_INFO_SIZE = 148
UNACKED, BYTES_ACKED, NOTSENT = 24, 120, 144  # offsets


@dataclass(slots=True, eq=False)
class AcceptedConnection:
    """One accepted connection, as last seen."""

    fd: int
    inode: int
    peer: Peer
    site: str
    is_proxy: bool
    accepted_at: float
    acked: int = 0  # bytes that the client's kernel has confirmed
    owing_since: float = 0.0  # since when it is owed data; 0: it is not
    acked_before: int = 0  # bytes confirmed at `owing_since`


class ConnectionWatch:
    """`max_connections`: places of this process. `per_ip`: connections of one IP, 0 for no limit.

    Trusted proxies have as many as they like. Where only their number is known, every connection is one of theirs.
    """

    def __init__(
        self, exchanges: Exchanges, max_connections: int, per_ip: int, proxies: int | Sequence[Network]
    ) -> None:
        self.exchanges = exchanges
        self.max_connections = max_connections
        self.per_ip = 0 if isinstance(proxies, int) and proxies else per_ip
        self.proxies = [] if isinstance(proxies, int) else list(proxies)
        self.ports: set[int] = set()
        self.known: dict[int, AcceptedConnection | None] = {}  # by inode; None: not one of ours

    async def run(self) -> None:
        """Look at connections and requests until cancelled. An error in one look does not end the next."""
        can_see = Path(FDS).is_dir() and hasattr(socket, "TCP_INFO")
        while True:
            await asyncio.sleep(INTERVAL)
            now = time.monotonic()
            try:
                self.exchanges.end_late(now)
                if can_see:
                    self.look(now)
                else:
                    self._forget_peers(set(), now)
            except Exception:
                log.exception("a look at the connections failed")

    def look(self, now: float) -> None:
        """Look at every connection once, and close those that must go."""
        connections = self._connections(now)
        crowded = len(connections) > CROWDED * self.max_connections
        factor = CROWDED_FACTOR if crowded else 1.0
        sites: defaultdict[str, list[tuple[float, AcceptedConnection]]] = defaultdict(list)
        for connection in connections:
            record = self.exchanges.peers.get(connection.peer)
            waiting = _seconds_waiting(connection, record, now)
            if _is_silent(record, waiting, factor) or self._takes_nothing(connection, record, now):
                self.close(connection)
            elif not connection.is_proxy:
                sites[connection.site].append((waiting, connection))
        for crowd in sites.values():
            if self.per_ip and len(crowd) > self.per_ip:
                crowd.sort(key=lambda each: each[0], reverse=True)  # those that keep us waiting longest go first
                for _, connection in crowd[: len(crowd) - self.per_ip]:
                    self.close(connection)
        self._forget_peers({connection.peer for connection in connections}, now)

    def close_peer(self, peer: Peer) -> None:
        """Close the connection of a request that missed its deadline: its server would wait for the client on."""
        for connection in self.known.values():
            if connection is not None and connection.peer == peer:
                self.close(connection)

    def close(self, connection: AcceptedConnection) -> None:
        """Hang up at once, and without sending what lies in buffers for the client."""
        with suppress(OSError):
            copy = os.dup(connection.fd)  # the server may close its own at any time, and the number be used anew
            try:
                if os.fstat(copy).st_ino != connection.inode:
                    return
                with _socket(copy) as sock:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.shutdown(socket.SHUT_RDWR)
                    seldom_log.warn("closed a connection that was silent, did not read or was one too many of its IP")
            finally:
                os.close(copy)

    def _connections(self, now: float) -> list[AcceptedConnection]:
        """Return the accepted connections that are open."""
        seen: dict[int, AcceptedConnection | None] = {}
        # Plain `os` here: pathlib would triple the cost of a look at thousands of connections.
        for name in os.listdir(FDS):  # noqa: PTH208
            with suppress(OSError, ValueError):  # closed meanwhile
                target = os.readlink(f"{FDS}/{name}")  # noqa: PTH115
                if not target.startswith("socket:["):
                    continue
                inode = int(target[8:-1])
                connection = self.known[inode] if inode in self.known else self._inspect(int(name), inode, now)
                if connection is not None:
                    connection.fd = int(name)
                seen[inode] = connection
        self.known = seen
        return [connection for connection in seen.values() if connection is not None]

    def _inspect(self, fd: int, inode: int, now: float) -> AcceptedConnection | None:
        """Return a new connection; None for any other socket. Learns the ports from the listening sockets."""
        with _socket(fd) as sock:
            if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
                return None
            port = sock.getsockname()[1]
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                self.ports.add(port)
                return None
            if port not in self.ports:
                return None
            address, peer_port = sock.getpeername()[:2]
        peer = (address.partition("%")[0], str(peer_port))
        record = self.exchanges.peers.get(peer)
        if record is not None and not record.under_way and record.ended_at < now - 2 * INTERVAL:
            del self.exchanges.peers[peer]  # of an earlier connection from the same port
        return AcceptedConnection(fd, inode, peer, client_network(address), self._is_proxy(address), now)

    def _is_proxy(self, address: str) -> bool:
        ip = parse_ip(address)
        return ip is not None and any(ip in network for network in self.proxies)

    def _takes_nothing(self, connection: AcceptedConnection, record: PeerRecord | None, now: float) -> bool:
        """Return whether the client is owed data and has not taken enough of it for `SEND_SECONDS`.

        Owed is what lies in the kernel, and what lies in the server below: an HTTP/2 client that grants no window leaves
        the kernel's buffers empty. The server's share is what responses had minus what the client confirmed, which
        includes headers and is therefore never too much.
        """
        try:
            with _socket(connection.fd) as sock:
                info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
        except OSError:
            return False
        if len(info) < TCP_INFO_SIZE:
            return False
        (unacked,) = struct.unpack_from("=I", info, UNACKED)
        (connection.acked,) = struct.unpack_from("=Q", info, BYTES_ACKED)
        (not_sent,) = struct.unpack_from("=I", info, NOTSENT)
        in_server = record.body_bytes - connection.acked if record is not None else 0
        if not (unacked or not_sent or in_server > 0):
            connection.owing_since = 0.0
        elif not connection.owing_since or connection.acked - connection.acked_before >= SEND_BYTES:
            connection.owing_since, connection.acked_before = now, connection.acked
        return bool(connection.owing_since) and now - connection.owing_since > SEND_SECONDS

    def _forget_peers(self, open_peers: set[Peer], now: float) -> None:
        for peer, record in list(self.exchanges.peers.items()):
            if peer not in open_peers and not record.under_way and record.ended_at < now - 2 * INTERVAL:
                del self.exchanges.peers[peer]


def _seconds_waiting(connection: AcceptedConnection, record: PeerRecord | None, now: float) -> float:
    """Return how long the connection has kept us waiting; 0 while one of its requests is being worked on."""
    if record is None:
        return now - connection.accepted_at
    if record.under_way:
        return min(exchange.seconds_waiting(now) for exchange in record.under_way)
    return now - max(connection.accepted_at, record.ended_at)


def _is_silent(record: PeerRecord | None, waiting: float, factor: float) -> bool:
    """Return whether it has no request under way, and had none for too long. Requests have their own deadlines."""
    if record is None:
        return waiting > FIRST_REQUEST_SECONDS * factor
    return not record.under_way and waiting > IDLE_SECONDS * factor


@contextmanager
def _socket(fd: int) -> Iterator[socket.socket]:
    """Borrow a descriptor that stays open afterwards."""
    sock = socket.socket(fileno=fd)
    try:
        yield sock
    finally:
        sock.detach()
