"""Explain question selection for one customer: a preview of the next login, and the decisions of past ones."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from regulars.base import clock
from regulars.profiles.models import Profile

from .customer_context import CustomerContext
from .models import Impression, SelectionDecision
from .next_question import score_questions, stopped_by
from .policy import REJECTION_SENTENCES, SENTENCES, NotShownReason, eligible
from .settings import get_question_settings


@dataclass(frozen=True)
class PreviewedQuestion:
    """One question for one customer. `value` and `score` in bits, `chance` of an answer in 0..1.

    `stopped` is the sentence of the rule that stops it, empty when none does.
    """

    key: str
    text: str
    value: float = 0.0
    chance: float = 0.0
    score: float = 0.0
    stopped: str = ""


@dataclass(frozen=True)
class Preview:
    """`stopped` is why no question at all would be shown today, empty when nothing stops it.

    `again` is the text of a question that was shown today and is still open: it would be shown again.
    """

    stopped: str
    questions: tuple[PreviewedQuestion, ...]
    again: str = ""

    @property
    def next(self) -> PreviewedQuestion | None:
        """The question that would be shown (random questions aside)."""
        best = self.questions[0] if self.questions else None
        return best if best and not self.stopped and not best.stopped and best.score > 0 else None


def preview(profile: Profile) -> Preview:
    """Preview the next login: questions that may be shown first, best first; then the others with the rule that stops them.

    Writes nothing.
    """
    settings, customer = get_question_settings(), CustomerContext.load(profile)
    caps = settings.caps()
    not_shown = stopped_by(customer, caps)
    stopped = not_shown.sentence if not_shown else ""
    stopped = stopped if settings.asking else SENTENCES[NotShownReason.SWITCHED_OFF]
    free, rejections = eligible(customer.question_exposures(), clock.today(), caps)
    text = {each.key: each.text for each in customer.questions}
    candidates = score_questions(customer, settings, free, rejections).candidates if free else []
    ranked = sorted(candidates, key=lambda each: (-each.score, each.key))
    may_be_shown = [PreviewedQuestion(each.key, text[each.key], each.value, each.chance, each.score) for each in ranked]
    rejected = [
        PreviewedQuestion(key, text[key], stopped=REJECTION_SENTENCES[rule]) for key, rule in sorted(rejections.items())
    ]
    again = customer.open_impression()
    if settings.asking and again:
        return Preview("", (*may_be_shown, *rejected), again.question.text)
    return Preview(stopped, (*may_be_shown, *rejected))


@dataclass(frozen=True)
class DecisionRecord:
    """The decision of one login. `rejected` is (question key, rule, sentence) for every question that a rule stopped."""

    at: dt.datetime
    client_id: str
    question: str  # empty: none was shown
    reason: str
    sentence: str
    rejected: tuple[tuple[str, str, str], ...]


def decisions_of(profile: Profile, limit: int = 20) -> list[DecisionRecord]:
    """Return the decisions of a customer's last logins, newest first."""
    decisions = SelectionDecision.objects.filter(profile=profile).select_related("impression__question")
    found = []
    for decision in decisions.order_by("-at", "-id")[:limit]:
        shown = decision.impression
        found.append(
            DecisionRecord(
                decision.at,
                decision.client_id,
                shown.question.key if shown else "",
                decision.reason,
                why_shown(shown) if shown else SENTENCES.get(decision.reason, decision.reason),
                tuple(
                    (key, rule, REJECTION_SENTENCES.get(rule, rule))
                    for key, rule in sorted(decision.rejections.items())
                ),
            )
        )
    return found


def why_shown(impression: Impression) -> str:
    """Return one sentence: the segments that the answer helps with, or that the question was random."""
    served_user, explanation = impression.explanation.get("segments", []), impression.explanation
    if explanation.get("explored"):
        return "It was selected at random from the questions open to the customer, to measure the value of asking."
    if served_user:
        names = ", ".join(served_user)
        return f"The answer was expected to settle {explanation.get('value', 0):.2f} bits, most of it about: {names}."
    return "No question open to the customer had a higher value; no segment needs the answer yet."
