"""A customer is forgotten: everything about her leaves in one transaction, her rows in the lake by a job."""

from __future__ import annotations

from django.db import transaction

from regulars.destinations.disclose import queue_deletions
from regulars.events.models import Event
from regulars.profiles.models import Profile

from .lake import leave_lake_soon


@transaction.atomic
def forget(profile: Profile) -> None:
    """Delete the profile, those merged into it, their accounts, identities, facts, consent, memberships and events.

    What hangs on a profile by a foreign key goes with it; events know it by number only. Whoever was told of her is
    asked to forget her too (`destinations.disclose`).
    """
    everybody = [profile, *profile.merged.all()]
    list(Profile.objects.select_for_update().filter(pk__in=[each.pk for each in everybody]).order_by("pk"))
    queue_deletions(everybody)
    numbers = [each.pk for each in everybody]
    Event.objects.filter(profile_id__in=numbers).delete()
    for each in everybody:
        if each.account:
            each.account.delete()
    Profile.objects.filter(pk__in=numbers).delete()
    leave_lake_soon(numbers)
