"""Carry a change of facts or consents on to every destination that was sent the data (GDPR, article 19)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from django.db import transaction

from regulars.consent.uses import why_no_rows_for
from regulars.consent.view import of_whom_open, view_all
from regulars.profiles.models import Profile

from .disclosures import HELD, queue_removals, queue_updates
from .field_changes import changes_of
from .models import Disclosure

State = Disclosure.State
# The others are updated already: what is sent then is what is true then.
MAY_BE_QUEUED = (State.ATTEMPTED, State.SENT, State.NOT_UPDATED)


@transaction.atomic
def follow_disclosures(customers: Sequence[Profile]) -> list[Disclosure]:
    """Queue what destinations must hear of after facts or consents of these customers changed. Returns the disclosures.

    A purpose that was closed: the deletion, at the place and for the purpose that the data was sent for. A fact that may
    not be used any more, or has another value: an update of its field. Rows of merged profiles follow their customer.
    """
    customer_of = {profile.pk: profile for profile in customers}
    merged = Profile.objects.filter(merged_into__in=list(customer_of)).values_list("pk", "merged_into_id")
    customer_of |= {pk: customer_of[into] for pk, into in merged}
    rows = list(
        Disclosure.objects.filter(profile__in=list(customer_of), state__in=HELD)
        .select_related("destination", "version")
        .order_by("version__purpose_id", "id")
    )
    queued: list[Disclosure] = []
    for purpose, group in groupby(rows, key=lambda row: row.version.purpose_id):
        queued += _follow(purpose, [(row, customer_of[row.profile_id]) for row in group if row.profile_id])
    return queued


def _follow(purpose: str, rows: Sequence[tuple[Disclosure, Profile]]) -> list[Disclosure]:
    """Compare the disclosures under one purpose with what it permits now, in as many queries as for one."""
    customers = list({customer.pk: customer for _, customer in rows}.values())
    open_for = set() if why_no_rows_for([purpose]) else of_whom_open(customers, purpose)
    views = view_all([each for each in customers if each.pk in open_for], purpose) if open_for else {}
    removed, changed = [], []
    for row, customer in rows:
        changes = changes_of(row, views[customer.pk]) if customer.pk in views else None
        if changes is None or changes.is_lost:
            removed.append(row)
        elif changes and row.state in MAY_BE_QUEUED:
            changed.append(row)
    return queue_removals(removed, erase=False) + queue_updates(changed)
