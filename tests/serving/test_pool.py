"""The pool between ASGI and Django: responses, streams, and a bounded queue."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.http import HttpResponse, StreamingHttpResponse

from regulars.serving.pool import MAX_BODY, Pool

T = TypeVar("T")
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/caf\u00e9",
    "query_string": b"a=1",
    "http_version": "1.1",
    "headers": [(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"x-both", b"1"), (b"x-both", b"2"), (b"x_evil", b"3")],
}


def wsgi(answer):
    """A WSGI application like Django's handler: it returns the response object."""

    def application(environ, start_response):
        response = answer(environ)
        start_response(f"{response.status_code} X", list(response.items()))
        return response

    return application


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run in a separate thread: a browser test of the same process keeps a loop in this one."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, coroutine).result()


async def ask(pool: Pool, *body: bytes) -> list[dict]:
    sent: list[dict] = []
    pieces = list(body or [b""])

    async def receive():
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message):
        sent.append(message)

    await pool(dict(SCOPE), receive, send)
    return sent


def test_django_sees_the_request_as_it_was_sent():
    seen = {}

    def answer(environ):
        seen.update(environ)
        return HttpResponse(environ["wsgi.input"].read())

    sent = run(ask(Pool(wsgi(answer), threads=1), b"hello"))

    assert sent[1]["body"] == b"hello"
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/caf\u00e9"
    assert (seen["HTTP_COOKIE"], seen["HTTP_X_BOTH"], seen["CONTENT_LENGTH"]) == ("a=1; b=2", "1,2", "5")
    assert "HTTP_X_EVIL" not in seen


def test_a_large_body_arrives_whole_and_lies_in_a_file():
    pieces = [bytes([number]) * 100_000 for number in range(4)]
    seen = {}

    def answer(environ):
        seen["file"] = environ["wsgi.input"]
        return HttpResponse(environ["wsgi.input"].read())

    sent = run(ask(Pool(wsgi(answer), threads=1), *pieces))

    assert sent[1]["body"] == b"".join(pieces)
    assert not isinstance(seen["file"], io.BytesIO)
    assert seen["file"].closed


def test_a_body_without_end_is_not_read_to_its_end():
    sent = run(ask(Pool(wsgi(lambda _: HttpResponse("never")), threads=1), b"x" * MAX_BODY, b"x", b"never read"))

    assert sent[0]["status"] == 413


def test_a_stream_goes_out_piece_by_piece():
    sent = run(ask(Pool(wsgi(lambda environ: StreamingHttpResponse(iter([b"one", b"two"]))), threads=1)))

    assert [message.get("body") for message in sent[1:]] == [b"one", b"two", b""]


def test_request_beyond_threads_and_queue_is_refused_at_once():
    release = threading.Event()

    def slow(environ):
        release.wait(10)
        return HttpResponse("done")

    async def crowd():
        pool = Pool(wsgi(slow), threads=1, queue=1)
        waiting = [asyncio.create_task(ask(pool)) for _ in range(3)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        refused = done.pop().result()
        release.set()
        return refused, [(await task)[0]["status"] for task in waiting]

    refused, statuses = run(crowd())

    assert refused[0]["status"] == 503
    assert (b"retry-after", b"1") in refused[0]["headers"]
    assert sorted(statuses) == [200, 200, 503]
