"""What rules ask of the world: HTTP through the guard, in threads, while the sandbox stands still.

A request is JSON from a stranger, `{"method", "url", "headers", "text" | "base64", "redirects", "timeout"}` (timeout in
milliseconds, 0: none of its own). The answer is `{"value": {"status", "headers", "text" | "base64", "url"}}` or
`{"error": {"message", "code"}}` with Node's code.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx2
from django.conf import settings

from regulars.base import http
from regulars.base.errors import DomainError

from .circuit_breaker import is_left_alone, note_answer, note_silence

MAX_BODY = 256 * 1024
MAX_ANSWER = 700_000
MAX_SECONDS = 10.0
MAX_REDIRECTS = 10
THREADS = 32
_CODES = {"timed_out": "ETIMEDOUT", "unreachable": "ECONNREFUSED", "too_many_redirects": "EMAXREDIRECTS"}

Request = dict[str, Any]
Answer = dict[str, Any]
Perform = Callable[[Request, float], Answer]  # the second is how many seconds are left


def perform(request: Request, seconds: float) -> Answer:
    """One request of a rule. Never raises for what a rule asked or a server answered."""
    try:
        answer = _asked(request, _patience(request, seconds))
    except DomainError as refused:
        return {"error": {"message": refused.message, "code": _CODES.get(refused.code, f"E{refused.code.upper()}")}}
    except (KeyError, TypeError, ValueError, UnicodeError):
        return {"error": {"message": "The request is not one.", "code": "EBAD_REQUEST"}}
    return {"value": {"status": answer.status, "headers": answer.headers, "url": answer.url, **_text_of(answer.body)}}


def _asked(request: Request, patience: float) -> http.Response:
    """Ask it, unless it was silent too often just now. Raises `DomainError`, and what a request that is none raises."""
    url, headers = _without_password(str(request["url"])), _headers(request)
    service = f"{url.host}:{url.port or url.scheme}"
    if is_left_alone(service):
        raise http.RequestFailed(
            "timed_out", f"{url.host} did not answer several times: it is left alone for a moment."
        )
    try:
        answer = http.request(
            str(request["method"]),
            str(url.copy_with(userinfo=b"")),
            headers={**_password(url, headers), **headers},
            content=_body(request),
            timeout=patience,
            max_bytes=MAX_ANSWER,
            redirects=min(int(request.get("redirects") or 0), MAX_REDIRECTS),
            hosts=settings.RULE_HOSTS or None,
        )
    except http.RequestFailed as fault:
        if fault.code == "timed_out":
            note_silence(service, patience)
        raise
    note_answer(service)
    return answer


def submit(perform: Perform, request: Request, seconds: float) -> Future[Answer]:
    """The same, in a thread."""
    return _pool().submit(perform, request, seconds)


def _without_password(text: str) -> httpx2.URL:
    try:
        return httpx2.URL(text)
    except httpx2.InvalidURL:
        raise http.RequestRefused("bad_url", "The address is not a web address.") from None


def _password(url: httpx2.URL, headers: dict[str, str]) -> dict[str, str]:
    """`https://key:secret@host/` is how older services want to be called."""
    if not url.userinfo or any(name.lower() == "authorization" for name in headers):
        return {}
    pair = f"{url.username}:{url.password}".encode()
    return {"authorization": "Basic " + base64.b64encode(pair).decode()}


def _headers(request: Request) -> dict[str, str]:
    """Those that the connection decides itself are left out: rules set a length, and need not."""
    given = {str(name): str(value) for name, value in dict(request.get("headers") or {}).items()}
    return {name: value for name, value in given.items() if name.lower() not in http.CONNECTION_HEADERS}


def _body(request: Request) -> bytes | None:
    body = base64.b64decode(request["base64"]) if "base64" in request else None
    body = str(request["text"]).encode("utf-8", "replace") if "text" in request else body
    if body is not None and len(body) > MAX_BODY:
        raise http.RequestRefused("too_large", f"A rule sends at most {MAX_BODY} bytes.")
    return body


def _patience(request: Request, seconds: float) -> float:
    own = float(request.get("timeout") or 0) / 1000
    return max(0.05, min(filter(None, [own, seconds, MAX_SECONDS])))


def _text_of(body: bytes) -> dict[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


_lock = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}


def _pool() -> ThreadPoolExecutor:
    """This process's threads: they do not survive a fork."""
    with _lock:
        if os.getpid() not in _pools:
            _pools.clear()
            _pools[os.getpid()] = ThreadPoolExecutor(THREADS, thread_name_prefix="rules-http")
        return _pools[os.getpid()]
