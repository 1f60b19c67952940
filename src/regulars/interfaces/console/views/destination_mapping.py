"""What a destination is told and under which name, with what would leave of a real customer beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST

from regulars.base.conditions import ConditionError
from regulars.base.errors import DomainError
from regulars.destinations.kind import KINDS, DestinationKind, takes_fields
from regulars.destinations.mapping import FIXED, TRANSFORMS, checked
from regulars.destinations.message import mapping_of, preview
from regulars.destinations.models import Destination
from regulars.destinations.save import save_mapping
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Attribute, Profile
from regulars.usecases.find_customers import customer_name, find_customers

from ..door import may, require, show, staff_page
from ..forms import FormError, done, problem_of
from .destinations import ROLE

SPARE = 3  # empty rows under the others
FOUND = 6
MOST = 200  # rows
_ROW = re.compile(r"field\.(\d{1,3})")
Row = Mapping[str, str]
EMPTY: Row = {"attribute": "", "field": "", "transform": "", "constant": ""}


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def mapping(request: HttpRequest, slug: str) -> HttpResponse:
    """The form; `who` is the customer of the preview, found by `q`. POST saves it; `do=own` goes back to the kind's."""
    saved, kind = find_destination(slug)
    if request.method != "POST":
        return _page(request, saved, kind, _drawn(saved, kind), request.GET)
    require(request, ROLE)
    rows = [] if request.POST.get("do") == "own" else _rows(request)
    try:
        save_mapping(saved, rows)
    except DomainError as refused:
        return _page(request, saved, kind, rows, request.POST, problem_of(refused))
    told = [line["field"] for line in saved.mapping]
    sentence = f"{saved.name} is told this from the next message on."
    return done(request, f"/console/destinations/{slug}/mapping", "destination.mapped", slug, sentence, fields=told)


@require_POST
@staff_page
def try_mapping(request: HttpRequest, slug: str) -> HttpResponse:
    """What would leave by the rows as they stand in the form. Saves nothing, sends nothing."""
    saved, kind = find_destination(slug)
    return _page(request, saved, kind, _rows(request), request.POST)


def find_destination(slug: str) -> tuple[Destination, DestinationKind]:
    saved = Destination.objects.select_related("purpose").filter(slug=slug).first()
    if saved is None:
        raise Http404("There is no such destination.")
    if saved.kind not in KINDS:
        raise Http404("The plug-in of this destination is not installed any more.")
    return saved, KINDS[saved.kind]


def _rows(request: HttpRequest) -> list[Row]:
    """The rows of the form, in their order, also those that say nothing yet."""
    numbers = sorted({int(found[1]) for key in request.POST if (found := _ROW.fullmatch(key))})[:MOST]
    return [{name: request.POST.get(f"{name}.{number}", "") for name in EMPTY} for number in numbers]


def _drawn(saved: Destination, kind: DestinationKind) -> list[Row]:
    """What it is told now; the receiver's fields that nothing fills yet; some empty rows."""
    lines = [{**EMPTY, **line} for line in mapping_of(saved, kind) or []]
    told = {line["field"] for line in lines}
    open_fields = [{**EMPTY, "field": name} for name, _ in _targets(kind) if name not in told]
    return [*lines, *open_fields, *[EMPTY] * SPARE]


def _targets(kind: DestinationKind) -> tuple[tuple[str, str], ...]:
    return getattr(kind, "targets", ())


def _page(
    request: HttpRequest,
    saved: Destination,
    kind: DestinationKind,
    rows: Sequence[Row],
    asked: Mapping[str, Any],
    problem: FormError | None = None,
) -> HttpResponse:
    context = {
        "saved": saved,
        "plugin": kind,
        "here": "mapping",
        "rows": list(enumerate(rows)),
        "is_own": not saved.mapping,
        "says_all": mapping_of(saved, kind) is None,
        "takes_fields": takes_fields(kind),
        "targets": _targets(kind),
        "attributes": _attributes(saved, rows),
        "transforms": [(key, words) for key, (words, _) in TRANSFORMS.items()],
        "fixed": FIXED,
        "problem": problem,
        "may_write": may(request, ROLE),
        **_previewed(saved, rows, asked),
    }
    status = 400 if problem else 200
    return show(request, "console/destination_mapping.html", context, part="preview", status=status)


def _attributes(saved: Destination, rows: Sequence[Row]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The choices under their headings: what the purpose may use first, the rest so that people see why it is held."""
    known = list(Attribute.objects.order_by("label", "key"))
    keys = {each.key for each in known} | {"", FIXED}
    others = sorted({row["attribute"] for row in rows} - keys)
    useful = [(each.key, each.label) for each in known if saved.purpose_id in each.purposes]
    held = [(each.key, each.label) for each in known if saved.purpose_id not in each.purposes]
    return [
        (f"For {saved.purpose.label.lower()}", useful),
        ("Held back: not for this purpose", held),
        ("Not declared", [(each, each) for each in others]),
    ]


def _previewed(saved: Destination, rows: Sequence[Row], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The customers `q` finds, and what would be told of the chosen one, as if the destination were switched on."""
    text, who = str(asked.get("q", "")), str(asked.get("who", ""))
    people, sought = _found(text)
    named = find_by_user_id(who) if who else None
    if named and named not in people and not text:  # a new search chooses anew
        people = [named, *people[: FOUND - 1]]
    chosen = named if named in people else next(iter(people), None)
    trial, seen, wrong = copy(saved), None, ""
    trial.enabled = True
    try:
        trial.mapping = checked(rows) if takes_fields(KINDS[saved.kind]) else []
        seen = preview(trial, chosen) if chosen else None
    except DomainError as refused:
        wrong = refused.message
    return {
        "q": text,
        "sought": sought,
        "people": [(each, customer_name(each), each == chosen) for each in people],
        "chosen": chosen,
        "seen": seen,
        "traits": list(seen.traits.items()) if seen and seen.traits else [],
        "match": list(seen.match.items()) if seen and seen.match else [],
        "wrong": wrong,
    }


def _found(text: str) -> tuple[list[Profile], str]:
    """Those it finds, and why it found nobody."""
    try:
        people = find_customers(text, FOUND).people
    except ConditionError as bad:
        return [], bad.message
    return people, "" if people else "Nobody is found by that."
