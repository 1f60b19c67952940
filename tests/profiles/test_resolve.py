"""`resolve()` does not depend on the order of the facts."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from regulars.profiles.assertions import Asserter, asserter_of
from regulars.profiles.resolve import TIERS, KnownFact, resolve, resolve_all

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


@st.composite
def histories(draw):
    size = draw(st.integers(1, 7))
    return [
        KnownFact(
            id=number,
            attribute="city",
            value=draw(st.sampled_from(["Porto", "Braga", None])),
            source_kind=draw(st.sampled_from(sorted(TIERS))),
            source=draw(st.sampled_from(["google-oauth2", "app:shop", "question:city@1"])),
            asserter=draw(st.sampled_from(Asserter)),
            collected_at=NOW - dt.timedelta(days=draw(st.integers(0, 900))),
            confidence=draw(st.sampled_from([0.5, 1.0])),
            expires_at=draw(st.sampled_from([None, NOW - dt.timedelta(days=1), NOW + dt.timedelta(days=1)])),
        )
        for number in range(size)
    ]


@given(histories(), st.randoms(use_true_random=False), st.sampled_from([None, 365]))
def test_the_order_of_arrival_does_not_matter(facts, random, half_life):
    shuffled = list(facts)
    random.shuffle(shuffled)

    assert resolve(facts, NOW, half_life) == resolve(shuffled, NOW, half_life)


def fact(number, value, kind, days=0, **kwargs):
    return attribute_fact(number, "city", value, kind, f"{kind}:{number}", days, **kwargs)


def test_an_answer_gives_way_only_when_it_ran_out():
    answer = fact(1, "Porto", "declared", days=800)
    enriched = fact(2, "Braga", "enriched")
    assert resolve([answer, enriched], NOW, 365).value == "Porto"

    stale = fact(1, "Porto", "declared", days=800, expires_at=NOW - dt.timedelta(days=1))

    assert resolve([stale, enriched], NOW, 365).value == "Braga"


def test_two_sources_that_disagree_are_in_dispute():
    assert resolve([fact(1, "25-34", "declared"), fact(2, "35-44", "enriched")], NOW).disputed
    assert not resolve([fact(1, "25-34", "declared"), fact(2, "25-34", "enriched")], NOW).disputed


def test_area_statistic_disputes_nothing():
    assert not resolve([fact(1, 50_000, "declared"), fact(2, 80_000, "inferred")], NOW).disputed


def test_the_newer_of_two_equals_wins():
    assert resolve([fact(1, "Porto", "social", days=9), fact(2, "Braga", "social", days=1)], NOW).value == "Braga"


def attribute_fact(number, attribute, value, kind, source, days=0, **kwargs):
    asserter, at = asserter_of(kind, source), NOW - dt.timedelta(days=days)
    return KnownFact(number, attribute, value, kind, source, at, asserter, **kwargs)


def verified(*facts):
    by_attribute = {}
    for each in facts:
        by_attribute.setdefault(each.attribute, []).append(each)
    return resolve_all(by_attribute, NOW, {})["email_verified"].value


GOOGLE = (
    attribute_fact(1, "email", "chika@example.com", "verified", "google-oauth2"),
    attribute_fact(2, "email_verified", True, "verified", "google-oauth2"),
)


def test_a_proof_is_for_the_address_it_came_with():
    typed = attribute_fact(3, "email", "ana@shop.example", "declared", "question:mail@1")

    assert verified(*GOOGLE)
    assert not verified(*GOOGLE, typed)
    assert verified(*GOOGLE, attribute_fact(3, "email", "Chika@Example.com", "declared", "question:mail@1"))


def test_proof_without_an_address_means_the_current_address():
    by_app = attribute_fact(9, "email_verified", True, "declared", "app:crm", days=1)
    before = attribute_fact(3, "email", "chika@example.com", "declared", "question:mail@1", days=2)
    since = attribute_fact(4, "email", "ana@shop.example", "declared", "question:mail@2")

    assert verified(before, by_app)
    assert verified(before, by_app, attribute_fact(5, "email", "chika@example.com", "declared", "question:mail@3"))
    assert not verified(before, by_app, since)
