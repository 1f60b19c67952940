"""Slow readers and slow writers hold connections, and neither threads nor anyone else's login."""

from __future__ import annotations

import re
import resource
import select
import socket
import struct
import time
import uuid
from collections.abc import Callable

import httpx2
import pytest
from tests.live import Live

pytestmark = [pytest.mark.server, pytest.mark.any_database]

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
PATIENT = 15.0  # seconds for one response while this machine is busy
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, HEADERS, INITIAL_WINDOW_SIZE = 4, 1, 4


@pytest.fixture(autouse=True, scope="module")
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def port_of(live: Live) -> int:
    return int(live.url.rpartition(":")[2])


def connect(live: Live, ip: str, sent: bytes = b"") -> socket.socket:
    """Connect from an address of the loopback network that stands for one client, and send without reading."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind((ip, 0))
    sock.settimeout(PATIENT)
    sock.connect(("127.0.0.1", port_of(live)))
    sock.sendall(sent)
    sock.setblocking(False)
    return sock


def body_of_one_byte(path: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nx".encode()


def pipelined(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 8


def without_window(path: str) -> bytes:
    """HTTP/2: eight requests, and no byte of a response may be sent."""

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    name = path.encode()
    fields = b"\x82\x86\x04" + bytes([len(name)]) + name + b"\x41\x09localhost"  # GET, http, path, authority (HPACK)
    requests = b"".join(frame(HEADERS, 5, 2 * number + 1, fields) for number in range(8))
    return HTTP2_PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, 0)) + requests


KINDS: dict[str, Callable[[], bytes]] = {
    "silent": lambda: b"",
    "half a head": lambda: b"GET /login HT",
    "one byte for a page": lambda: body_of_one_byte("/console/login"),
    "one byte for the collector": lambda: body_of_one_byte("/v1/batch"),
    "pipelined charts": lambda: pipelined("/console/charts.js"),
    "pipelined pages": lambda: pipelined("/console/login"),
    "no window for charts": lambda: without_window("/console/charts.js"),
    "no window for pages": lambda: without_window("/console/login"),
}


def is_open(sock: socket.socket) -> bool:
    """Read nothing, so that a reader stays slow; a reset or an end shows as an event without data."""
    poller = select.poll()
    poller.register(sock, select.POLLRDHUP)
    return not poller.poll(0)


def log_in(live: Live) -> None:
    """Sign in at the console with the right password, from another address than the attackers'."""
    with httpx2.Client(base_url=live.url, timeout=PATIENT, trust_env=False, verify=False) as browser:
        deadline = time.monotonic() + PATIENT
        while (page := browser.get("/console/login")).status_code == 503:  # 800 requests for pages came at once
            assert time.monotonic() < deadline
            time.sleep(1)
        staff = live.credentials["console"]
        form = {
            "email": staff["email"],
            "password": staff["password"],
            "csrfmiddlewaretoken": TOKEN.search(page.text)[1],
        }
        answer = browser.post("/console/login", data=form, headers={"Referer": f"{live.url}/console/login"})
        assert answer.status_code == 302, answer.status_code


def send_event(live: Live) -> None:
    key = live.credentials["collector"]["write_key"]
    event = {"type": "page", "anonymousId": "a", "messageId": str(uuid.uuid4()), "name": "Home"}
    answer = live.post("/v1/batch", json={"batch": [event]}, auth=(key, ""), timeout=PATIENT)
    assert (answer.status_code, answer.json()) == (200, {"success": True})


def use(live: Live) -> None:
    assert live.get("/healthz", timeout=PATIENT).json() == {"status": "alive"}
    log_in(live)
    send_event(live)


def test_logins_and_events_go_on_beside_slow_clients_which_are_closed_in_the_end(live):
    """1,000 slow writers and 50 slow clients of each kind, from so many addresses that no limit of one holds them."""
    live.get("/console/charts.js")  # bundled at the first request
    slow = [connect(live, f"127.0.1.{1 + number % 40}", KINDS["one byte for a page"]()) for number in range(500)]
    slow += [connect(live, f"127.0.1.{1 + number % 40}", KINDS["half a head"]()) for number in range(500)]
    of_kind = {
        kind: [connect(live, f"127.0.2.{1 + number % 40}", sent()) for number in range(50)]
        for kind, sent in KINDS.items()
    }
    begun = time.monotonic()
    rounds, held = 0, sum(map(is_open, slow))
    try:
        while rounds < 2 or time.monotonic() < begun + 8:
            use(live)
            rounds += 1
            for writer in slow[:500]:
                if is_open(writer):
                    writer.send(b"x")  # a byte now and then keeps no connection
        while (left := {kind: sum(map(is_open, socks)) for kind, socks in of_kind.items()}) and any(left.values()):
            assert time.monotonic() < begun + 90, left  # all deadlines end within 45 seconds; the rest is the machine's
            use(live)
            time.sleep(1)
    finally:
        for sock in [*slow, *(sock for socks in of_kind.values() for sock in socks)]:
            sock.close()

    assert held > 900


def test_one_address_has_its_share_of_connections_and_those_that_wait_longest_go_first(live):
    crowd = [connect(live, "127.0.3.1") for _ in range(300)]
    late = connect(live, "127.0.3.1", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    late.setblocking(True)
    answered = late.recv(100)
    deadline = time.monotonic() + 5
    while (count := sum(map(is_open, crowd))) > 100 and time.monotonic() < deadline:
        time.sleep(0.1)

    assert answered.startswith(b"HTTP/1.1 200")
    assert 50 <= count <= 100
    assert is_open(late)
    for sock in crowd:
        sock.close()


@pytest.mark.parametrize("path", ["/console/login", "/v1/batch", "/oauth/token"])
@pytest.mark.parametrize(
    "chunk", [b"4;" + b"e" * 70_000 + b"\r\nabcd\r\n0\r\n\r\n", b"ZZ\r\nabcd\r\n0\r\n\r\n"], ids=["extension", "size"]
)
def test_chunks_that_are_no_http_are_a_bad_request(live, path, chunk):
    sock = socket.create_connection(("127.0.0.1", port_of(live)), PATIENT)
    sock.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunk)

    assert sock.recv(1000).startswith(b"HTTP/1.1 400 ")
