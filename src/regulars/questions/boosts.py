"""Rank questions by the unknown members of a segment that they would settle, and boost one for those customers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from regulars.base import clock
from regulars.base.conditions import Person
from regulars.base.conditions.document_terms import Terms
from regulars.base.errors import Invalid
from regulars.consent.view import current_views
from regulars.profiles.models import Attribute

from .answer_model import get_model_bundle
from .model import ModelBundle, ResponseRate, chance_of_answer
from .models import PriorityBoost, Question, Target
from .scoring import expected_information_gain
from .settings import get_question_settings

MAX_SAMPLE = 2000  # customers looked at; of more, a sample
SETTLED = 0.05  # bits of entropy below which membership counts as settled
BOOST = 4.0  # weight a boost adds
DAYS = 30


@dataclass(frozen=True)
class RankedQuestion:
    """`settles` is how many of the unknown customers one impression of the question each is expected to settle."""

    question: str
    settles: float
    people: int


def rank_questions(segment: str, profile_ids: Iterable[int]) -> list[RankedQuestion]:
    """Return the questions that would settle the segment `segment` (its slug) for these customers, best first.

    Looks at 2,000 of them at most, evenly over all, and extrapolates. Raises `Invalid("unknown_segment")`.
    """
    target = Target.objects.filter(slug=segment).first()
    if target is None:
        raise Invalid("unknown_segment", f"There is no segment called {segment!r}.")
    ids = sorted(profile_ids)
    sample = ids[:: max(len(ids) // MAX_SAMPLE, 1)][:MAX_SAMPLE]
    views = current_views().filter(purpose=target.purpose_id, profile__in=sample)
    attributes = {each.key: each for each in Attribute.objects.all()}
    questions = list(Question.objects.filter(enabled=True).select_related("purpose").order_by("key"))
    bundle = get_model_bundle(questions, attributes, get_question_settings())
    settled = dict.fromkeys((question.key for question in questions), 0.0)
    seen = 0
    for terms in views.values_list("terms", flat=True).iterator():
        seen += 1
        for key, share in _settled_shares(bundle, target, terms, questions).items():
            settled[key] += share
    scale = len(ids) / seen if seen else 0.0
    found = [RankedQuestion(key, round(share * scale, 1), len(ids)) for key, share in settled.items() if share > 0]
    return sorted(found, key=lambda each: (-each.settles, each.question))


def boost_question(question: Question, profile_ids: Iterable[int], *, weight: float = BOOST, days: int = DAYS) -> int:
    """Prefer this question for these customers, for so many days, within every cap. Returns the number of customers."""
    until = clock.now() + dt.timedelta(days=days)
    boosts = [
        PriorityBoost(question=question, profile_id=each, weight=weight, until=until) for each in set(profile_ids)
    ]
    PriorityBoost.objects.filter(until__lte=clock.now()).delete()
    PriorityBoost.objects.bulk_create(
        boosts,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["question", "profile"],
        update_fields=["weight", "until"],
    )
    return len(boosts)


def _settled_shares(bundle: ModelBundle, target: Target, terms: Terms, questions: list[Question]) -> dict[str, float]:
    """Return question key → the probability that showing it to this customer settles their membership."""
    now, space = clock.now(), bundle.space
    found = space.targets(target.purpose_id, Person(terms), now)
    targets = [compiled for segment, compiled in found if segment.slug == target.slug]
    features = {each.key: space.by_attribute.get(each.attribute, ()) for each in questions}
    asked_about = sorted({k for each in features.values() for k in each})
    if not targets or not asked_about:
        return {}
    gain = expected_information_gain(bundle.mixture, targets, space.evidence(terms, now), asked_about)
    if gain.entropy <= SETTLED:
        return {}
    shares = {}
    for question in questions:
        settles = [gain.chance_to_settle(k, SETTLED) for k in features[question.key]]
        chance = chance_of_answer(bundle.rates.get(question.key, ResponseRate()), 0.0, 0, 0)
        shares[question.key] = chance * max(settles, default=0.0)
    return shares
