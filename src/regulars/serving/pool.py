"""Django's WSGI handler in a bounded thread pool behind ASGI.

Synchronous views under Django's own ASGI handler run at a sixth of the speed. The pool has a fixed number of threads and
a short queue: beyond it a request gets 503 at once instead of waiting.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Any, Self, cast

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Pairs = list[tuple[bytes, bytes]]

THREADS = int(os.environ.get("REGULARS_THREADS", "8"))
QUEUE = 128  # requests waiting for a thread
MAX_BODY = 10 * 1024 * 1024  # bytes; interfaces have smaller limits of their own
IN_MEMORY = 256 * 1024  # bytes of a body before it goes to a temporary file

log = logging.getLogger("regulars.serving")


class Pool:
    """`THREADS` threads that run a WSGI application."""

    def __init__(self, wsgi: Callable[..., Any], threads: int = THREADS, queue: int = QUEUE) -> None:
        self.wsgi = wsgi
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="django")
        self.limit = threads + queue
        self.active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        with RequestBody() as body:
            match await _read(receive, body):
                case None:
                    return
                case int(length) if length > MAX_BODY:
                    await _plain(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                    return
                case int(length):
                    environ = _environ(scope, body.file, length)
            loop = asyncio.get_running_loop()
            await self._in_thread(lambda: _Exchange(loop, send).run(self.wsgi, environ), send)

    def close(self) -> None:
        self.executor.shutdown(wait=True, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], tuple[int, Pairs, bytes] | None], send: Send) -> None:
        if self.active >= self.limit:
            await _plain(send, HTTPStatus.SERVICE_UNAVAILABLE, [(b"retry-after", b"1")])
            return
        self.active += 1
        try:
            whole = await asyncio.get_running_loop().run_in_executor(self.executor, work)
        finally:
            self.active -= 1
        if whole is not None:
            await _respond(send, *whole)


class RequestBody:
    """A request body: in memory, or in a temporary file once it exceeds `IN_MEMORY`.

    Python's `SpooledTemporaryFile` does the same, but takes longer to create than most requests to read.
    """

    def __init__(self) -> None:
        self.file: IO[bytes] = BytesIO()
        self.length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, piece: bytes) -> None:
        if self.length <= IN_MEMORY < self.length + len(piece):
            small, self.file = self.file, TemporaryFile()  # noqa: SIM115 - closed with the body
            self.file.write(cast("BytesIO", small).getvalue())
        self.file.write(piece)
        self.length += len(piece)


class _Exchange:
    """One request in its thread. `run` returns a short response whole and sends a stream as fast as it is read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send) -> None:
        self.loop = loop
        self.send = send
        self.status = 0
        self.headers: Pairs = []

    def run(self, wsgi: Callable[..., Any], environ: dict[str, Any]) -> tuple[int, Pairs, bytes] | None:
        response = wsgi(environ, self.start)
        try:
            if not getattr(response, "streaming", True):
                return self.status, self.headers, b"".join(response)
            self._stream(response)
            return None
        finally:
            if hasattr(response, "close"):
                response.close()

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    def _stream(self, chunks: Iterable[bytes]) -> None:
        self._send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        for chunk in chunks:
            self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._send({"type": "http.response.body", "body": b""})

    def _send(self, message: MutableMapping[str, Any]) -> None:
        """Wait until the message is sent, so that a slow reader slows the writer instead of filling memory."""

        async def send() -> None:
            await self.send(message)

        asyncio.run_coroutine_threadsafe(send(), self.loop).result()


async def _read(receive: Receive, body: RequestBody) -> int | None:
    """Read the body. Returns its length (more than `MAX_BODY` when cut short), or None when the client disconnected."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        piece = message.get("body", b"")
        if body.length + len(piece) > MAX_BODY:
            return body.length + len(piece)
        body.write(piece)
        if not message.get("more_body"):
            body.file.seek(0)
            return body.length


def _environ(scope: Scope, body: IO[bytes], length: int) -> dict[str, Any]:
    """Translate an ASGI scope to a WSGI environ (PEP 3333)."""
    server = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "CONTENT_LENGTH": str(length),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name or name == "content-length":
            continue  # `x_y` and `x-y` would become one; the length is what was read
        key = "CONTENT_TYPE" if name == "content-type" else "HTTP_" + name.upper().replace("-", "_")
        joiner = "; " if name == "cookie" else ","
        environ[key] = f"{environ[key]}{joiner}{value}" if key in environ else value
    return environ


async def _respond(send: Send, status: int, headers: Pairs, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answer_json(send: Send, status: HTTPStatus, body: bytes) -> None:
    """Answer outside the pool: nothing that Django's threads do delays this."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await _respond(send, status, headers, body)


async def _plain(send: Send, status: HTTPStatus, extra: Pairs | None = None) -> None:
    log.warning("answered %s %s", status.value, status.phrase)
    body = f"{status.value} {status.phrase}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await _respond(send, status, headers + (extra or []), body)
