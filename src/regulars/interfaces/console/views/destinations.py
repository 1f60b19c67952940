"""Destinations: the list, the form of a destination, and its field mapping with a preview of a real customer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from django.db.models import Count, Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.base.conditions import ConditionError
from regulars.base.errors import DomainError, Invalid
from regulars.consent.uses import purposes_for_rows
from regulars.destinations.circuit_breaker import is_broken
from regulars.destinations.kind import KINDS, DestinationKind, maps_fields
from regulars.destinations.mapping import FIXED, TRANSFORMS, UNSUBSCRIBE, checked
from regulars.destinations.message import mapping_of, preview_message
from regulars.destinations.models import Delivery, Destination
from regulars.destinations.save import save_destination, save_mapping, shown_settings, switch_destination
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Attribute
from regulars.segments.models import Segment
from regulars.usecases.deliver import refuse_segments_for_groups, segment_purposes
from regulars.usecases.find_customers import find_customers

from ..edits import FormContent, creating, editing
from ..forms import SETTING, FormError, form_error, form_page, settings_given, settings_shown
from ..pages import NO_ROLE, done, may, staff_page

ROLE = "admin"  # decides where data about customers is sent
RETRY_ROLE = "marketer"
INPUTS = {"unknown_purpose": "purpose", "segment_is_for_groups": "segments"}
EMPTY_ROWS = 3  # under the others
FOUND = 6
MOST_ROWS = 200
_ROW = re.compile(r"field\.(\d{1,3})")
Row = Mapping[str, str]
EMPTY: Row = {"attribute": "", "field": "", "transform": "", "constant": ""}


def find_destination(slug: str) -> Destination:
    saved = Destination.objects.select_related("purpose").filter(slug=slug).first()
    if saved is None:
        raise Http404("There is no such destination.")
    return saved


@require_safe
@staff_page(read="marketer")
def destinations(request: HttpRequest) -> HttpResponse:
    counts = delivery_counts()
    rows = [
        (row, KINDS[row.kind].title if row.kind in KINDS else row.kind, counts.get(row.pk, {}), is_broken(row))
        for row in Destination.objects.select_related("purpose").order_by("name", "pk")
    ]
    context = {"rows": rows, "kinds": KINDS.items(), "may_write": may(request, ROLE)}
    return render(request, "console/destinations.html", context)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def switch(request: HttpRequest, slug: str) -> HttpResponse:
    on = request.POST.get("on") == "1"
    row = switch_destination(slug, on)
    sentence = f"{row.name} receives what happens from now on." if on else f"{row.name} receives nothing new."
    return done(request, "/console/destinations", "destination.switched", slug, sentence, on=on)


def delivery_counts(*destinations: Destination) -> dict[int, dict[str, int]]:
    """Return the number of deliveries by destination id and state; `last` is when the last one was sent."""
    found: dict[int, dict[str, int]] = {}
    deliveries = Delivery.objects.filter(destination__in=destinations) if destinations else Delivery.objects.all()
    rows = deliveries.order_by().values("destination_id", "state").annotate(number=Count("id"), last=Max("finished_at"))
    for row in rows:
        counts = found.setdefault(row["destination_id"], {})
        counts[row["state"]] = row["number"]
        if row["state"] == Delivery.State.SENT:
            counts["last"] = row["last"]
    return found


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="admin")
def destination(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Show or save the form of a destination. A new one is of the kind in the query: `?kind=webhook`."""
    saved = find_destination(slug) if slug else None
    kind = saved.kind if saved else request.GET.get("kind", "webhook")
    if kind not in KINDS:
        raise Http404("That kind of destination is not installed.")
    if request.method != "POST":
        given = {"name": saved.name, "purpose": saved.purpose_id} if saved else {"purpose": "message", "enabled": "on"}
        return _form(request, saved, kind, given, saved.segment_slugs if saved else [])
    given, segments = request.POST.dict(), request.POST.getlist("segments")
    try:
        if saved:
            with editing(request, saved, _shown) as row:
                return _saved(request, _save(request, row, kind, given, segments))
        with creating(request) as sent:
            made = _save(request, None, kind, given, segments)
            sent.address = f"/console/destinations/{made.slug}"
            return _saved(request, made)
    except DomainError as error:
        return _form(request, saved, kind, given, segments, form_error(error, INPUTS, KINDS[kind].fields))


def _saved(request: HttpRequest, made: Destination) -> HttpResponse:
    address = f"/console/destinations/{made.slug}"
    return done(request, address, "destination.saved", made.slug, f"{made.name} is saved.", segments=made.segment_slugs)


def _shown(saved: Destination) -> FormContent:
    fields = KINDS[saved.kind].fields
    plain = {SETTING + field.key: saved.settings.get(field.key, field.default) for field in fields if not field.secret}
    return FormContent(
        saved.slug,
        ("destination.saved",),
        {"name": saved.name, "purpose": saved.purpose_id, "segments": list(saved.segment_slugs), **plain},
        [saved.settings.get(field.key, "") for field in fields if field.secret],
    )


def _save(
    request: HttpRequest, saved: Destination | None, kind: str, given: Mapping[str, str], segments: Sequence[str]
) -> Destination:
    known = set(Segment.objects.values_list("slug", flat=True)).union(saved.segment_slugs if saved else [])
    if not known.issuperset(segments):
        raise Invalid("unknown_segment", "One of these segments does not exist any more.", "segments")
    refuse_segments_for_groups(segments)
    return save_destination(
        given.get("name", ""),
        kind,
        settings_given(request, KINDS[kind].fields),
        purpose=given.get("purpose", ""),
        segment_slugs=segments,
        enabled=None if saved else given.get("enabled") == "on",
        destination=saved,
    )


def _form(
    request: HttpRequest,
    saved: Destination | None,
    kind: str,
    given: Mapping[str, str],
    segments: Sequence[str],
    problem: FormError | None = None,
) -> HttpResponse:
    names = dict(Segment.objects.order_by("name").values_list("slug", "name"))
    # Deleted segments that the destination still lists stay on the form, so that they can be removed.
    deleted = {slug: f"{slug} (deleted)" for slug in segments if slug not in names}
    plugin = KINDS[kind]
    kept = shown_settings(saved) if saved else {}
    context = {
        "saved": saved,
        "here": "settings",
        "kind": kind,
        "plugin": plugin,
        "kinds": [(key, each.title) for key, each in KINDS.items()],
        "given": given,
        "values": settings_shown(plugin.fields, kept, settings_given(request, plugin.fields)),
        "purposes": [(purpose.key, f"{purpose.label} ({purpose.key})") for purpose in purposes_for_rows()],
        "segments": [(slug, name, slug in segments) for slug, name in {**names, **deleted}.items()],
    }
    edits = _shown(saved) if saved else None
    return form_page(request, "console/destination.html", context, role=ROLE, problem=problem, edits=edits)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="admin")
def mapping(request: HttpRequest, slug: str) -> HttpResponse:
    """Show or save the mapping; `who` is the customer of the preview, found by `q`. `do=own` restores the kind's default."""
    saved, kind = _with_kind(slug)
    if request.method != "POST":
        lines = [{**EMPTY, **line} for line in mapping_of(saved, kind) or []]
        mapped = {line["field"] for line in lines}
        open_fields = [{**EMPTY, "field": name} for name, _ in kind.targets if name not in mapped]
        return _mapping_page(request, saved, kind, [*lines, *open_fields, *[EMPTY] * EMPTY_ROWS], request.GET)
    rows = [] if request.POST.get("do") == "own" else _rows(request)
    here = f"/console/destinations/{slug}/mapping"
    try:
        with editing(request, saved, _mapping_shown, {"rows": _in_words(rows)}) as row:
            save_mapping(row, rows)
            fields = [line["field"] for line in row.mapping]
            sentence = f"{row.name} receives these fields from the next message on."
            return done(request, here, "destination.mapped", slug, sentence, fields=fields)
    except DomainError as error:
        return _mapping_page(request, saved, kind, rows, request.POST, form_error(error))


def _mapping_shown(saved: Destination) -> FormContent:
    rows = [{**EMPTY, **line} for line in saved.mapping]
    return FormContent(saved.slug, ("destination.mapped",), {"rows": _in_words(rows)})


def _in_words(rows: Sequence[Row]) -> str:
    """Return the rows that send something, one a line."""
    return "\n".join(
        " ".join(filter(None, (f"{row['field']}:", *(row[name] for name in ("attribute", "transform", "constant")))))
        for row in rows
        if row["attribute"]
    )


@require_POST
@staff_page(read=NO_ROLE, write="marketer")
def preview_mapping(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the rows in the form would send. Saves nothing, sends nothing."""
    saved, kind = _with_kind(slug)
    return _mapping_page(request, saved, kind, _rows(request), request.POST)


def _with_kind(slug: str) -> tuple[Destination, DestinationKind]:
    saved = find_destination(slug)
    if saved.kind not in KINDS:
        raise Http404("The plug-in of this destination is not installed any more.")
    return saved, KINDS[saved.kind]


def _rows(request: HttpRequest) -> list[Row]:
    """Return the rows of the form in their order, also empty ones."""
    numbers = sorted({int(found[1]) for key in request.POST if (found := _ROW.fullmatch(key))})[:MOST_ROWS]
    return [{name: request.POST.get(f"{name}.{number}", "") for name in EMPTY} for number in numbers]


def _mapping_page(
    request: HttpRequest,
    saved: Destination,
    kind: DestinationKind,
    rows: Sequence[Row],
    query: Mapping[str, Any],
    problem: FormError | None = None,
) -> HttpResponse:
    # attributes under headings: first those the purpose may use, then the others, so that the reason is visible
    known = list(Attribute.objects.order_by("label", "key"))
    keys = {each.key for each in known} | {"", FIXED, UNSUBSCRIBE}
    others = sorted({row["attribute"] for row in rows} - keys)
    useful = [(each.key, each.label) for each in known if saved.purpose_id in each.purposes]
    held = [(each.key, each.label) for each in known if saved.purpose_id not in each.purposes]
    context = {
        "saved": saved,
        "plugin": kind,
        "here": "mapping",
        "rows": list(enumerate(rows)),
        "is_own": not saved.mapping,
        "sends_all": mapping_of(saved, kind) is None,
        "takes_fields": maps_fields(kind),
        "targets": kind.targets,
        "attributes": [
            (f"For {saved.purpose.label.lower()}", useful),
            ("Not permitted for this purpose", held),
            ("Not declared", [(each, each) for each in others]),
        ],
        "transforms": [(key, label) for key, (label, _) in TRANSFORMS.items()],
        "fixed": FIXED,
        "unsubscribe": UNSUBSCRIBE,
        **_preview_context(saved, rows, query),
    }
    edits = _mapping_shown(saved)
    return form_page(
        request, "console/destination_mapping.html", context, role=ROLE, problem=problem, part="preview", edits=edits
    )


def _preview_context(saved: Destination, rows: Sequence[Row], query: Mapping[str, Any]) -> dict[str, object]:
    """Return the customers that `q` finds, and what would be sent of the chosen one if the destination were on."""
    text, who = str(query.get("q", "")), str(query.get("who", ""))
    try:
        people = find_customers(text, FOUND).people
        not_found = "" if people else "No customer matches."
    except ConditionError as error:
        people, not_found = [], error.message
    named = find_by_user_id(who) if who else None
    if named and named not in people and not text:  # a new search chooses anew
        people = [named, *people[: FOUND - 1]]
    chosen = named if named in people else next(iter(people), None)
    draft, seen, wrong = copy(saved), None, ""
    draft.enabled = True
    try:
        draft.mapping = checked(rows) if maps_fields(KINDS[saved.kind]) else []
        seen = preview_message(draft, chosen, segment_purposes()) if chosen else None
    except DomainError as error:
        wrong = error.message
    return {
        "q": text,
        "not_found": not_found,
        "people": people,
        "chosen": chosen,
        "seen": seen,
        "traits": list(seen.traits.items()) if seen and seen.traits else [],
        "match": list(seen.match.items()) if seen and seen.match else [],
        "wrong": wrong,
    }
