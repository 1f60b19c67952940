"""One destination: its form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from regulars.base.errors import DomainError, Invalid
from regulars.consent.models import Purpose
from regulars.destinations.kind import KINDS
from regulars.destinations.models import Destination
from regulars.destinations.save import save_destination, shown_settings
from regulars.segments.models import Segment

from ..door import may, require, staff_page
from ..forms import FormError, done, problem_of, settings_drawn, settings_given
from .destinations import ROLE

INPUTS = {"unknown_purpose": "purpose"}


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def destination(request: HttpRequest, slug: str = "") -> HttpResponse:
    """The form of a destination. A new one is of the kind in the query: `?kind=webhook`."""
    saved = Destination.objects.filter(slug=slug).first() if slug else None
    if slug and saved is None:
        raise Http404("There is no such destination.")
    kind = saved.kind if saved else request.GET.get("kind", "webhook")
    if kind not in KINDS:
        raise Http404("That kind of destination is not installed.")
    if request.method != "POST":
        given = _written(saved) if saved else {"purpose": "message", "enabled": "on"}
        return _page(request, saved, kind, given, saved.segment_slugs if saved else [])
    require(request, ROLE)
    given, segments = request.POST.dict(), request.POST.getlist("segments")
    try:
        made = _save(request, saved, kind, given, segments)
    except DomainError as refused:
        return _page(request, saved, kind, given, segments, problem_of(refused, INPUTS, KINDS[kind].fields))
    address = f"/console/destinations/{made.slug}"
    return done(request, address, "destination.saved", made.slug, f"{made.name} is saved.", segments=made.segment_slugs)


def _save(
    request: HttpRequest, saved: Destination | None, kind: str, given: Mapping[str, str], segments: Sequence[str]
) -> Destination:
    known = set(Segment.objects.values_list("slug", flat=True)).union(saved.segment_slugs if saved else [])
    if not known.issuperset(segments):
        raise Invalid("unknown_segment", "One of these segments is not there any more.", "segments")
    return save_destination(
        given.get("name", ""),
        kind,
        settings_given(request, KINDS[kind].fields),
        purpose=given.get("purpose", ""),
        segment_slugs=segments,
        enabled=given.get("enabled") == "on",
        destination=saved,
    )


def _page(
    request: HttpRequest,
    saved: Destination | None,
    kind: str,
    given: Mapping[str, str],
    segments: Sequence[str],
    problem: FormError | None = None,
) -> HttpResponse:
    plugin = KINDS[kind]
    kept = shown_settings(saved) if saved else {}
    context = {
        "saved": saved,
        "here": "settings",
        "kind": kind,
        "plugin": plugin,
        "kinds": [(key, each.title) for key, each in KINDS.items()],
        "given": given,
        "values": settings_drawn(plugin.fields, kept, settings_given(request, plugin.fields)),
        "purposes": [
            (purpose.key, f"{purpose.label} ({purpose.key})")
            for purpose in Purpose.objects.filter(active=True).order_by("key")
        ],
        "segments": _segments(segments),
        "problem": problem,
        "may_write": may(request, ROLE),
    }
    return render(request, "console/destination.html", context, status=400 if problem else 200)


def _segments(chosen: Sequence[str]) -> list[tuple[str, str, bool]]:
    """Every segment, and those it listens to that are gone, so that they can be taken off."""
    names = dict(Segment.objects.order_by("name").values_list("slug", "name"))
    gone = {slug: f"{slug} (gone)" for slug in chosen if slug not in names}
    return [(slug, name, slug in chosen) for slug, name in {**names, **gone}.items()]


def _written(saved: Destination) -> dict[str, str]:
    return {"name": saved.name, "purpose": saved.purpose_id, "enabled": "on" if saved.enabled else ""}
