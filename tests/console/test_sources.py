"""Who sends events and which look-ups are on, in the console."""

from __future__ import annotations

import logging

import pytest

from regulars.doors.console.models import AuditEntry
from regulars.enrichment.models import Lookup, SourceSetting
from regulars.enrichment.save import save_source
from regulars.events.models import InboxItem, Rejection, Source

NASTY = "<script>alert(1)</script>"
KEY = "census-key-very-secret"
CENSUS = "/console/sources/us-census-acs"
GOOD = {
    "setting.base_url": "https://api.census.gov/data",
    "setting.year": "2024",
    "setting.api_key": KEY,
    "purpose": "measure",
    "enabled": "on",
}


def test_ana_names_a_source_and_reads_its_write_key(console):
    response = console.post("/console/sources/events", {"name": "iOS app"})

    source = Source.objects.get()
    assert (response.status_code, response["Location"], source.slug) == (302, "/console/sources", "ios-app")
    assert source.write_key in console.get("/console/sources").content.decode()
    assert AuditEntry.objects.get().what == "source.made"


@pytest.mark.parametrize("name", ["", "!!!", "x" * 101, "Shop"])
def test_a_name_that_cannot_be_is_said_beside_the_field(console, name):
    Source.objects.create(slug="shop", name="Shop")

    response = console.post("/console/sources/events", {"name": name})

    assert response.status_code == 400
    assert 'id="in-name-problem"' in response.content.decode()
    assert Source.objects.count() == 1


def test_a_source_is_switched_off_and_gets_another_key(console):
    old = Source.objects.create(slug="shop", name="Shop").write_key

    console.post("/console/sources/events/shop/switch", {"on": "0"})
    console.post("/console/sources/events/shop/key")

    source = Source.objects.get()
    assert not source.enabled
    assert source.write_key != old
    assert old not in str(list(AuditEntry.objects.values()))
    assert console.post("/console/sources/events/nobody/key").status_code == 400


def test_what_was_refused_is_listed_and_escaped(console):
    from regulars.base.kit import clock

    source = Source.objects.create(slug="shop", name="Shop")
    Rejection.objects.create(source=None, reason="unknown_write_key", excerpt=NASTY)
    InboxItem.objects.create(
        source=source, message_id="m1", type="track", body=NASTY, received_at=clock.now(), rejected="no_user"
    )

    page = console.get("/console/sources").content.decode()

    assert "unknown_write_key" in page
    assert "no_user" in page
    assert NASTY not in page


def test_a_lookup_is_switched_on_with_its_settings(console):
    response = console.post(CENSUS, GOOD)

    setting = SourceSetting.objects.get()
    assert (response.status_code, response["Location"]) == (302, CENSUS)
    assert (setting.enabled, setting.purpose_id, setting.settings["api_key"]) == (True, "measure", KEY)


def test_its_key_is_never_shown_and_stays_when_left_empty(console, caplog):
    caplog.set_level(logging.DEBUG)
    console.post(CENSUS, GOOD)
    wrong = console.post(CENSUS, {**GOOD, "setting.year": "soon"})
    console.post(CENSUS, {**GOOD, "setting.api_key": "", "setting.year": "2023"})

    settings = SourceSetting.objects.get().settings
    pages = [wrong, console.get(CENSUS), console.get("/console/sources")]
    assert (settings["api_key"], settings["year"]) == (KEY, "2023")
    assert all(KEY not in page.content.decode() for page in pages)
    assert "••••••••" in console.get(CENSUS).content.decode()
    assert KEY not in caplog.text
    assert KEY not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"setting.api_key": ""}, "setting.api_key"),
        ({"setting.year": "soon"}, "setting.year"),
        ({"setting.base_url": ""}, "setting.base_url"),
        ({"setting.base_url": "ftp://x"}, ""),
        ({"purpose": "world domination"}, "purpose"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(console, change, about):
    response = console.post(CENSUS, {**GOOD, **change})

    assert response.status_code == 400
    assert response.context["problem"].about == about
    assert 'role="alert"' in response.content.decode()
    assert not SourceSetting.objects.exists()


def test_one_click_switches_a_complete_lookup_and_asks_for_what_another_lacks(console):
    lacking = console.post(CENSUS + "/switch", {"on": "1"})
    assert lacking.status_code == 400
    assert lacking.context["problem"].about == "setting.api_key"

    save_source("us-census-acs", {"api_key": KEY})
    console.post(CENSUS + "/switch", {"on": "0"})
    assert not SourceSetting.objects.get().enabled
    console.post(CENSUS + "/switch", {"on": "1"})

    assert SourceSetting.objects.get().enabled
    assert SourceSetting.objects.get().settings["api_key"] == KEY


def test_look_ups_are_counted_and_their_failures_told(console):
    save_source("us-census-acs", {"api_key": KEY})
    for number, (answer, error) in enumerate([({"area_median_income": 9}, ""), ({}, ""), ({}, "http_503")]):
        Lookup.objects.create(source_key="us-census-acs", question=str(number), answer=answer, error=error)

    counts = console.get(CENSUS).context["counts"]

    assert [counts[name] for name in ("asked", "found", "nothing", "failed")] == [3, 1, 1, 1]
    assert "http_503" in console.get(CENSUS).content.decode()
    assert "33 %" in console.get("/console/sources").content.decode()


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/console/sources/events", {"name": "x"}),
        ("/console/sources/events/shop/switch", {"on": "0"}),
        ("/console/sources/events/shop/key", {}),
        (CENSUS, GOOD),
        (CENSUS + "/switch", {"on": "1"}),
    ],
)
def test_bruno_reads_and_may_not_write(bruno_console, address, body):
    Source.objects.create(slug="shop", name="Shop")

    assert bruno_console.get("/console/sources").status_code == 200
    assert bruno_console.get(CENSUS).status_code == 200
    assert bruno_console.post(address, body).status_code == 403
    assert (Source.objects.count(), SourceSetting.objects.count()) == (1, 0)


def test_many_of_everything_cost_few_queries(console, chika, django_assert_max_num_queries):
    for number in range(15):
        source = Source.objects.create(slug=f"s{number}", name=f"S{number}")
        Rejection.objects.create(source=source, reason="bad", excerpt="x")
        Lookup.objects.create(source_key="us-census-acs", profile=chika, question=str(number))

    with django_assert_max_num_queries(11):
        console.get("/console/sources")
    with django_assert_max_num_queries(9):
        console.get(CENSUS)


def test_a_source_that_is_not_installed_is_said_so(console):
    assert console.get("/console/sources/crystal-ball").status_code == 404
