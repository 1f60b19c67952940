"""`/api/regulars/v1/profiles`: facts of one customer with source, day and consent, and the timeline of events."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from regulars.consent.models import ConsentEvent
from regulars.events.read import source_of, timeline
from regulars.interfaces.http_api.access import Bearer
from regulars.interfaces.http_api.error_responses import invalid_query
from regulars.interfaces.http_api.requests import refuse_unknown
from regulars.profiles.document import iso
from regulars.usecases.users import find_user

router = Router(tags=["segments and profiles"])


class TimelinePage(Schema):
    """`before` is the `at` of the oldest event of the previous page."""

    limit: int = Field(50, ge=1, le=100)
    before: dt.datetime | None = None


@router.get(
    "/profiles/{user_id}/facts", auth=Bearer("read:users"), response=Any, summary="List facts with their sources"
)
def list_facts(request: HttpRequest, user_id: str) -> Any:
    facts = list(find_user(user_id).facts.order_by("attribute", "-collected_at", "-id"))
    consents = ConsentEvent.objects.in_bulk({number for fact in facts for number in fact.consents})
    return {
        "facts": [
            {
                "attribute": fact.attribute,
                "value": fact.value,
                "source": fact.source,
                "source_kind": fact.source_kind,
                "collected_at": iso(fact.collected_at),
                "last_confirmed_at": iso(fact.as_of),
                "expires_at": iso(fact.expires_at),
                "basis": fact.basis,
                "consents": [
                    {"purpose": each.purpose_id, "action": each.action, "at": iso(each.at), "method": each.method}
                    for number in fact.consents
                    if (each := consents.get(number))
                ],
                "confidence": fact.confidence,
                "retracted_at": iso(fact.retracted_at),
                "retracted_why": fact.retracted_why,
            }
            for fact in facts
        ]
    }


@router.get("/profiles/{user_id}/timeline", auth=Bearer("read:users"), response=Any, summary="List events")
def list_events(request: HttpRequest, user_id: str, query: Query[TimelinePage]) -> Any:
    refuse_unknown(request, TimelinePage)
    events = timeline(find_user(user_id).pk, query.limit, _in_utc(query.before))
    return {
        "events": [
            {
                "name": event.name,
                "type": event.type,
                "at": iso(event.at),
                "source": source_of(event),
                "message_id": event.message_id,
                "received_at": iso(event.received_at),
                "properties": event.properties,
                "context": event.context,
                "message": event.message,
                "marks": event.marks,
            }
            for event in events
        ]
    }


def _in_utc(moment: dt.datetime | None) -> dt.datetime | None:
    """A time without a zone is UTC. The first and last hours of the calendar may have no UTC time."""
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=moment.tzinfo or dt.UTC).astimezone(dt.UTC)
    except OverflowError:
        raise invalid_query("before is outside the calendar.") from None
