"""Page through the members of a segment."""

from __future__ import annotations

from regulars.consent.uses import why_no_segment
from regulars.consent.view import has_outdated_views, of_whom_open

from .models import Membership, Segment

PORTION = 500  # rows read at once after a page that was not filled


def members(segment: Segment, state: str = Membership.State.IN, limit: int = 50, after: int = 0) -> list[Membership]:
    """Return memberships in one state with their profiles, by profile id, after a profile id (keyset paging).

    Consent is read now: a membership whose purpose closed with time, and which no job has ended yet, is left out, and so are customers whom a widened purpose closed. A segment
    that is stopped has no members.
    """
    found: list[Membership] = []
    if state != Membership.State.OUT and why_no_segment(segment.purpose):
        return found
    size = limit
    while len(found) < limit:
        rows = segment.memberships.filter(state=state, profile_id__gt=after).select_related("profile")
        if state != Membership.State.OUT:
            rows = rows.exclude(has_outdated_views("profile_id"))
        some = list(rows.order_by("profile_id")[:size])
        if not some:
            break
        after, size = some[-1].profile_id, PORTION
        if state == Membership.State.OUT:
            found += some
            continue
        is_open = of_whom_open([each.profile for each in some], segment.purpose_id)
        found += [each for each in some if each.profile_id in is_open]
    return found[:limit]
