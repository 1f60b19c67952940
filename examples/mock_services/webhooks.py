"""A mock service for the company's own system: takes webhooks, keeps the last ones, and shows them."""

from __future__ import annotations

import datetime as dt
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

PAGES = Jinja2Templates(Path(__file__).parent / "templates")
KEPT, MAX_BODY = 200, 1_000_000  # messages, bytes


@dataclass(frozen=True)
class Message:
    at: str
    headers: dict[str, str]
    body: str


def app() -> Starlette:
    """`POST /` receives; `GET /` shows people the newest first; `GET /received` gives programs the same as JSON."""
    received: deque[Message] = deque(maxlen=KEPT)

    async def receive(request: Request) -> Response:
        body = (await request.body())[:MAX_BODY].decode(errors="replace")
        headers = {name: value for name, value in request.headers.items() if name.startswith("webhook-")}
        received.appendleft(Message(dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), headers, body))
        return JSONResponse({"received": True})

    async def show(request: Request) -> Response:
        return PAGES.TemplateResponse(request, "webhooks.html", {"received": list(received)})

    async def as_json(request: Request) -> Response:
        return JSONResponse([{"at": each.at, "headers": each.headers, "body": each.body} for each in received])

    return Starlette(
        routes=[
            Route("/", receive, methods=["POST"]),
            Route("/", show),
            Route("/received", as_json),
        ]
    )
