"""The ASGI root: collector, health checks, and Django for every other path."""

from __future__ import annotations

from http import HTTPStatus

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

from regulars.interfaces.collector.app import Collector, Receive, Scope, Send

from .forwarded import apply_forwarded
from .pool import Pool, answer_json
from .readiness import Readiness

ALIVE = b'{"status": "alive"}'


class Root:
    """The root ASGI application."""

    def __init__(self) -> None:
        self.collector = Collector()
        self.pool = Pool(WSGIHandler())
        self.readiness = Readiness()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = apply_forwarded(scope, settings.TRUSTED_PROXIES)
        match scope["type"]:
            case "lifespan":
                await self._lifespan(receive, send)
            case "http" if self.collector.takes(scope["path"]):
                await self.collector(scope, receive, send)
            case "http" if scope["path"] == "/healthz":
                await answer_json(send, HTTPStatus.OK, ALIVE)
            case "http" if scope["path"] == "/readyz":
                await answer_json(send, *await self.readiness.answer())
            case "http":
                await self.pool(scope, receive, send)
            case _:  # websockets are not supported
                await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.collector.close()
                self.pool.close()
                self.readiness.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
