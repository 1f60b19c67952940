"""The common part of the mock partners: each call is recorded, and shown as a page and as JSON."""

from __future__ import annotations

import datetime as dt
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

PAGES = Jinja2Templates(Path(__file__).parent / "templates")
KEPT, MAX_BODY = 200, 1_000_000  # calls, bytes
WRONG = "wrong"  # a key or token with this in it is refused everywhere
TELLING = ("authorization", "content-type", "revision", "reporting-key")


@dataclass(frozen=True)
class Received:
    at: str
    partner: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any  # JSON, or text
    status: int


CALLS: deque[Received] = deque(maxlen=KEPT)
Answer = Callable[[Request, Any], Response]


def partner(name: str, *routes: tuple[str, str, Answer]) -> Starlette:
    """An app of (method, path, answer) whose calls are remembered under `name`. `answer(request, body)` decides."""
    return Starlette(
        routes=[Route(path, _remembering(name, answer), methods=[method]) for method, path, answer in routes]
    )


def pages() -> Starlette:
    """`GET /` shows people the newest calls first; `GET /calls?partner=…` gives programs the same, oldest first."""
    return Starlette(routes=[Route("/", _show), Route("/calls", _as_json)])


def _remembering(name: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def take(request: Request) -> Response:
        body = _read((await request.body())[:MAX_BODY], request.headers.get("content-type", ""))
        reply = answer(request, body)
        headers = {key: value for key, value in request.headers.items() if key in TELLING}
        at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        query, path = dict(request.query_params), request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        CALLS.append(Received(at, name, request.method, path, query, headers, body, reply.status_code))
        return reply

    return take


def _read(raw: bytes, content_type: str) -> Any:
    if "json" not in content_type:
        return raw.decode(errors="replace")
    try:
        return json.loads(raw or b"null")
    except ValueError:
        return None


async def _show(request: Request) -> Response:
    calls = [(call, json.dumps(call.body, indent=2, ensure_ascii=False)) for call in reversed(CALLS)]
    return PAGES.TemplateResponse(request, "calls.html", {"calls": calls})


async def _as_json(request: Request) -> Response:
    wanted = request.query_params.get("partner")
    return JSONResponse([asdict(call) for call in CALLS if wanted in (None, call.partner)])


def problem(code: int, /, **fields: Any) -> Response:
    return JSONResponse(fields, code)


def text(status: int, body: str, **headers: str) -> Response:
    return PlainTextResponse(body, status, headers={name.replace("_", "-"): value for name, value in headers.items()})
