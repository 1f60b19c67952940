"""Memberships are the same for one customer, for all customers, and in the lake."""

from __future__ import annotations

import pytest

from regulars.base.conditions import ConditionError
from regulars.base.errors import DomainError
from regulars.consent.record import Decision, record
from regulars.consent.refresh import refresh_views
from regulars.events.record import record as happened
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.segments.count import count
from regulars.segments.evaluate import evaluate, evaluate_segment
from regulars.segments.members import members
from regulars.segments.models import Membership
from regulars.segments.save import save_segment

WOMEN = 'gender:female AND age_band:"25-34" AND continent:Europe AND did("Product Viewed" where category:jacket in 90d)'
LOOKED = ("Product Viewed", {"category": "jacket"})
FITS = {"gender": "female", "birthdate": "1997-05-05", "country": "PT"}


def states(segment):
    return dict(Membership.objects.filter(segment=segment).values_list("profile_id", "state"))


def test_a_customer_enters_when_the_last_condition_is_met(make_customer):
    segment = save_segment("Jackets", WOMEN, "personalise")
    chika = make_customer(**FITS)
    assert evaluate(chika) == []

    happened(chika.pk, *LOOKED)
    [change] = evaluate(chika)

    assert (change.segment_slug, change.was, change.now) == ("jackets", "out", "in")
    assert [row.profile for row in members(segment)] == [chika]
    assert evaluate(chika) == []


def test_what_we_do_not_know_is_unknown_and_not_out(make_customer):
    segment = save_segment("Jackets", WOMEN, "personalise")
    unknown_customer = make_customer(LOOKED, gender="female", country="PT")
    man = make_customer(LOOKED, **{**FITS, "gender": "male"})

    for profile in (unknown_customer, man):
        evaluate(profile)

    assert states(segment) == {unknown_customer.pk: "unknown"}


def test_a_withdrawal_ends_the_membership(make_customer):
    segment = save_segment("Jackets", WOMEN, "personalise")
    chika = make_customer(LOOKED, **FITS)
    evaluate(chika)

    record(chika, Decision("personalise", "withdrawn", "profile"))
    refresh_views(chika)
    [change] = evaluate(chika)

    assert (change.was, change.now) == ("in", "out")
    assert members(segment) == []


def test_one_by_one_all_at_once_and_in_the_lake_agree(make_customer, fill_lake):
    people = [
        make_customer(LOOKED, **FITS),
        make_customer(**FITS),
        make_customer(LOOKED, gender="female"),
        make_customer(LOOKED, yes=(), **FITS),
    ]
    people.append(make_customer(LOOKED, **{**FITS, "country": "US"}))
    segment = save_segment("Jackets", WOMEN, "personalise")
    for profile in people:
        evaluate(profile)
    one_by_one = states(segment)

    Membership.objects.all().delete()
    evaluate_segment(segment)
    fill_lake()
    counted = count(WOMEN, "personalise")

    assert states(segment) == one_by_one == {people[0].pk: "in", people[2].pk: "unknown"}
    assert (counted.inside, counted.unknown, counted.outside) == (1, 1, 3)
    assert counted.sample == [people[0].pk]


def test_the_count_tells_which_condition_costs_how_many(make_customer, fill_lake):
    make_customer(LOOKED, **FITS)
    make_customer(LOOKED, **{**FITS, "country": "US"})
    fill_lake()

    counted = count('gender:female AND continent:Europe AND did("Product Viewed")', "personalise")

    assert [(drop.remaining, drop.without) for drop in counted.parts] == [(2, 1), (1, 2), (1, 1)]
    assert counted.parts[1].text == "continent:Europe"


def test_sample_names_no_customer_whose_purpose_closed_after_the_lake_was_filled(make_customer, fill_lake):
    chika, dov = make_customer(LOOKED, **FITS), make_customer(LOOKED, **FITS)
    fill_lake()
    assert set(count(WOMEN, "personalise").sample) == {chika.pk, dov.pk}
    record(chika, Decision("personalise", "withdrawn", "profile"))
    dov.facts.filter(attribute="gender").delete()
    refresh_views(dov)

    assert count(WOMEN, "personalise").sample == []


def test_evaluating_again_changes_only_what_moved(make_customer):
    chika = make_customer(**FITS)
    segment = save_segment("Women", "gender:female", "personalise")
    assert len(evaluate_segment(segment)) == 1
    assert evaluate_segment(segment) == []

    segment = save_segment("Women", "gender:male", "personalise")
    [change] = evaluate_segment(segment)

    assert (change.profile_id, change.was, change.now) == (chika.pk, "in", "out")


def test_visitors_are_nobodys_customers(make_customer):
    visitor, _ = get_or_create_by_identity("anonymous", "cookie-1")
    learn(visitor, [NewFact("gender", "female", "observed", "source:shop")])
    refresh_views(visitor)
    segment = save_segment("Everybody", "*", "measure")

    assert evaluate(visitor) == []
    assert evaluate_segment(segment) == []


def test_a_segment_may_stand_inside_another_but_not_inside_itself(make_customer, fill_lake):
    make_customer(LOOKED, **FITS)
    save_segment("Women", "gender:female", "personalise")
    save_segment("Women who looked", 'segment:"women" AND did("Product Viewed")', "personalise")
    fill_lake()
    assert count('segment:"women-who-looked"', "personalise").inside == 1

    with pytest.raises(DomainError) as refusal:
        save_segment("Women", 'segment:"women-who-looked"', "personalise")

    assert refusal.value.code == "segment_cycle"


@pytest.mark.parametrize(
    ("name", "text", "purpose", "refusal"),
    [
        ("No purpose", "gender:female", "", "unknown_purpose"),
        ("No such segment", 'segment:"missing"', "measure", "unknown_segment"),
        ("Broken", "gender:(", "measure", "syntax"),
        ("!!!", "gender:female", "measure", "no_name"),
    ],
)
def test_what_cannot_be_evaluated_cannot_be_saved(standard_setup, name, text, purpose, refusal):
    with pytest.raises(DomainError) as caught:
        save_segment(name, text, purpose)

    assert caught.value.code == refusal


def test_counting_without_a_purpose_is_refused(standard_setup, lake):
    with pytest.raises(DomainError):
        count("gender:female", "curiosity")
    with pytest.raises(ConditionError):
        count("gender:(", "measure")
