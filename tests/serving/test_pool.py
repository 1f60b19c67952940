"""The pool between ASGI and Django: responses, streams, and a bounded queue."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
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


async def ask(
    pool: Pool,
    *body: bytes,
    query: bytes = b"a=1",
    receive=None,
    before_send=None,
    after_piece=None,
    into=None,
    path=SCOPE["path"],
    method="POST",
) -> list[dict]:
    """Send a request. `before_send` is awaited before each part of the response, `after_piece` is set after each."""
    sent: list[dict] = [] if into is None else into
    pieces = list(body or [b""])

    async def read():
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message):
        if before_send is not None:
            await before_send()
        sent.append(message)
        if after_piece is not None and message.get("body"):
            after_piece.set()

    scope = {**SCOPE, "query_string": query, "path": path, "method": method}
    await pool(scope, receive or read, send)
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

    assert b"".join(message["body"] for message in sent[1:]) == b"".join(pieces)
    assert not isinstance(seen["file"], io.BytesIO)
    assert seen["file"].closed


def test_a_body_without_end_is_not_read_to_its_end():
    sent = run(ask(Pool(wsgi(lambda _: HttpResponse("never")), threads=1), b"x" * MAX_BODY, b"x", b"never read"))

    assert sent[0]["status"] == 413


def test_a_stream_begins_before_its_end_is_written():
    first_is_out = threading.Event()

    def pieces():
        yield b"one"
        assert first_is_out.wait(10)
        yield b"two"

    sent = run(ask(Pool(wsgi(lambda environ: StreamingHttpResponse(pieces())), threads=1), after_piece=first_is_out))

    assert [message.get("body") for message in sent[1:]] == [b"one", b"two", b""]


def test_slow_readers_of_streams_hold_no_thread():
    """Five readers take nothing of 20 MB each, and the one thread answers a sixth request."""
    read_on = asyncio.Event()

    def answer(environ):
        if environ["QUERY_STRING"] == "large":
            return StreamingHttpResponse(bytes([number]) * 1_000_000 for number in range(20))
        return HttpResponse("short")

    async def crowd():
        pool = Pool(wsgi(answer), threads=1)
        slow = [asyncio.create_task(ask(pool, query=b"large", before_send=read_on.wait)) for _ in range(5)]
        short = await asyncio.wait_for(ask(pool), 20)
        pending = [task.done() for task in slow]
        read_on.set()
        return short, pending, [b"".join(part.get("body", b"") for part in await task) for task in slow]

    short, done_before, bodies = run(crowd())

    assert short[1]["body"] == b"short"
    assert done_before == [False] * 5
    assert {len(body) for body in bodies} == {20_000_000}
    assert bodies[0] == b"".join(bytes([number]) * 1_000_000 for number in range(20))


def test_a_stream_that_is_not_read_any_more_stops_its_writer():
    written = []

    def pieces():
        for number in range(1000):
            written.append(number)
            time.sleep(0.01)
            yield b"x" * 1000

    async def cut():
        pool = Pool(wsgi(lambda _: StreamingHttpResponse(pieces())), threads=1)

        async def gone():
            raise TimeoutError

        with pytest.raises(TimeoutError):
            await ask(pool, before_send=gone)
        return await ask(Pool(wsgi(lambda _: HttpResponse("x")), threads=1))

    run(cut())

    assert len(written) < 1000


def test_a_stream_that_fails_is_cut_and_not_completed():
    def pieces():
        yield b"one"
        raise ValueError("broken")

    sent: list[dict] = []
    with pytest.raises(EOFError):
        run(ask(Pool(wsgi(lambda environ: StreamingHttpResponse(pieces())), threads=1), into=sent))

    assert all(message.get("more_body", True) for message in sent)


def test_a_large_page_goes_out_in_pieces_of_the_same_bytes():
    page = bytes(range(256)) * 1000
    sent = run(ask(Pool(wsgi(lambda environ: HttpResponse(page)), threads=1)))

    assert b"".join(message["body"] for message in sent[1:]) == page
    assert [message.get("more_body", False) for message in sent[1:]] == [True, True, True, False]


def test_what_is_no_http_or_ends_early_is_a_bad_request():
    async def hang_up():
        return {"type": "http.disconnect"}

    sent = run(ask(Pool(wsgi(lambda _: HttpResponse("never")), threads=1), receive=hang_up))

    assert sent[0]["status"] == 400


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


def test_a_crowd_that_signs_in_by_password_holds_no_thread_of_others():
    may_end = threading.Event()

    def answer(environ):
        if environ["PATH_INFO"] == "/login" and environ["REQUEST_METHOD"] == "POST":
            assert may_end.wait(60)
        return HttpResponse(environ["PATH_INFO"])

    async def crowd():
        pool = Pool(wsgi(answer), threads=2)
        crowd = [asyncio.create_task(ask(pool, path="/login")) for _ in range(10)]
        page = await asyncio.wait_for(ask(pool, path="/login", method="GET"), 20)
        other = await asyncio.wait_for(ask(pool, path="/authorize"), 20)
        waiting = [task.done() for task in crowd]
        may_end.set()
        return page, other, waiting, [(await task)[1]["body"] for task in crowd]

    page, other, done_before, entered = run(crowd())

    assert (page[1]["body"], other[1]["body"]) == (b"/login", b"/authorize")
    assert done_before == [False] * 10
    assert entered == [b"/login"] * 10
