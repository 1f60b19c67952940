"""One enrichment source: its settings, its purpose, and what it answered lately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from regulars.base.kit.errors import Refused
from regulars.consent.models import Purpose
from regulars.enrichment.models import Lookup, SourceSetting
from regulars.enrichment.save import save_source, shown_settings, switch_source
from regulars.enrichment.source import SOURCES

from ..door import may, require, staff_page
from ..forms import Problem, done, problem_of, settings_drawn, settings_given
from .sources import NO_LOOKUPS, ROLE, lookup_counts

LATELY = 20


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def lookup_source(request: HttpRequest, key: str) -> HttpResponse:
    source, saved = _find(key)
    if request.method != "POST":
        given = {
            "purpose": saved.purpose_id if saved else source.purpose,
            "enabled": "on" if saved and saved.enabled else "",
        }
        return _page(request, key, saved, given)
    require(request, ROLE)
    given, settings = request.POST.dict(), settings_given(request, source.fields)
    on = given.get("enabled") == "on"
    try:
        save_source(key, settings, enabled=on, purpose=given.get("purpose", ""))
    except Refused as refused:
        return _page(request, key, saved, given, problem_of(refused, {"unknown_purpose": "purpose"}, source.fields))
    sentence = f"{source.title} is saved" + (" and on." if on else ", and off.")
    return done(request, f"/console/sources/{key}", "lookup.saved", key, sentence, on=on)


@require_POST
@staff_page
def switch(request: HttpRequest, key: str) -> HttpResponse:
    """On or off; one whose settings are not complete shows its form."""
    require(request, ROLE)
    source, saved = _find(key)
    on = request.POST.get("on") == "1"
    try:
        switch_source(key, on)
    except Refused as refused:
        given = {"purpose": saved.purpose_id if saved else source.purpose, "enabled": "on"}
        return _page(request, key, saved, given, problem_of(refused, fields=source.fields))
    sentence = f"{source.title} is asked from now on." if on else f"{source.title} is not asked any more."
    return done(request, "/console/sources", "lookup.switched", key, sentence, on=on)


def _find(key: str) -> tuple[Any, SourceSetting | None]:
    if key not in SOURCES:
        raise Http404("There is no such source.")
    return SOURCES[key], SourceSetting.objects.filter(key=key).first()


def _page(
    request: HttpRequest,
    key: str,
    saved: SourceSetting | None,
    given: Mapping[str, str],
    problem: Problem | None = None,
) -> HttpResponse:
    source = SOURCES[key]
    kept = shown_settings(saved) if saved else {}
    context = {
        "key": key,
        "source": source,
        "saved": saved,
        "given": given,
        "values": settings_drawn(source.fields, kept, settings_given(request, source.fields)),
        "purposes": _purposes(source.is_about_areas),
        "counts": lookup_counts().get(key, NO_LOOKUPS),
        "lately": list(
            Lookup.objects.filter(source_key=key).select_related("profile").order_by("-asked_at", "-id")[:LATELY]
        ),
        "problem": problem,
        "may_write": may(request, ROLE),
    }
    return render(request, "console/lookup_source.html", context, status=400 if problem else 200)


def _purposes(is_about_areas: bool) -> list[tuple[str, str]]:
    """A source that is told who she is needs a purpose that rests on her yes."""
    purposes = Purpose.objects.filter(active=True).order_by("key")
    allowed = purposes if is_about_areas else purposes.filter(basis=Purpose.Basis.CONSENT)
    return [(purpose.key, f"{purpose.label} ({purpose.key})") for purpose in allowed]
