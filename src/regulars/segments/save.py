"""Save a segment, which needs a purpose and a condition that can be evaluated."""

from __future__ import annotations

from functools import lru_cache

from django.db import transaction
from django.utils.text import slugify

from regulars.accounts.models import Account
from regulars.base.conditions import Condition, ConditionError, expand, parse, where_open
from regulars.base.conditions.tree import Everything, Not
from regulars.base.db.rows import insert_row, update_row
from regulars.base.errors import Conflict, Invalid
from regulars.consent.uses import purpose_for_segment, why_no_segment, with_usable_events

from .models import Segment

NO_ONE = Not(Everything())


@transaction.atomic
def save_segment(
    name: str,
    text: str,
    purpose: str,
    *,
    slug: str = "",
    description: str = "",
    by: Account | None = None,
    segment: Segment | None = None,
    new: bool = False,
) -> Segment:
    """Change `segment`, else the one with this slug; create it where there is none; `new`: only create. The caller evaluates it (`evaluate.evaluate_segment`).

    Raises `Conflict("name_taken")`, `NotFound("deleted_meanwhile")`, `Invalid("unknown_purpose" | "purpose_serves_account" | "no_name" | "segment_cycle" | "unknown_segment")` and `ConditionError`.
    """
    slug = slug or slugify(name)[:64]
    if not slug:
        raise Invalid("no_name", "Give the segment a name with letters in it.")
    if segment is None and not new:
        segment = Segment.objects.filter(slug=slug).first()
    exists = segment is not None
    segment = segment or Segment(slug=slug)
    segment.name, segment.text, segment.description = name, text, description
    segment.purpose = purpose_for_segment(purpose)
    segment.saved_by = by or segment.saved_by
    condition_of(segment)  # raises what is wrong with it
    if exists:
        update_row(segment)
    else:
        insert_row(segment, Conflict("name_taken", f"There is a segment called {name!r} already.", "name"))
    return segment


def membership_condition(segment: Segment) -> Condition:
    """Return the condition of being in the segment: its own, of customers of whom its purpose is open.

    Data of a closed purpose is unknown by itself; events are not, and would let a customer in who objected: to the purpose,
    or to the measuring that sources of events do. A segment that is stopped has no members.
    """
    return NO_ONE if why_no_segment(segment.purpose) else open_condition(segment)


def open_condition(segment: Segment) -> Condition:
    """Return the condition of being in a segment that is not stopped, without a look at its purpose."""
    return where_open(with_usable_events(condition_of(segment)), segment.purpose_id)


def condition_of(segment: Segment) -> Condition:
    """Return the segment's own condition, with every `segment:"…"` replaced. Not the purpose: see `membership_condition`."""
    return expanded(segment.text, segment.purpose_id, (segment.slug,))


def expanded(text: str, purpose: str, inside: tuple[str, ...] = ()) -> Condition:
    """Return the tree of a condition with every `segment:"…"` replaced by being in that segment.

    A customer who closed the purpose of that segment is not in it. Its own condition is evaluated over what `purpose` permits.
    """

    def definition(slug: str) -> Condition:
        segment = Segment.objects.select_related("purpose").filter(slug=slug).first()
        if segment is None:
            raise ConditionError("unknown_segment", f"There is no segment called {slug!r}.")
        if why_no_segment(segment.purpose):
            return NO_ONE
        condition = parse_cached(segment.text)
        return condition if segment.purpose_id == purpose else where_open(condition, segment.purpose_id)

    return expand(parse_cached(text), definition, inside)


@lru_cache(maxsize=1024)
def parse_cached(text: str) -> Condition:
    return parse(text)
