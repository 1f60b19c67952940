"""The field mapping of a destination, with a preview of what would be sent of a real customer."""

from __future__ import annotations

import json

import pytest
from tests.partners import partners_running
from tests.receivers import receiving

from regulars.base import clock
from regulars.consent.record import Decision, record
from regulars.consent.refresh import refresh_views
from regulars.destinations.deliver import deliver
from regulars.destinations.models import Delivery, Destination
from regulars.destinations.queue import MembershipChange, queue_changes
from regulars.destinations.save import save_destination
from regulars.interfaces.console.models import AuditEntry
from regulars.profiles.learn import NewFact, learn

NASTY = "<script>alert(1)</script>"
SECRET = "whsec_" + "QUFB" * 10
PAGE = "/console/destinations/mailer/mapping"
FACTS = {"given_name": "Chika", "city": "Porto", "email": "chika@example.com", "birthdate": "1990-04-01"}


@pytest.fixture
def known(chika):
    learn(chika, [NewFact(key, value, "declared", "test") for key, value in FACTS.items()])
    record(chika, Decision("message", "given", "test"))
    refresh_views(chika)
    return chika


@pytest.fixture
def mailer(standard_setup) -> Destination:
    settings = {"url": "https://mailer.example/hooks", "secret": SECRET}
    return save_destination("Mailer", "webhook", settings, purpose="message", segment_slugs=["vip"])


def rows(*given: tuple[str, ...]) -> dict[str, str]:
    """`(field, attribute, transform, constant)` as the form sends them."""
    sent: dict[str, str] = {}
    for number, row in enumerate(given):
        names = ("field", "attribute", "transform", "constant")
        sent |= {f"{name}.{number}": value for name, value in zip(names, (*row, "", "", "")[:4], strict=True)}
    return sent


def _news() -> MembershipChange:
    return MembershipChange("vip", "VIP", entered=True, at=clock.now())


def test_what_ana_maps_in_the_console_arrives_so_at_the_receiver(console, known):
    with receiving() as receiver:
        settings = {"url": receiver.url, "secret": SECRET}
        save_destination("Mailer", "webhook", settings, purpose="message", segment_slugs=["vip"])
        mapped = rows(("town", "city", "upper"), ("born", "birthdate", "year"), ("from", "=", "", "Regulars"), ("", ""))
        response = console.post(PAGE, mapped)
        (delivery,) = queue_changes(known, [_news()])
        deliver(delivery, {})

    assert (response.status_code, response["Location"]) == (302, PAGE)
    assert json.loads(receiver.received[0].body)["data"]["traits"] == {"town": "PORTO", "from": "Regulars"}
    assert AuditEntry.objects.get().details == {"fields": ["town", "born", "from"]}


def test_it_arrives_mapped_at_the_mock_of_mailchimp(console, known):
    with partners_running() as partners:
        settings = {"api_key": "mock-us21", "list_id": "L1", "base_url": partners.at("mailchimp")}
        save_destination("Mailer", "mailchimp", settings, purpose="message", segment_slugs=["vip"])
        console.post(PAGE, rows(("FNAME", "given_name", "upper"), ("ORIGIN", "=", "", "our shop")))
        (delivery,) = queue_changes(known, [_news()])
        deliver(delivery, {})
        member, _ = partners.calls("mailchimp")

    assert member["body"]["merge_fields"] == {"FNAME": "CHIKA", "ORIGIN": "our shop"}


def test_the_form_begins_with_what_the_plug_in_declares(console, standard_setup):
    settings = {"api_key": "key-us21", "list_id": "L1"}
    save_destination("Mailer", "mailchimp", settings, purpose="message", segment_slugs=[])

    drawn = [(row["field"], row["attribute"]) for _, row in console.get(PAGE).context["rows"]]

    assert drawn[:4] == [("FNAME", "given_name"), ("LNAME", "family_name"), ("PHONE", ""), ("BIRTHDAY", "")]


def test_the_preview_follows_the_form_and_saves_and_sends_nothing(console, known, mailer):
    draft = {**rows(("town", "city"), ("given", "given_name", "initial")), "who": known.user_id}
    part = console.post(PAGE + "/preview", draft, headers={"HX-Request": "true"}).content.decode()

    mailer.refresh_from_db()
    assert "<html" not in part
    assert "Porto" in part
    assert "segment.entered" in part
    assert SECRET not in part
    assert (mailer.mapping, Delivery.objects.count()) == ([], 0)


def test_the_preview_names_what_consent_withholds(console, known, mailer):
    draft = rows(("born", "birthdate"), ("town", "city"), ("income", "area_median_income"), ("day", "city", "year"))
    seen = console.post(PAGE + "/preview", {**draft, "who": known.user_id}).context["seen"]
    held = {each.field: each.name for each in seen.withheld}
    assert held == {"born": "not_for_this", "income": "unknown", "day": "does_not_fit"}

    record(known, Decision("message", "withdrawn", "test"))
    page = console.post(PAGE + "/preview", {**draft, "who": known.user_id})

    assert page.context["seen"].refused == "The customer does not allow the purpose 'message'."
    assert {each.name for each in page.context["seen"].withheld} == {"not_allowed", "unknown"}
    assert "Nothing would be sent." in page.content.decode()


def test_without_a_mapping_everything_that_is_held_is_listed(console, known, mailer):
    seen = console.get(PAGE, {"who": known.user_id}).context["seen"]

    assert seen.traits["city"] == "Porto"
    assert ("birthdate", "not_for_this") in {(each.attribute, each.name) for each in seen.withheld}


def test_a_customer_is_found_by_name(console, known, mailer):
    found = console.get(PAGE, {"q": "chika"}).context
    empty = console.get(PAGE, {"q": "zoltan"}).context
    broken = console.get(PAGE, {"q": "country:["})

    assert found["chosen"] == known
    assert (empty["chosen"], empty["seen"]) == (None, None)
    assert broken.status_code == 200
    assert broken.context["not_found"]


def test_a_destination_that_is_off_is_mapped_before_it_is_on(console, known, mailer):
    Destination.objects.update(enabled=False)

    page = console.get(PAGE, {"who": known.user_id})

    assert page.context["seen"].traits["city"] == "Porto"
    assert "if it were on" in page.content.decode()
    assert not Destination.objects.get().enabled


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([("a", "city"), ("a", "country")], "filled twice"),
        ([("a", "=", "", "")], "fixed value"),
        ([("", "=", "", "x")], "name of the field"),
        ([("a", "city", "guess")], "no transform called"),
    ],
)
def test_rows_that_make_no_sense_are_refused_and_kept_in_the_form(console, mailer, given, words):
    response = console.post(PAGE, rows(*given))

    assert response.status_code == 400
    assert words in response.content.decode()
    assert [row["attribute"] for _, row in response.context["rows"]] == [each[1] for each in given]
    assert Destination.objects.get().mapping == []


def test_one_click_goes_back_to_what_the_kind_maps_itself(console, mailer):
    console.post(PAGE, rows(("town", "city")))
    assert Destination.objects.get().mapping

    console.post(PAGE, {**rows(("town", "city")), "do": "own"})

    assert Destination.objects.get().mapping == []


def test_what_tells_no_traits_has_no_rows(console, known):
    settings = {"url": "https://hooks.slack.example/x"}
    save_destination("Mailer", "slack", settings, purpose="message", segment_slugs=[])
    page = console.get(PAGE)

    assert "no fields to map" in page.content.decode()
    assert console.post(PAGE, rows(("town", "city"))).status_code == 400


def test_mia_looks_and_may_not_map(mia_console, known, mailer):
    assert mia_console.get(PAGE).status_code == 200
    assert mia_console.post(PAGE, rows(("town", "city"))).status_code == 403
    assert Destination.objects.get().mapping == []


def test_words_of_customers_are_words(console, known, mailer):
    learn(known, [NewFact("city", NASTY, "declared", "test")])

    assert NASTY not in console.get(PAGE, {"who": known.user_id}).content.decode()
    assert console.get("/console/destinations/missing/mapping").status_code == 404
