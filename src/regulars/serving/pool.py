"""Django's WSGI handler in a bounded thread pool behind ASGI.

Synchronous views under Django's own ASGI handler run at a sixth of the speed. The pool has a fixed number of threads and
a short queue: beyond it a request gets 503 at once instead of waiting. A thread never waits for a client: bodies are
read before it is taken, and responses are sent after it is given back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from typing import IO, Any

from regulars.interfaces.collector.app import Receive, Scope, Send
from regulars.interfaces.oidc.query_token import META

from .encoded_slashes import ENCODED, path_for_wsgi
from .http_messages import CHUNK, Pairs, plain, respond
from .spool import ReaderGoneError, ResponseSpool, Spool

WholeResponse = tuple[int, Pairs, bytes]

THREADS = int(os.environ.get("REGULARS_THREADS", "8"))
# Forms whose answer waits for the hash of a password, which takes a tenth of a second of every core. They have threads of
# their own: a crowd that signs in would hold all the others, and apps wait for those at /authorize and /oauth/token.
HASHING = frozenset(("/login", "/signup", "/co/authenticate", "/dbconnections/signup", "/console/login"))
HASHING_THREADS = 4
QUEUE = 128  # requests waiting for a thread
MAX_BODY = 10 * 1024 * 1024  # bytes; interfaces have smaller limits of their own
CLOSE: Pairs = [(b"connection", b"close")]

log = logging.getLogger("regulars.serving")


class Pool:
    """`THREADS` threads that run a WSGI application, and `HASHING_THREADS` for the forms of `HASHING`."""

    def __init__(self, wsgi: Callable[..., Any], threads: int = THREADS, queue: int = QUEUE) -> None:
        self.wsgi = wsgi
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="django")
        self.hashing = ThreadPoolExecutor(min(threads, HASHING_THREADS), thread_name_prefix="django-passwords")
        self.limit = threads + queue
        self.active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        with Spool() as body:
            try:
                length = await _read(receive, body)
            except TimeoutError:
                await plain(send, HTTPStatus.REQUEST_TIMEOUT, CLOSE)
                return
            match length:
                case None:
                    await plain(send, HTTPStatus.BAD_REQUEST, CLOSE)
                    return
                case int(length) if length > MAX_BODY:
                    await plain(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                    return
                case int(length):
                    environ = _environ(scope, body.file, length)
            loop = asyncio.get_running_loop()
            executor = self.hashing if scope["method"] == "POST" and scope["path"] in HASHING else self.executor
            await self._in_thread(executor, lambda: WsgiCall(loop, send).run(self.wsgi, environ), send)

    def close(self) -> None:
        for executor in (self.executor, self.hashing):
            executor.shutdown(wait=True, cancel_futures=True)

    async def _in_thread(
        self, executor: ThreadPoolExecutor, work: Callable[[], WholeResponse | Future[None]], send: Send
    ) -> None:
        if self.active >= self.limit:
            await plain(send, HTTPStatus.SERVICE_UNAVAILABLE, [(b"retry-after", b"1")])
            return
        self.active += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(executor, work)
        finally:
            self.active -= 1
        if isinstance(answer, Future):
            await asyncio.wrap_future(answer)
        else:
            await respond(send, *answer)


class WsgiCall:
    """One request in its thread. `run` returns a short response whole, and a stream as the task that sends it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send) -> None:
        self.loop = loop
        self.send = send
        self.status = 0
        self.headers: Pairs = []

    def run(self, wsgi: Callable[..., Any], environ: dict[str, Any]) -> WholeResponse | Future[None]:
        response = wsgi(environ, self.start)
        try:
            if not getattr(response, "streaming", True):
                return self.status, self.headers, b"".join(response)
            return self._stream(response)
        finally:
            if hasattr(response, "close"):
                response.close()

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    def _stream(self, chunks: Iterable[bytes]) -> Future[None]:
        """Write the stream at the speed of this thread, and let the loop send it at the client's."""
        spool = ResponseSpool(self.loop)
        sending = asyncio.run_coroutine_threadsafe(self._send_stream(spool), self.loop)
        failed = True
        try:
            for chunk in chunks:
                spool.write(chunk)
            failed = False
        except ReaderGoneError:
            pass
        except Exception:
            log.exception("a streamed response ended early")
        finally:
            spool.end(failed=failed)
        return sending

    async def _send_stream(self, spool: ResponseSpool) -> None:
        try:
            await self.send({"type": "http.response.start", "status": self.status, "headers": self.headers})
            while chunk := await spool.read(CHUNK):
                await self.send({"type": "http.response.body", "body": chunk, "more_body": True})
            await self.send({"type": "http.response.body", "body": b""})
        finally:
            spool.close()


async def _read(receive: Receive, body: Spool) -> int | None:
    """Read the body. Returns its length, more than `MAX_BODY` when cut short.

    None: the client hung up, or what it sends is no HTTP (a chunk extension of 70 kB); the server below tells no difference.
    """
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
    path, is_encoded = path_for_wsgi(scope)
    server = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
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
    if META in scope:
        environ[META] = scope[META]
    if is_encoded:
        environ[ENCODED] = True
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name or name == "content-length":
            continue  # `x_y` and `x-y` would become one; the length is what was read
        key = "CONTENT_TYPE" if name == "content-type" else "HTTP_" + name.upper().replace("-", "_")
        joiner = "; " if name == "cookie" else ","
        environ[key] = f"{environ[key]}{joiner}{value}" if key in environ else value
    return environ
