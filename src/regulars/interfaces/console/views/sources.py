"""Sources: who sends events, what was refused of them, and which look-ups fill the gaps."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.enrichment.models import Lookup, SourceDay, SourceSetting
from regulars.enrichment.reliability import doubtful_sources
from regulars.enrichment.source import SOURCES
from regulars.events.models import InboxItem, Rejection, Source
from regulars.events.sources import make_source, replace_key, switch_source

from ..door import may, require, staff_page
from ..forms import FormError, done, problem_of

ROLE = "admin"
REFUSED = 20
NO_LOOKUPS = {"asked": 0, "found": 0, "nothing": 0, "failed": 0, "last": None}
LATELY = 10_000  # messages looked at


@require_safe
@staff_page
def sources(request: HttpRequest) -> HttpResponse:
    return _page(request)


@require_POST
@staff_page
def add(request: HttpRequest) -> HttpResponse:
    require(request, ROLE)
    name = request.POST.get("name", "")
    try:
        made = make_source(name)
    except DomainError as refused:
        return _page(request, name, problem_of(refused))
    return done(request, "/console/sources", "source.made", made.slug, f"{made.name} may send: its write key is below.")


@require_POST
@staff_page
def switch(request: HttpRequest, slug: str) -> HttpResponse:
    require(request, ROLE)
    on = request.POST.get("on") == "1"
    source = switch_source(slug, on)
    sentence = f"{source.name} is on." if on else f"{source.name} is off: what it sends is refused."
    return done(request, "/console/sources", "source.switched", slug, sentence, on=on)


@require_POST
@staff_page
def another_key(request: HttpRequest, slug: str) -> HttpResponse:
    require(request, ROLE)
    source = replace_key(slug)
    sentence = f"{source.name} has another write key. What still sends under the old one is refused."
    return done(request, "/console/sources", "source.key_replaced", slug, sentence)


def lookup_counts() -> dict[str, dict[str, Any]]:
    """Source → what is kept of its look-ups: `asked`, `failed`, `nothing` (it knew nothing), `found`."""
    failed = ~Q(error="")
    rows = (
        Lookup.objects.order_by()
        .values("source_key")
        .annotate(
            asked=Count("id"),
            failed=Count("id", filter=failed),
            nothing=Count("id", filter=Q(error="", answer={})),
            last=Max("asked_at"),
        )
    )
    return {row["source_key"]: {**row, "found": row["asked"] - row["failed"] - row["nothing"]} for row in rows}


def _spent_today() -> dict[str, SourceDay]:
    return {row.source_key: row for row in SourceDay.objects.filter(day=clock.today())}


def _stuck() -> list[InboxItem]:
    """What was acknowledged lately and could not become an event; the whole inbox is too long to look through."""
    newest = InboxItem.objects.aggregate(newest=Max("id"))["newest"] or 0
    items = InboxItem.objects.filter(id__gt=newest - LATELY).exclude(rejected="").select_related("source")
    return list(items.order_by("-id")[:REFUSED])


def _page(request: HttpRequest, name: str = "", problem: FormError | None = None) -> HttpResponse:
    kept = {row.key: row for row in SourceSetting.objects.select_related("purpose")}
    counts, spent, doubtful = lookup_counts(), _spent_today(), doubtful_sources()
    context = {
        "rows": list(Source.objects.order_by("name")),
        "refused": list(Rejection.objects.select_related("source").order_by("-id")[:REFUSED]),
        "stuck": _stuck(),
        "lookups": [
            (key, source, kept.get(key), counts.get(key, NO_LOOKUPS), spent.get(key), key in doubtful)
            for key, source in SOURCES.items()
        ],
        "endpoint": f"{settings.PUBLIC_URL}/v1",
        "name": name,
        "problem": problem,
        "may_write": may(request, ROLE),
    }
    return render(request, "console/sources.html", context, status=400 if problem else 200)
