"""Destinations: where news of segments goes, and how it fares."""

from __future__ import annotations

from django.db.models import Count, Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from regulars.destinations.kind import KINDS
from regulars.destinations.models import Delivery, Destination
from regulars.destinations.queue import resend
from regulars.destinations.save import switch_destination

from ..door import may, require, staff_page
from ..forms import done

ROLE = "admin"  # says where data about customers goes
AGAIN = "marketer"


@require_safe
@staff_page
def destinations(request: HttpRequest) -> HttpResponse:
    counts = delivery_counts()
    rows = [
        (row, KINDS[row.kind].title if row.kind in KINDS else row.kind, counts.get(row.pk, {}))
        for row in Destination.objects.select_related("purpose").order_by("name", "pk")
    ]
    context = {"rows": rows, "kinds": KINDS.items(), "may_write": may(request, ROLE)}
    return render(request, "console/destinations.html", context)


@require_POST
@staff_page
def switch(request: HttpRequest, slug: str) -> HttpResponse:
    require(request, ROLE)
    on = request.POST.get("on") == "1"
    row = switch_destination(slug, on)
    sentence = f"{row.name} hears of what happens from now on." if on else f"{row.name} hears nothing new."
    return done(request, "/console/destinations", "destination.switched", slug, sentence, on=on)


@require_POST
@staff_page
def send_again(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """A failed or dropped delivery goes back in line; her consent is asked again when its turn comes."""
    require(request, AGAIN)
    delivery = Delivery.objects.filter(pk=min(number, 2**63 - 1), destination__slug=slug).first()
    if delivery is None:
        raise Http404("There is no such delivery.")
    resend(delivery)
    address, sentence = f"/console/destinations/{slug}", "The message is back in line."
    return done(request, address, "delivery.resent", str(delivery.message_id), sentence)


def delivery_counts() -> dict[int, dict[str, int]]:
    """Destination id → state → how many; `last` is when the last one was sent."""
    found: dict[int, dict[str, int]] = {}
    rows = (
        Delivery.objects.order_by()
        .values("destination_id", "state")
        .annotate(number=Count("id"), last=Max("finished_at"))
    )
    for row in rows:
        counts = found.setdefault(row["destination_id"], {})
        counts[row["state"]] = row["number"]
        if row["state"] == Delivery.State.SENT:
            counts["last"] = row["last"]
    return found
