"""Static files and the drawing library of charts, sent from the event loop: no slow reader of them holds a thread."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path

from django.conf import settings
from django.http import HttpResponseNotFound
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

from regulars.insights.vega_bundle import vega_bundle
from regulars.interfaces.collector.app import Scope, Send

from .http_messages import CHUNK, Pairs, plain

CHARTS = "/console/charts.js"  # named by its version in the query, so that a browser may keep it for a year
CHARTS_HEADERS = [
    ("Content-Type", "text/javascript; charset=utf-8"),
    ("Cache-Control", f"public, max-age={365 * 24 * 3600}, immutable"),
]


class StaticFiles:
    """WhiteNoise's list of files, without Django's request and response around it."""

    def __init__(self) -> None:
        self.files: dict[str, StaticFile] = WhiteNoiseMiddleware(lambda _: HttpResponseNotFound()).files
        self.bundling = asyncio.Lock()
        self.security_headers: Pairs = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", settings.SECURE_REFERRER_POLICY.encode()),
        ]

    def takes(self, path: str) -> bool:
        return path in self.files or path == CHARTS

    async def __call__(self, scope: Scope, send: Send) -> None:
        """Answer a path that `takes` accepts."""
        try:
            response = (await self._file_of(scope["path"])).get_response(scope["method"], _wsgi_headers(scope))
        except OSError:  # the disk is full, or the program was replaced while it runs
            await plain(send, HTTPStatus.SERVICE_UNAVAILABLE, [(b"retry-after", b"5")])
            return
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
        if settings.SECURE_HSTS_SECONDS and scope.get("scheme") == "https":
            headers.append((b"strict-transport-security", f"max-age={settings.SECURE_HSTS_SECONDS}".encode()))
        start = {"type": "http.response.start", "status": int(response.status)}
        await send({**start, "headers": headers + self.security_headers})
        if response.file is not None:
            with response.file as file:
                while chunk := file.read(CHUNK):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _file_of(self, path: str) -> StaticFile:
        if path not in self.files:
            async with self.bundling:
                if path not in self.files:
                    made = await asyncio.to_thread(vega_bundle, Path(settings.HOME) / "static")
                    self.files[CHARTS] = StaticFile(str(made), CHARTS_HEADERS)
        return self.files[path]


def _wsgi_headers(scope: Scope) -> dict[str, str]:
    """Return the headers that WhiteNoise looks at, by their names in WSGI."""
    return {
        "HTTP_" + name.decode("latin-1").upper().replace("-", "_"): value.decode("latin-1")
        for name, value in scope["headers"]
    }
