"""The record of processing is generated from what is switched on: a page to print, and JSON."""

from __future__ import annotations

import re

from regulars.clients.models import Client, ClientGrant, ResourceServer
from regulars.connections.models import Connection
from regulars.consent.models import Purpose
from regulars.destinations.models import Destination
from regulars.enrichment.save import save_source
from regulars.interfaces.console.views.record_of_processing import ORIGINS
from regulars.profiles.models import Attribute
from regulars.questions.models import Question
from regulars.rules.save import save_rule
from regulars.usecases.processing_record import Origin, processing_record
from regulars.usecases.retention import KINDS, set_retention

MAILING = [{"attribute": "email", "field": "address", "transform": ""}]


def switch_on() -> None:
    Connection.objects.create(
        name="google-oauth2", strategy="google-oauth2", display_name="Google", requested_claims=["address"]
    )
    Connection.objects.create(
        name="facebook", strategy="facebook", display_name="Facebook", requested_claims=["gender"], enabled=False
    )
    Question.objects.create(
        key="city",
        text="Where do you live?",
        why="w",
        type="city",
        attribute="city",
        purpose_id="personalise",
        enabled=True,
    )
    save_source("us-census-acs", {"base_url": "https://census.example", "api_key": "k"})
    Destination.objects.create(
        slug="mailing",
        name="Mailing",
        kind="webhook",
        settings={"url": "https://mailing.example/hook"},
        purpose_id="message",
        mapping=MAILING,
    )

    server = Client.objects.create(client_id="server", name="Shop's server")
    api = ResourceServer.objects.create(identifier="https://shop.example/api/v2/", name="Management API")
    ClientGrant.objects.create(client=server, resource_server=api, scopes=["update:users"])


def attribute(answer: dict, key: str) -> dict:
    (found,) = [each for each in answer["attributes"] if each["key"] == key]
    return found


def test_each_attribute_tells_where_it_comes_from_and_where_it_may_go(mia_console):
    switch_on()

    answer = mia_console.get("/console/privacy/record.json").json()

    city, code = attribute(answer, "city"), attribute(answer, "postal_code")
    origins = {(each["kind"], each["name"], each["purpose"]) for each in city["origins"]}
    assert ("share", "Google", "personalise") in origins
    assert ("question", "Where do you live?", "personalise") in origins
    assert not any(each["name"] == "Facebook" for each in attribute(answer, "gender")["origins"])  # it is switched off
    assert [each["name"] for each in attribute(answer, "email")["recipients"]] == ["Mailing"]
    assert city["recipients"] == []  # the mapping does not send it
    assert "lookup" in {each["kind"] for each in attribute(answer, "area_median_income")["origins"]}
    assert [each["kind"] for each in code["recipients"]] == ["lookup"]
    assert ("application", "Shop's server", "") in {
        (each["kind"], each["name"], each["purpose"]) for each in attribute(answer, "email")["origins"]
    }
    age = attribute(answer, "age_band")["origins"]
    assert [each["follows_from"] for each in age if each["kind"] == "conclusion"] == [["birthdate"]]


def test_it_covers_every_purpose_attribute_and_retention_of_the_code(standard_setup):
    set_retention("events", 100)

    record = processing_record()

    assert {each.key for each in record.purposes} == set(Purpose.objects.values_list("key", flat=True))
    assert {each.key for each in record.attributes} == set(Attribute.objects.values_list("key", flat=True))
    assert {each.kind: each.days for each in record.retention} == {
        **{key: kind.days for key, kind in KINDS.items()},
        "events": 100,
    }


def test_it_names_the_controller_of_the_setting(mia_console, settings):
    settings.CONTROLLER = "Harbour & Pine, Quay 1, Hamburg"

    assert (
        "Controller: Harbour &amp; Pine, Quay 1, Hamburg" in mia_console.get("/console/privacy/record").content.decode()
    )
    assert mia_console.get("/console/privacy/record.json").json()["controller"] == "Harbour & Pine, Quay 1, Hamburg"


def test_the_page_can_be_read_and_printed(mia_console):
    switch_on()

    page = mia_console.get("/console/privacy/record").content.decode()

    for words in ("Record of processing", "Mailing", "Where do you live?", "Inactive customers", "this machine"):
        assert words in page
    assert "/console/privacy/record" in mia_console.get("/console/privacy").content.decode()


def test_metadata_that_a_rule_names_comes_from_the_rule(mia_console):
    Attribute.objects.create(key="app_metadata.tier", label="Tier", type="text", metadata_path="app_metadata.tier.name")
    save_rule(
        "Loyalty", script="(user, context, cb) => { user.app_metadata.tier = {name: 'gold'}; cb(null, user, context) }"
    )
    save_rule("Greeting", script="(user, context, cb) => { context.idToken.tier = 1; cb(null, user, context) }")

    answer = mia_console.get("/console/privacy/record.json").json()

    assert [each["name"] for each in attribute(answer, "app_metadata.tier")["origins"] if each["kind"] == "rule"] == [
        "Loyalty"
    ]
    assert [each["name"] for each in answer["rules"]] == ["Loyalty", "Greeting"]
    assert "Greeting (login)" in mia_console.get("/console/privacy/record").content.decode()


def test_people_read_names_and_articles_and_what_they_have_to_add(mia_console):
    switch_on()

    page = mia_console.get("/console/privacy/record").content.decode()

    for words in (
        "Legitimate interest, art. 6 (1) (f)",
        "Google (shared by the customer, for A shop that fits you)",
        "transfers to countries outside the European Economic Area",
    ):
        assert words in page
    assert "legitimate_interest" not in page


def test_every_kind_of_origin_has_words():
    kinds = re.search(r"`kind`: ([\w, ]+)\.", Origin.__doc__)[1].split(", ")

    assert set(kinds) == set(ORIGINS)
