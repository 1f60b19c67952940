"""What must hold for every history of yeses, noes and facts: P1 to P4, and scenario 31."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regulars.accounts.models import new_key
from regulars.consent.models import Purpose
from regulars.consent.purposes import ensure_standard_purposes
from regulars.consent.record import Decision, record
from regulars.consent.refresh import refresh_views
from regulars.consent.view import view
from regulars.profiles.assertions import asserter_of
from regulars.profiles.attributes import ensure_standard_attributes
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Profile
from regulars.profiles.resolve import TIERS, KnownFact, resolve

pytestmark = pytest.mark.django_db

OPTIONAL = ("personalise", "measure", "message", "enrich", "share")
decisions = st.tuples(
    st.just("decide"), st.sampled_from(OPTIONAL), st.sampled_from(["given", "refused", "withdrawn", "objected"])
)
facts = st.tuples(st.just("learn"), st.sampled_from(["gender", "city", "country", "email"]), st.booleans())
histories = st.lists(st.one_of(decisions, facts), max_size=8)
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def make_customer():
    ensure_standard_attributes()
    ensure_standard_purposes()
    return Profile.objects.create(user_id=f"auth0|{new_key()}")


def live_through(history):
    """A customer, at every instant of this history."""
    profile, last_yes = make_customer(), {}
    for number, (kind, what, how) in enumerate(history):
        if kind == "decide":
            event = record(profile, Decision(what, how, "profile"))
            last_yes[what] = event.pk if how == "given" else None
        else:
            yes = last_yes.get("personalise") if how else None
            fact = NewFact(what, f"value {number}", "declared", f"app:{number}", consents=[yes] if yes else [])
            learn(profile, [fact])
        yield profile


def at_the_end_of(history):
    return (list(live_through(history)) or [make_customer()])[-1]


def what_may_be_used(profile):
    everything = {purpose.key: view(profile, purpose.key) for purpose in Purpose.objects.all()}
    return {purpose: {key: value.value for key, value in seen.items()} for purpose, seen in everything.items()}


@few
@given(histories)
def test_p1_at_no_instant_does_a_view_show_a_fact_whose_consent_does_not_stand_then(history):
    """The status is computed here by the plainest rule, the last decision, and not read from any cache."""
    decided = {}
    for (kind, what, how), profile in zip(history, live_through(history), strict=True):
        decided |= {what: how} if kind == "decide" else {}
        given_under = {event.pk: event.purpose_id for event in profile.consent_events.all()}
        for purpose in Purpose.objects.all():
            seen = view(profile, purpose.key)
            facts = profile.facts.in_bulk([value.fact_id for value in seen.values()])
            consents = {given_under[consent] for fact in facts.values() for consent in fact.consents}

            assert purpose.basis != "consent" or decided.get(purpose.key) == "given" or not seen
            assert purpose.basis != "legitimate_interest" or decided.get(purpose.key) in (None, "given") or not seen
            assert all(decided[each] == "given" for each in consents)


@few
@given(histories)
def test_p2_withdrawing_everything_empties_every_view_that_is_not_the_contract(history):
    profile = at_the_end_of(history)

    for purpose in OPTIONAL:
        record(profile, Decision(purpose, "objected" if purpose == "measure" else "withdrawn", "profile"))

    seen = {purpose.key: what for purpose in Purpose.objects.all() if (what := view(profile, purpose.key))}
    assert set(seen) <= set(Purpose.objects.filter(basis="contract").values_list("key", flat=True))
    assert not any(profile.facts.get(pk=each.fact_id).consents for what in seen.values() for each in what.values())


@few
@given(histories, st.sampled_from(["personalise", "message", "enrich", "share"]), st.lists(facts, max_size=3))
def test_p3_given_and_withdrawn_is_as_if_never_given_apart_from_the_ledger(history, purpose, facts):
    """Facts given between the two, under that consent, are as if they had never been given."""
    before = [each for each in history if each[:2] != ("decide", purpose)]
    never, once = at_the_end_of(before), at_the_end_of(before)
    yes = record(once, Decision(purpose, "given", "profile"))
    learn(
        once,
        [NewFact(key, f"value {n}", "declared", f"q:{n}", consents=[yes.pk]) for n, (_, key, _) in enumerate(facts)],
    )

    record(once, Decision(purpose, "withdrawn", "profile"))

    assert what_may_be_used(once) == what_may_be_used(never)
    assert once.consent_events.count() == never.consent_events.count() + 2


kinds_of_source = st.sampled_from(sorted(TIERS))
days_ago = st.integers(0, 5)
days_left = st.one_of(st.none(), st.integers(-2, 2))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(kinds_of_source, st.sampled_from([None, "Lisboa", "Porto"]), days_ago, days_left, st.integers(1, 3)),
        max_size=7,
    ),
    st.one_of(st.none(), st.integers(1, 400)),
    st.randoms(use_true_random=False),
)
def test_p4_which_fact_wins_does_not_depend_on_the_order_in_which_they_came(facts, half_life, rng):
    now = dt.datetime(2026, 1, 9, tzinfo=dt.UTC)
    days = [dt.timedelta(days=number) for number in range(8)]
    facts = [
        KnownFact(
            n,
            "city",
            what,
            kind,
            f"app:{who}",
            now - days[ago],
            asserter_of(kind, f"app:{who}"),
            expires_at=None if left is None else now + left * days[1],
        )
        for n, (kind, what, ago, left, who) in enumerate(facts)
    ]

    assert resolve(facts, now, half_life) == resolve(rng.sample(facts, len(facts)), now, half_life)


@few
@given(histories)
def test_31_caches_dropped_and_rebuilt_equal_the_fold(history):
    profile = at_the_end_of(history)
    profile.permitted_views.all().delete()

    refresh_views(profile)

    rows = {row.purpose_id: row.traits for row in profile.permitted_views.all()}
    assert rows == {
        purpose.key: {key: value.value for key, value in view(profile, purpose.key).items()}
        for purpose in Purpose.objects.filter(active=True)
    }
