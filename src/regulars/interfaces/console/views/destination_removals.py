"""Whom a destination was asked to let go of, and whether it has confirmed."""

from __future__ import annotations

from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from regulars.destinations.disclosures import ask_again, ask_all_again
from regulars.destinations.kind import Removes
from regulars.destinations.models import Destination, Disclosure

from ..door import may, require, staff_page
from ..forms import done
from .destination_deliveries import find_destination, find_plugin
from .destinations import AGAIN

PAGE = 50
State = Disclosure.State
WORDS = {
    State.REMOVING: "asked, not confirmed yet",
    State.REMOVED: "confirmed",
    State.FAILED: "failed: somebody must look",
}


@require_safe
@staff_page
def removals(request: HttpRequest, slug: str) -> HttpResponse:
    """A page of removals, newest first: those in the state `state`, before the number `before`."""
    saved = find_destination(slug)
    state, before = request.GET.get("state", ""), request.GET.get("before", "")
    found = saved.disclosures.filter(state__in=[state] if state in WORDS else WORDS).select_related("profile")
    found = found.filter(pk__lt=int(before)) if before.isascii() and before.isdigit() and len(before) < 19 else found
    rows = list(found.order_by("-id")[: PAGE + 1])
    counts, plugin = _counts(saved), find_plugin(saved)
    context = {
        "saved": saved,
        "here": "removals",
        "kind": plugin.title if plugin else saved.kind,
        "can_remove": isinstance(plugin, Removes),
        "rows": [(row, WORDS[State(row.state)]) for row in rows[:PAGE]],
        "next": rows[PAGE - 1].pk if len(rows) > PAGE else 0,
        "state": state,
        "states": [
            ("", "All", ""),
            *((key, words.partition(":")[0], counts.get(key, 0)) for key, words in WORDS.items()),
        ],
        "told": sum(counts.get(each, 0) for each in (State.SENT, State.ATTEMPTED)),
        "failed": counts.get(State.FAILED, 0),
        "may_resend": may(request, AGAIN),
    }
    return render(request, "console/destination_removals.html", context)


@require_POST
@staff_page
def ask_one_again(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    require(request, AGAIN)
    row = Disclosure.objects.filter(pk=min(number, 2**63 - 1), destination__slug=slug).first()
    if row is None:
        raise Http404("There is no such removal.")
    ask_again(row)
    return done(request, _address(slug), "removal.asked", str(row.removal_id), "It is asked again.")


@require_POST
@staff_page
def ask_everything_again(request: HttpRequest, slug: str) -> HttpResponse:
    require(request, AGAIN)
    count = ask_all_again(find_destination(slug))
    return done(
        request, _address(slug), "removals.asked", slug, f"{count:,} removals are asked for again.", count=count
    )


def _counts(saved: Destination) -> dict[str, int]:
    rows = saved.disclosures.order_by().values("state").annotate(number=Count("id"))
    return {row["state"]: row["number"] for row in rows}


def _address(slug: str) -> str:
    return f"/console/destinations/{slug}/removals"
