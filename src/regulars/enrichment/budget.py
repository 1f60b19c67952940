"""Budgets and rate limits of sources, and the daily count of calls, outcomes and cost."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from regulars.base import clock

from .models import SourceDay, SourceSetting
from .source import LookupFailed


class RateLimited(LookupFailed):
    """No call was made: `over_budget` until tomorrow, `too_fast` for a moment. This is no failure."""


@transaction.atomic
def acquire_call(setting: SourceSetting) -> None:
    """Count one call about to be made. Raises `RateLimited` with the seconds until it may be."""
    row = SourceSetting.objects.select_for_update().get(pk=setting.pk)
    day, _ = SourceDay.objects.get_or_create(source_key=row.key, day=clock.today())
    calls_spent = row.calls_per_day is not None and day.calls >= row.calls_per_day
    money_spent = row.money_per_day is not None and day.cost + row.price > row.money_per_day
    if calls_spent or money_spent:
        now = clock.now()
        tomorrow = dt.datetime.combine(now.date() + dt.timedelta(days=1), dt.time(), dt.UTC)
        raise RateLimited("over_budget", "The budget of today is spent.", after=(tomorrow - now).total_seconds())
    # one call per so many seconds, without bursts: vendors' windows differ, and an even pace suits them all
    if row.calls_per_minute is not None:
        moment = timezone.now()
        if row.next_call_at and row.next_call_at > moment:
            pause = (row.next_call_at - moment).total_seconds()
            raise RateLimited("too_fast", "It is not yet time for the next call.", after=pause)
        row.next_call_at = moment + dt.timedelta(seconds=60 / row.calls_per_minute)
        row.save(update_fields=["next_call_at"])
    SourceDay.objects.filter(pk=day.pk).update(calls=F("calls") + 1, cost=F("cost") + row.price)


def record_outcome(source_key: str, outcome: str) -> None:
    """Count an outcome of today; `outcome` is a counter of `SourceDay`: answers, nothing, faults."""
    SourceDay.objects.filter(source_key=source_key, day=clock.today()).update(**{outcome: F(outcome) + 1})
