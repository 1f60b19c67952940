"""Deliveries and deletion requests of a destination: its queue and circuit breaker, every message's state, and retries."""

from __future__ import annotations

import datetime as dt

from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from regulars.base.errors import DomainError, Invalid
from regulars.base.jobs.queues import queue_status
from regulars.base.jobs.tasks import retry_failed_jobs
from regulars.destinations.circuit_breaker import close_breaker
from regulars.destinations.disclosures import (
    GIVEN_UP,
    HELD,
    is_carried_out,
    retry_deletion_request,
    retry_failed_deletion_requests,
)
from regulars.destinations.kind import KINDS, DestinationKind
from regulars.destinations.models import Delivery, Destination, Disclosure
from regulars.destinations.queue import FINISHED, ReplayFilter, retry_delivery
from regulars.segments.models import Segment
from regulars.usecases.deliver import count_members, is_replaying, queue_backfill, queue_replay

from ..forms import FormError, form_error, form_page, row_number
from ..pages import NO_ROLE, done, may, staff_page
from .destinations import RETRY_ROLE, ROLE, delivery_counts, find_destination

PAGE = 50
LARGEST_ID = 2**63 - 1
State = Disclosure.State
DELETION_STATES = {
    State.UPDATING: "update requested, not confirmed yet",
    State.NOT_UPDATED: "update failed: needs attention",
    State.REMOVING: "requested, not confirmed yet",
    State.REMOVED: "confirmed or received",
    State.FAILED: "failed: needs attention",
}
CARRIED_OUT = "confirmed"
RECEIVED = "requested and received; it confirms no deletion"


@require_safe
@staff_page(read="marketer")
def deliveries(request: HttpRequest, slug: str) -> HttpResponse:
    return _deliveries_page(request, find_destination(slug))


@require_POST
@staff_page(read=NO_ROLE, write="marketer")
def retry(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Queue a failed or dropped delivery again; consent is checked again when it is sent."""
    delivery = Delivery.objects.filter(pk=min(number, LARGEST_ID), destination__slug=slug).first()
    if delivery is None:
        raise Http404("There is no such delivery.")
    retry_delivery(delivery)
    message_id = str(delivery.message_id)
    return done(request, _deliveries_address(slug), "delivery.resent", message_id, "The message is queued again.")


@require_POST
@staff_page(read=NO_ROLE, write="marketer")
def replay(request: HttpRequest, slug: str) -> HttpResponse:
    """Count the chosen deliveries and ask for confirmation; `do=send` on that page queues them again."""
    saved = find_destination(slug)
    try:
        since, until = _moment(request, "since"), _moment(request, "until")
        chosen = ReplayFilter(since, until, request.POST.get("segment", ""), tuple(request.POST.getlist("states")))
        if request.POST.get("do") != "send":
            return _deliveries_page(request, saved, {"again": chosen, "count": chosen.of(saved).count()})
        count = queue_replay(saved, chosen)
    except DomainError as error:
        return _deliveries_page(
            request, saved, problem=form_error(error, {"bad_period": "since", "bad_state": "states"})
        )
    details = {"segment": chosen.segment, "states": list(chosen.states), "count": count}
    sentence = f"{count:,} messages are being queued again."
    return done(request, _deliveries_address(slug), "deliveries.resent", slug, sentence, **details)


@require_POST
@staff_page(read=NO_ROLE, write="marketer")
def backfill(request: HttpRequest, slug: str) -> HttpResponse:
    """Count the current members of a segment and ask for confirmation; `do=send` sends them all."""
    saved, segment = find_destination(slug), request.POST.get("segment", "")
    try:
        if request.POST.get("do") != "send":
            return _deliveries_page(request, saved, {"everybody": segment, "count": count_members(saved, segment)})
        count = queue_backfill(saved, segment)
    except DomainError as error:
        return _deliveries_page(request, saved, problem=form_error(error, {"unknown_segment": "everybody"}))
    sentence = f"{count:,} customers are being sent to {saved.name}."
    return done(request, _deliveries_address(slug), "segment.sent", slug, sentence, segment=segment, count=count)


@require_POST
@staff_page(read=NO_ROLE, write="marketer")
def resume(request: HttpRequest, slug: str) -> HttpResponse:
    """Close the circuit breaker now and queue dead jobs again."""
    saved = find_destination(slug)
    close_breaker(saved)
    count = retry_failed_jobs(saved.queue)
    sentence = "Deliveries resume now."
    return done(request, _deliveries_address(slug), "destination.tried", slug, sentence, revived=count)


@require_safe
@staff_page(read="marketer")
def deletion_requests(request: HttpRequest, slug: str) -> HttpResponse:
    """List deletion requests, newest first: those in the state `state`, before the number `before`."""
    saved = find_destination(slug)
    state, before = request.GET.get("state", ""), row_number(request, "before")
    states = [state] if state in DELETION_STATES else list(DELETION_STATES)
    found = saved.disclosures.filter(state__in=states).select_related("profile", "version", "destination")
    rows = list((found.filter(pk__lt=before) if before else found).order_by("-id")[: PAGE + 1])
    counted = saved.disclosures.order_by().values("state").annotate(number=Count("id"))
    counts = {row["state"]: row["number"] for row in counted}
    failed = saved.disclosures.filter(state__in=(State.FAILED, State.NOT_UPDATED))
    plugin = _plugin_of(saved)
    context = {
        "saved": saved,
        "here": "deletion-requests",
        "kind": plugin.title if plugin else saved.kind,
        "can_remove": plugin.can_remove if plugin else False,
        "can_update": plugin.can_update if plugin else False,
        "rows": [(row, _deletion_label(row), is_carried_out(row), _place_then(saved, row)) for row in rows[:PAGE]],
        "next": rows[PAGE - 1].pk if len(rows) > PAGE else 0,
        "state": state,
        "states": [
            ("", "All", ""),
            *((key, label.partition(":")[0], counts.get(key, 0)) for key, label in DELETION_STATES.items()),
        ],
        "disclosed": sum(counts.get(each, 0) for each in HELD),
        "failed": failed.exclude(error=GIVEN_UP).count(),
        "may_retry": may(request, RETRY_ROLE),
    }
    return render(request, "console/destination_deletion_requests.html", context)


@require_POST
@staff_page(read=NO_ROLE, write="marketer")
def retry_deletion(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    row = Disclosure.objects.filter(pk=min(number, LARGEST_ID), destination__slug=slug).first()
    if row is None:
        raise Http404("There is no such deletion request.")
    retry_deletion_request(row)
    return done(request, _deletions_address(slug), "removal.asked", str(row.request_id), "The request is sent again.")


@require_POST
@staff_page(read=NO_ROLE, write="marketer")
def retry_deletions(request: HttpRequest, slug: str) -> HttpResponse:
    count = retry_failed_deletion_requests(find_destination(slug))
    sentence = f"{count:,} deletion requests are sent again."
    return done(request, _deletions_address(slug), "removals.asked", slug, sentence, count=count)


def _deletion_label(row: Disclosure) -> str:
    """Describe a request as `/me` does: of a destination that only takes it, not as if the data were deleted."""
    if row.state == State.REMOVED:
        return CARRIED_OUT if is_carried_out(row) else RECEIVED
    return DELETION_STATES[State(row.state)]


def _place_then(saved: Destination, row: Disclosure) -> str:
    """Return where the request goes if the destination was elsewhere, under another name or purpose, when it was sent."""
    if row.version_id == saved.current_version_id:
        return ""
    host = KINDS[saved.kind].place(row.version.settings) if saved.kind in KINDS else ""
    return ", ".join(filter(None, (row.version.name, host, row.version.purpose_id)))


def _plugin_of(saved: Destination) -> DestinationKind | None:
    """Return the kind; None when its plug-in is not installed any more."""
    return KINDS[saved.kind] if saved.kind in KINDS else None  # noqa: SIM401 - a catalogue has no `get`


def _deliveries_page(
    request: HttpRequest,
    saved: Destination,
    pending: dict[str, object] | None = None,
    problem: FormError | None = None,
) -> HttpResponse:
    """Show the deliveries. `pending` is what waits for confirmation: `again` or `everybody`, and its `count`."""
    plugin = _plugin_of(saved)
    names = dict(Segment.objects.order_by("name").values_list("slug", "name"))
    given: dict[str, object] = {"segment": request.POST.get("segment", ""), "states": list(FINISHED)}
    if "since" in request.POST or "states" in request.POST:  # the backfill form has no period
        given = {**request.POST.dict(), "states": request.POST.getlist("states")}
    context = {
        "saved": saved,
        "here": "deliveries",
        "kind": plugin.title if plugin else saved.kind,
        "is_idempotent": plugin.is_idempotent if plugin else False,
        "queue": queue_status([saved.queue])[saved.queue],
        "under_way": is_replaying(saved),
        "pending": pending,
        "given": given,
        "segments": [("", "All segments"), *((each, names.get(each, each)) for each in saved.segment_slugs)],
        "finished": [(each, each.capitalize()) for each in FINISHED],
        "may_retry": may(request, RETRY_ROLE),
        **_log(request, saved),
    }
    return form_page(request, "console/destination_deliveries.html", context, role=ROLE, problem=problem)


def _moment(request: HttpRequest, name: str) -> dt.datetime | None:
    """Return a local date and time of a browser as UTC; None for an empty input. Raises `Invalid("bad_time")`."""
    written = request.POST.get(name, "")
    if not written:
        return None
    try:
        return dt.datetime.fromisoformat(written).replace(tzinfo=dt.UTC)
    except ValueError:
        raise Invalid("bad_time", "Write a date and a time.", name) from None


def _log(request: HttpRequest, saved: Destination) -> dict[str, object]:
    """Return a page of deliveries, newest first: those in the state `state`, before the number `before`."""
    state, before = request.GET.get("state", ""), row_number(request, "before")
    found = saved.deliveries.select_related("profile").order_by("-id")
    found = found.filter(state=state) if state in Delivery.State.values else found
    rows = list((found.filter(pk__lt=before) if before else found)[: PAGE + 1])
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


def _deliveries_address(slug: str) -> str:
    return f"/console/destinations/{slug}/deliveries"


def _deletions_address(slug: str) -> str:
    return f"/console/destinations/{slug}/deletion-requests"
