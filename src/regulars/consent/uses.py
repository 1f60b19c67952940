"""What a purpose may be chosen for: serving the account is no marketing, and measuring is about groups.

The rules hold when a segment, a destination or a grant is saved, and again whenever one is used: a purpose may have got
another basis since, or have been chosen before these rules existed.
"""

from __future__ import annotations

from collections.abc import Iterable

from regulars.base.conditions import Condition, without_events
from regulars.base.errors import Invalid
from regulars.events.own_events import is_own_name

from .models import Purpose
from .purposes import get_purpose

# Stands among the open purposes in the permitted view for a purpose that events of sources may not be used for: the customer
# ended the interest that these rest on, or allows single attributes for the purpose and not all of it.
EVENTS_CLOSED = "events:closed"
GROUP_KINDS = frozenset({"measure"})
WHY_STOPPED = {
    "purpose_serves_account": "Its purpose runs the customers' accounts, which none of them can refuse. Segments, exports and "
    "destinations need a purpose that customers can refuse or object to: choose another one.",
    "purpose_is_for_groups": "Its purpose is about groups of customers only. A row or a value of one person leaves for a "
    "purpose that names this use, such as messages or look-ups: choose another one.",
}


def with_usable_events(condition: Condition) -> Condition:
    """Return the condition over permitted views: what sources sent of a customer counts while it may be used of them."""
    return without_events(condition, EVENTS_CLOSED, is_own_name)


def why_no_segment(purpose: Purpose) -> str:
    """Return why a purpose cannot be a segment's, as a key of `WHY_STOPPED`; empty: it can."""
    return "purpose_serves_account" if purpose.basis == Purpose.Basis.CONTRACT else ""


def why_no_row(purpose: Purpose) -> str:
    """Return why no row about one person leaves for a purpose, as a key of `WHY_STOPPED`; empty: it may."""
    return why_no_segment(purpose) or why_no_question(purpose)


def why_no_question(purpose: Purpose) -> str:
    """Return why a value of one person leaves for no purpose to a source that is asked, as a key of `WHY_STOPPED`."""
    return "purpose_is_for_groups" if purpose.kind in GROUP_KINDS else ""


def purpose_for_segment(key: str) -> Purpose:
    """Return the purpose. Raises `Invalid("unknown_purpose" | "purpose_serves_account")`."""
    purpose = get_purpose(key)
    refuse(why_no_segment(purpose))
    return purpose


def purpose_for_rows(key: str) -> Purpose:
    """Return the purpose. Raises `Invalid("unknown_purpose" | "purpose_serves_account" | "purpose_is_for_groups")`."""
    purpose = get_purpose(key)
    refuse(why_no_row(purpose))
    return purpose


def why_no_rows_for(keys: Iterable[str]) -> str:
    """Return why no row about one person leaves for all of these purposes together; empty: it may."""
    return next(filter(None, map(why_no_row, Purpose.objects.filter(key__in=list(keys)).order_by("key"))), "")


def purposes_for_segments() -> list[Purpose]:
    """Return the active purposes that a segment can have."""
    return [each for each in Purpose.objects.filter(active=True).order_by("key") if not why_no_segment(each)]


def purposes_for_rows() -> list[Purpose]:
    """Return the active purposes for which rows about one person may leave."""
    return [each for each in Purpose.objects.filter(active=True).order_by("key") if not why_no_row(each)]


def refuse(why: str) -> None:
    """Raise `Invalid` for a reason of `WHY_STOPPED`; nothing for an empty one."""
    if why:
        raise Invalid(why, WHY_STOPPED[why], "purpose")
