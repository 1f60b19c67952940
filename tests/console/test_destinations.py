"""Destinations in the console."""

from __future__ import annotations

import logging
from uuid import uuid4

import pytest

from regulars.base import clock
from regulars.base.jobs.models import Job
from regulars.destinations.models import Delivery, Destination
from regulars.destinations.save import save_destination
from regulars.interfaces.console.models import AuditEntry
from regulars.segments.models import Segment
from regulars.segments.save import save_segment

NASTY = "<script>alert(1)</script>"
SECRET = "whsec_" + "QUFB" * 10
NEW = "/console/destinations/new?kind=webhook"
HOOK = {
    "name": "Mailer",
    "setting.url": "https://mailer.example/hooks",
    "setting.secret": SECRET,
    "purpose": "message",
    "segments": ["vip"],
    "enabled": "on",
}


@pytest.fixture
def vip(standard_setup) -> Segment:
    return Segment.objects.create(slug="vip", name="VIP", text="country:PT", purpose_id="message")


@pytest.fixture
def mailer(vip) -> Destination:
    settings = {"url": "https://mailer.example/hooks", "secret": SECRET}
    return save_destination("Mailer", "webhook", settings, purpose="message", segment_slugs=["vip"])


def _delivery(mailer: Destination, chika, state: str = "failed", **more) -> Delivery:
    words = {"segment_slug": "vip", "segment_name": "VIP", "entered": True, "at": clock.now(), "message_id": uuid4()}
    return Delivery.objects.create(destination=mailer, profile=chika, state=state, **{**words, **more})


def test_ana_adds_a_destination(console, vip):
    response = console.post(NEW, HOOK)

    made = Destination.objects.get()
    assert (response.status_code, response["Location"]) == (302, "/console/destinations/mailer")
    assert (made.kind, made.purpose_id, made.segment_slugs, made.enabled) == ("webhook", "message", ["vip"], True)
    assert AuditEntry.objects.get().details == {"segments": ["vip"]}


def test_the_secret_is_never_shown_and_stays_when_left_empty(console, mailer, caplog):
    caplog.set_level(logging.DEBUG)
    console.post("/console/destinations/mailer", {**HOOK, "setting.secret": "", "name": "The mailer"})
    wrong = console.post("/console/destinations/mailer", {**HOOK, "name": ""})

    mailer.refresh_from_db()
    pages = [wrong, console.get("/console/destinations"), console.get("/console/destinations/mailer")]
    assert (mailer.name, mailer.settings["secret"]) == ("The mailer", SECRET)
    assert all(SECRET not in page.content.decode() for page in pages)
    assert SECRET not in caplog.text
    assert SECRET not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"name": ""}, "name"),
        ({"name": "!!!"}, "name"),
        ({"name": "New"}, "name"),
        ({"name": "Taken"}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"setting.url": ""}, "setting.url"),
        ({"setting.url": "javascript:alert(1)"}, "setting.url"),
        ({"setting.secret": "short"}, "setting.secret"),
        ({"purpose": "world domination"}, "purpose"),
        ({"segments": ["missing"]}, "segments"),
    ],
)
def test_an_error_is_shown_beside_its_field(console, vip, change, about):
    save_destination("Taken", "csv", {"file": "a.csv"}, purpose="message", segment_slugs=[])

    response = console.post(NEW, {**HOOK, **change})

    marked = about.replace(".", "-").replace("_", "-")
    assert response.status_code == (409 if change == {"name": "Taken"} else 400)
    assert response.context["problem"].field == about
    assert f'id="in-{marked}-problem"' in response.content.decode()
    assert Destination.objects.count() == 1


def test_each_kind_draws_its_own_form(console):
    page = console.get("/console/destinations/new?kind=csv").content.decode()

    assert 'name="setting.file"' in page
    assert 'name="setting.url"' not in page
    assert console.get("/console/destinations/new?kind=pigeon").status_code == 404


def test_it_is_switched_off_and_on_with_one_click(console, mailer):
    console.post("/console/destinations/mailer/switch", {"on": "0"})
    assert not Destination.objects.get().enabled

    console.post("/console/destinations/mailer/switch", {"on": "1"})

    assert Destination.objects.get().enabled


def test_a_failed_delivery_shows_its_error_and_is_retried(console, mailer, chika):
    failed = _delivery(mailer, chika, error="http_410", last_error=f"The receiver answered {NASTY}.")
    page = console.get("/console/destinations/mailer/deliveries?state=failed").content.decode()
    assert "http_410" in page
    assert NASTY not in page

    response = console.post(f"/console/destinations/mailer/deliveries/{failed.pk}/retry")

    failed.refresh_from_db()
    assert response["Location"] == "/console/destinations/mailer/deliveries"
    assert (failed.state, failed.error) == ("pending", "")
    assert Job.objects.count() == 1


def test_what_was_sent_is_not_sent_again(console, mailer, chika):
    sent = _delivery(mailer, chika, "sent")

    assert console.post(f"/console/destinations/mailer/deliveries/{sent.pk}/retry").status_code == 400
    assert console.post(f"/console/destinations/other/deliveries/{sent.pk}/retry").status_code == 404
    assert console.post(f"/console/destinations/mailer/deliveries/{10**30}/retry").status_code == 404


def test_the_list_counts_every_fate(console, mailer, chika):
    for state in ("sent", "sent", "failed", "dropped", "pending"):
        _delivery(mailer, chika, state, finished_at=clock.now())

    ((_, kind, counts, _),) = console.get("/console/destinations").context["rows"]

    assert kind == "Webhook"
    assert [counts[state] for state in ("sent", "failed", "dropped", "pending")] == [2, 1, 1, 1]


def test_mia_reads_and_may_not_write(mia_console, mailer):
    assert mia_console.get("/console/destinations/mailer").status_code == 200
    assert mia_console.post(NEW, {**HOOK, "name": "x"}).status_code == 403
    assert mia_console.post("/console/destinations/mailer", HOOK).status_code == 403
    assert mia_console.post("/console/destinations/mailer/switch", {"on": "0"}).status_code == 403
    assert Destination.objects.get().enabled


def test_a_deleted_segment_can_be_removed_from_a_destination(console, mailer, vip):
    vip.delete()
    assert "vip (deleted)" in console.get("/console/destinations/mailer").content.decode()

    console.post("/console/destinations/mailer", {**HOOK, "segments": []})

    assert Destination.objects.get().segment_slugs == []


def test_older_deliveries_are_a_page_further(console, mailer, chika, django_assert_max_num_queries):
    for _ in range(60):
        _delivery(mailer, chika)

    with django_assert_max_num_queries(14):
        first = console.get("/console/destinations/mailer/deliveries").context
    second = console.get("/console/destinations/mailer/deliveries", {"before": first["next"]}).context

    assert (len(first["deliveries"]), len(second["deliveries"]), second["next"]) == (50, 10, 0)


def test_many_destinations_cost_as_many_queries_as_one(console, standard_setup, django_assert_max_num_queries):
    for number in range(15):
        save_destination(f"D{number}", "csv", {"file": "a.csv"}, purpose="message", segment_slugs=[])

    with django_assert_max_num_queries(7):
        console.get("/console/destinations")


def test_words_are_words_and_never_markup(console, vip):
    console.post(NEW, {**HOOK, "name": f"a {NASTY}"})

    assert NASTY not in console.get("/console/destinations").content.decode()


@pytest.mark.parametrize("purpose", ["serve", "measure"])
def test_stopped_destination_says_so_and_such_purposes_cannot_be_chosen(console, standard_setup, purpose):
    save_destination("Files", "csv", {"file": "a.csv"}, purpose="message", segment_slugs=[])
    form = {"name": "Files", "purpose": purpose, "enabled": "on", "setting-file": "a.csv"}
    page = console.get("/console/destinations/files").content.decode()
    assert f'<option value="{purpose}"' not in page
    assert "Stopped" not in page
    assert console.post("/console/destinations/files", form).status_code == 400
    assert Destination.objects.get().purpose_id == "message"

    Destination.objects.update(purpose=purpose)  # as an earlier version saved it
    assert "choose another one" in console.get("/console/destinations/files").content.decode()
    assert "stopped" in console.get("/console/destinations").content.decode()
    assert console.post("/console/destinations/files/switch", {"on": "1"}).status_code == 400


def test_segment_about_groups_is_refused_for_a_destination(console, standard_setup):
    save_segment("Big", "*", "measure")
    form = {"name": "Files", "purpose": "message", "enabled": "on", "setting-file": "a.csv", "segments": ["big"]}
    answer = console.post("/console/destinations/new?kind=csv", form)

    assert answer.status_code == 400
    assert "in-segments-problem" in answer.content.decode()
    assert not Destination.objects.exists()
