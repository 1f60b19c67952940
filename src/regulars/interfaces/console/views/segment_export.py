"""A segment as a file: what will be in it is said first, the gate is asked for every row, and it is written down."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from regulars.base.errors import Invalid
from regulars.segments.count import SMALL_GROUP
from regulars.segments.export import columns, count_exported, lines
from regulars.segments.models import Membership

from .. import audit
from ..door import require, staff_page
from .segment_builder import find_segment


@require_safe
@staff_page
def export(request: HttpRequest, slug: str) -> HttpResponse:
    """The page before the download: purpose, columns and how many."""
    require(request, "marketer")
    found = find_segment(slug)
    inside = found.memberships.filter(state=Membership.State.IN).count()
    context = {
        "segment": found,
        "columns": columns(found),
        "count": count_exported(found),
        "inside": inside,
        "few": SMALL_GROUP,
    }
    return render(request, "console/segments/export.html", context)


@require_safe
@staff_page
def export_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The file. `Invalid("too_few")` below ten people: so few are nearly named."""
    require(request, "marketer")
    found = find_segment(slug)
    count, heads = count_exported(found), columns(found)
    if count < SMALL_GROUP:
        raise Invalid(
            "too_few",
            f"Fewer than {SMALL_GROUP} customers would be in the file. So few are nearly named, so they are not exported.",
        )
    response = StreamingHttpResponse(lines(found, heads), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{found.slug}.csv"'
    if request.method == "GET":
        audit.note(request, "segment.exported", slug, purpose=found.purpose_id, columns=heads, count=count)
    return response
