from __future__ import annotations

import random

import pytest

from regulars.base.errors import DomainError
from regulars.consent.refresh import refresh_views
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.questions.boosts import boost_question, rank_questions
from regulars.questions.evaluation import LoggedImpression, doubly_robust, effective, interval, snips
from regulars.questions.models import Impression, PriorityBoost
from regulars.questions.next_question import next_question
from regulars.questions.statistics import (
    ask_loads,
    compare_with_control_group,
    estimate_greedy_policy,
    logged_impressions,
    question_stats,
    segments_using,
)
from regulars.segments.save import save_segment
from regulars.usecases.answer_question import never_again, pass_over
from regulars.usecases.save_segment import evaluate_saved
from tests.notices import answer_page


def make_customer(number):
    profile, _ = get_or_create_by_identity("google-oauth2", f"n{number}")
    refresh_views(profile)
    return profile


def test_what_came_of_every_showing_is_counted_with_its_interval(looking_for):
    evaluate_saved(save_segment("Jackets", "looking_for:jackets", "personalise"))
    closing = [
        lambda impression: answer_page(impression, "answer=shoes"),
        pass_over,
        never_again,
        lambda impression: None,
    ]
    for number, close in enumerate(closing):
        close(next_question(make_customer(number)))

    [stats] = question_stats()

    assert (stats.shown, stats.answered, stats.passed, stats.never, stats.closed) == (4, 1, 1, 1, 1)
    assert (stats.rate, round(stats.rate_low, 2), round(stats.rate_high, 2)) == (0.25, 0.05, 0.7)
    assert stats.bits == pytest.approx(0.25)  # one answer settled one bit, of four showings
    assert stats.segments == 1
    assert segments_using(looking_for) == ["jackets"]
    assert not stats.is_to_retire


def test_a_question_hardly_anybody_answers_is_proposed_for_retiring_and_not_retired(looking_for):
    chika = make_customer(0)
    first = next_question(chika)
    copies = [
        Impression(question=looking_for, version=1, profile=make_customer(n), day=first.day, words="")
        for n in range(1, 4)
    ]
    Impression.objects.bulk_create(copies)
    many = [
        Impression(question=looking_for, version=1, profile=chika, day=first.day.replace(year=1000 + n), words="")
        for n in range(600)
    ]
    Impression.objects.bulk_create(many)

    [stats] = question_stats()
    looking_for.refresh_from_db()

    assert stats.retire == "seldom_answered"
    assert looking_for.enabled


def test_too_few_asks_are_no_figure(chika, looking_for):
    pass_over(next_question(chika))

    assert len(logged_impressions()) == 1
    with pytest.raises(DomainError) as refused:
        estimate_greedy_policy()
    assert refused.value.code == "too_few_asks"


def log_of(policy_share: float, count: int) -> list[LoggedImpression]:
    """Two questions; the good one gives 0.7 bits on average, the bad one 0.2; it was asked with `policy_share`."""
    rng = random.Random(3)
    log = []
    for _ in range(count):
        good = rng.random() < policy_share
        reward = rng.choice([0.0, 1.4] if good else [0.0, 0.4])
        probability = policy_share if good else 1 - policy_share
        log.append(LoggedImpression(probability, float(good), reward, 0.6 if good else 0.3, 0.6))
    return log


@pytest.mark.parametrize("estimate", [snips, doubly_robust])
def test_both_estimates_find_what_always_asking_the_good_question_would_bring(estimate):
    found = estimate(log_of(0.1, 4000))

    assert abs(found.value - 0.7) < 3 * found.error
    assert 0 < found.error < 0.06
    assert found.impressions == pytest.approx(400, rel=0.15)


def test_thirty_effective_asks_are_the_least():
    with pytest.raises(DomainError):
        snips(log_of(0.1, 150))
    assert effective([]) == 0
    assert interval(0, 0) == (0, 1)


def test_ask_load_is_counted_by_group_with_its_ratio(looking_for, postal_code, days_later):
    people = [make_customer(number) for number in range(12)]
    for number, profile in enumerate(people):
        learn(
            profile,
            [
                NewFact(
                    "gender",
                    ("female", "male")[number % 2],
                    "declared",
                    "app:shop",
                    basis="legitimate_interest",
                    purpose="measure",
                )
            ],
        )
        refresh_views(profile)
        next_question(profile)
    days_later(1)
    for profile in people[::2]:
        pass_over(next_question(profile))

    women, men = ask_loads(groups=["gender"], fewest=5)

    assert (women.group, women.customers, women.impressions_each) == ("female", 6, 2)
    assert (men.impressions_each, men.ratio, men.is_fair) == (1, 2, False)
    assert ask_loads(groups=["gender"], fewest=7) == []


def test_who_was_asked_is_held_against_who_was_not(chika, looking_for, days_later):
    next_question(chika)
    days_later(20)
    next_question(chika)
    days_later(60)

    seen = compare_with_control_group()

    assert (seen.asked, seen.asked_returned, seen.control) == (1, 1, 0)


def test_the_question_that_settles_most_of_a_segments_unknowns_comes_first(looking_for, postal_code):
    evaluate_saved(save_segment("Jackets", "looking_for:jackets", "personalise"))
    people = [make_customer(number).pk for number in range(10)]

    [finding] = rank_questions("jackets", people)

    assert (finding.question, finding.settles, finding.people) == ("looking_for", 5.0, 10)  # half of them answer
    with pytest.raises(DomainError):
        rank_questions("unknown", people)


def test_a_wish_is_one_row_a_person_and_ends(looking_for, days_later):
    people = [make_customer(number).pk for number in range(3)]
    boost_question(looking_for, people)
    days_later(31)

    assert boost_question(looking_for, people[:1]) == 1
    assert PriorityBoost.objects.count() == 1
