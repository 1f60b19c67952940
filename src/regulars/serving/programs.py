"""What `regulars start` runs: the web, the worker, in demo mode a shop and stand-ins, and for https a doorkeeper."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import click

from regulars.settings.addresses import Addresses

from .supervise import Program
from .tls import Certificate

EXAMPLES = Path(__file__).parents[3] / "examples"
GRANIAN = ("granian", "--interface", "asgi", "--no-ws", "--log-level", "warning")


@dataclass(frozen=True)
class Server:
    """A program that answers at a port."""

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
) -> list[Program]:
    """With a certificate the servers speak https behind the doorkeeper, who has the ports that people know."""
    workers = ("--workers", os.environ.get("REGULARS_WORKERS", "1"))
    servers = [Server("web", port, ("regulars.serving.asgi:application", *workers), environment)]
    servers += _examples(addresses, environment, certificate) if demo else []
    errand = _python("regulars.cli.__main__", "rules", "modules", "install", "--within", "300")
    inside = [
        Program("worker", _python("regulars.cli.__main__", "worker"), environment),
        Program("modules", errand, environment, errand=True),
    ]
    if certificate is None:
        return [*(_program(server, host, server.port) for server in servers), *inside]
    pairs = list(zip(servers, _free_ports(len(servers)), strict=True))
    shown = ("--ssl-certificate", certificate.chain, "--ssl-keyfile", certificate.key, "--ssl-protocol-min", "tls1.2")
    doors = [f"{server.port}={inner}" for server, inner in pairs]
    return [
        *(_program(server, "127.0.0.1", inner, *map(str, shown)) for server, inner in pairs),
        *inside,
        Program("https", _python("regulars.serving.https_redirector", host, *doors), environment),
    ]


def _examples(addresses: Addresses, environment: dict[str, str], certificate: Certificate | None) -> list[Server]:
    """The shop and the stand-ins, when this is a checkout that has them."""
    if not EXAMPLES.is_dir() or find_spec("starlette") is None:
        click.echo("The example shop is not part of this installation; a checkout of the project has it.", err=True)
        return []
    trust = (
        {name: str(certificate.authority) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")} if certificate else {}
    )
    outside = {
        **{name: value for name, value in environment.items() if not name.startswith(("REGULARS_", "DATABASE_"))},
        **trust,
        "PYTHONPATH": str(EXAMPLES.parent),
        "SHOP_CREDENTIALS": str(Path(environment["REGULARS_HOME"]) / "credentials.json"),
        "SHOP_ISSUER": addresses.regulars + "/",
        "STANDINS_URL": addresses.standins,
        "STANDINS_CALLBACK": addresses.regulars + "/login/callback",
    }
    return [
        Server("shop", addresses.port_of(addresses.shop), ("examples.shop.app:app", "--factory"), outside),
        Server("stand-ins", addresses.port_of(addresses.standins), ("examples.standins.app:app", "--factory"), outside),
    ]


def _program(server: Server, host: str, port: int, *more: str) -> Program:
    target, *options = server.target
    command = _python(*GRANIAN, "--host", host, "--port", str(port), *options, *more, target)
    return Program(server.name, command, server.environment)


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _free_ports(count: int) -> list[int]:
    """Ports that nobody else has now: all are held at the same time, so that none is counted twice."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
