"""Page through the members of a segment."""

from __future__ import annotations

from .models import Membership, Segment


def members(segment: Segment, state: str = Membership.State.IN, limit: int = 50, after: int = 0) -> list[Membership]:
    """Return memberships in one state with their profiles, by profile id, after a profile id (keyset paging)."""
    rows = segment.memberships.filter(state=state, profile_id__gt=after).select_related("profile")
    return list(rows.order_by("profile_id")[:limit])
