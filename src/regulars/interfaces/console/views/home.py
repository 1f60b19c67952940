"""Home: figures of the last days, recent events, and what to do next."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from regulars.accounts.proofs import mailed_codes
from regulars.base import clock
from regulars.base.mail_server import sends_to_files
from regulars.clients.models import Client
from regulars.connections.login_methods import has_passwords, social_connections
from regulars.consent.view import uses_of_events
from regulars.events.models import Event
from regulars.insights.charts.protocol import ChartScope
from regulars.insights.run_chart import run_chart
from regulars.profiles.find import customers
from regulars.profiles.models import Profile
from regulars.questions.models import Question
from regulars.segments.models import Membership, Segment
from regulars.segments.small_groups import rounded
from regulars.usecases.compare_documents import recently_mended
from regulars.usecases.find_customers import customer_name
from regulars.usecases.grant_purposes import ACCOUNT
from regulars.usecases.retention import upcoming

from ..pages import may, staff_page

DAYS = 30
RECENT = 8
YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class FirstStep:
    """Something to do in a new installation. `note` is what helps with it."""

    address: str
    sentence: str
    note: str = ""


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
    events = list(Event.objects.filter(at__lte=now).order_by("-at", "-id")[:RECENT]) if exact else []
    people = Profile.objects.in_bulk({event.profile_id for event in events})
    uses = uses_of_events(list(people.values()), ACCOUNT)
    recent = [
        {"event": event, "person": people[event.profile_id], "name": customer_name(people[event.profile_id])}
        for event in events
        if event.profile_id in people and uses[event.profile_id].opens(event)
    ]
    context = {
        "figures": figures,
        "chart": chart,
        "exact": exact,
        "chart_note": f"{chart.total:,} in the last {DAYS} days, by day in UTC, without customers who objected to being counted."
        + ("" if exact else " Each day is rounded down to tens."),
        "segments": segments,
        "recent": recent,
        "upcoming": [each for each in upcoming() if each.kind == "customers"] if exact else [],
        "mended": recently_mended() if exact else None,
        "steps": _steps(figures["everybody"], bool(segments)) if exact else [],
        "days": DAYS,
    }
    return render(request, "console/home.html", context)


def _steps(everybody: int, has_segment: bool) -> list[FirstStep]:
    """Return what is still to do, in order. Empty once Regulars is in use."""
    has_customer, by_password = everybody > 0, has_passwords()
    is_open = by_password or bool(social_connections()) or mailed_codes.is_open()
    sign_in = (
        FirstStep("/signup", "Sign up once yourself: you appear as the first customer.", _where_mails_are())
        if by_password
        else FirstStep("/login", "Sign in once yourself: you appear as the first customer.")
    )
    steps = (
        (is_open, FirstStep("/console/connections", "Switch on a login method.")),
        (has_customer or not is_open, sign_in),
        (_has_app(), FirstStep("/console/applications/new", "Register your app.")),
        (
            Event.objects.exclude(source=None).exists(),
            FirstStep("/console/sources", "Send the events of your shop to Regulars."),
        ),
        (Question.objects.exists(), FirstStep("/console/questions/new", "Write your first question.")),
        (has_segment, FirstStep("/console/segments/new", "Save your first segment.")),
    )
    return [step for done, step in steps if not done]


def _has_app() -> bool:
    """Return whether an app can sign customers in: what set-up makes is a machine."""
    grants = Client.objects.values_list("grant_types", flat=True)
    return any(set(each) - {"client_credentials"} for each in grants)


def _where_mails_are() -> str:
    if not sends_to_files():
        return ""
    return (
        f"No mail server is set: the mail with the link is the newest file in {settings.EMAIL_FILE_PATH}. "
        "Set REGULARS_SMTP_HOST; the command regulars mail test ADDRESS proves it."
    )
