"""Save a segment, which needs a purpose and a condition that can be evaluated."""

from __future__ import annotations

from functools import lru_cache

from django.db import transaction
from django.utils.text import slugify

from regulars.accounts.models import Account
from regulars.base.conditions import Condition, ConditionError, expand, parse
from regulars.base.errors import Invalid
from regulars.consent.purposes import get_purpose

from .models import Segment


@transaction.atomic
def save_segment(
    name: str, text: str, purpose: str, *, slug: str = "", description: str = "", by: Account | None = None
) -> Segment:
    """Create the segment, or change the one with this slug. The caller evaluates it (`evaluate.evaluate_segment`).

    Raises `Invalid("unknown_purpose" | "no_name" | "segment_cycle" | "unknown_segment")` and `ConditionError`.
    """
    slug = slug or slugify(name)[:64]
    if not slug:
        raise Invalid("no_name", "Give the segment a name with letters in it.")
    segment = Segment.objects.filter(slug=slug).first() or Segment(slug=slug)
    segment.name, segment.text, segment.description = name, text, description
    segment.purpose = get_purpose(purpose)
    segment.saved_by = by or segment.saved_by
    expand(parse(text), definition, (slug,))
    segment.save()
    return segment


def condition_of(text: str, inside: tuple[str, ...] = ()) -> Condition:
    """Return the tree of a condition, with every `segment:"…"` replaced by that segment's condition."""
    return expand(parse_cached(text), definition, inside)


def definition(slug: str) -> Condition:
    segment = Segment.objects.filter(slug=slug).first()
    if segment is None:
        raise ConditionError("unknown_segment", f"There is no segment called {slug!r}.")
    return parse_cached(segment.text)


@lru_cache(maxsize=1024)
def parse_cached(text: str) -> Condition:
    return parse(text)
