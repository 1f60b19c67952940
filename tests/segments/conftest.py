from __future__ import annotations

import pytest

from regulars.consent.models import PermittedView
from regulars.consent.record import Decision, record
from regulars.consent.view import refresh_views
from regulars.events.models import Event
from regulars.events.record import record as happened
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn


@pytest.fixture
def somebody(house):
    """Make a customer: attributes as keywords, events as (name, properties), purposes she said yes to."""
    numbers = iter(range(1, 10_000))

    def make(*events, yes=("personalise",), **attributes):
        profile, _ = get_or_create_by_identity("auth0", f"{next(numbers):024x}", connection="test")
        for purpose in yes:
            record(profile, Decision(purpose, "given", "login"))
        learn(profile, [NewFact(key, value, "declared", "app:shop") for key, value in attributes.items()])
        for name, properties in events:
            happened(profile.pk, name, properties)
        refresh_views(profile)
        return profile

    return make


@pytest.fixture
def fill_lake(lake):
    """Everything that the worker would have brought there by now."""
    from regulars.base.lake.tables import EventRow, ViewRow, append_events, replace_views

    def fill():
        views = [ViewRow(row.profile_id, row.purpose_id, row.terms) for row in PermittedView.objects.all()]
        replace_views(views)
        rows = [
            EventRow(e.profile_id, e.message_id, e.type, e.name, e.at, e.terms, e.properties)
            for e in Event.objects.all()
        ]
        append_events(rows, batch=1)

    return fill
