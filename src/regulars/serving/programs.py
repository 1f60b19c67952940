"""Programs of `regulars start`: web, worker, the demo's shop and mock services, and the HTTPS redirector."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import click

from regulars.base.addresses import Addresses
from regulars.base.connection_limits import MAX_CONNECTIONS, PER_IP

from .supervise import Program
from .tls import Certificate

EXAMPLES = Path(__file__).parents[3] / "examples"
GRANIAN = ("granian", "--interface", "asgi", "--no-ws", "--log-level", "warning")
OTHER_FILES = 512  # descriptors of a process beside those of connections
BACKLOG = 2048
HTTP2_STREAMS = 32  # of one connection: a browser that is idle in all of them pins one buffer each


@dataclass(frozen=True)
class AppServer:
    """An ASGI application and its port."""

    name: str
    port: int
    target: tuple[str, ...]
    environment: Mapping[str, str]


def programs(
    addresses: Addresses,
    environment: dict[str, str],
    host: str,
    port: int,
    *,
    demo: bool,
    certificate: Certificate | None,
    held: ExitStack,
) -> list[Program]:
    """List the programs. With a certificate the servers speak https behind the redirector, which has the public ports.

    The ports behind it are reserved until `held` is closed: after the programs ended.
    """
    workers = ("--workers", os.environ.get("REGULARS_WORKERS", "1"))
    places = _places()
    environment = {**environment, "REGULARS_MAX_CONNECTIONS": str(places)}
    if certificate is not None:  # every connection is one of the redirector, which has a limit of its own
        environment = {**environment, "REGULARS_CONNECTIONS_PER_IP": "0", "REGULARS_REQUESTS_PER_IP": "0"}
    target = ("regulars.serving.asgi:application", *workers, *_connection_options(places))
    servers = [AppServer("web", port, target, environment)]
    servers += _examples(addresses, environment, certificate) if demo else []
    install = _python("regulars.cli.__main__", "rules", "modules", "install", "--within", "300")
    others = [
        Program("worker", _python("regulars.cli.__main__", "worker"), environment, renewed_by=signal.SIGTERM),
        Program("modules", install, environment, once=True),
    ]
    if certificate is None:
        return [*(_program(server, host, server.port) for server in servers), *others]
    pairs = [(server, reserve_port(held)) for server in servers]
    tls = ("--ssl-certificate", certificate.chain, "--ssl-keyfile", certificate.key, "--ssl-protocol-min", "tls1.2")
    ports = [f"{server.port}={inner}" for server, inner in pairs]
    per_ip = os.environ.get("REGULARS_CONNECTIONS_PER_IP") or str(PER_IP)
    return [
        *(_program(server, "127.0.0.1", inner, *map(str, tls)) for server, inner in pairs),
        *others,
        Program("https", _python("regulars.serving.https_redirector", host, per_ip, *ports), environment),
    ]


def reserve_port(held: ExitStack) -> int:
    """Reserve a free port of 127.0.0.1 for granian, which sets SO_REUSEADDR and SO_REUSEPORT and so may listen at it.

    It is bound and never listened at, so it is given to no other program that asks for any port, also while its server
    is restarted.
    """
    held.enter_context(bound := socket.socket())
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform == "darwin":  # there SO_REUSEADDR is not enough
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", 0))
    return int(bound.getsockname()[1])


def _places() -> int:
    """Return how many connections a web process holds, and raise the limit of descriptors, which it inherits, to that."""
    places = int(os.environ.get("REGULARS_MAX_CONNECTIONS") or 0) or MAX_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        places = max(1, min(places, hard - OTHER_FILES))
    if soft != resource.RLIM_INFINITY and soft < places + OTHER_FILES:
        wanted = places + OTHER_FILES
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
    return places


def _connection_options(places: int) -> tuple[str, ...]:
    """Return granian's options for connections. What it has no option for is in `connection_watch`.

    `backpressure` is how many connections a process holds; further ones wait in the kernel's `backlog`.
    """
    return (
        "--backpressure", str(places),
        "--backlog", str(BACKLOG),
        "--http2-max-concurrent-streams", str(HTTP2_STREAMS),
    )  # fmt: skip


def _examples(addresses: Addresses, environment: dict[str, str], certificate: Certificate | None) -> list[AppServer]:
    """Return the shop and the mock services; none when this installation has no examples."""
    if not EXAMPLES.is_dir() or find_spec("starlette") is None:
        click.echo("The example shop is not part of this installation; a checkout of the project has it.", err=True)
        return []
    trust = (
        {name: str(certificate.authority) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")} if certificate else {}
    )
    example_environment = {
        **{name: value for name, value in environment.items() if not name.startswith(("REGULARS_", "DATABASE_"))},
        **trust,
        "PYTHONPATH": str(EXAMPLES.parent),
        "SHOP_CREDENTIALS": str(Path(environment["REGULARS_HOME"]) / "credentials.json"),
        "SHOP_ISSUER": addresses.regulars + "/",
        "MOCK_SERVICES_URL": addresses.mock_services,
        "MOCK_SERVICES_CALLBACK": addresses.regulars + "/login/callback",
    }
    return [
        AppServer(
            "shop", addresses.port_of(addresses.shop), ("examples.shop.app:app", "--factory"), example_environment
        ),
        AppServer(
            "mock services",
            addresses.port_of(addresses.mock_services),
            ("examples.mock_services.app:app", "--factory"),
            example_environment,
        ),
    ]


def _program(server: AppServer, host: str, port: int, *more: str) -> Program:
    target, *options = server.target
    command = _python(*GRANIAN, "--host", host, "--port", str(port), *options, *more, target)
    return Program(server.name, command, server.environment, renewed_by=signal.SIGHUP)


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]
