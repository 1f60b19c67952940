"""Recompute the customers of whom something changes with time alone: a birthday, an answer that expires."""

from __future__ import annotations

from regulars.base import clock
from regulars.profiles.models import Profile

from .unit_of_work import changes

PORTION = 200


def change_due_profiles() -> int:
    """Recompute every due customer: facts, views, segments, destinations. Returns how many. The worker runs it every minute."""
    due = (
        Profile.objects.filter(changes_at__lte=clock.now(), merged_into=None)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    after = changed = 0
    while portion := list(due.filter(pk__gt=after)[:PORTION]):
        with changes(portion, "time") as c:
            c.conclude_again()
        after, changed = portion[-1], changed + len(portion)
    return changed
