"""What profiles are closed to when they come to hold a contact whose holder said no before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from regulars.profiles.models import Profile

from .fold import NO
from .models import ConsentEvent, ConsentState, Purpose
from .record import Decision
from .suppressions import suppressed

Action = ConsentEvent.Action


def refusals_due(profiles: Sequence[Profile]) -> list[tuple[Profile, list[Decision]]]:
    """Return what profiles that came to hold a contact have to be closed to, because of its holder.

    A yes that customers gave here since then stays.
    """
    closed = suppressed(profiles)
    purposes = {each.key: each for each in Purpose.objects.filter(active=True)} if closed else {}
    states = ConsentState.objects.filter(profile__in=list(closed)) if closed else ()
    known = {(each.profile_id, each.purpose_id): each for each in states}
    found = []
    for profile in profiles:
        due = []
        for key, since in sorted(closed.get(profile.pk, {}).items()):
            purpose, state = purposes.get(key), known.get((profile.pk, key))
            if purpose is None or (state and (state.status in NO or _is_newer_yes(state, since))):
                continue
            action = Action.OBJECTED
            if purpose.basis == Purpose.Basis.CONSENT:
                if state is None:
                    continue  # never asked: it is closed
                action = Action.WITHDRAWN
            due.append(Decision(key, action, "suppression", actor="system", evidence={"since": since.isoformat()}))
        found.append((profile, due))
    return found


def _is_newer_yes(state: ConsentState, since: dt.datetime) -> bool:
    return state.status != Action.IMPORTED and state.since > since
