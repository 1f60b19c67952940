"""Copies of the segments for question selection: capabilities are independent, so a use case writes them here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from django.db import transaction

from regulars.base.conditions import Condition, ConditionError, expand, parse, where_open

from .features import TargetSegment
from .models import Target


@transaction.atomic
def replace_targets(segments: Iterable[TargetSegment]) -> None:
    """Make these the only segments to settle. The weight that a marketer gave to one stays."""
    wanted = {segment.slug: segment for segment in segments}
    Target.objects.exclude(slug__in=wanted).delete()
    for each in wanted.values():
        Target.objects.update_or_create(slug=each.slug, defaults={"text": each.text, "purpose_id": each.purpose})


def condition_of(text: str) -> Condition:
    """Return the tree of an audience, with every `segment:"…"` in it replaced. Raises `ConditionError("unknown_segment")`."""
    return expand(_parsed(text), _definition)


def _definition(slug: str) -> Condition:
    target = Target.objects.filter(slug=slug).first()
    if target is None:
        raise ConditionError("unknown_segment", f"There is no segment called {slug!r}.")
    return where_open(_parsed(target.text), target.purpose_id)


@lru_cache(maxsize=512)
def _parsed(text: str) -> Condition:
    return parse(text)
