"""What must hold for every history of yeses, noes and facts."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulars.consent.models import Purpose
from regulars.consent.purposes import ensure_standard_purposes
from regulars.consent.record import Decision, record
from regulars.consent.view import refresh_views, view
from regulars.profiles.attributes import ensure_standard_attributes
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Profile, new_key

pytestmark = pytest.mark.django_db

WITH_CONSENT = ("personalise", "message", "enrich", "share")
OPTIONAL = (*WITH_CONSENT, "measure")
decisions = st.tuples(
    st.just("decide"), st.sampled_from(OPTIONAL), st.sampled_from(["given", "refused", "withdrawn", "objected"])
)
facts = st.tuples(st.just("learn"), st.sampled_from(["gender", "city", "country", "email"]), st.booleans())
histories = st.lists(st.one_of(decisions, facts), max_size=8)
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def live_through(history, look=lambda profile: None):
    """A customer with this history; `look` is called after every step of it."""
    ensure_standard_attributes()
    ensure_standard_purposes()
    profile = Profile.objects.create(user_id=f"auth0|{new_key()}")
    last_yes = {}
    for number, (kind, what, how) in enumerate(history):
        if kind == "decide":
            event = record(profile, Decision(what, how, "profile"))
            last_yes = {**last_yes, what: event.pk if how == "given" else None}
        else:
            yes = last_yes.get("personalise")
            consents = [yes] if how and yes else []
            learn(profile, [NewFact(what, f"value {number}", "declared", f"app:{number}", consents=consents)])
        look(profile)
    return profile


def seen_by(profile, purpose):
    return {key: value.value for key, value in view(profile, purpose).items()}


@few
@given(histories)
def test_p1_no_view_ever_shows_a_fact_whose_consent_does_not_stand_at_that_moment(history):
    def look(profile):
        standing = {state.purpose_id for state in profile.consent_states.filter(status="given")}
        given_under = {event.pk: event.purpose_id for event in profile.consent_events.all()}
        for purpose in Purpose.objects.all():
            seen = view(profile, purpose.key)
            assert purpose.basis != "consent" or purpose.key in standing or not seen
            for value in seen.values():
                fact = profile.facts.get(pk=value.fact_id)
                assert all(given_under[consent] in standing for consent in fact.consents)

    live_through(history, look)


@few
@given(histories)
def test_p2_withdrawing_everything_empties_every_view_that_is_not_the_contract(history):
    profile = live_through(history)

    for purpose in OPTIONAL:
        record(profile, Decision(purpose, "objected" if purpose == "measure" else "withdrawn", "profile"))

    assert all(view(profile, purpose) == {} for purpose in OPTIONAL)


@few
@given(histories, st.sampled_from(WITH_CONSENT), st.integers(0, 8), st.integers(0, 8))
def test_p3_given_and_withdrawn_is_as_if_never_given_but_for_the_ledger(history, purpose, place, later):
    """Facts learned meanwhile are not given under it: those it takes along."""
    without = [step if step[0] == "decide" else (*step[:2], False) for step in history if step[1] != purpose]
    given, withdrawn = ("decide", purpose, "given"), ("decide", purpose, "withdrawn")
    once = [*without[:place], given, *without[place : place + later], withdrawn, *without[place + later :]]
    profiles = [live_through(without), live_through(once)]

    for each in Purpose.objects.all():
        never, taken_back = (view(profile, each.key).keys() for profile in profiles)
        assert never == taken_back
    assert profiles[1].consent_events.filter(purpose=purpose).count() == 2


@few
@given(histories)
def test_31_caches_dropped_and_rebuilt_equal_the_fold(history):
    profile = live_through(history)
    profile.permitted_views.all().delete()

    refresh_views(profile)

    rows = {row.purpose_id: row.traits for row in profile.permitted_views.all()}
    assert rows == {purpose.key: seen_by(profile, purpose.key) for purpose in Purpose.objects.filter(active=True)}
