"""Whether one more call may be made now, and the day's account of those that were."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from regulars.base import clock

from .models import SourceDay, SourceSetting
from .source import LookupFailed


class NotNow(LookupFailed):
    """No call was made: `over_budget` until tomorrow, `too_fast` for a moment. Nobody's fault."""


@transaction.atomic
def take_turn(setting: SourceSetting) -> None:
    """Count one call about to be made. Raises `NotNow` when a limit says no, with the seconds until it may be."""
    row = SourceSetting.objects.select_for_update().get(pk=setting.pk)
    day, _ = SourceDay.objects.get_or_create(source_key=row.key, day=clock.today())
    calls_spent = row.calls_per_day is not None and day.calls >= row.calls_per_day
    money_spent = row.money_per_day is not None and day.cost + row.price > row.money_per_day
    if calls_spent or money_spent:
        raise NotNow("over_budget", "The budget of today is spent.", after=_until_tomorrow())
    _pace(row)
    SourceDay.objects.filter(pk=day.pk).update(calls=F("calls") + 1, cost=F("cost") + row.price)


def note_outcome(source_key: str, outcome: str) -> None:
    """`outcome` is a counter of `SourceDay`: answers, nothing, faults."""
    SourceDay.objects.filter(source_key=source_key, day=clock.today()).update(**{outcome: F(outcome) + 1})


def _pace(row: SourceSetting) -> None:
    """One call per so many seconds, without bursts: the vendors' windows differ, an even pace suits all of them."""
    if row.calls_per_minute is None:
        return
    now = timezone.now()
    if row.next_call_at and row.next_call_at > now:
        raise NotNow(
            "too_fast", "It is not yet time for the next call.", after=(row.next_call_at - now).total_seconds()
        )
    row.next_call_at = now + dt.timedelta(seconds=60 / row.calls_per_minute)
    row.save(update_fields=["next_call_at"])


def _until_tomorrow() -> float:
    now = clock.now()
    tomorrow = dt.datetime.combine(now.date() + dt.timedelta(days=1), dt.time(), dt.UTC)
    return (tomorrow - now).total_seconds()
