"""Outgoing HTTP: which requests are sent, and which are refused."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from tests.ports import refusing

from regulars.base import http
from regulars.base.http import RequestFailed, RequestRefused, request

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def server(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        running.server_close()


def reply(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture
def in_production(settings) -> None:
    settings.DEMO = False


def test_post_sends_json_and_headers_and_returns_the_whole_response():
    seen: dict[str, object] = {}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen["body"] = handler.rfile.read(int(handler.headers["Content-Length"]))
        seen["type"], seen["key"] = handler.headers["Content-Type"], handler.headers["X-Key"]
        reply(b'{"ok": true}', 201, X_Seen="yes")(handler)

    with server(answer) as url:
        response = request("post", f"{url}/in?a=1", json={"name": "Chika"}, headers={"X-Key": "k"})

    assert (response.status, response.json(), response.headers["x-seen"]) == (201, {"ok": True}, "yes")
    assert seen == {"body": b'{"name": "Chika"}', "type": "application/json", "key": "k"}


PRIVATE_ADDRESSES = [
    "http://127.0.0.1/",
    "http://localhost/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://0.0.0.0/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://224.0.0.1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[fd00::1]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::8.8.8.8]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[64:ff9b:7::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2606:4700::5efe:10.0.0.1]/",
    "http://[2606:4700::200:5efe:8.8.8.8]/",
    "http://192.88.99.1/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://[4000::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[2606:4700::1%25lo]/",
    "http://0300.0250.1.1/",
    "http://0xc0a80101/",
    "http://3232235777/",
    "http://192.11010305/",
    "http://192.168.257/",
    "http://0/",
    "http://localhost./",
    "http://①②⑦.⓪.⓪.①/",
    "http://8.8.8.8:22/",
]


@pytest.mark.parametrize("url", PRIVATE_ADDRESSES)
def test_no_spelling_of_a_private_address_is_called(in_production, url):
    with pytest.raises((RequestRefused, RequestFailed)) as refused:
        request("GET", url, timeout=3)

    assert refused.value.code in ("address_not_allowed", "bad_url", "unreachable")
    # "Unreachable" is accepted only where the resolver does not know the name: no connection was tried.
    assert refused.value.code != "unreachable" or "no address" in str(refused.value) or not url[7].isdigit()


def test_cloud_metadata_address_is_not_called_even_in_demo_mode(settings):
    settings.DEMO = True
    settings.ALLOW_HOSTS = ["169.254.169.254"]

    with pytest.raises(RequestRefused, match="not on the public web"):
        request("GET", "http://169.254.169.254/")


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[fd00:ec2::254]",
     "[fe80::a9fe:a9fe]", "[2606:4700::5efe:a9fe:a9fe]", "[64:ff9b:1:a9fe:a9:fe00::]", "100.100.100.200",
     "168.63.129.16", "192.0.0.192", "2852039166", "0xa9.254.0251.0376"],
)  # fmt: skip
def test_no_spelling_of_a_metadata_address_is_called_for_a_listed_host(in_production, settings, address):
    settings.ALLOW_HOSTS = [address.strip("[]"), str(httpx2.URL(f"http://{address}/").host)]

    with pytest.raises((RequestRefused, RequestFailed)) as refused:
        request("GET", f"http://{address}/", timeout=3)
    assert refused.value.code == "address_not_allowed"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("ftp://example.com/", "scheme_not_allowed"),
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("//example.com/", "scheme_not_allowed"),
        ("http:///nothing", "bad_url"),
        ("http://ana:secret@example.com/", "bad_url"),
        ("http://example.com/\r\nHost: evil", "bad_url"),
        ("http://example.com/" + "a" * 9000, "bad_url"),
    ],
)
def test_address_that_is_not_a_plain_web_address_is_refused(url, name):
    with pytest.raises(RequestRefused) as refused:
        request("GET", url)

    assert refused.value.code == name


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nX-Evil: 1"},
        {"X-A\r\nX-Evil": "1"},
        {"X A": "1"},
        {"Host": "internal"},
        {"Transfer-Encoding": "chunked"},
        {"Content-Length": "5"},
    ],
)
def test_header_cannot_carry_a_second_request(headers):
    with pytest.raises(RequestRefused) as refused:
        request("GET", "http://example.com/", headers=headers)

    assert refused.value.code == "bad_header"


def test_name_is_resolved_once_and_the_checked_address_is_called(settings, monkeypatch):
    asked: list[str] = []

    def resolver(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        address = "127.0.0.1" if host == "127.0.0.1" or asked == [host] else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    with server(reply(b"first")) as url:
        monkeypatch.setattr(http.socket, "getaddrinfo", resolver)
        response = request("GET", url.replace("127.0.0.1", "rebinding.example"))

    assert (response.text, asked.count("rebinding.example")) == ("first", 1)


def test_name_with_one_private_address_is_refused(in_production, monkeypatch):
    def resolver(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(http.socket, "getaddrinfo", resolver)

    with pytest.raises(RequestRefused, match="not on the public web"):
        request("GET", "http://both.example/")


def test_host_listed_by_the_operator_is_called_on_any_port(in_production, settings):
    settings.ALLOW_HOSTS = ["127.0.0.1"]

    with server(reply(b"ours")) as url:
        assert request("GET", url).text == "ours"


def test_redirect_is_returned_unless_redirects_are_requested():
    with server(reply(b"", 302, Location="/next")) as url:
        response = request("GET", url)

    assert (response.status, response.headers["location"]) == (302, "/next")


def test_redirect_to_a_private_address_is_refused(settings):
    with server(reply(b"", 302, Location="http://10.0.0.1/")) as url, pytest.raises(RequestRefused) as refused:
        request("GET", url, redirects=3)

    assert refused.value.code == "address_not_allowed"


SECRETS = ("Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Amz-Security-Token",
           "X-Shopify-Access-Token", "X-Signature", "Private-Token", "X-Anything")  # fmt: skip


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_only_harmless_headers_follow_a_redirect_to_another_host(status):
    seen: dict[str, str] = {}

    def record(handler: BaseHTTPRequestHandler) -> None:
        seen.update({name.lower(): value for name, value in handler.headers.items()})
        reply(b"there")(handler)

    sent = {**dict.fromkeys(SECRETS, "secret"), "Accept": "text/plain", "Accept-Language": "sv"}
    with server(record) as there, server(reply(b"", status, Location=there + "/")) as here:
        response = request("GET", here, headers=sent, redirects=2)

    assert response.text == "there"
    assert "secret" not in seen.values()
    assert (seen["accept"], seen["accept-language"], seen["user-agent"]) == ("text/plain", "sv", "Regulars")


def test_every_header_follows_a_redirect_within_one_origin():
    seen: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/next":
            seen.append(handler.headers["X-Api-Key"])
            return reply(b"done")(handler)
        return reply(b"", 302, Location="/next")(handler)

    with server(answer) as url:
        request("GET", url, headers={"X-Api-Key": "k"}, redirects=1)

    assert seen == ["k"]


def test_redirect_from_https_to_http_drops_headers():
    """Both addresses are of one host: only the scheme differs."""
    sent = httpx2.Request("GET", "https://shop.example/a", headers={"x-api-key": "k", "accept": "text/plain"})
    answer = httpx2.Response(302, headers={"location": "http://shop.example/a"}, request=sent)

    assert set(http._redirected(sent, answer).headers) == {"host", "accept"}


@pytest.mark.parametrize("status", [307, 308])
def test_body_does_not_follow_a_redirect_to_another_host(status):
    """The body of a token request holds the client's secret, that of a webhook what is known of a customer."""
    received: list[str] = []

    def record(handler: BaseHTTPRequestHandler) -> None:
        received.append(handler.path)
        reply(b"there")(handler)

    with server(record) as there, server(reply(b"", status, Location=there + "/")) as here:
        with pytest.raises(RequestRefused) as refused:
            request("POST", here, content=b"client_secret=s", redirects=2)
        within = request("POST", here, content=b"client_secret=s", redirects=0)

    assert (refused.value.code, received, within.status) == ("redirect_not_followed", [], status)


def test_redirected_post_becomes_a_get_without_body():
    methods: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        methods.append(handler.command)
        if handler.path == "/next":
            return reply(b"done")(handler)
        handler.rfile.read(int(handler.headers["Content-Length"]))
        return reply(b"", 303, Location="/next")(handler)

    with server(answer) as url:
        assert request("POST", url, json={"a": 1}, redirects=1).text == "done"

    assert methods == ["POST", "GET"]


def test_redirect_loop_ends_with_an_error():
    with server(reply(b"", 302, Location="/again")) as url, pytest.raises(RequestFailed) as failed:
        request("GET", url, redirects=4)

    assert failed.value.code == "too_many_redirects"


def test_response_longer_than_allowed_is_refused():
    with server(reply(b"x" * 5000)) as url, pytest.raises(RequestFailed) as failed:
        request("GET", url, max_bytes=4999)

    assert failed.value.code == "too_large"


def test_compressed_response_is_counted_as_sent_and_not_unpacked():
    with server(reply(gzip.compress(b"0" * 5_000_000), Content_Encoding="gzip")) as url:
        response = request("GET", url, max_bytes=20_000)

    assert len(response.body) < 20_000


def test_slow_server_is_abandoned_at_the_deadline():
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10000")
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b"x")
                time.sleep(0.05)

    with server(drip) as url:
        started = time.monotonic()
        with pytest.raises(RequestFailed) as failed:
            request("GET", url, timeout=0.4)

    assert failed.value.code == "timed_out"
    assert time.monotonic() - started < 30  # of fifty


def test_unreachable_server_is_a_named_failure():
    with refusing() as address, pytest.raises(RequestFailed) as failed:
        request("GET", address)

    assert failed.value.code == "unreachable"


def test_html_read_as_json_is_a_named_failure():
    with server(reply(b"<html>sorry</html>")) as url, pytest.raises(RequestFailed) as failed:
        request("GET", url).json()

    assert failed.value.code == "bad_answer"


def test_proxy_variables_are_not_obeyed(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    with server(reply(b"direct")) as url:
        assert request("GET", url).text == "direct"
