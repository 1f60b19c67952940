"""A purpose that covers more: closed for everybody at once, recomputed in portions that can be stopped half-way."""

from __future__ import annotations

import pytest
from django.utils import timezone

from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import lease_next, run_due, run_job
from regulars.consent.models import PermittedView, Purpose, Widening
from regulars.consent.purposes import PurposeText
from regulars.consent.record import Decision
from regulars.consent.view import may, served_user, view, with_served_traits
from regulars.profiles.assertions import Place
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases import decide_consent
from regulars.usecases.decide_consent import change_purpose
from regulars.usecases.unit_of_work import changes

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
