"""The chooser's own copy of the segments: rooms of one floor are strangers, so a flow brings them here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from django.db import transaction

from regulars.base.conditions import Condition, ConditionError, expand, parse

from .models import Target
from .world import Aim


@transaction.atomic
def replace_targets(aims: Iterable[Aim]) -> None:
    """These and no others are the segments to settle. The weight a marketer gave to one stays."""
    wanted = {aim.slug: aim for aim in aims}
    Target.objects.exclude(slug__in=wanted).delete()
    for aim in wanted.values():
        Target.objects.update_or_create(slug=aim.slug, defaults={"text": aim.text, "purpose_id": aim.purpose})


def condition_of(text: str) -> Condition:
    """The tree of an audience, with every `segment:"…"` in it replaced. Raises `ConditionError("unknown_segment")`."""
    return expand(_parsed(text), _definition)


def _definition(slug: str) -> Condition:
    target = Target.objects.filter(slug=slug).first()
    if target is None:
        raise ConditionError("unknown_segment", f"There is no segment called {slug!r}.")
    return _parsed(target.text)


@lru_cache(maxsize=512)
def _parsed(text: str) -> Condition:
    return parse(text)
