"""How a destination fares: its queue and its breaker, the fate of every message, and sending again."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from regulars.base.errors import DomainError, Invalid
from regulars.base.jobs.queues import queue_status
from regulars.base.jobs.tasks import retry_dead_jobs
from regulars.destinations.circuit_breaker import close_breaker
from regulars.destinations.kind import KINDS, DestinationKind
from regulars.destinations.models import Delivery, Destination
from regulars.destinations.queue import FINISHED, Again, resend
from regulars.segments.models import Segment
from regulars.usecases.deliver import count_everybody, is_under_way, send_again, send_everybody

from ..door import may, require, staff_page
from ..forms import FormError, done, problem_of
from .destinations import AGAIN, ROLE, delivery_counts

PAGE = 50


@require_safe
@staff_page
def deliveries(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, find_destination(slug))


@require_POST
@staff_page
def send_one_again(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """A failed or dropped delivery goes back in line; her consent is asked again when its turn comes."""
    require(request, AGAIN)
    delivery = Delivery.objects.filter(pk=min(number, 2**63 - 1), destination__slug=slug).first()
    if delivery is None:
        raise Http404("There is no such delivery.")
    resend(delivery)
    return done(request, _address(slug), "delivery.resent", str(delivery.message_id), "The message is back in line.")


@require_POST
@staff_page
def send_many_again(request: HttpRequest, slug: str) -> HttpResponse:
    """What was asked for is counted first and shown; `do=send` on that page queues it."""
    require(request, AGAIN)
    saved = find_destination(slug)
    try:
        again = _again(request)
        if request.POST.get("do") != "send":
            return _page(request, saved, {"again": again, "count": again.of(saved).count()})
        count = send_again(saved, again)
    except DomainError as refused:
        return _page(request, saved, problem=problem_of(refused, {"bad_period": "since", "bad_state": "states"}))
    asked = {"segment": again.segment, "states": list(again.states), "count": count}
    sentence = f"{count:,} messages are being put back in line."
    return done(request, _address(slug), "deliveries.resent", slug, sentence, **asked)


@require_POST
@staff_page
def send_all_members(request: HttpRequest, slug: str) -> HttpResponse:
    """Everybody who is in a segment now, counted first."""
    require(request, AGAIN)
    saved, segment = find_destination(slug), request.POST.get("segment", "")
    try:
        if request.POST.get("do") != "send":
            count = count_everybody(saved, segment)
            return _page(request, saved, {"everybody": segment, "count": count})
        count = send_everybody(saved, segment)
    except DomainError as refused:
        return _page(request, saved, problem=problem_of(refused, {"unknown_segment": "everybody"}))
    sentence = f"{saved.name} is being told of {count:,} customers."
    return done(request, _address(slug), "segment.sent", slug, sentence, segment=segment, count=count)


@require_POST
@staff_page
def try_now(request: HttpRequest, slug: str) -> HttpResponse:
    """Do not wait for the breaker; what the worker gave up (it died over it again and again) goes back in line too."""
    require(request, AGAIN)
    saved = find_destination(slug)
    close_breaker(saved)
    count = retry_dead_jobs(saved.queue)
    return done(request, _address(slug), "destination.tried", slug, "It is tried again from now on.", revived=count)


def find_destination(slug: str) -> Destination:
    saved = Destination.objects.select_related("purpose").filter(slug=slug).first()
    if saved is None:
        raise Http404("There is no such destination.")
    return saved


def find_plugin(saved: Destination) -> DestinationKind | None:
    """Its kind; None when that is not installed any more."""
    if saved.kind not in KINDS:
        return None
    return KINDS[saved.kind]


def _page(
    request: HttpRequest, saved: Destination, asked: dict[str, Any] | None = None, problem: FormError | None = None
) -> HttpResponse:
    """`asked` is what waits for a confirmation: `again` or `everybody`, and its `count`."""
    plugin = find_plugin(saved)
    names = dict(Segment.objects.order_by("name").values_list("slug", "name"))
    context = {
        "saved": saved,
        "here": "deliveries",
        "kind": plugin.title if plugin else saved.kind,
        "tells_repeats": getattr(plugin, "tells_repeats", False),
        "queue": queue_status([saved.queue])[saved.queue],
        "under_way": is_under_way(saved),
        "asked": asked,
        "given": _given(request),
        "segments": [("", "All segments"), *((each, names.get(each, each)) for each in saved.segment_slugs)],
        "finished": [(each, f"{each.capitalize()} ones") for each in FINISHED],
        "problem": problem,
        "may_resend": may(request, AGAIN),
        "may_write": may(request, ROLE),
        **_log(request, saved),
    }
    return render(request, "console/destination_deliveries.html", context, status=400 if problem else 200)


def _given(request: HttpRequest) -> dict[str, Any]:
    """What the form of sending again shows: what was written, at first everything; the other form writes no period."""
    if "since" in request.POST or "states" in request.POST:
        return {**request.POST.dict(), "states": request.POST.getlist("states")}
    return {"segment": request.POST.get("segment", ""), "states": list(FINISHED)}


def _again(request: HttpRequest) -> Again:
    since, until = _moment(request, "since"), _moment(request, "until")
    return Again(since, until, request.POST.get("segment", ""), tuple(request.POST.getlist("states")))


def _moment(request: HttpRequest, name: str) -> dt.datetime | None:
    """A local date and time as browsers write it, taken as UTC; None where nothing is written. `Invalid("bad_time")`."""
    written = request.POST.get(name, "")
    if not written:
        return None
    try:
        return dt.datetime.fromisoformat(written).replace(tzinfo=dt.UTC)
    except ValueError:
        raise Invalid("bad_time", "Write a date and a time.", name) from None


def _log(request: HttpRequest, saved: Destination) -> dict[str, Any]:
    """A page of deliveries, newest first: those in the state `state`, before the number `before`."""
    state, before = request.GET.get("state", ""), request.GET.get("before", "")
    found = saved.deliveries.select_related("profile").order_by("-id")
    found = found.filter(state=state) if state in Delivery.State.values else found
    found = found.filter(pk__lt=int(before)) if before.isascii() and before.isdigit() and len(before) < 19 else found
    rows = list(found[: PAGE + 1])
    counts = delivery_counts(saved).get(saved.pk, {})
    return {
        "deliveries": rows[:PAGE],
        "next": rows[PAGE - 1].pk if len(rows) > PAGE else 0,
        "state": state,
        "counts": {value: counts.get(value, 0) for value in Delivery.State.values},
        "last": counts.get("last"),
        "states": [
            ("", "All", ""),
            *((value, value.capitalize(), counts.get(value, 0)) for value in Delivery.State.values),
        ],
    }


def _address(slug: str) -> str:
    return f"/console/destinations/{slug}/deliveries"
