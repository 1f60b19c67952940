"""`/api/regulars/v1/profiles`: facts of one customer with source, day and consent, and the timeline of events."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema
from pydantic import ConfigDict
from pydantic.config import JsonDict

from regulars.base.errors import Invalid
from regulars.consent.models import ConsentEvent
from regulars.consent.view import uses_of_facts
from regulars.events.read import source_of
from regulars.interfaces.http_api.access import Bearer, caller_of
from regulars.interfaces.http_api.error_responses import ApiError, invalid_query
from regulars.interfaces.http_api.requests import refuse_unknown
from regulars.profiles.document import iso
from regulars.usecases.account_mails import lifting_address
from regulars.usecases.grant_purposes import purpose_of
from regulars.usecases.import_consents import import_consents
from regulars.usecases.permitted_events import permitted_events
from regulars.usecases.record_disclosures import record_api_reading
from regulars.usecases.refuse_consent import LONGEST_WORDS, Refusal, refuse
from regulars.usecases.restrict import LONGEST_REASON, announce_lifting, restrict
from regulars.usecases.users import find_user

router = Router(tags=["segments and profiles"])


class FactConsent(Schema):
    """A decision in the consent ledger that a fact rests on."""

    purpose: str
    action: str
    at: str
    method: str


class ProfileFact(Schema):
    """One value of an attribute, as one source gave it. A retracted fact says why.

    `value` is null where it may not be used for the purpose of the application's grant (without one, to run the account).
    `usable_for`: the purposes that it may be used for now. If there is none, `why_not_usable` says why: retracted, expired,
    consent_over, premise_over, restricted, purpose_closed, needs_explicit_yes or for_no_purpose; else it is empty.

    `collected_at` is when the source gave it first, `last_confirmed_at` when it last repeated it.
    `source_kind`: verified, corrected, declared, social, observed, imported, enriched or inferred. `basis` is the legal basis.
    """

    attribute: str
    value: Any
    source: str
    source_kind: str
    collected_at: str
    last_confirmed_at: str
    expires_at: str | None
    basis: str
    consents: list[FactConsent]
    confidence: float
    retracted_at: str | None
    retracted_why: str
    usable_for: list[str]
    why_not_usable: str


FACT: JsonDict = {
    "attribute": "user_metadata.looking_for",
    "value": "shoes",
    "source": "question:looking_for@1",
    "source_kind": "declared",
    "collected_at": "2026-11-29T09:30:00.000Z",
    "last_confirmed_at": "2026-11-29T09:30:00.000Z",
    "expires_at": None,
    "basis": "consent",
    "consents": [{"purpose": "personalise", "action": "given", "at": "2026-11-29T09:30:00.000Z", "method": "question"}],
    "confidence": 1.0,
    "retracted_at": None,
    "retracted_why": "",
    "usable_for": ["personalise", "serve"],
    "why_not_usable": "",
}
EVENT: JsonDict = {
    "name": "Product Viewed",
    "type": "track",
    "at": "2026-11-29T09:30:00.000Z",
    "source": "shop",
    "message_id": "msg-1",
    "received_at": "2026-11-29T09:30:01.000Z",
    "properties": {"sku": "jacket-7"},
    "context": {"page": {"path": "/jackets"}},
    "message": {"anonymousId": "a-1"},
    "marks": [],
}


class ProfileFacts(Schema):
    """All facts of one customer: by attribute, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"facts": [FACT]}]})

    facts: list[ProfileFact]


class TimelineEvent(Schema):
    """One event, as its source sent it, without traits that may not be used for the purpose of the application's grant.

    `message` has the other fields of the message; `marks` what of it could not be used.
    """

    name: str
    type: str
    at: str
    source: str
    message_id: str
    received_at: str | None
    properties: dict[str, Any]
    context: dict[str, Any]
    message: dict[str, Any]
    marks: list[Any]


class ProfileTimeline(Schema):
    """Events of one customer that may be used for the purpose of the application's grant, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"events": [EVENT]}]})

    events: list[TimelineEvent]


class TimelinePage(Schema):
    """`before` is the `at` of the oldest event of the previous page."""

    limit: int = Field(50, ge=1, le=100)
    before: dt.datetime | None = None


@router.get(
    "/profiles/{path:user_id}/facts",
    auth=Bearer("read:users"),
    response=ProfileFacts,
    summary="List facts with their sources",
)
def list_facts(request: HttpRequest, user_id: str) -> Any:
    caller, profile = caller_of(request), find_user(user_id)
    purpose = purpose_of(caller.client_id)
    facts, uses = list(profile.facts.order_by("attribute", "-collected_at", "-id")), uses_of_facts(profile)
    read = {fact.attribute for fact in facts if purpose in uses[fact.pk].purposes}
    record_api_reading(caller.client_id, purpose, {profile.pk: read})
    consents = ConsentEvent.objects.in_bulk({number for fact in facts for number in fact.consents})
    return {
        "facts": [
            {
                "attribute": fact.attribute,
                "value": fact.value if purpose in uses[fact.pk].purposes else None,
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
                "usable_for": list(uses[fact.pk].purposes),
                "why_not_usable": uses[fact.pk].why_not,
            }
            for fact in facts
        ]
    }


class DecisionRow(Schema):
    """One decision of another system: a customer by `user_id` or `email`. A yes needs `version`, `words` and `source`."""

    model_config = ConfigDict(extra="forbid")

    user_id: str = Field("", max_length=255)
    email: str = Field("", max_length=320)
    purpose: str = Field(max_length=32)
    decision: str = Field(max_length=16, description="given or refused")
    at: str = Field(max_length=40)
    version: int | None = None
    language: str = Field("en", max_length=16)
    words: str = Field("", max_length=1000)
    source: str = Field("", max_length=200)


IMPORT: JsonDict = {
    "decisions": [
        {
            "user_id": "auth0|5f7c8ec7c33c6c004bbafe82",
            "purpose": "message",
            "decision": "given",
            "at": "2024-05-31T10:00:00Z",
            "version": 1,
            "language": "en",
            "words": "Yes, send me news by e-mail.",
            "source": "newsletter form at https://shop.example/news",
        }
    ]
}


class DecisionList(Schema):
    """At most 1,000 decisions. With one that is refused nothing is recorded."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [IMPORT]})

    decisions: list[DecisionRow] = Field(min_length=1, max_length=1000)


class ImportedDecisions(Schema):
    """How many decisions were recorded, and how many were there already."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"recorded": 1, "known": 0}]})

    recorded: int
    known: int


@router.post(
    "/consents/import",
    auth=Bearer("update:users"),
    response=ImportedDecisions,
    summary="Import decisions of another system",
)
def import_decisions(request: HttpRequest, body: DecisionList) -> Any:
    rows = [
        {name: "" if value is None else str(value).strip() for name, value in row.dict().items()}
        for row in body.decisions
    ]
    result = import_consents(rows, f"app:{caller_of(request).client_id}")
    if result.problems:
        first = result.problems[0]
        raise ApiError(400, first.code, f"decisions.{first.row - 1}: {first.message}")
    return {"recorded": result.recorded, "known": result.known}


@router.get(
    "/profiles/{path:user_id}/timeline", auth=Bearer("read:users"), response=ProfileTimeline, summary="List events"
)
def list_events(request: HttpRequest, user_id: str, query: Query[TimelinePage]) -> Any:
    refuse_unknown(request, TimelinePage)
    caller, profile = caller_of(request), find_user(user_id)
    purpose = purpose_of(caller.client_id)
    events = permitted_events(profile, purpose, query.limit, _in_utc(query.before)).events
    if events:
        record_api_reading(caller.client_id, purpose, {profile.pk: ["events"]})
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


class NewRefusal(Schema):
    """A withdrawal or an objection that reached another system. Without `purpose` it is an objection to any advertising.

    `action` goes with a purpose: `objected` also of what rests on consent; else consent is withdrawn, and what rests on a
    legitimate interest objected to. `words` is what the customer said or pressed, `at` when; left out, now.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"purpose": "message", "action": "withdrawn", "words": "Unsubscribe"}]},
    )

    purpose: str | None = Field(None, min_length=1, max_length=32)
    action: Literal["withdrawn", "objected"] | None = None
    words: str = Field("", max_length=LONGEST_WORDS)
    at: dt.datetime | None = None


class RecordedDecision(Schema):
    purpose: str
    action: str
    at: str


class RecordedDecisions(Schema):
    """What was written for this customer; empty when all of it was closed already."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"decisions": [{"purpose": "message", "action": "withdrawn", "at": "2026-11-29T09:30:00.000Z"}]}
            ]
        }
    )

    decisions: list[RecordedDecision]


@router.post(
    "/profiles/{path:user_id}/refusals",
    auth=Bearer("create:refusals"),
    response=RecordedDecisions,
    summary="Record a withdrawal or an objection",
)
def create_refusal(request: HttpRequest, user_id: str, body: NewRefusal) -> Any:
    if body.action and not body.purpose:
        raise Invalid(
            "action_without_purpose", "An objection to any advertising has neither purpose nor action.", "action"
        )
    refusal = Refusal(
        "api",
        caller_of(request).source,
        (body.purpose,) if body.purpose else (),
        objects=body.action == "objected",
        words=body.words,
        at=_in_utc(body.at),
    )
    written = refuse(find_user(user_id), refusal)
    return {"decisions": [{"purpose": each.purpose_id, "action": each.action, "at": iso(each.at)} for each in written]}


class NewRestriction(Schema):
    """Why processing is restricted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "Disputes the address."}]})

    reason: str = Field(min_length=1, max_length=LONGEST_REASON)


class NewLifting(Schema):
    """Why a restriction is lifted, and how the customer was informed where it is not by a mail of ours."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"reason": "The address is corrected.", "informed": "By letter on Monday."}]},
    )

    reason: str = Field(min_length=1, max_length=LONGEST_REASON)
    informed: str = Field("", max_length=LONGEST_REASON)


class RestrictionDocument(Schema):
    """A restriction of processing. `lifts_at` is null until the customer was informed of its end."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"restricted_at": "2026-11-29T09:30:00.000Z", "lifts_at": None}]}
    )

    restricted_at: str
    lifts_at: str | None


@router.put(
    "/profiles/{path:user_id}/restriction",
    auth=Bearer("update:restrictions"),
    response=RestrictionDocument,
    summary="Restrict processing",
)
def put_restriction(request: HttpRequest, user_id: str, body: NewRestriction) -> Any:
    found = restrict(find_user(user_id), "api", caller_of(request).source, body.reason)
    return {"restricted_at": iso(found.since), "lifts_at": iso(found.lifts_at)}


@router.post(
    "/profiles/{path:user_id}/restriction/lifting",
    auth=Bearer("update:restrictions"),
    response=RestrictionDocument,
    summary="Inform the customer that the restriction is lifted three days later",
)
def post_lifting(request: HttpRequest, user_id: str, body: NewLifting) -> Any:
    profile = find_user(user_id)
    has_address = bool(lifting_address(profile))
    found = announce_lifting(profile, caller_of(request).source, body.reason, body.informed, has_address=has_address)
    return {"restricted_at": iso(found.since), "lifts_at": iso(found.lifts_at)}
