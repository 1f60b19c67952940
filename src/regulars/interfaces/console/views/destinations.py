"""Destinations: where news of segments goes, and how it fares."""

from __future__ import annotations

from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from regulars.destinations.circuit_breaker import is_broken
from regulars.destinations.kind import KINDS
from regulars.destinations.models import Delivery, Destination
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
        (row, KINDS[row.kind].title if row.kind in KINDS else row.kind, counts.get(row.pk, {}), is_broken(row))
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


def delivery_counts(*destinations: Destination) -> dict[int, dict[str, int]]:
    """Destination id → state → how many, of these or of all; `last` is when the last one was sent."""
    found: dict[int, dict[str, int]] = {}
    deliveries = Delivery.objects.filter(destination__in=destinations) if destinations else Delivery.objects.all()
    rows = deliveries.order_by().values("destination_id", "state").annotate(number=Count("id"), last=Max("finished_at"))
    for row in rows:
        counts = found.setdefault(row["destination_id"], {})
        counts[row["state"]] = row["number"]
        if row["state"] == Delivery.State.SENT:
            counts["last"] = row["last"]
    return found
