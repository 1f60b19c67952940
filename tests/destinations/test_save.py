"""Destinations are checked when they are saved, and their secrets are seen once."""

from __future__ import annotations

import pytest
from django.db import connection

from regulars.base.errors import DomainError
from regulars.destinations.save import save_destination, shown_settings

from .conftest import SECRET


def test_secrets_are_dots_on_pages_and_ciphertext_in_the_table(to_webhook):
    destination = to_webhook("https://example.com/hook")
    assert shown_settings(destination) == {"url": "https://example.com/hook", "secret": "••••••••"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT settings FROM destinations_destination")
        assert SECRET not in cursor.fetchone()[0]


@pytest.mark.parametrize("given", [{}, {"secret": ""}, {"secret": "••••••••"}])
def test_a_secret_that_is_left_alone_stays(to_webhook, given):
    destination = to_webhook("https://example.com/hook")
    changed = save_destination(
        "Shop",
        "webhook",
        {"url": "https://example.com/hook", **given},
        purpose="message",
        segment_slugs=["jackets", "jackets"],
        destination=destination,
    )
    changed.refresh_from_db()
    assert changed.settings == {"url": "https://example.com/hook", "secret": SECRET}
    assert (changed.pk, changed.segment_slugs) == (destination.pk, ["jackets"])


@pytest.mark.parametrize(
    ("name", "kind", "settings", "purpose", "refusal"),
    [
        ("Shop", "pigeon", {}, "message", "unknown_plugin"),
        ("Shop", "csv", {"file": "a.csv"}, "world peace", "unknown_purpose"),
        ("Shop", "csv", {"path": "a.csv"}, "message", "unknown_setting"),
        ("Shop", "webhook", {"url": "https://example.com"}, "message", "setting_missing"),
        ("Shop", "csv", {"file": "../a.csv"}, "message", "bad_file_name"),
        ("  ", "csv", {}, "message", "name_missing"),
    ],
)
def test_what_cannot_work_is_refused_by_name(standard_setup, name, kind, settings, purpose, refusal):
    with pytest.raises(DomainError) as refused:
        save_destination(name, kind, settings, purpose=purpose, segment_slugs=[])
    assert refused.value.code == refusal


def test_two_destinations_do_not_share_a_name(to_webhook):
    to_webhook("https://example.com")
    with pytest.raises(DomainError) as refused:
        to_webhook("https://example.com")
    assert refused.value.code == "name_taken"


def test_a_destination_keeps_its_kind(to_webhook):
    destination = to_webhook("https://example.com")
    with pytest.raises(DomainError) as refused:
        save_destination("Shop", "csv", {}, purpose="message", segment_slugs=[], destination=destination)
    assert refused.value.code == "kind_is_fixed"
