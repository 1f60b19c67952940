"""The certificate for localhost, and its authority."""

from __future__ import annotations

import datetime as dt
import ipaddress

import pytest
from cryptography import x509

from regulars.serving import certificate as made_by
from regulars.serving.certificate import ensure_certificate
from regulars.serving.tls import Certificate


def load(path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_second_start_shows_the_same_certificate(tmp_path):
    first = ensure_certificate(tmp_path).chain.read_bytes()

    assert ensure_certificate(tmp_path).chain.read_bytes() == first


def test_a_certificate_about_to_end_is_made_anew_by_the_same_authority(tmp_path, monkeypatch):
    monkeypatch.setattr(made_by, "HOST_DAYS", made_by.RENEW_DAYS - 1)
    before = ensure_certificate(tmp_path)
    authority, old = before.authority.read_bytes(), load(before.chain)
    monkeypatch.undo()
    new = load(ensure_certificate(tmp_path).chain)

    assert new.not_valid_after_utc - old.not_valid_after_utc > dt.timedelta(days=50)
    assert Certificate.of(tmp_path).authority.read_bytes() == authority
    load(Certificate.of(tmp_path).chain).verify_directly_issued_by(load(Certificate.of(tmp_path).authority))


def test_the_authority_can_vouch_for_localhost_and_nothing_else(tmp_path):
    authority = load(ensure_certificate(tmp_path).authority)
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)

    assert constraints.critical
    assert {each.value for each in constraints.value.permitted_subtrees or ()} == {
        "localhost",
        ipaddress.ip_network("127.0.0.1/32"),
        ipaddress.ip_network("::1/128"),
    }


@pytest.mark.parametrize("lost", ["authority.key", "authority.pem"])
def test_an_authority_that_lost_a_half_is_replaced_and_so_is_what_it_signed(tmp_path, lost):
    kept = ensure_certificate(tmp_path)
    old = kept.authority.read_bytes()
    (kept.folder / lost).unlink()
    ensure_certificate(tmp_path)

    assert kept.authority.read_bytes() != old
    load(kept.chain).verify_directly_issued_by(load(kept.authority))
