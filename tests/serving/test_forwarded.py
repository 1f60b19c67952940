"""Forwarded headers are trusted from configured proxies only."""

from __future__ import annotations

import ipaddress

import pytest
from django.core.exceptions import ImproperlyConfigured

from regulars.serving.forwarded import apply_forwarded
from regulars.settings.environment import number_or_networks

PEER = ("10.0.0.9", 4711)


NETWORKS = [ipaddress.ip_network(each) for each in ("10.0.0.0/24", "fd00::/8")]


def seen(proxies, *headers: tuple[str, str], peer: str = PEER[0]) -> tuple[str, str, str]:
    """Return (client, scheme, host) of a request after the forwarded headers are applied."""
    raw = [(b"host", b"inner:8000"), *((name.encode(), value.encode()) for name, value in headers)]
    scope = apply_forwarded({"type": "http", "client": (peer, 4711), "scheme": "http", "headers": raw}, proxies)
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


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        ("10.0.0.9", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.9", "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the browser forged the first
        ("10.0.0.9", "203.0.113.7, 10.0.0.1", "203.0.113.7"),  # two proxies of ours
        ("10.0.0.9", "10.0.0.5, 203.0.113.7, 10.0.0.1", "203.0.113.7"),  # forged to look like one of ours
        ("10.0.0.9", "198.51.100.1, 10.0.0.5, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.9", "10.0.0.7, 10.0.0.1", "10.0.0.7"),  # a client of our own network
        ("10.0.0.9", "203.0.113.7, unknown, 10.0.0.1", "10.0.0.9"),
        ("10.0.0.9", "", "10.0.0.9"),
        ("10.0.0.9", "203.0.113.7,", "10.0.0.9"),
        ("::ffff:10.0.0.9", "203.0.113.7", "203.0.113.7"),
        ("fd00::9", "[2001:db8::7]:443", "2001:db8::7"),
        ("192.0.2.66", "203.0.113.7", "192.0.2.66"),  # past the proxies
        ("192.0.2.66", "203.0.113.7, 10.0.0.1", "192.0.2.66"),
        ("fe80::1%eth0", "203.0.113.7", "fe80::1"),
    ],
)
def test_only_hops_within_the_trusted_networks_count(peer, chain, client):
    headers = (("x-forwarded-for", chain), ("x-forwarded-proto", "https"), ("x-forwarded-host", "shop.example"))
    found = seen(NETWORKS, *headers, ("forwarded", "for=198.51.100.99"), peer=peer)

    assert found[0] == client
    ours = not peer.startswith(("192", "fe80"))
    assert found[1:] == (("https", "shop.example") if ours else ("http", "inner:8000"))


def test_proxy_that_names_no_client_still_says_scheme_and_host():
    assert seen(NETWORKS, *FORWARDED[1:]) == ("10.0.0.9", "https", "shop.example")


@pytest.mark.parametrize("proxies", [0, 1, NETWORKS])
def test_one_address_has_one_spelling(proxies):
    assert seen(proxies, ("x-forwarded-for", "::ffff:203.0.113.7"), peer="::ffff:10.0.0.9")[0] in (
        "10.0.0.9",
        "203.0.113.7",
    )


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, 0),
        ("", 0),
        ("2", 2),
        ("10.0.0.1", [ipaddress.ip_network("10.0.0.1/32")]),
        ("10.0.0.0/24, fd00::/8", NETWORKS),
        ("10.0.0.0/24 fd00::/8", NETWORKS),
    ],
)
def test_proxies_are_configured_by_number_or_network(monkeypatch, given, read):
    monkeypatch.delenv("REGULARS_TRUST_PROXY", raising=False)
    if given is not None:
        monkeypatch.setenv("REGULARS_TRUST_PROXY", given)

    assert number_or_networks("REGULARS_TRUST_PROXY") == read


@pytest.mark.parametrize("given", ["yes", "-1", "10.0.0.1/8", "1 2", "proxy.example"])
def test_proxies_that_are_neither_are_refused_by_name(monkeypatch, given):
    monkeypatch.setenv("REGULARS_TRUST_PROXY", given)

    with pytest.raises(ImproperlyConfigured, match="REGULARS_TRUST_PROXY must be a number, or IP addresses"):
        number_or_networks("REGULARS_TRUST_PROXY")
