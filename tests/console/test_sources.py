"""Event sources and enrichment sources in the console."""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest

from regulars.base import clock
from regulars.base.jobs.models import Job, Queue
from regulars.consent.record import Decision, record
from regulars.enrichment.models import Lookup, Reliability, SourceDay, SourceSetting
from regulars.enrichment.save import SourceLimits, save_source
from regulars.events.identifiers import IdProblem
from regulars.events.models import InboxItem, Rejection, Source
from regulars.events.sources import make_source
from regulars.interfaces.console.models import AuditEntry
from regulars.interfaces.console.views.sources import CROWDS
from regulars.operations.doctor import run_checks
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.models import CrowdedProfile
from regulars.usecases.process_event import process_inbox

NOON = "2026-11-24T12:00:00Z"
NASTY = "<script>alert(1)</script>"
KEY = "census-key-very-secret"
CENSUS = "/console/sources/us-census-acs"
GOOD = {
    "setting.base_url": "https://api.census.gov/data",
    "setting.year": "2024",
    "setting.api_key": KEY,
    "purpose": "enrich",
    "enabled": "on",
}


def test_ana_names_a_source_and_reads_its_write_key(console):
    response = console.post("/console/sources/events", {"name": "iOS app"})

    source = Source.objects.get()
    assert (response.status_code, response["Location"], source.slug) == (302, "/console/sources", "ios-app")
    assert source.write_key in console.get("/console/sources").content.decode()
    assert AuditEntry.objects.get().what == "source.made"


@pytest.mark.parametrize("name", ["", "!!!", "x" * 101, "Shop"])
def test_an_invalid_name_shows_an_error_beside_the_field(console, name):
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
    assert console.post("/console/sources/events/missing/key").status_code == 400


def test_what_was_refused_is_listed_and_escaped(console):

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
    assert (setting.enabled, setting.purpose_id, setting.settings["api_key"]) == (True, "enrich", KEY)


def test_lookup_that_its_purpose_stops_says_so_and_cannot_be_saved_so(console):
    console.post(CENSUS, GOOD)
    SourceSetting.objects.update(purpose="measure")

    refused = console.post(CENSUS, {**GOOD, "purpose": "measure"})

    assert refused.status_code == 400
    assert 'id="in-purpose-problem"' in refused.content.decode()
    page = console.get(CENSUS).content.decode()
    assert "Nothing is asked." in page
    assert 'value="measure"' not in page
    assert "Choose another purpose." in console.get("/console/sources").content.decode()


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
def test_an_error_is_shown_beside_its_field(console, change, about):
    response = console.post(CENSUS, {**GOOD, **change})

    assert response.status_code == 400
    assert response.context["problem"].field == about
    assert 'role="alert"' in response.content.decode()
    assert not SourceSetting.objects.exists()


def test_one_click_switches_a_complete_lookup_and_asks_for_what_another_lacks(console):
    lacking = console.post(CENSUS + "/switch", {"on": "1"})
    assert lacking.status_code == 400
    assert lacking.context["problem"].field == "setting.api_key"

    save_source("us-census-acs", {"api_key": KEY})
    console.post(CENSUS + "/switch", {"on": "0"})
    assert not SourceSetting.objects.get().enabled
    console.post(CENSUS + "/switch", {"on": "1"})

    assert SourceSetting.objects.get().enabled
    assert SourceSetting.objects.get().settings["api_key"] == KEY


def test_lookups_are_counted_and_failures_are_shown(console):
    save_source("us-census-acs", {"api_key": KEY})
    for number, (answer, error) in enumerate([({"area_median_income": 9}, ""), ({}, ""), ({}, "http_503")]):
        Lookup.objects.create(source_key="us-census-acs", question=str(number), answer=answer, error=error)

    counts = console.get(CENSUS).context["counts"]

    assert [counts[name] for name in ("asked", "found", "nothing", "failed")] == [3, 1, 1, 1]
    assert "http_503" in console.get(CENSUS).content.decode()
    assert "33 %" in console.get("/console/sources").content.decode()


def test_answer_about_a_customer_is_shown_while_its_purpose_is_open(console, chika):
    save_source("us-census-acs", {"api_key": KEY})
    Lookup.objects.create(source_key="us-census-acs", profile=chika, question="1", answer={"area_median_income": 98765})
    record(chika, Decision("enrich", "given", "profile"))
    assert "98765" in console.get(CENSUS).content.decode()
    record(chika, Decision("enrich", "withdrawn", "profile"))

    assert "98765" not in console.get(CENSUS).content.decode()


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
def test_mia_reads_and_may_not_write(mia_console, address, body):
    Source.objects.create(slug="shop", name="Shop")

    assert mia_console.get("/console/sources").status_code == 200
    assert mia_console.get(CENSUS).status_code == 200
    assert mia_console.post(address, body).status_code == 403
    assert (Source.objects.count(), SourceSetting.objects.count()) == (1, 0)


def test_many_of_everything_cost_few_queries(console, chika, django_assert_max_num_queries):
    for number in range(15):
        source = Source.objects.create(slug=f"s{number}", name=f"S{number}")
        Rejection.objects.create(source=source, reason="bad", excerpt="x")
        Lookup.objects.create(source_key="us-census-acs", profile=chika, question=str(number))

    with django_assert_max_num_queries(13):
        console.get("/console/sources")
    with django_assert_max_num_queries(14):
        console.get(CENSUS)


def test_a_source_that_is_not_installed_is_not_found(console):
    assert console.get("/console/sources/crystal-ball").status_code == 404


LIMITS = {
    "calls_per_day": "500",
    "money_per_day": "12.50",
    "price": "0.05",
    "calls_per_minute": "60",
    "concurrency": "3",
    "fresh_days": "14",
}


def test_ana_sets_the_limits_of_a_source(console):
    console.post(CENSUS, {**GOOD, **LIMITS})

    setting = SourceSetting.objects.get()
    drawn = {name: value for name, _, _, value in console.get(CENSUS).context["limits"]}
    assert (setting.calls_per_day, setting.calls_per_minute, setting.concurrency, setting.fresh_days) == (
        500,
        60,
        3,
        14,
    )
    assert (setting.money_per_day, setting.price) == (Decimal("12.50"), Decimal("0.05"))
    assert Queue.objects.get(name=setting.queue).concurrency == 3
    assert {name: float(value) for name, value in drawn.items()} == {name: float(v) for name, v in LIMITS.items()}


def test_what_is_left_empty_is_without_limit_and_what_the_form_lacks_stays(console):
    console.post(CENSUS, {**GOOD, **LIMITS})
    console.post(CENSUS, GOOD)
    assert SourceSetting.objects.get().calls_per_day == 500

    console.post(CENSUS, {**GOOD, **dict.fromkeys(LIMITS, "")})

    setting = SourceSetting.objects.get()
    assert (setting.calls_per_day, setting.money_per_day, setting.fresh_days) == (None, None, None)
    assert (setting.concurrency, setting.price) == (1, 0)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("calls_per_day", "many"),
        ("calls_per_day", "-1"),
        ("calls_per_day", "1.5"),
        ("calls_per_day", "1e7999999"),
        ("calls_per_minute", "0"),
        ("calls_per_minute", "-1e7999999"),
        ("concurrency", "0"),
        ("concurrency", "1000"),
        ("price", "NaN"),
        ("price", "1e7999999"),
        ("money_per_day", "1e99"),
        ("fresh_days", "0"),
    ],
)
def test_an_invalid_limit_shows_an_error_beside_its_field(console, name, written):
    response = console.post(CENSUS, {**GOOD, **LIMITS, name: written})

    assert response.status_code == 400
    assert response.context["problem"].field == name
    assert f'id="in-{name.replace("_", "-")}-problem"' in response.content.decode()
    assert not SourceSetting.objects.exists()


def test_the_page_tells_what_a_source_brings_costs_and_how_far_it_is_believed(console):
    save_source("us-census-acs", {"api_key": KEY}, limits=SourceLimits(calls_per_day=10, money_per_day=Decimal(3)))
    today = {"calls": 8, "answers": 4, "nothing": 4, "cost": Decimal("2.40")}
    SourceDay.objects.create(source_key="us-census-acs", day=clock.today(), **today)
    for attribute, agree, compared in (("area_population", 3, 4), ("area_median_income", 20, 60)):
        Reliability.objects.create(
            source_key="us-census-acs",
            attribute=attribute,
            agree=agree,
            compared=compared,
            reliability=agree / compared,
        )

    page = console.get(CENSUS)
    text = page.content.decode()

    assert (page.context["report"].hit_rate, page.context["report"].cost_per_hit) == (0.5, Decimal("0.6"))
    assert all(words in text for words in ("of 10", "2.40 of 3.00 spent", "too few to compare", "33 %", "low"))
    assert "disagrees" in console.get("/console/sources").content.decode()


def test_what_was_given_up_is_asked_again_one_by_one_or_all(console, chika):
    queue = save_source("us-census-acs", {"api_key": KEY}).queue
    dead = {
        "kind": "enrich",
        "queue": queue,
        "state": "failed",
        "due_at": clock.now(),
        "finished_at": clock.now(),
        "last_error": "http_400: no",
    }
    jobs = [Job.objects.create(payload={"profile": number, "source": "x"}, **dead) for number in (chika.pk, 0, 0)]
    page = console.get(CENSUS).content.decode()
    assert all(words in page for words in (chika.user_id, "erased customer", "http_400: no", "Retry all 3"))

    console.post(CENSUS + "/retry", {"number": str(jobs[0].pk)})
    assert [job.state for job in Job.objects.order_by("id")] == ["waiting", "failed", "failed"]
    assert console.post(CENSUS + "/retry", {"number": str(jobs[0].pk)}).status_code == 400
    console.post(CENSUS + "/retry")

    assert {job.state for job in Job.objects.all()} == {"waiting"}


def test_bruno_asks_nothing_again(bruno_console):
    assert bruno_console.post(CENSUS + "/retry").status_code == 403


def test_what_was_set_aside_or_taken_in_part_is_counted_by_source_and_reason(console):
    shop, app = Source.objects.create(slug="shop", name="Shop"), Source.objects.create(slug="ios", name="iOS app")
    for number, body in enumerate(
        [
            '{"event": "X", "userId": "guest"}',
            '{"event": "X", "userId": "[object Object]"}',
            '{"event": "X", "userId": "u-1", "timestamp": "yesterday"}',
        ]
    ):
        InboxItem.objects.create(source=shop, message_id=f"m-{number}", type="track", body=body, received_at=NOON)
    InboxItem.objects.create(
        source=app, message_id="m-9", type="track", body='{"event": "signed in", "userId": "u"}', received_at=NOON
    )
    while process_inbox():
        pass

    pages = {
        path: console.get(f"/console/sources{path}").content.decode() for path in ("", "/events/shop", "/events/ios")
    }
    [everything, of_shop, of_app] = [
        page.partition('id="reasons"')[2].partition("</table>")[0] for page in pages.values()
    ]

    placeholder = IdProblem.PLACEHOLDER.value
    assert f'<code>{placeholder}</code></th><td>Shop</td><td class="n">2</td>' in everything
    assert '<code>timestamp_unreadable</code></th><td>Shop</td><td class="n">1</td>' in everything
    assert '<code>name_is_ours</code></th><td>iOS app</td><td class="n">1</td>' in everything
    assert [placeholder in of_shop, "name_is_ours" in of_shop] == [True, False]
    assert [placeholder in of_app, "name_is_ours" in of_app] == [False, True]


def test_id_that_gathers_browsers_is_listed_and_released_by_an_admin(console):
    shared, _ = get_or_create_by_identity("external", "shared")
    CrowdedProfile.objects.create(profile=shared, source="shop", browsers=21)
    Source.objects.create(slug="shop", name="Shop")

    for page in ("", "/events/shop"):
        assert "external|shared</a>" in console.get(f"/console/sources{page}").content.decode()
    assert any("external|shared gathered too many browsers" in check.message for check in run_checks())

    response = console.post("/console/sources/crowds/release", {"number": CrowdedProfile.objects.get().pk})

    assert response.status_code == 302
    assert (
        "external|shared"
        not in console.get("/console/sources").content.decode().partition("<main")[2].partition('id="crowds"')[2]
    )
    assert AuditEntry.objects.get().what == "crowd.released"
    assert not any("too many browsers" in check.message for check in run_checks())
    assert console.post("/console/sources/crowds/release", {"number": "x"}).status_code == 404


def test_a_source_becomes_a_servers_and_its_key_is_shown_once(console):
    source = make_source("Shop")
    public = source.write_key
    shown = console.post("/console/sources/events/shop/kind", {"kind": "server"}).content.decode()
    source.refresh_from_db()
    pages = (
        console.get("/console/sources").content.decode() + console.get("/console/sources/events/shop").content.decode()
    )

    assert source.kind == "server"
    assert public not in shown + pages
    assert "shown this once" in shown
    assert source.write_key not in shown + pages
    assert "Make it public" in pages


def test_a_source_of_an_unknown_kind_is_refused(console):
    source = make_source("Shop")

    assert console.post("/console/sources/events/shop/kind", {"kind": "secret"}).status_code == 400
    assert console.post("/console/sources/events/shop/kind").status_code == 400
    assert Source.objects.get().write_key == source.write_key


def test_the_secret_for_hashes_is_shown_once_and_a_proof_can_be_required(console):
    source = make_source("Shop")
    shown = console.post("/console/sources/events/shop/secret").content.decode()
    console.post("/console/sources/events/shop/proof", {"on": "1"})
    source.refresh_from_db()
    page = console.get("/console/sources/events/shop").content.decode()

    assert source.secret in shown
    assert source.secret not in page
    assert source.require_proof
    assert "Required" in page


def test_page_shows_the_newest_of_any_number_of_ids_that_gather_browsers(console):
    Source.objects.create(name="Shop", slug="shop")
    for number in range(CROWDS + 1):
        profile, _ = get_or_create_by_identity("external", f"kiosk-{number:03}")
        CrowdedProfile.objects.create(profile=profile, source="shop", browsers=30)

    for page in ("/console/sources", "/console/sources/events/shop"):
        shown = console.get(page).content.decode()
        assert shown.count("Join browsers again") == CROWDS
        assert "kiosk-000" not in shown
    assert f"and {CROWDS - 2} more" in "".join(each.message for each in run_checks())
