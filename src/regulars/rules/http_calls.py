"""HTTP requests of rules: through the guarded client, in threads, while the sandbox waits.

A request is untrusted JSON, `{"method", "url", "headers", "text" | "base64", "redirects", "timeout"}` (timeout in
milliseconds, 0: none of its own). The answer is `{"value": {"status", "headers", "text" | "base64", "url"}}` or
`{"error": {"message", "code"}}` with Node's code.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import httpx2
from django.conf import settings

from regulars.base import http
from regulars.base.errors import DomainError
from regulars.base.text import JsonObject

from .circuit_breaker import is_open, record_answer, record_timeout

MAX_BODY = 256 * 1024
MAX_ANSWER = 700_000
MAX_SECONDS = 10.0
MAX_REDIRECTS = 10
THREADS = 32
_CODES = {"timed_out": "ETIMEDOUT", "unreachable": "ECONNREFUSED", "too_many_redirects": "EMAXREDIRECTS"}

Request = JsonObject
Answer = JsonObject
Perform = Callable[[Request, float], Answer]  # request and seconds left → answer


def perform(request: Request, seconds: float) -> Answer:
    """Perform one request of a rule. Never raises for a bad request or response."""
    try:
        own = float(request.get("timeout") or 0) / 1000
        answer = _send(request, max(0.05, min(filter(None, [own, seconds, MAX_SECONDS]))))
    except DomainError as refused:
        return {"error": {"message": refused.message, "code": _CODES.get(refused.code, f"E{refused.code.upper()}")}}
    except (KeyError, TypeError, ValueError, UnicodeError):
        return {"error": {"message": "The request is not valid.", "code": "EBAD_REQUEST"}}
    try:
        content = {"text": answer.body.decode()}
    except UnicodeDecodeError:
        content = {"base64": base64.b64encode(answer.body).decode()}
    return {"value": {"status": answer.status, "headers": answer.headers, "url": answer.url, **content}}


def _send(request: Request, timeout: float) -> http.Response:
    """Send the request unless the circuit is open. Raises `DomainError`, or `ValueError` and the like for bad input."""
    try:
        url = httpx2.URL(str(request["url"]))
    except httpx2.InvalidURL:
        raise http.RequestRefused("bad_url", "The address is not a web address.") from None
    given = {str(name): str(value) for name, value in dict(request.get("headers") or {}).items()}
    headers = {name: value for name, value in given.items() if name.lower() not in http.CONNECTION_HEADERS}
    if url.userinfo and not any(name.lower() == "authorization" for name in headers):
        # older services take Basic authentication from `https://key:secret@host/`
        pair = f"{url.username}:{url.password}".encode()
        headers = {"authorization": "Basic " + base64.b64encode(pair).decode(), **headers}
    service = f"{url.host}:{url.port or url.scheme}"
    if is_open(service):
        raise http.RequestFailed(
            "timed_out", f"{url.host} did not answer several times; requests are suspended for a moment."
        )
    try:
        body = base64.b64decode(request["base64"]) if "base64" in request else None
        body = str(request["text"]).encode("utf-8", "replace") if "text" in request else body
        if body is not None and len(body) > MAX_BODY:
            raise http.RequestRefused("too_large", f"A rule sends at most {MAX_BODY} bytes.")
        answer = http.request(
            str(request["method"]),
            str(url.copy_with(userinfo=b"")),
            headers=headers,
            content=body,
            timeout=timeout,
            max_bytes=MAX_ANSWER,
            redirects=min(int(request.get("redirects") or 0), MAX_REDIRECTS),
            hosts=settings.RULE_HOSTS or None,
        )
    except http.RequestFailed as fault:
        if fault.code == "timed_out":
            record_timeout(service, timeout)
        raise
    record_answer(service)
    return answer


def refusal(code: str, message: str) -> Answer:
    """Return the answer to a request that is not sent, with a code that the rule reads as Node's."""
    return {"error": {"message": message, "code": code}}


def submit(perform: Perform, request: Request, seconds: float) -> Future[Answer]:
    """Perform a request in a thread of this process; threads do not survive a fork."""
    with _lock:
        if os.getpid() not in _pools:
            _pools.clear()
            _pools[os.getpid()] = ThreadPoolExecutor(THREADS, thread_name_prefix="rules-http")
        pool = _pools[os.getpid()]
    return pool.submit(perform, request, seconds)


_lock = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}
