"""Restrict processing (Art. 18 GDPR): what is known of a customer is stored, and used for the login only, until it is lifted.

Customers lift their own restriction at once. Where staff or an application lift it, the customer is informed first, by a
mail or as staff say, and it ends some days later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from django.utils import translation
from django.utils.translation import gettext_noop

from regulars.base import clock
from regulars.base.errors import Invalid, NotFound
from regulars.base.jobs.tasks import enqueue
from regulars.consent.models import JournalEntry, Restriction
from regulars.profiles.models import Profile

from .unit_of_work import Changes, changes

LIFTING = "consent.mail_lifting"  # the job that informs the customer
NOTICE = dt.timedelta(days=3)
LONGEST_REASON = 1000
PORTION = 50
CUSTOMER = "customer"


def restrict(profile: Profile, method: str, actor: str = CUSTOMER, reason: str = "") -> Restriction:
    """Restrict at once, or return the restriction that there is; a lifting that was announced is called off.

    Raises `Invalid`: `reason_needed` (of staff and applications), `reason_too_long`.
    """
    _check(reason, needed=actor != CUSTOMER)
    with changes(profile, "restricted") as c:
        found = open_restriction(c.profile)
        if found is None:
            found = Restriction.objects.create(profile=c.profile, method=method, actor=actor[:64], reason=reason)
        elif found.lift_actor:
            _call_off(found)
        _note(c, found)
        _mark(c, c.profile, found.since)
    return found


def restrict_again(c: Changes, profile: Profile, said: Mapping[str, str], at: dt.datetime) -> None:
    """Repeat in a restored backup what was restricted at a time, unless it was lifted since then."""
    if Restriction.objects.filter(profile=profile, lifted_at__gt=at).exists():
        return
    found = open_restriction(profile)
    if found is None:
        since = dt.datetime.fromisoformat(said["since"])
        words = {name: said[name] for name in ("method", "actor", "reason")}
        found = Restriction.objects.create(profile=profile, since=since, **words)
    elif found.lift_actor and (found.announced_at is None or found.announced_at <= at):
        _call_off(found)
    _mark(c, profile, found.since)


def announce_lifting(
    profile: Profile, actor: str, reason: str, informed: str = "", *, has_address: bool
) -> Restriction:
    """Inform the customer that the restriction will be lifted; it ends `NOTICE` after that.

    `informed` is how the customer was informed, where it was not by a mail of ours. Raises `Invalid`: `reason_needed`,
    `reason_too_long`, `not_informed` (there is no address to write to); `NotFound("not_restricted")`.
    """
    _check(reason, needed=True)
    _check(informed, needed=False)
    with changes(profile, "lifting_announced") as c:
        found = _restriction_of(c.profile)
        if not informed and not has_address:
            message = gettext_noop("There is no address to write to. Inform the customer, and say how.")
            raise Invalid("not_informed", message, "informed")
        found.lift_actor, found.lift_reason, found.announced_how = actor[:64], reason, informed
        found.announced_at = clock.now() if informed else None
        found.lifts_at = clock.now() + NOTICE if informed else None
        found.save()
        if not informed:
            enqueue(LIFTING, {"restriction": found.pk, "language": translation.get_language() or "en"}, queue="mail")
    return found


def mark_informed(restriction: Restriction) -> None:
    """Record that the mail was sent: the restriction ends some days from now."""
    now = clock.now()
    waiting = Restriction.objects.filter(pk=restriction.pk, lifted_at=None, announced_at=None).exclude(lift_actor="")
    waiting.update(announced_how="mail", announced_at=now, lifts_at=now + NOTICE)


def lift(profile: Profile, actor: str = CUSTOMER) -> None:
    """Lift a restriction at once: for customers themselves. Raises `NotFound("not_restricted")`."""
    with changes(profile, "restriction_lifted") as c:
        _lift(c, _restriction_of(c.profile), actor)


def lift_due() -> int:
    """Lift the restrictions of which customers were informed long enough ago. Returns how many."""
    due = Restriction.objects.filter(lifted_at=None, lifts_at__lte=clock.now(), profile__merged_into=None)
    portion = list(due.select_related("profile").order_by("pk")[:PORTION])
    for restriction in portion:
        with changes(restriction.profile, "restriction_lifted") as c:
            found = open_restriction(c.profile)
            # Not if it was lifted, or its lifting called off, in the meantime.
            if found is not None and found.lifts_at and found.lifts_at <= clock.now():
                _lift(c, found, found.lift_actor)
    return len(portion)


def open_restriction(profile: Profile) -> Restriction | None:
    return Restriction.objects.filter(profile=profile, lifted_at=None).first()


def keep_restricted(c: Changes, source: Profile, into: Profile) -> None:
    """Restrict a customer that a restricted one is merged into, or split from; each has a row of its own then."""
    if source.restricted_at is None or into.restricted_at is not None:
        return
    found = open_restriction(source)
    said = {"method": "merge", "actor": found.actor, "reason": found.reason} if found else {"method": "merge"}
    _note(c, Restriction.objects.create(profile=into, since=source.restricted_at, **said))
    into.restricted_at = source.restricted_at
    into.save(update_fields=["restricted_at"])


def _restriction_of(profile: Profile) -> Restriction:
    found = open_restriction(profile)
    if found is None:
        raise NotFound("not_restricted", gettext_noop("This customer is not restricted."))
    return found


def _lift(c: Changes, found: Restriction, actor: str) -> None:
    found.lifted_at, found.lift_actor = clock.now(), actor[:64]
    found.save()
    _mark(c, c.profile, None)


def _call_off(found: Restriction) -> None:
    found.lift_actor, found.lift_reason, found.announced_how = "", "", ""
    found.announced_at, found.lifts_at = None, None
    found.save()


def _note(c: Changes, found: Restriction) -> None:
    """Write it into the journal; a lifting is not: what a restore cannot know to be lifted stays restricted."""
    said = {name: getattr(found, name) for name in ("since", "method", "actor", "reason")}
    c.note(JournalEntry.Kind.RESTRICTED, said, of=found.profile)


def _mark(c: Changes, profile: Profile, since: dt.datetime | None) -> None:
    profile.restricted_at = since
    profile.save(update_fields=["restricted_at"])
    c.refresh(profile)


def _check(reason: str, *, needed: bool) -> None:
    if needed and not reason.strip():
        raise Invalid("reason_needed", gettext_noop("Give a reason."), "reason")
    if len(reason) > LONGEST_REASON:
        raise Invalid("reason_too_long", f"A reason has at most {LONGEST_REASON} characters.", "reason")
