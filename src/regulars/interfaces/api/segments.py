"""`/api/regulars/v1/segments`: list, save, count, and the members of one segment."""

from __future__ import annotations

import json
from typing import Annotated, Any

from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from django.utils.text import slugify
from ninja import Field, Query, Router, Schema
from pydantic import ConfigDict, StringConstraints
from pydantic.config import JsonDict

from regulars.interfaces.http_api.access import Bearer, caller_of
from regulars.interfaces.http_api.error_responses import ApiError
from regulars.interfaces.http_api.requests import refuse_unknown
from regulars.profiles.document import iso
from regulars.profiles.models import Profile
from regulars.segments.count import count, count_rounded
from regulars.segments.export_members import refuse_without_rows
from regulars.segments.members import members
from regulars.segments.models import Membership, Segment
from regulars.segments.small_groups import rounded
from regulars.segments.vocabulary import Vocabulary
from regulars.usecases.record_disclosures import record_api_reading
from regulars.usecases.save_segment import save_and_evaluate

router = Router(tags=["segments and profiles"])
LongText = Annotated[str, StringConstraints(max_length=8000, pattern=r"^[^\x00]*$")]


CONDITION: JsonDict = {"text": 'did("Product Viewed"):>=1', "purpose": "personalise"}
SEGMENT: JsonDict = {
    "slug": "lookers",
    "name": "Lookers",
    "description": "",
    **CONDITION,
    "created_at": "2026-11-29T09:30:00.000Z",
}


class ConditionBody(Schema):
    """A condition, and the purpose whose permitted data it may use."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [CONDITION]})

    text: LongText
    purpose: Annotated[str, StringConstraints(max_length=32)]


class SegmentBody(ConditionBody):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Lookers", "slug": "lookers", **CONDITION}]}
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
    slug: Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z0-9_-]*$")] = ""
    description: LongText = ""


class SegmentDocument(Schema):
    """A segment. `text` is null where the caller may not see customers and the condition names one."""

    model_config = ConfigDict(json_schema_extra={"examples": [SEGMENT]})

    slug: str
    name: str
    description: str
    text: str | None
    purpose: str
    created_at: str


class SegmentWithSizes(SegmentDocument):
    """A segment, and how many customers are in it, out of it, or unknown."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [SEGMENT | {"members": {"in": 120, "unknown": 40, "out": 4840}}]}
    )

    members: dict[str, int]


class SavedSegment(SegmentDocument):
    """A segment that was saved, and how many customers moved in or out by that."""

    model_config = ConfigDict(json_schema_extra={"examples": [SEGMENT | {"moved": 120}]})

    moved: int


class ConditionPart(Schema):
    """A part of the condition: how many remain after it, and how many there would be without it."""

    text: str
    remaining: int
    without: int


class ConditionCount(Schema):
    """How many customers a condition holds for, and ids of some. Not `exact`: rounded down to tens."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "exact": True,
                    "in": 120,
                    "unknown": 40,
                    "out": 4840,
                    "drops": [{"text": CONDITION["text"], "remaining": 120, "without": 5000}],
                    "sample": ["auth0|6566f0c2a1b2c3d4e5f60718"],
                }
            ]
        }
    )

    exact: bool
    inside: int = Field(alias="in")
    unknown: int
    outside: int = Field(alias="out")
    drops: list[ConditionPart]
    sample: list[str]


class SegmentMember(Schema):
    user_id: str
    state: str
    since: str


class SegmentMembers(Schema):
    """A page of customers. `next` is the `after` of the next page; null: this is the last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "members": [
                        {
                            "user_id": "auth0|6566f0c2a1b2c3d4e5f60718",
                            "state": "in",
                            "since": "2026-11-29T09:30:00.000Z",
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    members: list[SegmentMember]
    next: int | None


class MemberPage(Schema):
    """`after` is the `next` of the previous page."""

    state: Membership.State = Membership.State.IN
    limit: int = Field(50, ge=1, le=100)
    after: int = Field(0, ge=0, le=2**62)


@router.get("/segments", auth=Bearer("read:segments"), response=list[SegmentWithSizes], summary="List segments")
def list_segments(request: HttpRequest) -> Any:
    exact = caller_of(request).sees_customers
    sizes: dict[int, dict[str, int]] = {}
    for segment_id, state, size in Membership.objects.values_list("segment_id", "state").annotate(Count("id")):
        sizes.setdefault(segment_id, {})[state] = size if exact else rounded(size)
    vocabulary = None if exact else Vocabulary.load()
    return [_document(row, vocabulary) | {"members": sizes.get(row.pk, {})} for row in Segment.objects.order_by("slug")]


@router.post(
    "/segments", auth=Bearer("create:segments", "update:segments"), response=SavedSegment, summary="Save a segment"
)
def post_segment(request: HttpRequest, body: SegmentBody, response: HttpResponse) -> Any:
    """Create a segment, or change the one with this slug. Every customer is evaluated before the answer.

    `If-Match` with the `ETag` of a segment changes only that version of it; `If-None-Match: *` only creates. Otherwise the
    answer is 412 `precondition_failed`, and nothing is saved.

    Without read:users the condition may not name what identifies a customer, and `moved` is rounded as in `/segments/count`.
    """
    exact = caller_of(request).sees_customers
    if not exact:
        count_rounded(body.text, body.purpose)  # refuses what would show few customers, now or by comparison
    with transaction.atomic():
        slug = body.slug or slugify(body.name)[:64]
        found = Segment.objects.select_for_update(no_key=True).filter(slug=slug).first()
        _check_preconditions(request, found)
        segment, moved = save_and_evaluate(
            body.name, body.text, body.purpose, slug=slug, description=body.description, segment=found
        )
    response.headers["ETag"] = _etag(segment)
    return _document(segment) | {"moved": moved if exact else rounded(moved)}


@router.post(
    "/segments/count",
    auth=Bearer("read:segments"),
    response=ConditionCount,
    by_alias=True,
    summary="Count a condition",
)
def post_count(request: HttpRequest, body: ConditionBody) -> Any:
    """Count a condition over everybody. A sample and exact numbers need read:users.

    Without it numbers are rounded down to tens (`exact` is false, 0 means fewer than ten), `drops` and `sample` are empty, and a
    condition about what identifies a customer, or with a part that makes a difference of fewer than ten, is refused.
    """
    exact = caller_of(request).sees_customers
    counted = count(body.text, body.purpose) if exact else count_rounded(body.text, body.purpose)
    names = dict(Profile.objects.filter(pk__in=counted.sample).values_list("pk", "user_id"))
    return {
        "exact": counted.exact,
        "in": counted.inside,
        "unknown": counted.unknown,
        "out": counted.outside,
        "drops": [{"text": each.text, "remaining": each.remaining, "without": each.without} for each in counted.parts],
        "sample": [names[number] for number in counted.sample if number in names],
    }


@router.get("/segments/{slug}", auth=Bearer("read:segments"), response=SegmentDocument, summary="Get a segment")
def get_segment(request: HttpRequest, slug: str, response: HttpResponse) -> Any:
    """Without read:users `text` is null for a condition about what identifies a customer. `ETag` is for `If-Match`."""
    found = _find(slug)
    response.headers["ETag"] = _etag(found)
    return _document(found, None if caller_of(request).sees_customers else Vocabulary.load())


@router.get(
    "/segments/{slug}/members",
    auth=Bearer("read:segments", also="read:users"),
    response=SegmentMembers,
    summary="List a segment's members",
)
def list_members(request: HttpRequest, slug: str, query: Query[MemberPage]) -> Any:
    refuse_unknown(request, MemberPage)
    segment = _find(slug)
    refuse_without_rows(segment)
    page = members(segment, query.state, query.limit, query.after)
    read = {each.profile_id: ["segments"] for each in page}
    record_api_reading(caller_of(request).client_id, segment.purpose_id, read)
    rows = [{"user_id": each.profile.user_id, "state": each.state, "since": iso(each.since)} for each in page]
    return {"members": rows, "next": page[-1].profile_id if len(page) == query.limit else None}


def _find(slug: str) -> Segment:
    segment = Segment.objects.filter(slug=slug).select_related("purpose").first()
    if segment is None:
        raise ApiError(404, "inexistent_segment", "The segment does not exist.")
    return segment


def _etag(segment: Segment) -> str:
    """Return the version of what is saved. The hash is keyed: it tells nothing of a condition that a caller may not read."""
    content = json.dumps([segment.slug, segment.name, segment.description, segment.text, segment.purpose_id])
    return f'"{salted_hmac("regulars.segment", content, algorithm="sha256").hexdigest()[:32]}"'


def _check_preconditions(request: HttpRequest, segment: Segment | None) -> None:
    """Raise 412 where `If-Match` or `If-None-Match` (RFC 9110, 13.1) names another state than this."""
    wanted, unwanted = (request.headers.get(name, "").split(",") for name in ("If-Match", "If-None-Match"))
    has = {"*", _etag(segment)} if segment else set[str]()
    if any(wanted) and has.isdisjoint(each.strip() for each in wanted):
        raise ApiError(
            412, "precondition_failed", "The segment was changed or deleted since. Get it again and compare."
        )
    if not has.isdisjoint(each.strip().removeprefix("W/") for each in unwanted):
        raise ApiError(412, "precondition_failed", "There is such a segment already.")


def _document(segment: Segment, vocabulary: Vocabulary | None = None) -> dict[str, object]:
    """Show a segment. `vocabulary` is for a caller who may not see customers: it hides a condition that names one."""
    return {
        "slug": segment.slug,
        "name": segment.name,
        "description": segment.description,
        "text": None if vocabulary and vocabulary.names_customers(segment.text) else segment.text,
        "purpose": segment.purpose_id,
        "created_at": iso(segment.created_at),
    }
