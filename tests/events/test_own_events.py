"""The history that Regulars records itself has names that no collector writes, and every such name is on one list."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps

from regulars.base.errors import Invalid
from regulars.base.jobs.models import Job
from regulars.events.models import Event, InboxItem, Source
from regulars.events.own_events import LOOK_ALIKES, OwnEvent, is_own_name
from regulars.events.record import record
from regulars.events.segment_format import parse
from regulars.events.sources import make_source


@pytest.mark.parametrize(
    "name",
    [
        *OwnEvent,
        *(each.upper() for each in OwnEvent),
        *("signed in", "SIGNED_IN", "Signed-In", "SignedIn", " Signed  In ", "Signed\u00a0In", "Signed\u200bIn", "Signed In!"),
        *("Ｓｉｇｎｅｄ Ｉｎ", "Ѕigned In", "Signed Іn", "Sıgned In", "S1gned In", "Signed lN", "Signéd In", "𝐒𝐢𝐠𝐧𝐞𝐝 𝐈𝐧"),
        *("Signed" + "\u200b" * 300 + "In", " " * 300 + "Signed In", "S\u0307i\u0301" + "\u0301" * 30 + "gned In"),
        *("Profile Соrrеctеd", "Question Αnswered", "Ｑuestion Ρassed"),
    ],
)  # fmt: skip
def test_name_that_reads_as_ours_is_ours(name):
    assert is_own_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "Signed Out",
        "Sign In",
        "Order Completed",
        "Account Created",
        "Question",
        "",
        "   ",
        "Signed In Somewhere",
        "Signed In" + "\ufdfa" * 300,
    ],
)
def test_other_names_are_free(name):
    assert not is_own_name(name)


def test_look_alikes_are_single_letters_of_one_kind():
    others = [other for letters in LOOK_ALIKES.values() for other in letters.casefold()]

    assert len(others) == len(set(others)) > 50
    assert all(not other.isascii() or not other.isalpha() or other == "l" for other in others)


@pytest.mark.parametrize("word", ["batch", "import", "b"])
def test_every_road_for_many_messages_sets_a_name_of_ours_aside(word):
    track = b'{"type":"track","userId":"u","event":"signed in"}'
    parsed = parse(word, b'{"batch":[' + track + b"]}")

    assert (parsed.messages, [each.reason for each in parsed.rejected]) == ([], ["name_is_ours"])


def test_no_source_may_have_the_name_of_our_own(db):
    with pytest.raises(Invalid) as refused:
        make_source("Regulars")

    assert refused.value.code == "name_taken"


def test_every_own_name_is_in_the_documentation():
    text = (Path(__file__).parents[2] / "docs/operator/events.md").read_text()

    assert [name for name in OwnEvent if f"`{name}`" not in text] == []


@pytest.mark.django_db
def test_upgrade_renames_what_collectors_had_forged_and_leaves_our_own():
    shop = Source.objects.create(name="Shop", slug="shop")
    record(1, "Signed In", {"connection": "google-oauth2"})
    record(1, "Signed In", source=shop)
    record(2, "SIGNED UP", source=shop)
    record(2, "Order Completed", source=shop)
    Event.objects.update(lake_batch=1)
    failed = InboxItem.objects.create(
        source=shop, message_id="m", type="track", body="{}", received_at="2026-11-24T00:00:00Z",
        processed_at="2026-11-24T00:00:00Z", rejected="failed:RecursionError",
    )  # fmt: skip
    migration = import_module("regulars.events.migrations.0004_claimed_names")

    migration.rename_claimed(apps, None)
    migration.process_failed_again(apps, None)

    names = list(Event.objects.order_by("id").values_list("name", "lake_batch"))
    assert names == [
        ("Signed In", 1),
        ("Signed In (claimed)", None),
        ("SIGNED UP (claimed)", None),
        ("Order Completed", 1),
    ]
    assert Job.objects.get(kind="lake.rewrite").payload == {"profiles": [1, 2]}
    failed.refresh_from_db()
    assert (failed.processed_at, failed.rejected) == (None, "")
