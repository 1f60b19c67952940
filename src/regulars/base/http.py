"""The only way out of the house over HTTP: whoever wrote the address, it cannot reach what is behind the wall.

A name is resolved once and the connection goes to exactly the address that was checked, so a name that answers
differently the second time gains nothing. No proxy variables, no cookies, no compressed answers that unfold for ever.
"""

from __future__ import annotations

import ipaddress
import json as json_module
import re
import socket
import ssl
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpcore
import httpx
from django.conf import settings

from regulars.base.errors import DomainError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Headers = Mapping[str, str]

PORTS = frozenset({80, 443})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# What the connection itself decides; a caller's own value could smuggle a second request past the checks.
OURS = frozenset({"host", "connection", "transfer-encoding", "content-length", "te", "upgrade", "expect", "trailer"})
CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_IPV4_COMPATIBLE = ipaddress.ip_network("::/96")


class RequestRefused(DomainError):
    """We will not send this request: `bad_url`, `bad_method`, `bad_header`, `scheme_not_allowed`,
    `address_not_allowed`, `host_not_listed`. Trying again changes nothing."""


class RequestFailed(DomainError):
    """The other side did not answer as hoped: `unreachable`, `timed_out`, `too_large`, `bad_answer`,
    `too_many_redirects`. Later it may."""


@dataclass(frozen=True)
class Response:
    """`headers` has lower-case names; `body` is complete and no longer than the caller allowed; `url` is who answered."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str = ""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; `RequestFailed("bad_answer")` when it is something else."""
        try:
            return json_module.loads(self.body)
        except (ValueError, RecursionError):
            raise RequestFailed("bad_answer", "The answer is not JSON.") from None


def request(
    method: str,
    url: str,
    *,
    headers: Headers | None = None,
    json: Any = None,
    content: bytes | None = None,
    timeout: float = 10.0,
    max_bytes: int = 1_000_000,
    redirects: int = 0,
    hosts: Collection[str] | None = None,
) -> Response:
    """One request, redirects included, within `timeout` seconds in all and `max_bytes` of body.

    `json` or `content` is the body. `redirects` is how many to follow: each is checked like the first address, and
    credentials stay behind when the host changes. With 0 the caller gets the 3xx answer itself. `hosts`: only these may
    be called, redirects included (`example.com`, or `.example.com` for everything below it).
    Raises `RequestRefused` (our no) or `RequestFailed` (theirs).
    """
    ask = _Ask(method.upper(), _checked_url(url), _checked_headers(headers or {}), content)
    if ask.method not in METHODS:
        raise RequestRefused("bad_method", "This HTTP method is not allowed.")
    if json is not None:
        ask = ask.with_json(json)
    deadline = time.monotonic() + timeout
    answer = _send(ask.within(hosts), deadline, max_bytes)
    for _ in range(redirects):
        if not _leads_on(answer):
            return answer
        ask = ask.redirected(answer)
        answer = _send(ask.within(hosts), deadline, max_bytes)
    if redirects and _leads_on(answer):
        raise RequestFailed("too_many_redirects", "The address leads from one to the next for too long.")
    return answer


@dataclass(frozen=True)
class _Ask:
    """One request as it will be sent."""

    method: str
    url: httpx.URL
    headers: dict[str, str]
    content: bytes | None

    def with_json(self, value: Any) -> _Ask:
        headers = {"content-type": "application/json", **self.headers}
        return _Ask(self.method, self.url, headers, json_module.dumps(value).encode())

    def within(self, hosts: Collection[str] | None) -> _Ask:
        host = self.url.host.lower()
        if hosts is None or any(host == one or (one.startswith(".") and host.endswith(one)) for one in hosts):
            return self
        raise RequestRefused("host_not_listed", f"{host} is not among the hosts that may be called.")

    def redirected(self, answer: Response) -> _Ask:
        """The next request, as browsers make it: 303 (and 301/302 after a POST) turn into GET without a body."""
        url = _checked_url(str(self.url.join(answer.headers["location"])))
        headers, method, content = self.headers, self.method, self.content
        if _origin(url) != _origin(self.url):
            headers = {name: value for name, value in headers.items() if name not in CREDENTIALS}
        if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
            method, content = ("HEAD" if method == "HEAD" else "GET"), None
            headers = {name: value for name, value in headers.items() if name != "content-type"}
        return _Ask(method, url, headers, content)


def _leads_on(answer: Response) -> bool:
    return answer.status in REDIRECTS and "location" in answer.headers


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return (url.scheme, url.host, _port(url))


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _checked_url(text: str) -> httpx.URL:
    if _CONTROL.search(text) or len(text) > 8000:
        raise RequestRefused("bad_url", "The address is not a web address.")
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise RequestRefused("bad_url", "The address is not a web address.") from None
    if url.scheme not in ("http", "https"):
        raise RequestRefused("scheme_not_allowed", "Only http and https addresses are called.")
    if not url.host or url.userinfo:
        raise RequestRefused("bad_url", "The address has no host, or carries a password.")
    return url


def _checked_headers(headers: Headers) -> dict[str, str]:
    checked = {"user-agent": "Regulars", "accept-encoding": "identity"}
    for name, value in headers.items():
        lower = name.lower()
        if not _TOKEN.fullmatch(name) or _CONTROL.search(value.replace("\t", " ")):
            raise RequestRefused("bad_header", "A header holds characters that headers cannot hold.")
        if lower in OURS:
            raise RequestRefused("bad_header", f"The header {lower!r} is set by the connection itself.")
        if lower != "accept-encoding":
            checked[lower] = value
    return checked


def _send(ask: _Ask, deadline: float, max_bytes: int) -> Response:
    try:
        return _exchange(ask, deadline, max_bytes)
    except httpcore.TimeoutException:
        raise RequestFailed("timed_out", f"{ask.url.host} took too long.") from None
    except httpcore.NetworkError:
        raise RequestFailed("unreachable", f"{ask.url.host} cannot be reached.") from None
    except httpcore.ProtocolError:
        raise RequestFailed("bad_answer", f"{ask.url.host} does not answer in HTTP.") from None


def _exchange(ask: _Ask, deadline: float, max_bytes: int) -> Response:
    url = httpcore.URL(scheme=ask.url.raw_scheme, host=ask.url.raw_host, port=_port(ask.url), target=ask.url.raw_path)
    headers = {"host": ask.url.netloc.decode("ascii"), **ask.headers}
    if ask.content is not None or ask.method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(ask.content or b""))
    pairs = [(name.encode("ascii"), value.encode()) for name, value in headers.items()]
    backend = _GuardedBackend(deadline, ours=ask.url.host.lower() in settings.ALLOW_HOSTS)
    with (
        httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend, keepalive_expiry=0) as pool,
        pool.stream(ask.method, url, headers=pairs, content=ask.content) as answer,
    ):
        body = _at_most(max_bytes, answer.iter_stream())
        return Response(answer.status, _joined(answer.headers), body, str(ask.url))


def _at_most(max_bytes: int, chunks: Iterable[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise RequestFailed("too_large", f"The answer is longer than {max_bytes} bytes.")
    return bytes(body)


def _joined(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The web's own authorities, and those of the operator's own network."""
    context = httpx.create_ssl_context(trust_env=False)
    for path in settings.CA_FILES:
        context.load_verify_locations(path)
    return context


# --- which addresses may be called


def check_address(text: str) -> None:
    """For libraries that bring their own HTTP: `RequestRefused` when this address may not be called now.

    Weaker than `request`, which holds on to the address that was checked: use it for what staff wrote, never for what
    a customer or a stranger wrote.
    """
    url = _checked_url(text)
    ours = url.host.lower() in settings.ALLOW_HOSTS
    try:
        found = _resolve(url.host, _port(url))
    except httpcore.ConnectError:
        return  # nobody there: the call will say so
    if not all(is_permitted(address, _port(url), ours=ours) for address in found):
        raise RequestRefused(
            "address_not_allowed", f"{url.host}:{_port(url)} is not on the public web; it is not called."
        )


def is_permitted(address: Address, port: int, *, ours: bool = False) -> bool:
    """Whether an address may be called: public ones on the web's ports; ones that are near (`is_near`) on any port."""
    address = _innermost(address)
    return is_near(address, ours=ours) or (_is_public(address) and port in PORTS)


def is_near(address: Address, *, ours: bool = False) -> bool:
    """This machine in demo mode, or whatever a host that the operator named in `REGULARS_ALLOW_HOSTS` stands for."""
    return (ours or (settings.DEMO and address.is_loopback)) and not _leads_nowhere(address)


def _is_public(address: Address) -> bool:
    return address.is_global and not _leads_nowhere(address) and not getattr(address, "is_site_local", False)


def _leads_nowhere(address: Address) -> bool:
    """Link-local is where clouds keep a machine's own credentials: never, whoever asks."""
    return address.is_multicast or address.is_unspecified or address.is_link_local


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 one carries inside, if any: a gateway would deliver there."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback:
        return address
    if address in _NAT64 or address in _IPV4_COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpcore.ConnectError(f"{host} has no address") from None
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


class _GuardedBackend(httpcore.NetworkBackend):
    """Opens connections to permitted addresses only, all of it before one deadline."""

    def __init__(self, deadline: float, *, ours: bool) -> None:
        self.deadline = deadline
        self.ours = ours
        self.inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        addresses = _resolve(host, port)
        if not all(is_permitted(address, port, ours=self.ours) for address in addresses):
            raise RequestRefused("address_not_allowed", f"{host}:{port} is not on the public web; it is not called.")
        fault: httpcore.NetworkError = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return _TimedStream(self.inner.connect_tcp(str(address), port, _left(self.deadline)), self.deadline)
            except httpcore.ConnectError as refused:
                fault = refused
        raise fault


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every read and write ends at the deadline: a server that drips cannot hold us."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self.inner = inner
        self.deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.inner.read(max_bytes, _left(self.deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.inner.write(buffer, _left(self.deadline))

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self.inner.start_tls(ssl_context, server_hostname, _left(self.deadline))
        return _TimedStream(secured, self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


def _left(deadline: float) -> float:
    """Seconds until the deadline; `httpcore.ReadTimeout` once it is past."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("out of time")
    return left
