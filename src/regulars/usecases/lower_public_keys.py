"""After an upgrade: recompute the customers of whom a public write key said something, which counted as observed before."""

from __future__ import annotations

from typing import Any

from regulars.base.jobs.tasks import enqueue, handles
from regulars.profiles.assertions import Asserter
from regulars.profiles.models import Fact

from .unit_of_work import changes

JOB = "profiles.lower_public_keys"  # queued by a migration
PORTION = 50


@handles(JOB)
def lower_public_keys(payload: dict[str, Any]) -> None:
    """Payload: `{"after": profile id}`. Recompute the next portion, and queue the one after it."""
    facts = Fact.objects.filter(asserter=Asserter.PUBLIC_KEY, retracted_at=None, profile__merged_into=None)
    later = facts.filter(profile_id__gt=payload["after"]).order_by("profile_id")
    portion = list(later.values_list("profile_id", flat=True).distinct()[:PORTION])
    if not portion:
        return
    with changes(portion, "upgrade") as c:
        for profile in c.profiles:
            c.refresh(profile)
    enqueue(JOB, {"after": portion[-1]}, key=JOB)
