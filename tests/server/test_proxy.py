"""The real server behind a proxy: client address, scheme and host name."""

from __future__ import annotations

import re
import select
import socket
import time

import httpx2
import pytest
from tests.live import own_database, regulars

pytestmark = [pytest.mark.server, pytest.mark.any_database]

PUBLIC = "https://shop.example"
PROXY = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@pytest.fixture(scope="module", params=["1", "0"], ids=["trusted", "not trusted"])
def behind(request, tmp_path_factory):
    # Where the proxy is not trusted, all connections are of one IP, whose limit would close some beside that of requests.
    limits = {} if request.param == "1" else {"REGULARS_CONNECTIONS_PER_IP": "0"}
    with (
        own_database() as database_url,
        regulars(
            tmp_path_factory.mktemp("home"),
            "--no-demo",
            database_url=database_url,
            REGULARS_URL=PUBLIC,
            REGULARS_TRUST_PROXY=request.param,
            **limits,
        ) as running,
    ):
        yield running, request.param == "1"


def ask(live, path: str, **headers: str) -> httpx2.Response:
    return live.get(path, headers={**PROXY, **headers})


def guesses(live, visitor: str, people: range) -> list[int]:
    """Post a wrong console password for each person, from the address `visitor` that the proxy forwards."""
    page = ask(live, "/console/login")
    cookie = page.headers["set-cookie"].partition(";")[0]
    headers = {**PROXY, "X-Forwarded-For": visitor, "Cookie": cookie, "Referer": f"{PUBLIC}/console/login"}
    form = {"password": "wrong", "csrfmiddlewaretoken": TOKEN.search(page.text)[1]}
    fill_settings = [{**form, "email": f"{number}@shop.example"} for number in people]
    return [live.post("/console/login", data=each, headers=headers).status_code for each in fill_settings]


def test_a_name_that_only_the_proxy_knows_is_answered_when_the_proxy_is_trusted(behind):
    live, trusted = behind
    answer = ask(live, "/console/login", Host="inner.example")

    assert answer.status_code == (200 if trusted else 400)


def test_client_cannot_choose_the_host_name(behind):
    live, trusted = behind
    answer = ask(live, "/console/login", **{"X-Forwarded-Host": "evil.example"})

    assert answer.status_code == (400 if trusted else 200)


def test_hsts_is_sent_when_the_proxy_forwards_https(behind):
    live, trusted = behind
    answer = ask(live, "/console/login")

    assert ("strict-transport-security" in answer.headers) is trusted


def test_cookies_take_the_prefix_that_binds_them_to_this_host_and_https(behind):
    live, _ = behind
    [cookie] = ask(live, "/console/login").headers.get_list("set-cookie")

    assert cookie.strip().startswith("__Host-csrftoken=")
    assert "Secure" in cookie
    assert "Path=/;" in cookie


def test_guesses_are_counted_for_the_browser_and_not_for_the_proxy(behind):
    live, trusted = behind
    answers = guesses(live, "203.0.113.1", range(31))

    assert answers == [401] * 30 + [429]
    assert guesses(live, "203.0.113.2", range(31, 32)) == [401 if trusted else 429]


def test_proxy_may_hold_many_connections_and_each_client_behind_it_has_a_share(behind):
    """100 requests under way of one client are the most; the connections are the proxy's."""
    live, _ = behind
    head = f"POST /v1/batch HTTP/1.1\r\nHost: {live.url[7:]}\r\nContent-Length: 500\r\nX-Forwarded-For: 203.0.113.9\r\n\r\nx"
    port = int(live.url.rpartition(":")[2])
    slow = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(130)]
    for sock in slow:  # in one burst: a slow request gives its place to another one after a second
        sock.sendall(head.encode())
    time.sleep(1.5)  # connections are counted twice a second
    poller = select.poll()
    for sock in slow:
        poller.register(sock, select.POLLIN | select.POLLRDHUP)
    ended = len(poller.poll(0))
    same = ask(live, "/.well-known/jwks.json", **{"X-Forwarded-For": "203.0.113.9"})
    other = ask(live, "/.well-known/jwks.json", **{"X-Forwarded-For": "203.0.113.10"})
    for sock in slow:
        sock.close()

    assert 30 <= ended <= 32  # answered 429
    # One of the slow requests gives its place to another of the same client.
    assert (same.status_code, other.status_code) == (200, 200)
