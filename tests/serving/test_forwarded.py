"""Forwarded headers are trusted from configured proxies only."""

from __future__ import annotations

import pytest

from regulars.serving.forwarded import apply_forwarded

PEER = ("10.0.0.9", 4711)


def seen(proxies: int, *headers: tuple[str, str]) -> tuple[str, str, str]:
    """Return (client, scheme, host) of a request after the forwarded headers are applied."""
    raw = [(b"host", b"inner:8000"), *((name.encode(), value.encode()) for name, value in headers)]
    scope = apply_forwarded({"type": "http", "client": PEER, "scheme": "http", "headers": raw}, proxies)
    left = dict(scope["headers"])
    assert not [name for name in left if name.startswith(b"x-forwarded") or name in (b"forwarded", b"x-real-ip")]
    return scope["client"][0], scope["scheme"], left[b"host"].decode()


FORWARDED = (("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "shop.example"))


def test_with_a_trusted_proxy_the_request_is_the_browsers():
    assert seen(1, *FORWARDED) == ("203.0.113.7", "https", "shop.example")


def test_without_a_proxy_the_headers_are_ignored():
    assert seen(0, *FORWARDED, ("forwarded", "for=1.2.3.4"), ("x-real-ip", "1.2.3.4")) == (
        "10.0.0.9",
        "http",
        "inner:8000",
    )


@pytest.mark.parametrize(
    ("proxies", "chain", "client"),
    [
        (1, "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the browser forged the first
        (2, "198.51.100.1, 203.0.113.7, 10.0.0.1", "203.0.113.7"),
        (2, "203.0.113.7", "203.0.113.7"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "203.0.113.7:5544", "203.0.113.7"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "unknown", "10.0.0.9"),
        (1, "", "10.0.0.9"),
    ],
)
def test_client_is_the_address_seen_by_the_outermost_proxy(proxies, chain, client):
    assert seen(proxies, ("x-forwarded-for", chain))[0] == client


def test_a_chain_in_several_lines_is_one_chain():
    assert seen(1, ("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7"))[0] == "203.0.113.7"


def test_a_scheme_that_is_none_changes_nothing():
    assert seen(1, ("x-forwarded-proto", "gopher"))[1] == "http"
