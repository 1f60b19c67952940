"""Decide on a purpose: give, withdraw, object. Ledger, views, segments and deletion requests in one transaction."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext_noop

from regulars.base import clock
from regulars.base.db.portions import portions
from regulars.base.errors import Invalid
from regulars.base.jobs.tasks import enqueue, handles
from regulars.consent.fold import CUSTOMER_NO, YES
from regulars.consent.ledger import drop_expired
from regulars.consent.models import ConsentEvent, ConsentState, Purpose, Widening
from regulars.consent.notices import NoticeChangedError, find_shown, require_shown
from regulars.consent.purposes import PurposeText, get_purpose, reword
from regulars.consent.record import Decision, wait_for_decisions
from regulars.consent.status import TOO_YOUNG, is_barred
from regulars.consent.suppressions import release
from regulars.profiles.contacts import holders_of, proved_contacts
from regulars.profiles.models import Profile

from .refuse_consent import PORTION, close_for_others
from .shown_notices import purpose_notice
from .unit_of_work import changes

Action = ConsentEvent.Action
CONSENT_ACTIONS = (Action.GIVEN, Action.REFUSED, Action.WITHDRAWN)
OPENING = (Action.GIVEN, Action.OBJECTION_LIFTED)
SHARING = ("share", "sale")
WIDENED = "consent.purpose_widened"
RECOMPUTED_AT_ONCE = 20  # customers after a purpose was widened: on SQLite a sign-in waits for them


def decide(profile: Profile, decision: Decision, seen: int | None = None) -> ConsentEvent:
    """Record a decision with everything that follows. A customer without consent is out of segments when this returns.

    `seen` is the last decision on this purpose that the customer's page knew of (0: none). Raises `DomainError`: `decided_meanwhile`
    (an old page, or the same form twice), `too_young`, `needs_no_consent`, `no_objection_here`, `unknown_purpose`.
    """
    purpose = get_purpose(decision.purpose)
    if purpose.basis == Purpose.Basis.CONTRACT:
        raise Invalid("needs_no_consent", f"{purpose.label} is part of having an account. Erase the account to end it.")
    if decision.action in CONSENT_ACTIONS and purpose.basis != Purpose.Basis.CONSENT:
        raise Invalid("needs_no_consent", f"{purpose.label} does not rest on consent. You may object to it.")
    closes = decision.action in CUSTOMER_NO
    contacts_count = closes or decision.action in OPENING
    contacts = proved_contacts(profile) if contacts_count else set()
    others = holders_of(contacts, but=[profile.pk]) if closes else []
    with changes([profile, *others[:PORTION]], "consent") as c:
        if seen is not None and seen != last_decision(c.profile, purpose.key):
            raise Invalid("decided_meanwhile", gettext_noop("This was decided already. Look at how it stands now."))
        if decision.action == Action.GIVEN and is_barred(c.profile):
            raise Invalid("too_young", TOO_YOUNG)
        event = c.decide(decision)
        late = proved_contacts(c.profile) if contacts_count and c.profile.pk != profile.pk else set()
        if closes:
            close_for_others(c, others, [decision], contacts, late=late)
        else:
            release(contacts | late, purpose.key)
        return event


def decide_as_shown(profile: Profile, key: str, action: str, *, shown: str, seen: int) -> ConsentEvent:
    """Record a click on the customer's own page, on the notice that the page showed: its hash is `shown`.

    What opens a purpose counts only for the notice of now. A no always counts, and its record has the words of the page.
    Raises as `decide`, and `notice_changed`.
    """
    purpose = get_purpose(key)
    read = find_shown(shown, purpose)
    if read is None:
        raise NoticeChangedError
    if action in OPENING:
        require_shown(purpose_notice(purpose, read.locale), shown)
    return decide(profile, Decision(key, action, "profile", notice=read), seen)


def last_decision(profile: Profile, purpose: str) -> int:
    """Return the id of the effective decision on a purpose; 0: none. A form that carries it works once."""
    return profile.consent_states.filter(purpose=purpose).values_list("event_id", flat=True).first() or 0


def apply_gpc(profile: Profile) -> bool:
    """Apply a browser's "do not sell or share": close every such purpose, once. Later consent of the customer counts.

    Returns whether anything was written.
    """
    applied = ConsentEvent.objects.filter(profile=profile, action=Action.GPC).values("purpose_id")
    due = Purpose.objects.filter(active=True, kind__in=SHARING).exclude(key__in=applied)
    keys = list(due.values_list("key", flat=True))
    if not keys:
        return False
    decisions = [Decision(key, Action.GPC, "header", evidence={"header": "Sec-GPC: 1"}) for key in keys]
    contacts = proved_contacts(profile)
    others = holders_of(contacts, but=[profile.pk])
    with changes([profile, *others[:PORTION]], "gpc") as c:
        c.decide_all([(profile, decisions)])
        late = proved_contacts(c.profile) if c.profile.pk != profile.pk else set()
        close_for_others(c, others, decisions, contacts, late=late)
    return True


def expire_consents() -> int:
    """End consents that ran out; customers leave the segments that rest on them. Returns of how many purposes and customers.

    Where another consent to the purpose stands, only what was given under the one that ran out is closed, and nothing
    recorded.
    """
    now = clock.now()
    due = ConsentState.objects.filter(status__in=YES, expires_at__lte=now, profile__merged_into=None)
    expired = 0
    for portion in portions(due, PORTION):
        with changes([state.profile_id for state in portion], "expiry") as c:
            still = ConsentState.objects.filter(pk__in=[state.pk for state in portion], status__in=YES)
            held = {state.pk: state for state in still}
            decisions = []
            for state in portion:
                profile, now_held = c.locked(state.profile_id), held.get(state.pk)
                # Not of those who decided again or were merged in the meantime.
                if now_held is None or now_held.event_id != state.event_id or profile is None or profile.merged_into_id:
                    continue
                expired += 1
                if drop_expired(now_held, now):
                    c.refresh(profile)
                else:
                    decisions.append((profile, [Decision(state.purpose_id, Action.EXPIRED, "expiry", actor="system")]))
            c.decide_all(decisions)
    return expired


@transaction.atomic
def change_purpose(
    key: str,
    wording: PurposeText,
    *,
    widened: bool,
    still_right: bool = False,
    direct_marketing: bool | None = None,
) -> Purpose:
    """Change the text of a purpose. When it covers more than before, consent to the old text no longer opens it.

    `direct_marketing`: an objection to any advertising closes it, also one from before; left out, that stays as it is.

    Raises as `consent.purposes.reword`. The gate is closed when this returns; jobs recompute those who had consented.
    """
    if widened:
        list(Widening.objects.select_for_update().filter(purpose=key))  # first, as the walk does
        wait_for_decisions()
    purpose = reword(key, wording, widened=widened, still_right=still_right)
    if direct_marketing is not None and direct_marketing != purpose.is_direct_marketing:
        purpose.direct_marketing = direct_marketing
        purpose.save(update_fields=["direct_marketing"])
        enqueue("consent.marketing_changed", {"after": 0}, key="marketing")
    if widened:
        Widening.objects.update_or_create(purpose=purpose, defaults={"after": 0, "begun_at": clock.now()})
        enqueue(WIDENED, {"purpose": key}, key=f"purpose:{key}")
    return purpose


@handles(WIDENED)
def refresh_consenting_customers(payload: dict[str, str]) -> None:
    """Recompute the next portion of those who had allowed a purpose, and queue the one after it."""
    widening = Widening.objects.select_for_update().filter(purpose=payload["purpose"]).first()
    if widening is None:
        return
    states = ConsentState.objects.filter(purpose=widening.purpose_id, status__in=YES, profile_id__gt=widening.after)
    portion = list(states.order_by("profile_id").values_list("profile_id", flat=True)[:RECOMPUTED_AT_ONCE])
    if not portion:
        widening.delete()
        return
    widening.after = portion[-1]  # in the same transaction, and first: from here on their views count again
    widening.save(update_fields=["after"])
    with changes(portion, "purpose_widened") as c:
        for profile in c.profiles:
            c.refresh(profile)
    enqueue(WIDENED, payload, key=f"purpose:{widening.purpose_id}")


@handles("consent.marketing_changed")
def refresh_objecting_customers(payload: dict[str, int]) -> None:
    """Refresh the next portion of those who objected to any advertising, and queue the rest."""
    objected = ConsentState.objects.filter(status=Action.OBJECTED, profile__merged_into=None)
    numbers = objected.filter(profile__gt=payload["after"]).order_by("profile").values_list("profile_id", flat=True)
    portion = list(numbers.distinct()[:PORTION])
    if not portion:
        return
    with changes(portion, "marketing_changed") as c:
        for profile in c.profiles:
            c.refresh(profile)
    enqueue("consent.marketing_changed", {"after": portion[-1]}, key="marketing")
