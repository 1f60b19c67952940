"""Home: figures of the last days, recent events, and what to do next."""

from __future__ import annotations

import datetime as dt

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from regulars.base import clock
from regulars.events.models import Event
from regulars.insights.charts.protocol import ChartScope
from regulars.insights.run_chart import run_chart
from regulars.profiles.find import customers
from regulars.profiles.models import Profile
from regulars.segments.models import Membership, Segment
from regulars.segments.small_groups import rounded
from regulars.usecases.find_customers import customer_name

from ..pages import may, staff_page

DAYS = 30
RECENT = 8
YEAR = 365 * 24 * 3600


@require_safe
@staff_page(read="viewer")
def home(request: HttpRequest) -> HttpResponse:
    now = clock.now()
    since = now - dt.timedelta(days=DAYS)
    figures = customers().aggregate(
        everybody=Count("id"),
        fresh=Count("id", filter=Q(created_at__gte=since)),
        active=Count("id", filter=Q(last_seen_at__gte=since) | Q(last_login__gte=since)),
    )
    segments = list(
        Segment.objects.annotate(
            inside=Count("memberships", filter=Q(memberships__state=Membership.State.IN))
        ).order_by("name")
    )
    chart = run_chart("signins_per_day", ChartScope(now, days=DAYS))
    exact = may(request, "marketer")
    if not exact:
        chart = chart.redrawn([(day, rounded(number)) for day, number in chart.rows])
    events = list(Event.objects.order_by("-id")[:RECENT]) if exact else []
    people = Profile.objects.in_bulk({event.profile_id for event in events})
    recent = [
        {"event": event, "person": people[event.profile_id], "name": customer_name(people[event.profile_id])}
        for event in events
        if event.profile_id in people
    ]
    context = {
        "figures": figures,
        "chart": chart,
        "exact": exact,
        "chart_note": f"{chart.total:,} in the last {DAYS} days, by day in UTC, without customers who objected to being counted."
        + ("" if exact else " Each day is rounded down to tens."),
        "segments": segments,
        "recent": recent,
        "steps": _steps(figures["everybody"], bool(recent), bool(segments)) if exact else [],
        "days": DAYS,
    }
    return render(request, "console/home.html", context)


def _steps(everybody: int, has_events: bool, has_segment: bool) -> list[tuple[str, str]]:
    """Return what is still to do, in order: (address, sentence). Empty once Regulars is in use."""
    steps = (
        (everybody > 0, "/login", "Sign in once yourself: you appear as the first customer."),
        (has_events, "/console/connections", "Send the events of your shop to Regulars."),
        (has_segment, "/console/segments/new", "Save your first segment."),
    )
    return [(address, sentence) for done, address, sentence in steps if not done]
