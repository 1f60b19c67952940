"""Nightly: compare documents and permitted views with a fresh fold of the facts, and mend what differs.

They are caches that every writer keeps up to date in its own transaction. This finds a writer that does not, or a damaged row.
A whole pass takes a fortnight, so that a million customers cost some minutes a night; each portion is a job of its own.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from math import ceil
from typing import Any

from django.db import OperationalError
from django.db.models import F

from regulars.base import clock
from regulars.base.jobs.schedule import DAY, periodic_task
from regulars.base.jobs.tasks import enqueue, enqueue_once, handles
from regulars.consent.compare import differences, settled
from regulars.consent.models import DocumentComparison
from regulars.profiles.models import Profile

from .unit_of_work import changes

log = logging.getLogger("regulars.worker")
JOB, WHY = "documents.compare", "compared"
NIGHTS = 14  # of one pass
LEAST = 20_000  # customers in one night, if there are so many
PORTION = 200
NAMED = 50  # fields in one record
RECENT = dt.timedelta(days=30)  # so long staff read of what was mended
KEPT = dt.timedelta(days=365)


@periodic_task(DAY, JOB)
def begin_comparison() -> None:
    """Begin tonight's share where the last one ended, or from the start when it reached the end."""
    DocumentComparison.objects.filter(at__lt=clock.now() - KEPT).delete()
    customers = Profile.objects.filter(merged_into=None)
    share = max(LEAST, ceil(customers.count() / NIGHTS))
    last = DocumentComparison.objects.order_by("pk").last()
    row = DocumentComparison.objects.create(up_to=last.up_to if last and not last.at_end else 0)
    enqueue_once(JOB, {"comparison": row.pk, "left": share}, key=JOB)


@handles(JOB, non_transactional=True)
def compare_portion(payload: dict[str, Any]) -> None:
    """Compare the next portion, mend what differs, and queue the one after it."""
    row = DocumentComparison.objects.filter(pk=payload["comparison"]).first()
    if row is None:
        return
    portion = list(Profile.objects.filter(pk__gt=row.up_to).order_by("pk")[: min(PORTION, payload["left"])])
    rows = DocumentComparison.objects.filter(pk=row.pk)
    if not portion:
        rows.update(at_end=True)
        return
    fields: Counter[str] = Counter(row.fields)
    mended = 0
    for number in _suspects(portion):
        names = _mend(number)
        mended += bool(names)
        fields.update(names)
    kept = dict(fields.most_common(NAMED))
    rows.update(up_to=portion[-1].pk, compared=F("compared") + len(portion), mended=F("mended") + mended, fields=kept)
    if left := payload["left"] - len(portion):
        enqueue(JOB, {"comparison": row.pk, "left": left}, key=JOB)


def recently_mended() -> DocumentComparison | None:
    """Return the newest comparison of the last month that found a difference."""
    return DocumentComparison.objects.filter(mended__gt=0, at__gt=clock.now() - RECENT).order_by("pk").last()


def _suspects(portion: list[Profile]) -> list[int]:
    """Return those who seem to differ; where a portion cannot be compared, all of it, to be looked at one by one."""
    numbers = [each.pk for each in portion]
    try:
        return sorted(differences(list(settled(Profile.objects.filter(pk__in=numbers)))))
    except OperationalError:
        raise
    except Exception:
        log.warning(
            "a portion of %d customers could not be compared; each is looked at alone", len(numbers), exc_info=True
        )
        return numbers


def _mend(number: int) -> list[str]:
    """Compare one customer again under the lock, and rebuild what differs still. Returns the names of fields that did."""
    try:
        with changes([number], WHY) as c:
            names = differences(list(settled(Profile.objects.filter(pk=number)))).get(number, [])
            if names:
                c.refresh()
    except OperationalError:
        raise
    except Exception:
        log.exception("profile %s could not be compared", number)
        return ["not_computable"]
    if names:
        log.error("profile %s differed from its facts and was rebuilt: %s", number, ", ".join(names))
    return names
