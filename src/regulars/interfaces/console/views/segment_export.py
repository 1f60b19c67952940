"""A segment as a file: what will be in it is said first, the gate is asked for every row, and it is written down."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from regulars.base.errors import Invalid
from regulars.base.spreadsheet import escaped
from regulars.consent.models import PermittedView
from regulars.consent.view import view_all
from regulars.profiles.models import Attribute
from regulars.segments.members import members
from regulars.segments.models import Membership, Segment

from .. import audit
from ..counting import FEW
from ..door import require, staff_page
from .segment_builder import find_segment

CHUNK = 500


@require_safe
@staff_page
def export(request: HttpRequest, slug: str) -> HttpResponse:
    """The page before the download: purpose, columns and how many."""
    require(request, "marketer")
    found = find_segment(slug)
    inside = found.memberships.filter(state=Membership.State.IN).count()
    context = {"segment": found, "columns": columns(found), "count": _exported(found), "inside": inside, "few": FEW}
    return render(request, "console/segments/export.html", context)


@require_safe
@staff_page
def export_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The file. `Invalid("too_few")` below ten people: so few are nearly named."""
    require(request, "marketer")
    found = find_segment(slug)
    count, heads = _exported(found), columns(found)
    if count < FEW:
        raise Invalid(
            "too_few",
            f"Fewer than {FEW} customers would be in the file. So few are nearly named, so they are not exported.",
        )
    response = StreamingHttpResponse(_lines(found, heads), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{found.slug}.csv"'
    if request.method == "GET":
        audit.note(request, "segment.exported", slug, purpose=found.purpose_id, columns=heads, count=count)
    return response


def columns(segment: Segment) -> list[str]:
    """The customer's id, and every attribute that may serve the segment's purpose."""
    attributes = Attribute.objects.order_by("key")
    return ["user_id", *(each.key for each in attributes if segment.purpose_id in each.purposes)]


def _exported(segment: Segment) -> int:
    """How many are in and may be used for the purpose at all."""
    allowed = PermittedView.objects.filter(
        purpose=segment.purpose, profile__memberships__segment=segment, profile__memberships__state=Membership.State.IN
    )
    return allowed.exclude(traits={}).count()


def _lines(segment: Segment, heads: list[str]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(heads)
    after = 0
    while chunk := members(segment, Membership.State.IN, CHUNK, after):
        permitted = view_all([each.profile for each in chunk], segment.purpose_id)
        for each in chunk:
            if traits := permitted[each.profile_id]:
                known = {key: traits[key].value for key in heads[1:] if key in traits}
                yield writer.writerow([escaped(each.profile.user_id), *(_cell(known.get(key)) for key in heads[1:])])
        after = chunk[-1].profile_id


def _cell(value: Any) -> str:
    """Text that no spreadsheet takes for a formula; numbers stay numbers, several values are joined."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case list():
            return escaped("; ".join(map(_plain, value)))
    return escaped(_plain(value))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


class _Echo:
    """A file that hands back each line instead of keeping it."""

    def write(self, line: str) -> Any:
        return line
