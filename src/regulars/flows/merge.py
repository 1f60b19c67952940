"""A visitor turns out to be somebody we know: what she did before belongs to her."""

from __future__ import annotations

from django.db import transaction

from regulars.events.models import Event
from regulars.profiles.document import rebuild
from regulars.profiles.models import Profile
from regulars.segments.models import Membership

from .lake import fill_lake_soon, leave_lake_soon

ANONYMOUS = "anonymous"


def is_only_a_visitor(profile: Profile) -> bool:
    """Nobody ever signed in as, or imported, this profile: it is known by anonymous ids alone."""
    return not profile.identities.exclude(provider=ANONYMOUS).exists()


@transaction.atomic
def merge(visitor: Profile, into: Profile) -> None:
    """Give a visitor's identities, facts and events to a customer. The visitor's row stays and points to her.

    The caller refreshes the customer afterwards (`flows.refresh.after_learning`).
    """
    locked = Profile.objects.select_for_update().filter(pk__in=[visitor.pk, into.pk]).order_by("pk")
    if {profile.pk: profile.merged_into_id for profile in locked}[visitor.pk] is not None:
        return  # two events met in the same moment; the other one did it
    visitor.identities.update(profile=into)
    visitor.facts.update(profile=into)
    visitor.permitted_views.all().delete()
    Membership.objects.filter(profile=visitor).delete()
    moved = Event.objects.filter(profile_id=visitor.pk).update(profile_id=into.pk, lake_batch=None, lake_at=None)
    visitor.merged_into = into
    visitor.save(update_fields=["merged_into"])
    Profile.objects.filter(merged_into=visitor).update(merged_into=into)
    rebuild(into)
    if moved:
        leave_lake_soon([visitor.pk])
        fill_lake_soon()
