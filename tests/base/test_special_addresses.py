"""Every special-purpose block of IANA's registries, to its first and last address and not beyond."""

from __future__ import annotations

import ipaddress

import pytest

from regulars.base.http import is_permitted
from regulars.base.special_addresses import NEVER, SPECIAL, embedded_ipv4

# Copied from the registries, not from the code: address block, and whether a neighbour below and above is public.
REGISTRIES = """
0.0.0.0/8 - +
10.0.0.0/8 + +
100.64.0.0/10 + +
127.0.0.0/8 + +
169.254.0.0/16 + +
172.16.0.0/12 + +
192.0.0.0/24 + +
192.0.0.0/29 + -
192.0.0.8/32 - -
192.0.0.9/32 - -
192.0.0.10/32 - -
192.0.0.170/32 - -
192.0.0.171/32 - -
192.0.2.0/24 + +
192.31.196.0/24 + +
192.52.193.0/24 + +
192.88.99.0/24 + +
192.88.99.2/32 - -
192.168.0.0/16 + +
192.175.48.0/24 + +
198.18.0.0/15 + +
198.51.100.0/24 + +
203.0.113.0/24 + +
224.0.0.0/4 + -
240.0.0.0/4 - -
255.255.255.255/32 - -
::/128 - -
::1/128 - -
::ffff:0:0/96 - -
::ffff:0:0:0/96 - -
64::/16 - -
64:ff9b::/32 - -
64:ff9b::/96 - -
64:ff9b:1::/48 - -
100::/64 - -
100:0:0:1::/64 - -
2001::/23 + +
2001::/32 + -
2001:1::1/128 - -
2001:1::2/128 - -
2001:1::3/128 - -
2001:2::/48 - -
2001:3::/32 - -
2001:4:112::/48 - -
2001:10::/28 - -
2001:20::/28 - -
2001:30::/28 - -
2001:db8::/32 + +
2002::/16 + +
2620:4f:8000::/48 + +
3fff::/20 + +
5f00::/16 - -
fc00::/7 - -
fe80::/10 - -
fec0::/10 - -
ff00::/8 - -
"""
ROWS = [tuple(line.split()) for line in REGISTRIES.split("\n") if line]


@pytest.fixture(autouse=True)
def _in_production(settings):
    settings.DEMO, settings.ALLOW_HOSTS = False, []


@pytest.mark.parametrize(("block", "below", "above"), ROWS, ids=[row[0] for row in ROWS])
def test_block_is_refused_to_its_ends_and_its_neighbours_are_not(block, below, above):
    network = ipaddress.ip_network(block)
    first, last = network[0], network[-1]

    assert not is_permitted(first, 443)
    assert not is_permitted(last, 443)
    assert not is_permitted(network[network.num_addresses // 2], 443)
    if int(first):
        assert is_permitted(first - 1, 443) is (below == "+")
    if int(last) + 1 < 2**network.max_prefixlen:
        assert is_permitted(last + 1, 443) is (above == "+")


def test_table_lists_every_block_of_the_registries():
    listed = [ipaddress.ip_network(block) for block in SPECIAL]
    for block, _, _ in ROWS:
        network = ipaddress.ip_network(block)
        assert any(network.version == each.version and network.subnet_of(each) for each in listed), block


@pytest.mark.parametrize(
    "public", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::200e", "2400:cb00::1"]
)
def test_public_addresses_are_called_on_the_ports_of_the_web(public):
    address = ipaddress.ip_address(public)

    assert is_permitted(address, 443)
    assert is_permitted(address, 80)
    assert not is_permitted(address, 22)


@pytest.mark.parametrize("block", NEVER)
def test_what_is_never_called_is_not_called_for_a_listed_host(block, settings):
    network = ipaddress.ip_network(block)
    settings.DEMO = True

    assert not is_permitted(network[0], 443, allowed_by_operator=True)
    assert not is_permitted(network[-1], 443, allowed_by_operator=True)


def test_private_address_of_a_listed_host_is_called_through_a_translator_too():
    for text in ("10.0.0.1", "fd12::1", "64:ff9b::a00:1", "64:ff9b:1:a00:0:100::", "::ffff:10.0.0.1", "2001:db8::1"):
        assert is_permitted(ipaddress.ip_address(text), 8080, allowed_by_operator=True)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("::ffff:10.0.0.1", {"10.0.0.1"}),
        ("::10.0.0.1", {"10.0.0.1"}),
        ("::ffff:0:10.0.0.1", {"10.0.0.1"}),
        ("64:ff9b::10.0.0.1", {"10.0.0.1"}),
        ("64:ff9b:1:a00:0:100::", {"10.0.0.1"}),
        ("64:ff9b:1:fffe::10.0.0.1", {"10.0.0.1"}),
        ("2002:a00:1::", {"10.0.0.1"}),
        ("2001:0:a00:1:0:0:f5ff:fffe", {"10.0.0.1"}),
        ("2606:4700::5efe:a00:1", {"10.0.0.1"}),
        ("2606:4700::200:5efe:a00:1", {"10.0.0.1"}),
        ("2606:4700::1", set()),
        ("::1", set()),
        ("10.0.0.1", set()),
    ],
)
def test_embedded_address_is_found_in_every_form(address, inside):
    found = {str(each) for each in embedded_ipv4(ipaddress.ip_address(address))}

    assert inside <= found
    assert bool(inside) == bool(found)
