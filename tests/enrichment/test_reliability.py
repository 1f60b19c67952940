"""A source is believed as far as it agrees with what customers say of themselves."""

from __future__ import annotations

from decimal import Decimal

import pytest

from regulars.consent.record import Decision, record
from regulars.consent.view import view
from regulars.enrichment.look_up import look_up
from regulars.enrichment.models import SourceDay
from regulars.enrichment.reliability import Agreement, learn_reliabilities, learned_reliability, report
from regulars.enrichment.save import save_source
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn

KEY = "postal-places"


@pytest.fixture
def agreeing(standard_setup):
    """Customers of whom the source says Berlin; so many of them say the same."""

    def make(agree, differ):
        save_source(KEY, {})
        for number in range(agree + differ):
            profile, _ = get_or_create_by_identity("google-oauth2", str(number))
            own = " BERLIN " if number < agree else "Porto"
            learn(
                profile,
                [
                    NewFact("city", "Berlin", "inferred", f"source:{KEY}", confidence=0.8),
                    NewFact("city", own, "declared", "question:city@1"),
                ],
            )
        learn_reliabilities()

    return make


def agreement():
    return next(each for each in report(KEY).agreements if each.attribute == "city")


def test_without_evidence_it_is_what_the_source_promises():
    assert learned_reliability(0, 0, 0.8) == pytest.approx(0.8)
    assert learned_reliability(71, 100, 0.8) == pytest.approx(0.7135, abs=0.001)


def test_it_is_learned_from_customers_own_answers(agreeing):
    agreeing(agree=3, differ=1)

    assert (agreement().agree, agreement().compared) == (3, 4)
    assert agreement().reliability == pytest.approx((3 + 4 * 0.8) / 8)


def test_missing_or_retracted_own_answers_are_no_evidence(agreeing, chika):
    agreeing(agree=0, differ=0)
    learn(
        chika, [NewFact("city", "Berlin", "inferred", f"source:{KEY}"), NewFact("city", "Berlin", "social", "google")]
    )
    learn_reliabilities()

    assert agreement().compared == 0


def test_switching_off_is_proposed_only_with_enough_evidence():
    assert not Agreement("city", 10, 49, 0.3).is_doubtful
    assert Agreement("city", 10, 50, 0.3).is_doubtful
    assert not Agreement("city", 40, 50, 0.8).is_doubtful


def test_a_source_that_mostly_disagrees_is_proposed_to_be_switched_off(agreeing):
    agreeing(agree=20, differ=30)

    assert report(KEY).proposes_switching_off


def test_its_next_facts_are_as_sure_as_it_proved_to_be(agreeing, chika):
    agreeing(agree=1, differ=5)
    record(chika, Decision("personalise", "given", "test"))
    learn(chika, [NewFact("postal_code", "10437", "social", "g"), NewFact("country", "DE", "social", "g")])
    learn(chika, look_up(chika, KEY))

    assert view(chika, "personalise")["city"].confidence == pytest.approx((1 + 4 * 0.8) / 10)


def test_the_report_counts_calls_hits_and_cost(standard_setup, chika):
    save_source(KEY, {})
    assert report(KEY).hit_rate is None
    record(chika, Decision("personalise", "given", "test"))
    for code in ("10437", "99999"):
        learn(chika, [NewFact("postal_code", code, "declared", "test"), NewFact("country", "DE", "declared", "test")])
        look_up(chika, KEY)
    SourceDay.objects.update(cost="0.50")
    found = report(KEY)

    assert (found.calls, found.hit_rate, found.faults, found.cost) == (2, 0.5, 0, Decimal("0.5"))
