"""How each question fares."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from .models import Impression


@dataclass(frozen=True)
class Counts:
    """`shown` is every showing; the others are what came of them. The rest were left without a word."""

    shown: int = 0
    answered: int = 0
    passed: int = 0
    never: int = 0


def counts() -> dict[int, Counts]:
    """Question id → its counts; a question never shown is missing."""
    found: dict[int, dict[str, int]] = {}
    rows = Impression.objects.order_by().values_list("question_id", "outcome").annotate(number=Count("id"))
    for question_id, outcome, number in rows:
        found.setdefault(question_id, {})[outcome] = number
    return {
        question_id: Counts(sum(each.values()), each.get("answered", 0), each.get("passed", 0), each.get("never", 0))
        for question_id, each in found.items()
    }
