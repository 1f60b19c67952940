"""Read and change the question settings: one row, edited by an operator."""

from __future__ import annotations

from dataclasses import fields as fields_of

from django.db import transaction

from regulars.base.errors import Invalid

from .models import QuestionSettings
from .policy import Caps

SHARES = {"pace", "control_share", "explore_share"}
NUMBERS = {each.name for each in fields_of(Caps)} | {"measure_from"}

ONLY = 1  # the number of the one row
MORE = (0, 1, 2)  # more in one session would be a form


def get_question_settings() -> QuestionSettings:
    """Return the operator's settings, or the defaults until some are saved."""
    return QuestionSettings.objects.first() or QuestionSettings(pk=ONLY)


@transaction.atomic
def save_settings(**changes: object) -> QuestionSettings:
    """Change some settings: `save_settings(days_between=7, min_logins=2)`, or `asking=False` to show no questions.

    Raises `DomainError`: `unknown_setting`, `bad_number`, `bad_share`, `bad_priors`.
    """
    if not QuestionSettings.objects.exists():
        QuestionSettings.objects.get_or_create(pk=ONLY)  # one row, also of two who save the first settings at once
    settings = QuestionSettings.objects.select_for_update().order_by("pk")[0]
    for name, value in changes.items():
        _check(name, value)
        setattr(settings, name, value)
    settings.save()
    return settings


def _check(name: str, value: object) -> None:
    if name in NUMBERS:
        least = 1 if name in ("days_between", "shows") else 0
        if type(value) is not int or not least <= value <= 10_000:
            raise Invalid("bad_number", f"{name!r} takes a whole number from {least} to 10000.", name)
    elif name == "one_more":
        if value not in MORE or isinstance(value, bool):
            raise Invalid("bad_number", "After an answer 0, 1 or 2 more may be offered.", name)
    elif name in SHARES:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 0.5:
            raise Invalid("bad_share", f"{name!r} takes a share from 0 to 0.5.", name)
    elif name == "priors":
        try:  # shares of one attribute's answers, at most 1 together
            groups = value.values()  # type: ignore[attr-defined]
            valid = all(min(shares.values()) >= 0 and sum(shares.values()) <= 1.0001 for shares in groups)
        except (AttributeError, TypeError, ValueError):
            valid = False
        if not valid:
            sentence = 'Write shares between 0 and 1 per answer: {"gender": {"female": 0.6}}.'
            raise Invalid("bad_priors", sentence, "priors")
    elif name != "asking" or not isinstance(value, bool):
        raise Invalid("unknown_setting", f"There is no setting {name!r} that takes {value!r}.")
