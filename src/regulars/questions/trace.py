"""Why she was asked, or why not, in sentences: for the console, and for the customer herself."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from regulars.profiles.models import Profile

from .choose import QUESTION_SENTENCES, SENTENCES
from .models import Impression, SelectionDecision


@dataclass(frozen=True)
class Trace:
    """One login. `refused` is (question key, rule, sentence) for every question that a rule stopped."""

    at: dt.datetime
    client_id: str
    question: str  # empty: none was asked
    reason: str
    sentence: str
    refused: tuple[tuple[str, str, str], ...]


def decisions_of(profile: Profile, limit: int = 20) -> list[Trace]:
    """What was decided at her last logins, newest first."""
    decisions = SelectionDecision.objects.filter(profile=profile).select_related("ask__question").order_by("-at", "-id")
    return [_trace(decision) for decision in decisions[:limit]]


def why_asked(ask: Impression) -> str:
    """One sentence: what her answer helps with, and whether it was drawn by lot."""
    served, explanation = ask.explanation.get("segments", []), ask.explanation
    if explanation.get("explored"):
        return "It was drawn by lot from the questions open to her, so that we learn what asking is worth."
    if served:
        names = ", ".join(served)
        return f"Her answer was expected to settle {explanation.get('value', 0):.2f} bits, most of it about: {names}."
    return "Nothing open to her was worth more; no segment waits for the answer yet."


def _trace(decision: SelectionDecision) -> Trace:
    asked = decision.ask
    return Trace(
        decision.at,
        decision.client_id,
        asked.question.key if asked else "",
        decision.reason,
        why_asked(asked) if asked else SENTENCES.get(decision.reason, decision.reason),
        tuple((key, rule, QUESTION_SENTENCES.get(rule, rule)) for key, rule in sorted(decision.refusals.items())),
    )
