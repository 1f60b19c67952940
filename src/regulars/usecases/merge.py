"""Merge two profiles of one person, and split them again if that was wrong."""

from __future__ import annotations

import datetime as dt

from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_noop

from regulars.base import clock
from regulars.base.errors import Invalid, NotFound
from regulars.consent.arrived_contacts import refusals_due
from regulars.consent.fold import CUSTOMER_NO
from regulars.consent.ledger import join_states, refold
from regulars.consent.models import ConsentEvent
from regulars.events.models import Event
from regulars.profiles.models import Fact, Identity, Merge, Profile
from regulars.segments.models import Membership

from .lake import queue_lake_fill, queue_lake_removal, queue_lake_rewrite
from .restrict import keep_restricted
from .unit_of_work import Changes, changes

ANONYMOUS = "anonymous"
VISITOR = "visitor"


def is_only_a_visitor(profile: Profile) -> bool:
    """Return whether a profile has anonymous ids only: it never signed in and was never imported."""
    return not profile.identities.exclude(provider=ANONYMOUS).exists()


def merge(source: Profile, into: Profile, why: str = VISITOR) -> None:
    """Move identities, facts and events of `source` to `into`. The source's row stays, with its ledger, and points to `into`.

    Every row records where it came from (`origin`), so that `split` can return it. For each purpose the stricter of the
    two decisions becomes the effective one; each stays in its own ledger exactly as it was made.
    """
    with changes([into, source], why) as c:
        if source.pk == into.pk or c.find(source).pk != source.pk or c.find(into).pk != into.pk:
            return
        source, into = c.find(source), c.find(into)
        came_with = Coalesce(F("origin"), Value(source.pk))
        source.identities.update(profile=into, origin=came_with)
        source.facts.update(profile=into, origin=came_with)
        moved = Event.objects.filter(profile_id=source.pk).update(
            profile_id=into.pk, origin=came_with, lake_batch=None, lake_at=None
        )
        source.permitted_views.all().delete()
        Membership.objects.filter(profile=source).delete()
        Profile.objects.filter(merged_into=source).update(merged_into=into)
        Profile.objects.filter(pk=source.pk).update(merged_into=into)
        source.merged_into = into
        join_states(source, into, Merge.objects.create(source=source, into=into, why=why))
        keep_restricted(source, into)
        if why == VISITOR and source.consent_states.exists():
            c.decide_all(refusals_due([into]))
        c.spread_earlier(into)
        c.refresh(into)
        if moved or why != VISITOR:
            queue_lake_removal([source.pk])
            queue_lake_fill()


def split(identity: Identity, why: str) -> Profile:
    """Undo a merge: the identity returns to the profile it came from, with all its rows. Returns that profile.

    An identity that never had its own profile gets one, with what its provider sent. Raises
    `Invalid("main_identity")` for the one that gave the profile its user id.
    """
    origin = [] if identity.origin is None else [identity.origin]
    with changes([identity.profile, *origin], why) as c:
        profile, name = c.profile, f"{identity.provider}|{identity.provider_user_id}"
        merges: list[Merge] = []
        if identity.origin is not None:
            owner = c.locked(identity.origin)
            merges = [] if owner is None else _merges_between(owner, profile)
            owner = _restore(owner, profile, why)
        elif name == profile.user_id:
            raise Invalid("main_identity", gettext_noop("An account keeps the login method that it was created with."))
        else:
            owner, _ = Profile.objects.get_or_create(user_id=name)
            c.include(owner)
        _give_back(identity, profile, owner)
        refold([owner, *(merge.into for merge in merges)])
        since = merges[0].at if merges else None
        _keep_refusals(c, profile, owner, since)
        if since is None or (profile.restricted_at and profile.restricted_at >= since):
            keep_restricted(profile, owner)
        if profile.blocked and not owner.blocked:  # said while they were one: a closed account cannot be linked
            owner.blocked = True
            owner.save(update_fields=["blocked"])
        queue_lake_rewrite([profile.pk])
        c.refresh(profile)
        c.refresh(owner)
    return owner


def _restore(owner: Profile | None, profile: Profile, why: str) -> Profile:
    """Undo the merge of `owner` into `profile`, and with it that of the profiles merged into `owner` before."""
    if owner is None:
        raise NotFound("customer_erased", "This customer was erased.")
    owner.merged_into = None
    owner.save(update_fields=["merged_into"])
    status = Merge.objects.filter(undone_at=None)
    status.filter(source=owner).update(undone_at=clock.now(), undone_why=why)
    earlier = _merged_before(owner)
    Profile.objects.filter(pk__in=earlier, merged_into=profile).update(merged_into=owner)
    return owner


def _merges_between(owner: Profile, profile: Profile) -> list[Merge]:
    """Return the merges by which a profile became part of another, in their order."""
    found: list[Merge] = []
    at = owner
    while at.pk != profile.pk:
        merge = Merge.objects.filter(source=at, undone_at=None).select_related("into").order_by("-pk").first()
        if merge is None or merge in found:
            break
        found.append(merge)
        at = merge.into
    return found


def _merged_before(owner: Profile) -> list[int]:
    found, layer = [], [owner.pk]
    while layer:
        sources = Merge.objects.filter(into__in=layer, undone_at=None).values_list("source_id", flat=True)
        layer = [number for number in sources if number not in found]
        found += layer
    return found


def _give_back(identity: Identity, profile: Profile, owner: Profile) -> None:
    origins = [owner.pk, *_merged_before(owner)]
    identities = profile.identities.filter(origin__in=origins).values_list("pk", flat=True)
    leaving = [identity.pk, *identities]
    Identity.objects.filter(pk__in=leaving).update(profile=owner)
    # What its provider sent since then belongs to it too.
    since_then = Fact.objects.filter(profile=profile, identity__in=leaving)
    since_then.update(profile=owner)
    profile.facts.filter(origin__in=origins).update(profile=owner)
    events = Event.objects.filter(profile_id=profile.pk, origin__in=origins)
    events.update(profile_id=owner.pk, lake_batch=None, lake_at=None)
    for rows in (Identity.objects.filter(profile=owner), owner.facts.all(), Event.objects.filter(profile_id=owner.pk)):
        rows.filter(origin=owner.pk).update(origin=None)


def _keep_refusals(c: Changes, profile: Profile, owner: Profile, since: dt.datetime | None) -> None:
    """Record with the profile that leaves what the two refused while they were one: it counts for both.

    A consent of that time stays where it was given. None: the one that leaves was never one of its own.
    """
    if since is None:
        effective = profile.consent_states.filter(status__in=CUSTOMER_NO).values("event")
        refused = ConsentEvent.objects.filter(pk__in=effective)
    else:
        both = Q(profile=profile) | Q(profile__merged_into=profile)
        refused = ConsentEvent.objects.filter(both, action__in=CUSTOMER_NO, at__gte=since).exclude(profile=owner)
    c.copy_decisions(refused.order_by("at", "id"), to=owner)
