"""`/api/regulars/v1`: segments, and what is known of one customer with its source, day and consent."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from django.db import transaction
from django.db.models import Count as HowMany
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema
from pydantic import ConfigDict, StringConstraints

from regulars.consent.models import ConsentEvent
from regulars.events.models import Event
from regulars.events.read import timeline
from regulars.profiles.document import iso
from regulars.profiles.models import Fact, Profile
from regulars.segments.count import count
from regulars.segments.members import members
from regulars.segments.models import Membership, Segment
from regulars.segments.save import save_segment
from regulars.usecases.refresh import after_saving
from regulars.usecases.users import find_user

from .access import Bearer
from .errors import ApiError, invalid_query
from .paging import refuse_unknown

router = Router(tags=["segments and profiles"])
Words = Annotated[str, StringConstraints(max_length=8000, pattern=r"^[^\x00]*$")]


class Counted(Schema):
    """A condition, and the purpose that decides what may be looked at."""

    model_config = ConfigDict(extra="forbid")

    text: Words
    purpose: Annotated[str, StringConstraints(max_length=32)]


class Saved(Counted):
    name: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
    slug: Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z0-9_-]*$")] = ""
    description: Words = ""


class MemberPage(Schema):
    """`after` is the `next` of the page before."""

    state: Membership.State = Membership.State.IN
    limit: int = Field(50, ge=1, le=100)
    after: int = Field(0, ge=0, le=2**62)


class TimelinePage(Schema):
    """`before` is the `at` of the oldest event of the page before."""

    limit: int = Field(50, ge=1, le=100)
    before: dt.datetime | None = None


@router.get("/segments", auth=Bearer("read:segments"), response=Any, summary="List segments with their sizes")
def list_segments(request: HttpRequest) -> Any:
    sizes: dict[int, dict[str, int]] = {}
    rows = Membership.objects.values_list("segment_id", "state").annotate(HowMany("id"))
    for segment_id, state, size in rows:
        sizes.setdefault(segment_id, {})[state] = size
    return [_segment(segment) | {"members": sizes.get(segment.pk, {})} for segment in Segment.objects.order_by("slug")]


@router.post("/segments", auth=Bearer("create:segments", "update:segments"), response=Any, summary="Save a segment")
def post_segment(request: HttpRequest, body: Saved) -> Any:
    """Creates it, or changes the one with this slug; everybody is evaluated before the answer."""
    with transaction.atomic():
        segment = save_segment(body.name, body.text, body.purpose, slug=body.slug, description=body.description)
        moved = after_saving(segment)
    return _segment(segment) | {"moved": moved}


@router.post("/segments/count", auth=Bearer("read:segments"), response=Any, summary="Count a condition")
def post_count(request: HttpRequest, body: Counted) -> Any:
    counted = count(body.text, body.purpose)
    names = dict(Profile.objects.filter(pk__in=counted.sample).values_list("pk", "user_id"))
    return {
        "in": counted.inside,
        "unknown": counted.unknown,
        "out": counted.outside,
        "drops": [{"text": each.text, "remaining": each.remaining, "without": each.without} for each in counted.parts],
        "sample": [names[number] for number in counted.sample if number in names],
    }


@router.get("/segments/{slug}", auth=Bearer("read:segments"), response=Any, summary="Get a segment")
def get_segment(request: HttpRequest, slug: str) -> Any:
    return _segment(_find_segment(slug))


@router.get("/segments/{slug}/members", auth=Bearer("read:segments"), response=Any, summary="Who is in a segment")
def list_members(request: HttpRequest, slug: str, query: Query[MemberPage]) -> Any:
    refuse_unknown(request, MemberPage)
    page = members(_find_segment(slug), query.state, query.limit, query.after)
    rows = [{"user_id": each.profile.user_id, "state": each.state, "since": iso(each.since)} for each in page]
    return {"members": rows, "next": page[-1].profile_id if len(page) == query.limit else None}


@router.get("/profiles/{user_id}/facts", auth=Bearer("read:users"), response=Any, summary="What is known, and how")
def list_facts(request: HttpRequest, user_id: str) -> Any:
    facts = list(find_user(user_id).facts.order_by("attribute", "-collected_at", "-id"))
    consents = ConsentEvent.objects.in_bulk({number for fact in facts for number in fact.consents})
    return {"facts": [_fact(fact, consents) for fact in facts]}


@router.get("/profiles/{user_id}/timeline", auth=Bearer("read:users"), response=Any, summary="What happened")
def list_events(request: HttpRequest, user_id: str, query: Query[TimelinePage]) -> Any:
    refuse_unknown(request, TimelinePage)
    events = timeline(find_user(user_id).pk, query.limit, _in_utc(query.before))
    return {"events": [_event(event) for event in events]}


def _in_utc(moment: dt.datetime | None) -> dt.datetime | None:
    """A time without a zone is meant in UTC. The first and last hours of the calendar may have no UTC time."""
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=moment.tzinfo or dt.UTC).astimezone(dt.UTC)
    except OverflowError:
        raise invalid_query("before is beyond the calendar.") from None


def _find_segment(slug: str) -> Segment:
    segment = Segment.objects.filter(slug=slug).first()
    if segment is None:
        raise ApiError(404, "inexistent_segment", "The segment does not exist.")
    return segment


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "slug": segment.slug,
        "name": segment.name,
        "description": segment.description,
        "text": segment.text,
        "purpose": segment.purpose_id,
        "created_at": iso(segment.created_at),
    }


def _fact(fact: Fact, consents: dict[int, ConsentEvent]) -> dict[str, Any]:
    return {
        "attribute": fact.attribute,
        "value": fact.value,
        "source": fact.source,
        "source_kind": fact.source_kind,
        "collected_at": iso(fact.collected_at),
        "expires_at": iso(fact.expires_at),
        "basis": fact.basis,
        "consents": [_consent(consents[number]) for number in fact.consents if number in consents],
        "confidence": fact.confidence,
        "retracted_at": iso(fact.retracted_at),
        "retracted_why": fact.retracted_why,
    }


def _consent(consent: ConsentEvent) -> dict[str, Any]:
    return {"purpose": consent.purpose_id, "action": consent.action, "at": iso(consent.at), "method": consent.method}


def _event(event: Event) -> dict[str, Any]:
    return {
        "name": event.name,
        "type": event.type,
        "at": iso(event.at),
        "source": event.source.slug if event.source else None,
        "properties": event.properties,
    }
