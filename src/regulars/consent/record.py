"""Write what a customer decided into her ledger, and fold it into where she stands."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from django.db import transaction

from regulars.base.kit import clock
from regulars.profiles.models import Profile

from .models import ConsentEvent, ConsentState
from .purposes import get_or_create_notice, get_purpose

Action = ConsentEvent.Action


@dataclass(frozen=True)
class Decision:
    """One decision on one purpose. `words` are those she saw; empty means the purpose's own text."""

    purpose: str
    action: str
    method: str
    words: str = ""
    locale: str = "en"
    explicit: bool = False
    evidence: dict[str, Any] = field(default_factory=dict)
    actor: str = "customer"


@transaction.atomic
def record(profile: Profile, decision: Decision) -> ConsentEvent:
    """Append the decision to the customer's chain and update where she stands. The caller refreshes her views."""
    Profile.objects.select_for_update().get(pk=profile.pk)  # one chain, one writer
    purpose = get_purpose(decision.purpose)
    last = profile.consent_events.order_by("-id").first()
    event = ConsentEvent(
        profile=profile,
        purpose=purpose,
        purpose_version=purpose.version,
        notice=get_or_create_notice(purpose, decision.words, decision.locale),
        action=decision.action,
        explicit=decision.explicit,
        at=clock.now(),
        method=decision.method,
        evidence=decision.evidence,
        actor=decision.actor,
        prev_hash=last.hash if last else "",
    )
    event.hash = digest(event)
    event.save()
    expires = clock.now() + dt.timedelta(days=purpose.expires_days) if purpose.expires_days else None
    ConsentState.objects.update_or_create(
        profile=profile,
        purpose=purpose,
        defaults={"status": decision.action, "since": event.at, "expires_at": expires, "event": event},
    )
    return event


def digest(event: ConsentEvent) -> str:
    """sha256(prev_hash || canonical JSON of the row): changing a row breaks every link after it."""
    row = {
        "profile": event.profile_id,
        "purpose": event.purpose_id,
        "purpose_version": event.purpose_version,
        "notice": event.notice_id,
        "action": str(event.action),
        "explicit": event.explicit,
        "at": event.at.isoformat(),
        "method": event.method,
        "evidence": event.evidence,
        "actor": event.actor,
    }
    return sha256(f"{event.prev_hash}{json.dumps(row, sort_keys=True)}".encode()).hexdigest()


def first_broken_link(profile: Profile) -> ConsentEvent | None:
    """The first row that was changed or whose predecessor was, or None when the chain holds."""
    previous = ""
    for event in profile.consent_events.order_by("id"):
        if event.prev_hash != previous or event.hash != digest(event):
            return event
        previous = event.hash
    return None
