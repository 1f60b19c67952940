"""What a member of staff sees first is true: links lead on, days exist, events are in order, and no share is invented."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from regulars.base import clock
from regulars.connections.models import Connection
from regulars.consent.record import Decision
from regulars.events.models import Event
from regulars.insights.charts import signins_per_day
from regulars.profiles.find import get_or_create_by_identity
from regulars.usecases.decide_consent import decide


@pytest.mark.parametrize(("strategy", "has_policy"), [("email", False), ("auth0", True)])
def test_password_policy_is_linked_where_there_is_one(console, strategy, has_policy):
    Connection.objects.update_or_create(name="way", defaults={"strategy": strategy, "display_name": "Way"})
    page = console.get("/console/connections/way").content.decode()
    links = re.findall(r'href="(/console/connections/way/[^"]+)"', page)

    assert bool(links) == has_policy
    assert all(console.get(link).status_code == 200 for link in links)


def test_recent_activity_is_ordered_by_time_and_has_nothing_of_the_future(console):
    now = clock.now()
    for number, days in enumerate((24, 0, 3, -2)):
        profile, _ = get_or_create_by_identity("google-oauth2", str(number))
        at = now - dt.timedelta(days=days)
        Event.objects.create(
            profile_id=profile.pk, name=f"Seen {days}", type="track", at=at, received_at=now, message_id=str(number)
        )

    page = console.get("/console/").content.decode()

    assert re.findall(r"Seen -?\d+", page) == ["Seen 0", "Seen 3", "Seen 24"]


def test_chart_of_sign_ins_names_existing_days_only():
    days = [dt.date(2026, 10, 30) + dt.timedelta(days=number) for number in range(30)]
    specification = signins_per_day.draw([(day.isoformat(), number) for number, day in enumerate(days)])
    shown = [each["day"] for each in next(iter(specification["datasets"].values()))]

    assert specification["encoding"]["x"]["type"] == "ordinal", "a time axis has ticks beyond the last day"
    assert (shown[0], shown[-1]) == ("30 Oct", "28 Nov")
    assert set(specification["encoding"]["x"]["axis"]["values"]) <= set(shown)
    assert "28 Nov" in specification["encoding"]["x"]["axis"]["values"]


def test_purpose_that_no_one_is_asked_about_has_no_share_of_yes(console):
    profile, _ = get_or_create_by_identity("google-oauth2", "1")
    decide(profile, Decision("measure", "objected", "profile"))
    page = console.get("/console/privacy").content.decode()
    row = re.search(r"Understanding our customers.*?</tr>", page, re.DOTALL)[0]

    assert "no one is asked" in row
    assert "0 %" not in row
