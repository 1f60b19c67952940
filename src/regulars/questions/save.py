"""Write a question down: what must be there, and what changes with it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from regulars.base.kit.errors import Refused
from regulars.consent.purposes import get_purpose
from regulars.profiles.models import Attribute

from .declare import TYPES, Option, QuestionType
from .models import Question

WORDS = ("text", "why", "help", "type", "options", "attribute", "purpose_id")
KEY = re.compile(r"[A-Za-z0-9_-]+")
MOST_WEIGHT = 1000
MOST = {"key": 64, "text": 200, "why": 140, "help": 200, "attribute": 128}


@dataclass(frozen=True)
class Draft:
    """A question as the marketer writes it."""

    key: str
    text: str
    why: str
    type: str
    attribute: str
    purpose: str
    options: Sequence[Option] = ()
    help: str = ""
    weight: float = 1.0
    enabled: bool = False


@transaction.atomic
def save_question(draft: Draft) -> Question:
    """Create or change the question called `draft.key`. Another word to read makes another version.

    Declares the attribute when nobody has. Raises `Refused`: `missing_words`, `too_long`, `bad_key`, `bad_weight`,
    `options_missing`, `unknown_plugin`, `unknown_purpose`, `special_attribute`, `attribute_not_for_purpose`.
    """
    kind = TYPES[draft.type]
    _check_words(draft, kind)
    purpose = get_purpose(draft.purpose)
    _check_attribute(_get_or_declare_attribute(draft, kind), draft.purpose)
    before = Question.objects.select_for_update().filter(key=draft.key).first()
    question = before or Question(key=draft.key)
    was = _words(question) if before else None
    question.text, question.why, question.help = draft.text.strip(), draft.why.strip(), draft.help.strip()
    question.type, question.attribute, question.purpose = draft.type, draft.attribute, purpose
    question.options = [{"key": each.key, "label": each.label} for each in draft.options] if kind.takes_options else []
    question.weight, question.enabled = draft.weight, draft.enabled
    if was is not None and was != _words(question):
        question.version += 1
    question.save()
    return question


def switch_question(key: str, on: bool) -> Question:
    """Ask it, or ask it no more; its words and its version stay. Raises `Refused("unknown_question")`."""
    if not Question.objects.filter(key=key).update(enabled=on):
        raise Refused("unknown_question", f"There is no question called {key!r}.")
    return Question.objects.get(key=key)


def _words(question: Question) -> list[object]:
    return [getattr(question, name) for name in WORDS]


def _check_words(draft: Draft, kind: QuestionType) -> None:
    for name, most in MOST.items():
        value = getattr(draft, name).strip()
        if not value and name != "help":
            raise Refused("missing_words", f"Fill in {name!r}.", name)
        if len(value) > most:
            raise Refused("too_long", f"{name!r} takes at most {most} characters.", name)
    for name in ("key", "attribute"):
        if not KEY.fullmatch(getattr(draft, name)):
            raise Refused("bad_key", f"{name!r} has letters, digits, - and _ and nothing else.", name)
    if not (math.isfinite(draft.weight) and 0 <= draft.weight <= MOST_WEIGHT):
        raise Refused("bad_weight", f"The weight is a number from 0 to {MOST_WEIGHT}.", "weight")
    if kind.takes_options and len({option.key for option in draft.options}) < 2:
        raise Refused("options_missing", "Write at least two different options.", "options")


def _get_or_declare_attribute(draft: Draft, kind: QuestionType) -> Attribute:
    """An attribute that only a question fills lives in `user_metadata`, where applications look for it."""
    attribute, _ = Attribute.objects.get_or_create(
        key=draft.attribute,
        defaults={
            "label": draft.attribute.replace("_", " ").capitalize()[:128],
            "type": kind.attribute_type,
            "purposes": sorted({"serve", draft.purpose}),
            "options": [{"key": each.key, "label": each.label} for each in draft.options],
            "metadata_path": f"user_metadata.{draft.attribute}",
        },
    )
    return attribute


def _check_attribute(attribute: Attribute, purpose: str) -> None:
    if attribute.sensitivity == Attribute.Sensitivity.SPECIAL:
        raise Refused(
            "special_attribute", "Special categories need an explicit yes, which a login question is not.", "attribute"
        )
    if purpose not in attribute.purposes:
        raise Refused(
            "attribute_not_for_purpose", f"{attribute.label} is not kept for the purpose {purpose!r}.", "purpose"
        )
