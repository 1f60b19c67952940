"""Ask to find out: which questions would settle most of a segment's unknowns, and asking those people first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from regulars.base import clock
from regulars.base.conditions import Person
from regulars.base.conditions.document_terms import Terms
from regulars.base.errors import Invalid
from regulars.consent.models import PermittedView
from regulars.profiles.models import Attribute

from .mind import Mind, get_mind
from .models import PriorityBoost, Question, Target
from .propensity import Rate, chance_of_answer
from .settings import how_we_ask
from .worth import worth

MOST = 2000  # people looked at; of more, a sample
SURE = 0.05  # how little doubt counts as settled
WISH = 4.0  # weight a wish adds
DAYS = 30


@dataclass(frozen=True)
class Finding:
    """`settles` is how many of the unknown people one showing of the question to each is expected to settle."""

    question: str
    settles: float
    people: int


def rank_questions(segment: str, profile_ids: Iterable[int]) -> list[Finding]:
    """The questions that would settle the segment `segment` (its slug) for these people, best first.

    Looks at 2,000 of them at most and reckons the rest alike. Raises `Invalid("unknown_segment")`.
    """
    target = Target.objects.filter(slug=segment).first()
    if target is None:
        raise Invalid("unknown_segment", f"There is no segment called {segment!r}.")
    ids = list(profile_ids)
    views = PermittedView.objects.filter(purpose=target.purpose_id, profile__in=_sample(ids))
    attributes = {each.key: each for each in Attribute.objects.all()}
    questions = list(Question.objects.filter(enabled=True).select_related("purpose").order_by("key"))
    mind = get_mind(questions, attributes, how_we_ask())
    settled = dict.fromkeys((question.key for question in questions), 0.0)
    seen = 0
    for terms in views.values_list("terms", flat=True).iterator():
        seen += 1
        for key, share in _settled_shares(mind, target, terms, questions).items():
            settled[key] += share
    scale = len(ids) / seen if seen else 0.0
    found = [Finding(key, round(share * scale, 1), len(ids)) for key, share in settled.items() if share > 0]
    return sorted(found, key=lambda each: (-each.settles, each.question))


def wish_to_know(question: Question, profile_ids: Iterable[int], *, weight: float = WISH, days: int = DAYS) -> int:
    """Ask these people this question first, for so many days, within every cap. Returns how many are wished for."""
    until = clock.now() + dt.timedelta(days=days)
    wishes = [
        PriorityBoost(question=question, profile_id=each, weight=weight, until=until) for each in set(profile_ids)
    ]
    PriorityBoost.objects.filter(until__lte=clock.now()).delete()
    PriorityBoost.objects.bulk_create(
        wishes,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["question", "profile"],
        update_fields=["weight", "until"],
    )
    return len(wishes)


def _settled_shares(mind: Mind, target: Target, terms: Terms, questions: list[Question]) -> dict[str, float]:
    """Question key → the chance that showing it to this customer leaves no doubt whether she is in the segment."""
    now, person = clock.now(), Person(terms)
    aims = [found for aim, found in mind.world.targets(target.purpose_id, person, now) if aim.slug == target.slug]
    places = {each.key: mind.world.of_attribute.get(each.attribute, ()) for each in questions}
    columns = sorted({k for each in places.values() for k in each})
    if not aims or not columns:
        return {}
    evidence = mind.world.evidence(terms, now)
    told = worth(mind.mixture, aims, evidence, columns)
    if told.doubt <= SURE:
        return {}
    shares = {}
    for question in questions:
        settles = [told.settles(k, SURE) for k in places[question.key]]
        chance = chance_of_answer(mind.rates.get(question.key, Rate()), 0.0, 0, 0)
        shares[question.key] = chance * max(settles, default=0.0)
    return shares


def _sample(ids: list[int]) -> list[int]:
    """Evenly over all of them, so that neither the oldest nor the newest customers speak for everybody."""
    step = max(len(ids) // MOST, 1)
    return sorted(ids)[::step][:MOST]
