"""What each question is worth for one customer, from what may be used of her for each segment's purpose."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from regulars.base.conditions import EventSeen, Person
from regulars.base.conditions.document_terms import CONSENT_PATH, Terms, terms_of
from regulars.profiles.models import Attribute

from .mind import Mind
from .mixture import HOLE, Floats
from .models import Question
from .offer import Offer
from .worth import Worth, one_hot, worth


@dataclass
class Appraisal:
    """Bits an answer is expected to settle, per segment; the doubt now; and the doubt left after each answer (by term)."""

    bits: dict[str, float] = field(default_factory=dict)
    before: float = 0.0
    after: dict[str, float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return sum(self.bits.values())

    def gained(self, attribute: str, answer: object) -> float:
        """Bits this very answer settled (negative when it raised doubt); as expected where answers were not told apart."""
        terms = terms_of({attribute: answer}).get(attribute, [""])
        return self.before - self.after[terms[0]] if terms[0] in self.after else self.value


@dataclass(frozen=True)
class Known:
    """What may be used of a customer: terms by purpose, her events by name, and what questions offer for confirming."""

    terms: dict[str, Terms]
    events: Callable[[str], Sequence[EventSeen]] = lambda name: ()
    offers: dict[str, Offer] = field(default_factory=dict)

    def person(self, purpose: str) -> Person:
        return Person(self.terms.get(purpose, {}), self.events)

    def is_open(self, purpose: str) -> bool:
        return any(f"s:{purpose}" in terms.get(CONSENT_PATH, ()) for terms in self.terms.values())


def appraise(
    questions: Sequence[Question],
    attributes: dict[str, Attribute],
    mind: Mind,
    known: Known,
    now: dt.datetime,
    *,
    seed: int = 0,
) -> dict[str, Appraisal]:
    """Question key → what it is worth. A segment whose purpose the answer may not serve counts nothing."""
    found = {question.key: Appraisal() for question in questions}
    for purpose in mind.purposes:
        serving = [each for each in questions if _serves(each, attributes.get(each.attribute), purpose, known)]
        columns = sorted({k for each in serving for k in mind.world.of_attribute.get(each.attribute, ())})
        aims = mind.world.targets(purpose, known.person(purpose), now)
        if not columns or not aims:
            continue
        evidence = mind.world.evidence(known.terms.get(purpose, {}), now)
        for question in (each for each in serving if each.key in known.offers):
            _doubt(evidence, mind, question.attribute, known.offers[question.key], now)
        told = worth(mind.mixture, [target for _, target in aims], evidence, columns, seed=seed)
        slugs = [aim.slug for aim, _ in aims]
        for question in serving:
            _add(found[question.key], slugs, told, mind, mind.world.of_attribute.get(question.attribute, ()))
    return found


def _serves(question: Question, attribute: Attribute | None, purpose: str, known: Known) -> bool:
    """Answering opens the question's own purpose; any other must be open already, and the attribute kept for it."""
    if attribute is None or attribute.sensitivity == Attribute.Sensitivity.SPECIAL:
        return False
    return purpose in attribute.purposes and (purpose == question.purpose_id or known.is_open(purpose))


def _doubt(evidence: list[Floats], mind: Mind, attribute: str, offer: Offer, now: dt.datetime) -> None:
    """What is offered for confirming is a source's word and no more: that is what confirming it is worth."""
    row = mind.world.row(terms_of({attribute: offer.value}), now)
    for k in mind.world.of_attribute.get(attribute, ()):
        if row[k] != HOLE:
            evidence[k] = one_hot(mind.world.columns[k].card, row[k], offer.reliability)


def _add(appraisal: Appraisal, slugs: list[str], told: Worth, mind: Mind, columns: Sequence[int]) -> None:
    """Several columns of one question (one per value of a list) settle at most what there is of doubt."""
    appraisal.before += told.doubt
    if not columns:
        return
    bits = np.minimum(sum(told.bits[k] for k in columns), told.doubts)
    for slug, each in zip(slugs, bits, strict=True):
        if each > 0:
            appraisal.bits[slug] = appraisal.bits.get(slug, 0.0) + float(each)
    if len(columns) == 1:
        for terms, left in zip(mind.world.columns[columns[0]].answers, told.after[columns[0]], strict=True):
            for term in terms[:1]:
                appraisal.after[term] = appraisal.after.get(term, appraisal.before - told.doubt) + float(left)
