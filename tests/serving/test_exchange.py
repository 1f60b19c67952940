"""Deadlines of one request for what its client must do, and the limit of requests under way of one client."""

from __future__ import annotations

import asyncio
import time

import pytest
from django.http import HttpResponse
from tests.serving.test_pool import run, wsgi

from regulars.base.client_network import client_network
from regulars.serving import connection_watch, exchange
from regulars.serving.exchange import Exchanges
from regulars.serving.pool import Pool
from regulars.serving.root import Root


@pytest.fixture(autouse=True)
def _short_deadlines(monkeypatch):
    monkeypatch.setattr(exchange, "WAIT_SECONDS", 0.6)
    monkeypatch.setattr(exchange, "WHOLE_SECONDS", 0.6)
    monkeypatch.setattr(connection_watch, "INTERVAL", 0.05)


def scope_of(path: str = "/console/login", ip: str = "203.0.113.1", method: str = "POST") -> dict:
    headers = [(b"host", b"localhost")]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
        "client": (ip, "4711"),
    }


async def never():
    await asyncio.Event().wait()


async def drip():
    """One byte now and then: no single wait is long, the whole is."""
    await asyncio.sleep(0.2)
    return {"type": "http.request", "body": b"x", "more_body": True}


class Server:
    """A root whose Django is one function, watched as in a server."""

    def __init__(self, answer=lambda _: HttpResponse("done")) -> None:
        self.root = Root()
        self.root.pool = Pool(wsgi(answer), threads=1)
        self.sent: list[dict] = []

    async def __aenter__(self):
        self.watching = asyncio.create_task(self.root.watch.run())
        return self

    async def __aexit__(self, *_):
        self.watching.cancel()

    async def ask(self, receive, send=None, **scope):
        async def keep(message):
            self.sent.append(message)

        await asyncio.wait_for(self.root(scope_of(**scope), receive, send or keep), 10)

    @property
    def status(self) -> int:
        return next(message["status"] for message in self.sent if "status" in message)


@pytest.mark.parametrize("path", ["/console/login", "/v1/batch"])
@pytest.mark.parametrize("receive", [never, drip])
def test_a_body_that_does_not_arrive_is_answered_408_in_the_end(receive, path):
    async def ask():
        async with Server() as server:
            await server.ask(receive, path=path)
            assert not server.root.exchanges.under_way
            assert not server.root.exchanges.by_ip
            return server.status

    assert run(ask()) == 408


async def no_body():
    return {"type": "http.request", "body": b"", "more_body": False}


@pytest.mark.parametrize("path", ["/console/login", "/static/console/charts.js"])
def test_a_response_that_is_not_read_ends_and_its_connection_is_closed(monkeypatch, path):
    closed = []
    page = b"x" * 500_000

    async def take_nothing(message):
        if message.get("more_body"):
            await never()

    async def ask():
        async with Server(lambda _: HttpResponse(page)) as server:
            monkeypatch.setattr(server.root.watch, "close_peer", closed.append)
            await server.ask(no_body, take_nothing, path=path, method="GET")

    run(ask())

    assert closed == [("203.0.113.1", "4711")]


def test_time_that_django_takes_counts_for_nothing():
    def slow(environ):
        time.sleep(1.5)
        return HttpResponse("done")

    async def ask():
        async with Server(slow) as server:
            await server.ask(no_body)
            return server.status

    assert run(ask()) == 200


def test_a_slow_but_steady_client_is_served(monkeypatch):
    monkeypatch.setattr(exchange, "BYTES_PER_SECOND", 1000)
    pieces = [b"x" * 500] * 8

    async def steady():
        await asyncio.sleep(0.2)
        return {"type": "http.request", "body": pieces.pop(), "more_body": bool(pieces)}

    async def ask():
        async with Server() as server:
            await server.ask(steady)
            return server.status

    assert run(ask()) == 200


def test_a_client_at_its_limit_must_wait_and_others_are_not(monkeypatch):
    monkeypatch.setattr(exchange, "YIELD_SECONDS", 5.0)

    async def ask():
        async with Server() as server:
            server.root.exchanges.per_ip = 3
            slow = [asyncio.create_task(server.ask(never)) for _ in range(3)]
            await asyncio.sleep(0.1)
            await server.ask(no_body)
            same = server.sent.copy()
            server.sent.clear()
            await server.ask(no_body, ip="203.0.113.2")
            other = server.status
            await asyncio.gather(*slow)
            return same, other

    same, other = run(ask())

    assert same[0]["status"] == 429
    assert (b"retry-after", b"1") in same[0]["headers"]
    assert other == 200


def test_at_the_limit_a_slow_request_gives_its_place_to_another_of_the_same_client(monkeypatch):
    monkeypatch.setattr(exchange, "YIELD_SECONDS", 0.1)
    monkeypatch.setattr(exchange, "WAIT_SECONDS", 5.0)
    monkeypatch.setattr(exchange, "WHOLE_SECONDS", 5.0)

    async def ask():
        async with Server() as server:
            server.root.exchanges.per_ip = 3
            slow = [asyncio.create_task(server.ask(never)) for _ in range(3)]
            await asyncio.sleep(0.3)
            await server.ask(no_body)
            statuses = sorted(message["status"] for message in server.sent if "status" in message)
            for task in slow:
                task.cancel()
            return statuses

    assert run(ask()) == [200, 408]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.1", "203.0.113.1", True),
        ("203.0.113.1", "203.0.113.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_addresses_of_one_ipv6_network_are_one_client(one, other, same):
    assert (client_network(one) == client_network(other)) is same


def test_registers_are_empty_after_cancelled_requests():
    async def cut():
        root = Root()
        tasks = [asyncio.create_task(root(scope_of(), never, never)) for _ in range(3)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        return len(results), root.exchanges

    count, exchanges = run(cut())

    assert count == 3
    assert isinstance(exchanges, Exchanges)
    assert not exchanges.under_way
    assert not exchanges.by_ip
