from __future__ import annotations

import pytest

from regulars.consent.models import PermittedView
from regulars.events.models import Event


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
