"""She allows, takes back or objects: ledger, views, segments and whoever was told, in one transaction."""

from __future__ import annotations

from itertools import islice

from django.db import transaction
from django.utils.translation import gettext_noop

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.base.jobs.tasks import enqueue, handles
from regulars.consent.effective import YES
from regulars.consent.models import ConsentEvent, ConsentState, Purpose
from regulars.consent.purposes import PurposeText, get_purpose, reword
from regulars.consent.record import Decision
from regulars.profiles.models import Profile

from .unit_of_work import changes

Action = ConsentEvent.Action
SHARING = ("share", "sale")
PORTION = 50


def decide(profile: Profile, decision: Decision, seen: int | None = None) -> ConsentEvent:
    """Write it down, and let everything follow. What she has not said yes to is out of segments when this returns.

    `seen` is the last decision on this purpose that her page knew of (0: none). Raises `DomainError`: `decided_meanwhile`
    (an old page, or the same form twice), `needs_no_consent`, `no_objection_here`, `unknown_purpose`.
    """
    purpose = get_purpose(decision.purpose)
    _refuse_what_makes_no_sense(purpose, decision.action)
    with changes(profile, "consent") as c:
        if seen is not None and seen != last_decision(c.profile, purpose.key):
            raise Invalid("decided_meanwhile", gettext_noop("This was decided already. Look at how it stands now."))
        return c.decide(decision)


def last_decision(profile: Profile, purpose: str) -> int:
    """The number of the newest decision on a purpose; 0 when there is none. A form that carries it works once."""
    newest = profile.consent_events.filter(purpose=purpose).order_by("-id").values_list("id", flat=True).first()
    return newest or 0


def apply_gpc(profile: Profile) -> bool:
    """Her browser says "do not sell or share": close every such purpose, once. A yes she gives later by herself holds.

    Returns whether anything was written.
    """
    heard = ConsentEvent.objects.filter(profile=profile, action=Action.GPC).values("purpose_id")
    due = Purpose.objects.filter(active=True, kind__in=SHARING).exclude(key__in=heard)
    keys = list(due.values_list("key", flat=True))
    if not keys:
        return False
    decisions = [Decision(key, Action.GPC, "header", evidence={"header": "Sec-GPC: 1"}) for key in keys]
    with changes(profile, "gpc") as c:
        c.decide_all([(profile, decisions)])
    return True


def expire_consents() -> int:
    """Every yes that has run out is written down as such, and its customer leaves what stood on it. Returns how many."""
    due = ConsentState.objects.filter(status__in=YES, expires_at__lte=clock.now(), profile__merged_into=None)
    states, expired = due.order_by("pk").iterator(chunk_size=PORTION), 0
    while portion := list(islice(states, PORTION)):
        expired += _expire(portion)
    return expired


@transaction.atomic
def change_purpose(key: str, wording: PurposeText, *, widened: bool) -> Purpose:
    """Other words for a purpose. When it covers more than before, a yes to the old words no longer opens it.

    Raises as `consent.purposes.reword`. Everybody who said yes is looked at again by the worker.
    """
    purpose = reword(key, wording, widened=widened)
    if widened:
        enqueue("consent.purpose_widened", {"purpose": key}, key=f"purpose:{key}")
    return purpose


@handles("consent.purpose_widened")
def look_at_everybody_again(payload: dict[str, str]) -> None:
    states = ConsentState.objects.filter(purpose=payload["purpose"], status__in=YES).order_by("profile")
    profiles = states.values_list("profile_id", flat=True).iterator(chunk_size=PORTION)
    while portion := list(islice(profiles, PORTION)):
        with changes(portion, "purpose_widened") as c:
            for profile in c.profiles:
                c.refresh(profile)


def _refuse_what_makes_no_sense(purpose: Purpose, action: str) -> None:
    if purpose.basis == Purpose.Basis.CONTRACT:
        raise Invalid("needs_no_consent", f"{purpose.label} is part of having an account. Erase the account to end it.")
    if action in (Action.GIVEN, Action.REFUSED, Action.WITHDRAWN) and purpose.basis != Purpose.Basis.CONSENT:
        raise Invalid("needs_no_consent", f"{purpose.label} does not rest on a consent. You may object to it.")


def _expire(states: list[ConsentState]) -> int:
    """Record the expiry, unless the customer decided again or was merged in the meantime."""
    with changes([state.profile_id for state in states], "expiry") as c:
        still = ConsentState.objects.filter(pk__in=[state.pk for state in states], status__in=YES)
        held = dict(still.values_list("pk", "event_id"))
        due = [
            (profile, [Decision(state.purpose_id, Action.EXPIRED, "expiry", actor="system")])
            for state in states
            if held.get(state.pk) == state.event_id
            and (profile := c.locked(state.profile_id)) is not None
            and not profile.merged_into_id
        ]
        c.decide_all(due)
    return len(due)
