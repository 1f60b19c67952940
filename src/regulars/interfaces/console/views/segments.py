"""Segments: every one with its sentence and its size."""

from __future__ import annotations

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from regulars.profiles.find import customers
from regulars.segments.models import Membership, Segment
from regulars.segments.vocabulary import Vocabulary
from regulars.usecases.save_segment import used_by

from ..door import may, staff_page

State = Membership.State


@require_safe
@staff_page
def segments(request: HttpRequest) -> HttpResponse:
    everybody, vocabulary, destinations = customers().count(), Vocabulary.load(), used_by()
    found = (
        Segment.objects.select_related("purpose")
        .order_by("name")
        .annotate(
            inside=Count("memberships", filter=Q(memberships__state=State.IN)),
            unknown=Count("memberships", filter=Q(memberships__state=State.UNKNOWN)),
        )
    )
    rows = [
        {
            "segment": segment,
            "said": vocabulary.text(segment.text),
            "inside": segment.inside,
            "unknown": segment.unknown,
            "outside": max(everybody - segment.inside - segment.unknown, 0),
            "destinations": destinations.get(segment.slug, []),
        }
        for segment in found
    ]
    context = {"rows": rows, "exact": may(request, "marketer"), "may_write": may(request, "marketer")}
    return render(request, "console/segments/list.html", context)
