"""The ASGI root: collector, health checks, static files, and Django for every other path."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

from regulars.interfaces.collector.app import Collector, Receive, Scope, Send
from regulars.interfaces.oidc.query_token import strike_scope

from .connection_watch import ConnectionWatch
from .exchange import Exchanges, peer_of
from .forwarded import apply_forwarded
from .http_messages import answer_json, plain
from .pool import Pool
from .readiness import Readiness
from .static_files import StaticFiles

ALIVE = b'{"status": "alive"}'


class Root:
    """The root ASGI application."""

    def __init__(self) -> None:
        self.collector = Collector()
        self.pool = Pool(WSGIHandler())
        self.readiness = Readiness()
        self.static_files = StaticFiles()
        self.exchanges = Exchanges(settings.REQUESTS_PER_IP)
        self.watch = ConnectionWatch(
            self.exchanges, settings.MAX_CONNECTIONS, settings.CONNECTIONS_PER_IP, settings.TRUSTED_PROXIES
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._exchange(scope, receive, send)
            case "lifespan":
                await self._lifespan(receive, send)
            case _:  # websockets are not supported
                await send({"type": "websocket.close", "code": 1000})

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, within its deadlines and the limit of its client."""
        if scope["path"] == "/healthz":
            await answer_json(send, HTTPStatus.OK, ALIVE)
            return
        strike_scope(scope)
        peer = peer_of(scope)
        scope = apply_forwarded(scope, settings.TRUSTED_PROXIES)
        exchange = self.exchanges.begin(peer, scope, receive, send)
        if exchange is None:
            await plain(send, HTTPStatus.TOO_MANY_REQUESTS, [(b"retry-after", b"1")])
            return
        try:
            await self._answer(scope, exchange.receive, exchange.send)
        except TimeoutError:
            if not exchange.is_late:
                raise
            self.watch.close_peer(peer)  # it does not read: nothing can be said to it
        finally:
            self.exchanges.end(exchange)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if self.collector.takes(path):
            await self.collector(scope, receive, send)
        elif path == "/readyz":
            await answer_json(send, *await self.readiness.answer())
        elif self.static_files.takes(path):
            await self.static_files(scope, send)
        else:
            await self.pool(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        watching: asyncio.Task[None] | None = None
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                watching = asyncio.create_task(self.watch.run())
                await send({"type": "lifespan.startup.complete"})
            else:
                if watching is not None:
                    watching.cancel()
                await self.collector.close()
                self.pool.close()
                self.readiness.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
