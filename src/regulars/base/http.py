"""Outgoing HTTP: every request of this process goes through the guarded transport of this module.

A name is resolved once and the connection goes to exactly the address that was checked, so a name that resolves
differently the second time gains nothing. No proxy variables, no cookies, and no compressed bodies that unpack without end.
"""

from __future__ import annotations

import ipaddress
import json as json_module
import logging
import re
import socket
import ssl
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypedDict

import httpcore2
import httpx2
from django.conf import settings

from regulars.base.errors import DomainError
from regulars.base.json_reader import UnreadableJson, read_json

from .special_addresses import Address, is_loopback, is_never_called, is_special

Headers = Mapping[str, str]

TIMEOUT = 10.0  # seconds
MAX_BYTES = 1_000_000
PORTS = frozenset({80, 443})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# The connection sets these; a caller's own value could smuggle a second request past the checks.
CONNECTION_HEADERS = frozenset(
    {"host", "connection", "transfer-encoding", "content-length", "te", "upgrade", "expect", "trailer"}
)
# What a request may still say after a redirect to another origin. Of every other header that the caller set no one knows
# whether it is a credential (`x-api-key`, `api-key`, `x-auth-token`, a signature), so it stays behind.
FOLLOWING_HEADERS = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})
OWN_HEADERS = {"user-agent": "Regulars", "accept-encoding": "identity"}
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# httpx2 logs every address at INFO, and addresses may carry tokens.
logging.getLogger("httpx2").setLevel(logging.WARNING)


class RequestRefused(DomainError):
    """The request is not sent: `bad_url`, `bad_method`, `bad_header`, `scheme_not_allowed`, `address_not_allowed`,
    `host_not_listed`, `redirect_not_followed`. Trying again changes nothing."""


class RequestFailed(DomainError):
    """The server did not answer as expected: `unreachable`, `timed_out`, `too_large`, `bad_answer`,
    `too_many_redirects`. A later try may succeed."""


@dataclass(frozen=True)
class Response:
    """A complete response. Names in `headers` are lower-case; `url` is the address that answered, after redirects."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str = ""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON. Raises `RequestFailed("bad_answer")` when it is not JSON, or nested too deeply."""
        try:
            return read_json(self.body, repair=True)
        except UnreadableJson as fault:
            raise RequestFailed("bad_answer", f"The answer cannot be read as JSON ({fault.code}).") from None


def request(
    method: str,
    url: str,
    *,
    headers: Headers | None = None,
    json: Any = None,
    content: bytes | None = None,
    timeout: float = TIMEOUT,
    max_bytes: int = MAX_BYTES,
    redirects: int = 0,
    hosts: Collection[str] | None = None,
) -> Response:
    """Send one request, redirects included, within `timeout` seconds in all and `max_bytes` of body.

    `json` or `content` is the body. `redirects` is how many to follow: each is checked like the first address. When the
    origin changes, only harmless headers follow (`FOLLOWING_HEADERS`), and a body does not. With 0 the caller gets the 3xx response itself. `hosts`: only these
    may be called, redirects included (`example.com`, or `.example.com` for everything below it).
    Raises `RequestRefused` before sending, or `RequestFailed` when the server does not answer as expected.
    """
    if json is not None:
        given = {name.lower(): value for name, value in (headers or {}).items()}
        headers, content = {"content-type": "application/json", **given}, json_module.dumps(json).encode()
    sent = _request(method.upper(), _checked_url(url), _checked_headers(headers or {}), content)
    deadline = time.monotonic() + timeout
    with httpx2.Client(**client_options(max_bytes=max_bytes, hosts=hosts)) as client:
        for left in range(redirects, -1, -1):
            sent.extensions["deadline"] = deadline
            answer = client.send(sent, follow_redirects=False)
            if not answer.has_redirect_location or redirects == 0:
                break
            if left == 0:
                raise RequestFailed("too_many_redirects", "The address leads from one to the next for too long.")
            sent = _redirected(sent, answer)
    received = dict(answer.headers)
    if answer.extensions["content_encoding"]:
        received["content-encoding"] = answer.extensions["content_encoding"]
    return Response(answer.status_code, received, answer.content, str(answer.url))


class ClientOptions(TypedDict):
    """Keyword arguments of `httpx2.Client` that keep every request of that client to this module's rules."""

    transport: httpx2.BaseTransport
    headers: Mapping[str, str]
    cookies: CookieJar
    trust_env: bool


def client_options(
    *, timeout: float = TIMEOUT, max_bytes: int = MAX_BYTES, hosts: Collection[str] | None = None
) -> ClientOptions:
    """Return the arguments for an `httpx2.Client`, for libraries that bring a client of their own."""
    return {
        "transport": GuardedTransport(timeout=timeout, max_bytes=max_bytes, hosts=hosts),
        "headers": OWN_HEADERS,
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        "trust_env": False,
    }


class GuardedTransport(httpx2.BaseTransport):
    """An httpx2 transport that connects to permitted addresses only, within limits of time and size.

    `timeout` holds for one request with its whole body; a request's extension `deadline` (`time.monotonic`) replaces it.
    Every connection is made anew, because its deadline ends with the request. A compressed body is handed on as it was
    sent: the header `content-encoding` is moved to the extension `content_encoding`, so that httpx2 does not unpack it.
    """

    def __init__(
        self, *, timeout: float = TIMEOUT, max_bytes: int = MAX_BYTES, hosts: Collection[str] | None = None
    ) -> None:
        self.timeout = timeout
        self.max_bytes = max_bytes
        self.hosts = hosts

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request and read the whole response. Raises `RequestRefused` or `RequestFailed`."""
        url = _checked_url(str(request.url))
        host = url.host.lower()
        if self.hosts is not None and not any(
            host == one or (one.startswith(".") and host.endswith(one)) for one in self.hosts
        ):
            raise RequestRefused("host_not_listed", f"{host} is not among the hosts that may be called.")
        deadline = request.extensions.get("deadline", time.monotonic() + self.timeout)
        try:
            return self._exchange(request, url, deadline)
        except httpcore2.TimeoutException:
            raise RequestFailed("timed_out", f"{url.host} took too long.") from None
        except httpcore2.NetworkError:
            raise RequestFailed("unreachable", f"{url.host} cannot be reached.") from None
        except httpcore2.ProtocolError:
            raise RequestFailed("bad_answer", f"{url.host} does not answer in HTTP.") from None

    def _exchange(self, request: httpx2.Request, url: httpx2.URL, deadline: float) -> httpx2.Response:
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=_port(url), target=url.raw_path)
        backend = _GuardedBackend(deadline, allowed_by_operator=url.host.lower() in settings.ALLOW_HOSTS)
        with (
            httpcore2.ConnectionPool(ssl_context=_tls(), network_backend=backend, keepalive_expiry=0) as pool,
            pool.stream(request.method, target, headers=request.headers.raw, content=request.read()) as answer,
        ):
            body = bytearray()
            for chunk in answer.iter_stream():
                body += chunk
                if len(body) > self.max_bytes:
                    raise RequestFailed("too_large", f"The answer is longer than {self.max_bytes} bytes.")
            headers = httpx2.Headers(answer.headers, encoding="latin-1")
            encoding = headers.pop("content-encoding", "")
            stream = httpx2.ByteStream(bytes(body))
            return httpx2.Response(
                answer.status, headers=headers, stream=stream, extensions={"content_encoding": encoding}
            )


def _request(method: str, url: httpx2.URL, headers: Headers, content: bytes | None) -> httpx2.Request:
    """Build a request with exactly these headers: none of a client's defaults."""
    if method not in METHODS:
        raise RequestRefused("bad_method", "This HTTP method is not allowed.")
    return httpx2.Request(method, url, headers=httpx2.Headers(headers, encoding="utf-8"), content=content)


def _redirected(sent: httpx2.Request, answer: httpx2.Response) -> httpx2.Request:
    """Build the next request as browsers do: 303 (and 301/302 after a POST) turn into GET without a body.

    httpx2's own redirects differ: they drop the header Cookie even within one origin, keep Proxy-Authorization, keep
    Authorization from http to https, and turn PUT into GET after a 302.
    """
    url = _checked_url(str(sent.url.join(answer.headers["location"])))
    headers = {name: value for name, value in sent.headers.items() if name not in CONNECTION_HEADERS}
    is_elsewhere = url.origin != sent.url.origin  # another host or port, or http after https
    if is_elsewhere:
        headers = {name: value for name, value in headers.items() if name in FOLLOWING_HEADERS}
    if answer.status_code == 303 or (answer.status_code in (301, 302) and sent.method == "POST"):
        method = "HEAD" if sent.method == "HEAD" else "GET"
        return _request(method, url, {name: value for name, value in headers.items() if name != "content-type"}, None)
    if is_elsewhere and sent.content:
        raise RequestRefused("redirect_not_followed", f"{sent.url.host} redirects a request with a body elsewhere.")
    return _request(sent.method, url, headers, sent.content or None)


def _port(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _checked_url(text: str) -> httpx2.URL:
    if _CONTROL.search(text) or len(text) > 8000:
        raise RequestRefused("bad_url", "The address is not a web address.")
    try:
        url = httpx2.URL(text.strip())
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        raise RequestRefused("bad_url", "The address is not a web address.") from None
    if url.scheme not in ("http", "https"):
        raise RequestRefused("scheme_not_allowed", "Only http and https addresses are called.")
    if not url.host or url.userinfo:
        raise RequestRefused("bad_url", "The address has no host, or carries a password.")
    if "%" in url.host:
        raise RequestRefused("bad_url", "The address names an interface of this machine (a zone).")
    return url


def _checked_headers(headers: Headers) -> dict[str, str]:
    checked = dict(OWN_HEADERS)
    for name, value in headers.items():
        lower = name.lower()
        if not _TOKEN.fullmatch(name) or _CONTROL.search(value.replace("\t", " ")):
            raise RequestRefused("bad_header", "A header holds characters that headers cannot hold.")
        if lower in CONNECTION_HEADERS:
            raise RequestRefused("bad_header", f"The header {lower!r} is set by the connection itself.")
        if lower != "accept-encoding":
            checked[lower] = value
    return checked


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Trust the system's certificate authorities, and those of the operator's own network."""
    context = httpx2.create_ssl_context(trust_env=False)
    for path in settings.CA_FILES:
        context.load_verify_locations(path)
    return context


# --- which addresses may be called


def called_host(text: str) -> str:
    """Return the host that a request to this address goes to. It may be written otherwise there, as with `。` for a full stop.

    Raises `RequestRefused` for an address that is never called.
    """
    return _checked_url(text).host.lower()


def check_address(text: str) -> None:
    """Raise `RequestRefused` when this address may not be called now, for libraries that bring their own HTTP.

    Weaker than `request`, which connects to the address that was checked: use it for addresses that staff entered, never
    for one that came from a customer or another third party.
    """
    url = _checked_url(text)
    allowed = url.host.lower() in settings.ALLOW_HOSTS
    try:
        found = _resolve(url.host, _port(url))
    except httpcore2.ConnectError:
        return  # the name has no address: the call itself will report that
    if not all(is_permitted(address, _port(url), allowed_by_operator=allowed) for address in found):
        raise RequestRefused(
            "address_not_allowed", f"{url.host}:{_port(url)} is not on the public web; it is not called."
        )


def is_permitted(address: Address, port: int, *, allowed_by_operator: bool = False) -> bool:
    """Return whether an address may be called: public ones on the web's ports, local ones (`is_local`) on any port."""
    if is_never_called(address):
        return False
    if is_local(address, allowed_by_operator=allowed_by_operator):
        return True
    return port in PORTS and not is_special(address)


def is_local(address: Address, *, allowed_by_operator: bool = False) -> bool:
    """Return whether this is this machine in demo mode, or the address of a host listed in `REGULARS_ALLOW_HOSTS`."""
    return (allowed_by_operator or (settings.DEMO and is_loopback(address))) and not is_never_called(address)


def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpcore2.ConnectError(f"{host} has no address") from None
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


class _GuardedBackend(httpcore2.NetworkBackend):
    """A network backend that connects to permitted addresses only, before one deadline."""

    def __init__(self, deadline: float, *, allowed_by_operator: bool) -> None:
        self.deadline = deadline
        self.allowed_by_operator = allowed_by_operator
        self.inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore2.NetworkStream:
        addresses = _resolve(host, port)
        if not all(is_permitted(address, port, allowed_by_operator=self.allowed_by_operator) for address in addresses):
            raise RequestRefused("address_not_allowed", f"{host}:{port} is not on the public web; it is not called.")
        fault: httpcore2.NetworkError = httpcore2.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return _TimedStream(self.inner.connect_tcp(str(address), port, _left(self.deadline)), self.deadline)
            except httpcore2.ConnectError as refused:
                fault = refused
        raise fault


class _TimedStream(httpcore2.NetworkStream):
    """A connection whose every read and write ends at the deadline, so that a server that drips bytes cannot hold it."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: float) -> None:
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
    ) -> httpcore2.NetworkStream:
        secured = self.inner.start_tls(ssl_context, server_hostname, _left(self.deadline))
        return _TimedStream(secured, self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


def _left(deadline: float) -> float:
    """Return the seconds until the deadline. Raises `httpcore2.ReadTimeout` once it is past."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("out of time")
    return left
