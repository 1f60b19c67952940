"""Clear the traits of closed facts from the events that brought them, from what segments know of these, and from the lake."""

from __future__ import annotations

from typing import Any

from regulars.base import clock
from regulars.base.conditions import event_terms
from regulars.base.jobs.tasks import handles
from regulars.consent.status import ConsentStatus
from regulars.events.models import Event
from regulars.profiles.models import Profile
from regulars.profiles.resolve import expired

from .clear_closed import EVENTS_JOB
from .event_traits import WITH_TRAITS, remove_traits, trait_paths, traits_of
from .lake import queue_lake_rewrite
from .unit_of_work import changes


@handles(EVENTS_JOB)
def clear_event_traits(payload: dict[str, Any]) -> None:
    """Payload: `{"profiles": [ids]}`."""
    with changes(payload["profiles"], EVENTS_JOB) as c:
        changed = [each for each in c.profiles if each.restricted_at is None and _clear(each)]
        for profile in changed:
            c.refresh(profile)
        if changed:
            queue_lake_rewrite([profile.pk for profile in changed])


def _clear(profile: Profile) -> bool:
    """Return whether any event of the customer was changed. A trait goes when no fact of it from its source stands."""
    now = clock.now()
    status = ConsentStatus.of([profile], now)[profile.pk]
    facts = list(profile.facts.exclude(value=None))
    standing = {
        (fact.source, fact.attribute)
        for fact in facts
        if fact.retracted_at is None and status.fact_stands(fact) and not expired(fact, now)
    }
    closed = {(fact.source, fact.attribute) for fact in facts} - standing
    events = Event.objects.filter(WITH_TRAITS, profile_id=profile.pk, source__isnull=False).select_related("source")
    paths, changed = trait_paths(), []
    for event in events.iterator(chunk_size=200) if closed else ():
        source = f"app:{event.source.slug}" if event.source else ""
        gone = {path: key for path, key in paths.items() if (source, key) in closed}
        if sum(remove_traits(traits, gone) for traits in traits_of(event)):
            event.terms = event_terms(event.properties)
            changed.append(event)
    Event.objects.bulk_update(changed, ["properties", "terms", "context", "message"], batch_size=200)
    return bool(changed)
