"""A customer of whom a segment's purpose is closed is out of the segment, whatever they do: everywhere that memberships show."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from tests.management_api.conftest import ApiClient
from tests.receivers import receiving

from regulars.base import clock
from regulars.base.jobs.run_jobs import run_due
from regulars.consent.models import ConsentState
from regulars.consent.record import Decision
from regulars.destinations.models import Delivery
from regulars.destinations.save import save_destination
from regulars.insights.charts.protocol import ChartScope
from regulars.insights.run_chart import run_chart
from regulars.interfaces.worker.work import MINUTE, SCHEDULE
from regulars.profiles.learn import NewFact
from regulars.questions.targets import condition_of as audience
from regulars.segments.builder import countable
from regulars.segments.count import count
from regulars.segments.known import overview
from regulars.segments.members import members
from regulars.segments.models import Membership, Segment
from regulars.segments.save import membership_condition, save_segment
from regulars.usecases import deliver  # noqa: F401 - registers its handler
from regulars.usecases.decide_consent import decide, expire_consents
from regulars.usecases.lake import fill_lake
from regulars.usecases.permitted_events import permitted_events
from regulars.usecases.save_segment import evaluate_saved, reconcile, save_and_evaluate
from regulars.usecases.unit_of_work import changes

LOOKED = ("Product Viewed", {"category": "jackets"})
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OBJECTED = Decision("measure", "objected", "profile")
# Conditions that data of a closed purpose does not decide.
CONDITIONS = (
    'did("Product Viewed")',
    'did("Product Viewed" where category:jackets in 90d):>=1',
    'did(last of "Product Viewed"):<=30',
    "*",
    "NOT _exists_:gender",
    'NOT did("Order Completed")',
    'consent:"serve"',
    'gender:male OR did("Product Viewed")',
)

pytestmark = pytest.mark.usefixtures("lake")


def states(segment: Segment) -> dict[int, str]:
    return dict(Membership.objects.filter(segment=segment).values_list("profile_id", "state"))


def looks(profile) -> None:
    with changes(profile, "test") as c:
        c.record_event(*LOOKED)


@pytest.fixture
def looked(standard_setup) -> Segment:
    return save_segment("Looked", 'did("Product Viewed")', "measure")


@pytest.mark.parametrize("text", CONDITIONS)
def test_event_after_an_objection_lets_no_one_in_anywhere(make_customer, client, standard_setup, text):
    segment = save_segment("Looked", text, "measure")
    chika, dov = make_customer(), make_customer()
    decide(chika, OBJECTED)
    for profile in (chika, dov):
        looks(profile)
    one_by_one = {key for key, state in states(segment).items() if state != "out"}
    Membership.objects.all().delete()
    evaluate_saved(segment)
    fill_lake({})
    counted = count(text, "measure")
    api = ApiClient(client)

    assert one_by_one == {key for key, state in states(segment).items() if state != "out"} == {dov.pk}
    assert (counted.inside, counted.unknown, counted.outside, counted.sample) == (1, 0, 1, [dov.pk])
    assert [(part.remaining, part.without) for part in counted.parts][-1] == (1, 1)
    assert [each.profile for each in members(segment)] == [dov]
    listed = api.call("GET", "/regulars/v1/segments/looked/members")
    assert listed.json()["errorCode"] == "purpose_is_for_groups"
    assert api.get("/regulars/v1/segments")[0]["members"] == {"in": 1}


@pytest.mark.parametrize(
    "text",
    [
        'did("Product Viewed")',
        'did(last of "Product Viewed"):<=30',
        'NOT did("Order Completed")',
        'did("Order Completed"):<1',
        'NOT (gender:male OR NOT did("Product Viewed"))',
        'consent:"personalise" AND NOT NOT did("Product Viewed")',
    ],
)
def test_events_of_sources_are_no_reason_in_any_segment_after_an_objection_to_measuring(
    make_customer, standard_setup, text
):
    segment = save_segment("Looked", text, "personalise")
    chika, dov = make_customer(), make_customer()
    for profile in (chika, dov):
        with changes(profile, "test") as c:
            c.learn([NewFact("gender", "female", "declared", "app:x", basis="legitimate_interest", purpose="measure")])
        looks(profile)
    decide(chika, OBJECTED)
    one_by_one = states(segment)
    evaluate_saved(segment)
    fill_lake({})
    counted = count(text, "personalise")

    assert (one_by_one.get(chika.pk, "out"), one_by_one[dov.pk]) == ("out", "in")
    assert {key for key, state in states(segment).items() if state != "out"} == {dov.pk}
    assert (counted.inside, counted.sample) == (1, [dov.pk])
    decide(chika, Decision("measure", "objection_lifted", "profile"))
    assert states(segment)[chika.pk] == "in"


def test_own_events_count_after_an_objection_to_measuring(make_customer, standard_setup):
    segment = save_segment("Came", 'did("Signed In")', "personalise")
    chika = make_customer()
    decide(chika, OBJECTED)
    with changes(chika, "test") as c:
        c.record_event("Signed In", {})

    assert states(segment) == {chika.pk: "in"}


def test_yes_to_single_attributes_is_none_to_events_of_sources(make_customer, standard_setup):
    segment = save_segment("Looked", 'did("Product Viewed")', "message")
    came = save_segment("Came", 'did("Signed In")', "message")
    absent = save_segment("Absent", 'NOT did("Order Completed")', "message")
    grouped = save_segment("Counted", 'did("Product Viewed")', "measure")
    chika, dov = make_customer(yes=()), make_customer(yes=("message",))
    with changes(chika, "test") as c:
        c.decide(Decision("message", "given", "profile", pieces=("gender",)))
    for profile in (chika, dov):
        looks(profile)
        with changes(profile, "test") as c:
            c.record_event("Signed In", {})
    fill_lake({})

    # What Regulars recorded itself counts wherever the purpose is open, and what rests on another purpose by that one.
    assert states(segment) == states(absent) == {dov.pk: "in"}
    assert states(came) == states(grouped) == {chika.pk: "in", dov.pk: "in"}
    assert (count(segment.text, "message").inside, count(segment.text, "measure").inside) == (1, 2)
    assert overview("message", ()).events["Product Viewed"].people == 1
    read = [{each.name for each in permitted_events(profile, "message").events} for profile in (chika, dov)]
    assert read == [set(), {"Signed In", "Product Viewed"}]

    decide(chika, Decision("message", "given", "profile"))
    assert states(segment)[chika.pk] == states(absent)[chika.pk] == "in"
    decide(chika, Decision("message", "withdrawn", "profile"))
    with changes(chika, "test") as c:
        c.decide(Decision("message", "given", "profile", pieces=("gender",)))
    assert states(segment)[chika.pk] == states(absent)[chika.pk] == "out"


def test_builder_offers_no_events_that_may_not_be_used(make_customer, standard_setup):
    people = [make_customer() for _ in range(3)]
    for profile in people:
        looks(profile)
        with changes(profile, "test") as c:
            c.record_event("Signed In", {})
    decide(people[0], OBJECTED)
    fill_lake({})
    offered = overview("personalise", ()).events

    assert {name: each.people for name, each in offered.items()} == {"Product Viewed": 2, "Signed In": 3}


def test_objection_takes_the_customer_out_at_once_and_lifting_it_brings_them_back(make_customer, looked):
    chika = make_customer()
    looks(chika)
    assert states(looked) == {chika.pk: "in"}

    decide(chika, OBJECTED)
    assert states(looked) == {chika.pk: "out"}
    decide(chika, Decision("measure", "objection_lifted", "profile"))
    assert states(looked) == {chika.pk: "in"}


def test_purpose_without_consent_lets_no_one_in(make_customer, standard_setup):
    segment = save_segment("Looked", 'did("Product Viewed")', "message")
    chika = make_customer()
    looks(chika)

    assert states(segment) == {}


def test_changed_purpose_is_evaluated_anew_and_the_destination_notified(make_customer, looked):
    chika = make_customer(yes=("share",))
    with receiving() as receiver:
        settings = {"url": receiver.url, "secret": SECRET}
        save_destination("Shop", "webhook", settings, purpose="share", segment_slugs=["looked"])
        looks(chika)
        segment, moved = save_and_evaluate("Looked", looked.text, "message", slug="looked")
        run_due()

    assert (states(segment), moved) == ({chika.pk: "out"}, 1)
    assert [json.loads(got.body)["type"] for got in receiver.received] == ["segment.left"]
    assert Delivery.objects.get(entered=True).error == "no_consent"  # it waited until the purpose was another


def test_changed_purpose_by_api_reaches_segments_that_refer_to_this_one(make_customer, client, looked):
    outer = save_segment("Outer", 'segment:"looked"', "personalise")
    chika = make_customer()
    looks(chika)
    assert states(outer) == {chika.pk: "in"}
    body = {"name": "Looked", "slug": "looked", "text": looked.text, "purpose": "message"}

    assert ApiClient(client).call("POST", "/regulars/v1/segments", body).json()["moved"] == 1
    run_due()

    assert states(outer) == {chika.pk: "out"}


def test_member_without_a_view_of_the_new_purpose_leaves(make_customer, looked):
    chika = make_customer()
    looks(chika)
    chika.permitted_views.filter(purpose="personalise").delete()

    save_and_evaluate("Looked", looked.text, "personalise", slug="looked")

    assert states(looked) == {chika.pk: "out"}


def test_segment_inside_another_keeps_its_own_purpose(make_customer, looked, standard_setup):
    segment = save_segment("Did look", 'segment:"looked"', "personalise")
    others = save_segment("Did not look", 'NOT segment:"looked"', "personalise")
    chika = make_customer()
    decide(chika, OBJECTED)
    looks(chika)
    fill_lake({})

    assert (states(segment), states(others)) == ({}, {chika.pk: "in"})
    assert count('segment:"looked"', "personalise").inside == 0
    evaluate_saved(segment)
    assert 'consent:"measure"' not in str(audience('segment:"looked"'))
    assert "Consented(purpose='measure')" in str(audience('segment:"looked"'))


@pytest.mark.parametrize(("of_segment", "of_destination"), [("message", "share"), ("share", "message")])
def test_destination_needs_the_purpose_of_the_segment_as_well_as_its_own(make_customer, of_segment, of_destination):
    save_segment("Looked", 'did("Product Viewed")', of_segment)
    chika, dov = make_customer(yes=("message", "share")), make_customer(yes=(of_segment,))
    with receiving() as receiver:
        settings = {"url": receiver.url, "secret": SECRET}
        save_destination("Shop", "webhook", settings, purpose=of_destination, segment_slugs=["looked"])
        for profile in (chika, dov):
            looks(profile)
        decide(chika, Decision(of_segment, "withdrawn", "profile"))
        run_due()

    received = [json.loads(got.body)["type"] for got in receiver.received]
    assert "segment.entered" not in received
    assert set(Delivery.objects.filter(entered=True).values_list("state", "error")) == {("dropped", "no_consent")}


def test_customer_who_closes_the_purpose_of_the_segment_leaves_the_destination(make_customer, standard_setup):
    save_segment("Looked", 'did("Product Viewed")', "personalise")
    chika = make_customer(yes=("message", "personalise"))
    with receiving() as receiver:
        settings = {"url": receiver.url, "secret": SECRET}
        save_destination("Shop", "webhook", settings, purpose="message", segment_slugs=["looked"])
        looks(chika)
        run_due()
        decide(chika, Decision("personalise", "withdrawn", "profile"))
        run_due()

    assert [json.loads(got.body)["type"] for got in receiver.received] == ["segment.entered", "segment.left"]


def test_expired_consent_hides_members_at_once_and_ends_the_membership_within_a_minute(make_customer, standard_setup):
    segment = save_segment("Looked", 'did("Product Viewed")', "message")
    people = [make_customer(yes=("message",)) for _ in range(4)]
    for profile in people:
        looks(profile)
    over = clock.now() - dt.timedelta(seconds=1)
    for state in ConsentState.objects.filter(profile__in=people[:3], purpose="message"):
        state.expires_at, state.standing[0]["until"] = over, over.isoformat()
        state.save()

    assert [each.profile for each in members(segment, limit=1)] == [people[3]]
    assert members(segment, limit=2, after=people[3].pk) == []
    every, task = SCHEDULE["consents.expire"]
    assert (every < MINUTE, task) == (True, expire_consents)
    assert expire_consents() == 3
    assert [key for key, state in states(segment).items() if state == "in"] == [people[3].pk]


def test_charts_and_the_builder_count_no_event_of_those_who_objected(make_customer, standard_setup):
    chika, dov = make_customer(), make_customer()
    decide(chika, OBJECTED)
    for profile in (chika, dov):
        with changes(profile, "test") as c:
            c.record_event("Signed In")
    fill_lake({})
    segment = save_segment("Signed in", 'did("Signed In")', "measure")

    assert run_chart("signins_per_day", ChartScope(clock.now())).total == 1
    assert overview("measure", countable({}, "measure")).events["Signed In"].times == 1
    scope = ChartScope(clock.now(), condition=membership_condition(segment), attribute="gender")
    assert run_chart("people_by_attribute", scope).total == 1


def test_memberships_of_before_are_corrected_by_the_daily_job(make_customer, looked):
    chika = make_customer()
    decide(chika, OBJECTED)
    Membership.objects.create(segment=looked, profile=chika, state="in")

    assert members(looked) == []
    reconcile({"segment": "looked"})
    assert states(looked) == {chika.pk: "out"}
