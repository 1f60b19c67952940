"""A purpose that covers more: closed for everybody at once, recomputed in portions that can be stopped half-way."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from regulars.base.conditions import parse_search
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import lease_next, run_due, run_job
from regulars.consent.models import PermittedView, Purpose, Widening
from regulars.consent.purposes import PurposeText
from regulars.consent.record import Decision
from regulars.consent.view import current_views, may, served_user, view, with_served_traits
from regulars.profiles.assertions import Place
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.segments.evaluate import matching_now
from regulars.segments.export_members import columns, lines
from regulars.segments.members import members as list_members
from regulars.segments.models import Membership, Segment
from regulars.segments.save import save_segment
from regulars.usecases import decide_consent
from regulars.usecases.decide_consent import change_purpose
from regulars.usecases.find_customers import find_customers, found_by_applications
from regulars.usecases.unit_of_work import changes, evaluate_for_every_customer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup", "lake")]
WIDER = PurposeText("A shop that fits you", "To show you things that fit you, and to lend it to our partners.")


@pytest.fixture
def crowd(standard_setup, make_customer):
    """Seven customers who shared their gender under `personalise`, three in a portion."""
    save_segment("Women", "gender:female", "personalise")
    save_segment("Counted women", "gender:female", "measure")
    customers = [make_customer(yes=()) for _ in range(7)]
    for customer in customers:
        with changes(customer, "test") as c:
            yes = c.decide(Decision("personalise", "given", "profile"))
            c.learn([NewFact("gender", "female", "social", "google-oauth2", basis="consent", consents=[yes.pk])])
    Job.objects.all().delete()
    return customers


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch):
    monkeypatch.setattr(decide_consent, "RECOMPUTED_AT_ONCE", 3)


def widen():
    change_purpose("personalise", WIDER, widened=True)


def served(customer):
    """What a token and /userinfo say of the gender."""
    prefetched = with_served_traits(Profile.objects.filter(pk=customer.pk)).get()
    fresh = Profile.objects.get(pk=customer.pk)
    return [served_user(fresh, place).get("gender") for place in (Place.TOKEN, Place.RULES)] + [
        served_user(prefetched, Place.USERINFO).get("gender")
    ]


def members(slug):
    return Membership.objects.filter(segment__slug=slug, state="in").count()


def test_gate_is_closed_when_the_purpose_is_saved_before_any_job(crowd):
    assert served(crowd[0]) == ["female"] * 3

    widen()

    for customer in crowd:
        assert not may(customer, "personalise")
        assert view(customer, "measure") == {}
        assert served(customer) == [None] * 3


def test_one_job_recomputes_one_portion_and_queues_the_next(crowd):
    widen()

    run_job(lease_next())

    assert Widening.objects.get().after == crowd[2].pk
    assert (members("women"), members("counted-women")) == (4, 4)
    assert [served(customer) for customer in crowd] == [[None] * 3] * 7
    run_due()
    assert (members("women"), members("counted-women")) == (0, 0)
    assert not Widening.objects.exists()
    assert not PermittedView.objects.filter(traits__has_key="gender").exists()


def test_walk_that_was_stopped_half_way_goes_on_where_it_was(crowd, monkeypatch):
    widen()
    run_job(lease_next())
    whole = decide_consent.changes
    walked = []

    def stopped(portion, reason):
        raise RuntimeError("the worker was stopped")

    monkeypatch.setattr(decide_consent, "changes", stopped)
    run_job(lease_next())
    assert (Widening.objects.get().after, served(crowd[6])) == (crowd[2].pk, [None] * 3)

    def seen(portion, reason):
        walked.extend(portion)
        return whole(portion, reason)

    monkeypatch.setattr(decide_consent, "changes", seen)
    Job.objects.filter(kind=decide_consent.WIDENED).update(due_at=timezone.now())
    run_due()

    assert walked == [customer.pk for customer in crowd[3:]]
    assert not Widening.objects.exists()


def test_new_consent_during_the_walk_opens_the_purpose_again(crowd):
    widen()
    with changes(crowd[6], "test") as c:
        yes = c.decide(Decision("personalise", "given", "profile"))
        c.learn([NewFact("gender", "female", "social", "google-oauth2", basis="consent", consents=[yes.pk])])

    assert served(crowd[6]) == ["female"] * 3
    run_due()
    assert served(crowd[6]) == ["female"] * 3
    assert (members("women"), Purpose.objects.get(key="personalise").version) == (1, 2)


def test_purpose_widened_again_during_the_walk_begins_anew(crowd):
    widen()
    run_job(lease_next())

    change_purpose("personalise", PurposeText("A shop that fits you", "For anything at all."), widened=True)

    assert Widening.objects.get().after == 0
    run_due()
    assert not Widening.objects.exists()


def in_segment(slug):
    segment = Segment.objects.get(slug=slug)
    return len(list_members(segment)), len(list(lines(segment, columns(segment)))) - 1 if slug == "women" else 0


def found(purpose):
    return Profile.objects.filter(pk__in=found_by_applications("gender:female", purpose)).count()


def test_widened_purpose_leaves_search_and_segments_of_other_purposes_at_once(crowd, make_customer):
    other = make_customer(yes=())
    with changes(other, "test") as c:
        c.learn([NewFact("gender", "female", "declared", "test", basis="legitimate_interest", purpose="measure")])
    assert (found("measure"), found("personalise"), in_segment("counted-women")[0], in_segment("women")) == (
        8,
        7,
        8,
        (7, 7),
    )

    widen()

    assert (found("measure"), found("personalise"), in_segment("counted-women")[0], in_segment("women")) == (
        1,
        0,
        1,
        (0, 0),
    )
    assert matching_now(parse_search("gender:female"), "measure", [crowd[0].pk, other.pk]) == {other.pk}
    staff = find_customers("gender:female").people
    assert crowd[0] not in staff
    run_due()
    assert (found("measure"), in_segment("counted-women")[0]) == (1, 1)


def test_event_during_the_walk_moves_customers_by_what_holds_now(crowd):
    widen()
    save_segment("Counted visitors", 'gender:female AND did("Product Viewed")', "measure")
    with changes(crowd[6], "test") as c:
        c.record_message("Product Viewed", {})

    assert not crowd[6].memberships.filter(state="in").exists()
    assert Widening.objects.get().after == 0


def test_segment_saved_during_the_walk_counts_no_one_who_is_closed(crowd):
    widen()
    segment = save_segment("More women", "gender:female", "measure")

    evaluate_for_every_customer(segment, deliver_entered=False)

    assert members("more-women") == 0


def test_yes_that_was_committed_while_the_purpose_was_widened_opens_no_cached_view(crowd):
    late = crowd[-1]
    widen()
    # PostgreSQL lets the older page commit after the change has begun, with a later time.
    late.consent_states.filter(purpose="personalise").update(since=timezone.now() + dt.timedelta(seconds=5))

    assert not may(late, "personalise")
    assert not current_views().filter(profile=late).exists()
    assert matching_now(parse_search("gender:female"), "measure", [late.pk]) == set()
