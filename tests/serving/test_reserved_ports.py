"""A port that `regulars start --https` reserved for a server is that server's alone, also while it is restarted."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack, closing

import pytest
from granian.net import SocketSpec

from regulars.serving.programs import reserve_port


def serve_once(port: int) -> None:
    """Listen as granian does, and take one connection."""
    with closing(socket.socket(fileno=SocketSpec("127.0.0.1", port, 16).build().get_fd())) as server:
        server.listen(1)
        with socket.create_connection(("127.0.0.1", port), 10), server.accept()[0]:
            pass


def test_server_listens_at_its_port_again_and_others_cannot():
    with ExitStack() as held:
        port = reserve_port(held)
        for _ in range(2):
            serve_once(port)
            with socket.socket() as other, pytest.raises(OSError) as raised:
                other.bind(("127.0.0.1", port))
            assert raised.value.errno == errno.EADDRINUSE

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))


def test_ports_of_several_servers_differ():
    with ExitStack() as held:
        assert len({reserve_port(held) for _ in range(50)}) == 50
