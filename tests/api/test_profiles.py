"""Facts with their source, and the timeline of one customer."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from regulars.base import clock
from regulars.clients.models import ClientGrant, ResourceServer, management_audience
from regulars.consent.record import Decision
from regulars.events.models import InboxItem, Source
from regulars.events.record import record
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute
from regulars.usecases.correct_facts import correct
from regulars.usecases.decide_consent import decide
from regulars.usecases.process_event import process_message
from regulars.usecases.restrict import restrict
from regulars.usecases.unit_of_work import changes


@pytest.mark.parametrize("before", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "yesterday"])
def test_time_outside_the_calendar_is_a_bad_query(api_client, chika, before):
    answer = api_client.call("GET", f"/regulars/v1/profiles/google-oauth2%7C1001/timeline?before={before}")

    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_query_string")


def test_fact_has_its_source_and_time(api_client, chika):
    api_client.call("PATCH", f"/v2/users/{chika.user_id}", {"app_metadata": {"plan": "gold"}})
    [fact] = api_client.get("/regulars/v1/profiles/google-oauth2%7C1001/facts")["facts"]

    assert (fact["attribute"], fact["value"], fact["source"]) == ("app_metadata.plan", "gold", "app:bot")
    assert fact["collected_at"].endswith("Z")
    assert fact["last_confirmed_at"] == fact["collected_at"]
    assert (fact["basis"], fact["consents"], fact["retracted_at"]) == ("contract", [], None)


def test_timeline_is_newest_first_and_pages_by_time(api_client, chika):
    for number, name in enumerate(["First", "Second"]):
        at = clock.now().replace(microsecond=0, year=2025, day=number + 1)
        record(chika.pk, name, {}, at=at, type="track", message_id=name, source=None, context={}, received_at=at)
    path = "/regulars/v1/profiles/google-oauth2%7C1001/timeline"
    newest, oldest = api_client.get(path)["events"]

    assert (newest["name"], oldest["name"]) == ("Second", "First")
    assert api_client.get(path, before=newest["at"])["events"] == [oldest]


def test_fact_says_what_it_may_be_used_for_and_why_for_nothing(api_client, chika):
    Attribute.objects.create(key="diet", label="Diet", sensitivity="special", purposes=["message"])
    Attribute.objects.create(key="hat", label="Hat", purposes=["message"])
    Attribute.objects.create(key="note", label="Note", purposes=[])
    with changes(chika, "test") as c:
        yes = c.decide(Decision("personalise", "given", "login"))
        c.learn(
            [
                NewFact("gender", "female", "declared", "question:g@1", basis="consent", consents=[yes.pk]),
                NewFact("diet", "vegan", "declared", "question:d@1"),
                NewFact("hat", "M", "declared", "app:crm"),
                NewFact("note", "x", "declared", "app:crm"),
                NewFact("city", "Porto", "declared", "app:crm", expires_at=clock.now() - dt.timedelta(seconds=1)),
                NewFact("name", "Chika", "declared", "app:crm"),
            ]
        )

    def uses() -> dict[str, tuple[bool, str]]:
        facts = api_client.get("/regulars/v1/profiles/google-oauth2%7C1001/facts")["facts"]
        return {each["attribute"]: (bool(each["usable_for"]), each["why_not_usable"]) for each in facts}

    assert uses() == {
        "gender": (True, ""),
        "diet": (False, "needs_explicit_yes"),
        "hat": (False, "purpose_closed"),
        "note": (False, "for_no_purpose"),
        "city": (False, "expired"),
        "name": (True, ""),
    }
    decide(chika, Decision("personalise", "withdrawn", "profile"))
    assert uses()["gender"] == (False, "consent_over")


MESSAGE = {
    "traits": {"gender": "female", "address": {"city": "Porto"}, "plan": "gold"},
    "context": {"ip": "203.0.113.7", "traits": {"gender": "Female"}},
}


@pytest.fixture
def timeline(api_client, chika):
    """Events of both kinds, and the timeline as the application reads it: name → event."""
    Attribute.objects.get_or_create(key="gender", defaults={"label": "Gender", "purposes": ["serve", "measure"]})
    shop = Source.objects.create(name="Shop", slug="shop", kind="server")
    item = InboxItem.objects.create(
        source=shop,
        message_id="m-1",
        type="identify",
        body=json.dumps({**MESSAGE, "userId": chika.user_id, "type": "identify"}),
        received_at=clock.now(),
    )
    process_message(item)
    with changes(chika, "login") as c:
        c.record_event("Signed In", {"connection": "google-oauth2"})

    def read() -> dict[str, dict[str, object]]:
        events = api_client.get("/regulars/v1/profiles/google-oauth2%7C1001/timeline")["events"]
        return {each["name"]: each for each in events}

    return read


def test_timeline_shows_traits_while_their_facts_may_be_used(timeline, chika):
    identified = timeline()["Identified"]

    assert identified["properties"] == MESSAGE["traits"]
    assert identified["context"]["traits"] == {"gender": "Female"}


def test_timeline_shows_no_trait_that_the_customer_deleted(timeline, chika):
    with changes(chika, "customer_deleted") as c:
        c.retract(list(c.profile.facts.filter(attribute="gender")))
    identified = timeline()["Identified"]

    assert "female" not in json.dumps(identified).lower()
    assert identified["properties"] == {"address": {"city": "Porto"}, "plan": "gold"}
    assert identified["context"] == {"ip": "203.0.113.7", "traits": {}}


def test_timeline_shows_no_trait_that_was_corrected(timeline, chika):
    correct(chika, "gender", "male", reason="By phone.", staff="ana")

    assert "gender" not in timeline()["Identified"]["properties"]


def test_timeline_ends_with_the_interest_that_events_were_collected_for(timeline, chika):
    assert set(timeline()) == {"Identified", "Signed In"}
    decide(chika, Decision("measure", "objected", "profile"))

    assert set(timeline()) == {"Signed In"}


def test_timeline_of_a_restricted_customer_is_empty(timeline, chika):
    restrict(chika, "profile")

    assert timeline() == {}


def test_timeline_for_another_purpose_needs_consent_to_the_whole_of_it(timeline, chika):
    api = ResourceServer.objects.create(identifier=management_audience(), name="Management", scopes=["read:users"])
    timeline()  # makes the application
    ClientGrant.objects.create(client_id="bot", resource_server=api, scopes=["read:users"], purpose="personalise")
    assert timeline() == {}
    decide(chika, Decision("personalise", "given", "profile"))

    assert set(timeline()) == {"Identified", "Signed In"}
