"""Merge two profiles of one person, and split them again if that was wrong."""

from __future__ import annotations

from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_noop

from regulars.base import clock
from regulars.base.errors import Invalid, NotFound
from regulars.consent.models import ConsentEvent, ConsentState
from regulars.consent.record import Decision
from regulars.events.models import Event
from regulars.profiles.models import Fact, Identity, Merge, Profile
from regulars.segments.models import Membership

from .lake import queue_lake_fill, queue_lake_removal, queue_lake_rewrite
from .restrict import keep_restricted
from .unit_of_work import Changes, changes

ANONYMOUS = "anonymous"
VISITOR = "visitor"
Action = ConsentEvent.Action
YES = (Action.GIVEN, Action.IMPORTED)


def is_only_a_visitor(profile: Profile) -> bool:
    """Return whether a profile has anonymous ids only: it never signed in and was never imported."""
    return not profile.identities.exclude(provider=ANONYMOUS).exists()


def merge(source: Profile, into: Profile, why: str = VISITOR) -> None:
    """Move identities, facts and events of `source` to `into`. The source's row stays, with its ledger, and points to `into`.

    Every row records where it came from (`origin`), so that `split` can return it. For each purpose the stricter of the
    two decisions becomes the effective one.
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
        Merge.objects.create(source=source, into=into, why=why)
        _keep_the_stricter(c, source, into)
        keep_restricted(source, into)
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
        if identity.origin is not None:
            owner = _restore(c.locked(identity.origin), profile, why)
        elif name == profile.user_id:
            raise Invalid("main_identity", gettext_noop("An account keeps the login method that it was created with."))
        else:
            owner, _ = Profile.objects.get_or_create(user_id=name)
            c.include(owner)
        _give_back(identity, profile, owner)
        _withdraw_merged_decisions(c, profile, owner)
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


def _keep_the_stricter(c: Changes, source: Profile, into: Profile) -> None:
    """A no of either becomes a no of both; consent to what the other was never asked is kept, with its notice."""
    # A lifted objection is not consent, but less strict than a no.
    rank = {**dict.fromkeys(YES, 0), Action.OBJECTION_LIFTED: 1, Action.OBJECTED: 3}
    ranks = {state.purpose_id: rank.get(Action(state.status), 2) for state in into.consent_states.all()}
    stricter = [
        Decision(
            state.purpose_id,
            state.status,
            "merge",
            words=state.event.notice.body if state.event.notice else "",
            explicit=state.event.explicit,
            evidence={"merged": source.user_id, "event": state.event_id},
        )
        for state in source.consent_states.select_related("event__notice").order_by("purpose_id")
        if rank.get(Action(state.status), 2) > ranks.get(state.purpose_id, -1)
    ]
    c.decide_all([(into, stricter)])


def _withdraw_merged_decisions(c: Changes, profile: Profile, owner: Profile) -> None:
    """Withdraw decisions that came by the merge and were not made again by the customer since."""
    borrowed = ConsentState.objects.filter(profile=profile, event__method="merge").select_related("event")
    restored = []
    for state in borrowed:
        if state.event.evidence.get("merged") != owner.user_id:
            continue
        own = profile.consent_events.filter(purpose=state.purpose_id, pk__lt=state.event_id).order_by("-pk").first()
        words = own.notice.body if own and own.notice else ""
        action = own.action if own else Action.WITHDRAWN
        evidence = {"split": owner.user_id, "event": own.pk if own else None}
        restored.append(Decision(state.purpose_id, action, "split", words=words, evidence=evidence))
    c.decide_all([(profile, restored)])
