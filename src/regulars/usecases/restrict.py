"""Restrict processing (Art. 18 GDPR): what is known of a customer is stored, and used for the login only, until it is lifted.

Customers lift their own restriction at once. Where staff or an application lift it, the customer is informed first, by a
mail or as staff say, and it ends some days later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Min, QuerySet
from django.utils.translation import gettext_noop

from regulars.base import clock
from regulars.base.errors import Invalid, NotFound
from regulars.base.jobs.tasks import enqueue, handles
from regulars.consent.arrived_contacts import CUSTOMER, contacts_reached, follow_restriction
from regulars.consent.models import SAME_PERSON, JournalEntry, Restriction
from regulars.profiles.contacts import holders_of
from regulars.profiles.find import is_anonymous
from regulars.profiles.models import Profile

from .mail_message import new_mail_id
from .refuse_consent import PORTION, UNTIL_COMMITTED
from .unit_of_work import Changes, changes

LIFTING = "consent.mail_lifting"  # the job that informs the customer
NOTICE = dt.timedelta(days=3)
LONGEST_REASON = 1000
ALSO, NO_LONGER = "consent.restrict_others", "consent.lift_others"


def restrict(profile: Profile, method: str, actor: str = CUSTOMER, reason: str = "") -> Restriction:
    """Restrict at once, or return the restriction that there is; a lifting that was announced is called off.

    It reaches every profile that is the same person, as an objection does: the first here, thousands of them by a job.

    Raises `Invalid`: `reason_needed` (of staff and applications), `reason_too_long`.
    """
    _check(reason, needed=actor != CUSTOMER)
    others = _others(profile, actor)
    with changes([profile, *others[:PORTION]], "restricted") as c:
        found = open_restriction(c.profile)
        if found is None:
            found = Restriction.objects.create(profile=c.profile, method=method, actor=actor[:64], reason=reason)
        elif found.lift_actor:
            _call_off(found)
        if found.follows_another:  # said of this customer too
            found.because_of, found.method, found.actor, found.reason = None, method, actor[:64], reason
            found.save()
        _note(c, found)
        _mark(c, c.profile, found.since)
        _restrict_others(c, found)
        if others[PORTION:]:
            queue_for_others(found, after=others[:PORTION])
        queue_for_others(found, due_at=clock.now() + UNTIL_COMMITTED)
    return found


def queue_for_others(restriction: Restriction, *, after: Sequence[int] = (), due_at: dt.datetime | None = None) -> None:
    """Queue the restriction of every profile that is the same person; `after`: only of ids above those done."""
    enqueue(ALSO, {"restriction": restriction.pk, "after": max(after, default=0)}, due_at=due_at)


@handles(ALSO)
def restrict_others(payload: dict[str, Any]) -> None:
    """Restrict the next portion of the profiles of a restricted customer, and queue the rest."""
    restriction = Restriction.objects.select_related("profile").filter(pk=payload["restriction"]).first()
    if restriction is None:
        return
    reached = _others(restriction.profile, restriction.actor, restriction.since)
    others = [pk for pk in reached if pk > payload["after"]]
    # Who has one of their own does not follow another: all who share an address can restrict without a job for each pair.
    own = Restriction.objects.filter(profile__in=others, because_of=None, lifted_at=None).exclude(method=SAME_PERSON)
    has_own = set(own.values_list("profile", flat=True))
    others = [pk for pk in others if pk not in has_own]
    if not others:
        return
    with changes([restriction.profile, *others[:PORTION]], "restricted") as c:
        found = open_restriction(c.profile)
        if found is None or found.pk != restriction.pk:
            return  # lifted or merged meanwhile
        _restrict_others(c, found)
    if others[PORTION:]:
        queue_for_others(restriction, after=others[:PORTION])


@handles(NO_LONGER)
def lift_others(payload: dict[str, Any]) -> None:
    """Lift the next portion of the restrictions that began with one that was lifted, and queue the rest."""
    rows = Restriction.objects.filter(because_of=payload["restriction"], lifted_at=None).order_by("pk")
    portion = list(rows[:PORTION])
    if not portion:
        return
    with changes([row.profile_id for row in portion], "restriction_lifted") as c:
        _lift_rows(c, rows.filter(pk__in=[row.pk for row in portion]), payload["actor"])
    enqueue(NO_LONGER, payload)


def restrict_again(c: Changes, profile: Profile, said: Mapping[str, str], at: dt.datetime) -> None:
    """Repeat in a restored backup what was restricted at a time, unless it was lifted since then."""
    if Restriction.objects.filter(profile=profile, lifted_at__gt=at).exists():
        return
    found = open_restriction(profile)
    if found is None:
        since = dt.datetime.fromisoformat(said["since"])
        words = {name: said[name] for name in ("method", "actor", "reason")}
        found = Restriction.objects.create(profile=profile, since=since, **words)
        c.spread_earlier(profile)
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
            enqueue(
                LIFTING, {"restriction": found.pk, "id": new_mail_id()}, queue="mail"
            )  # in the language of its reader, not of staff
    return found


def mark_informed(restriction: Restriction) -> None:
    """Record that the mail was sent: the restriction ends some days from now."""
    now = clock.now()
    waiting = Restriction.objects.filter(pk=restriction.pk, lifted_at=None, announced_at=None).exclude(lift_actor="")
    waiting.update(announced_how="mail", announced_at=now, lifts_at=now + NOTICE)


def lift(profile: Profile, actor: str = CUSTOMER) -> None:
    """Lift a restriction at once: for customers themselves. Raises `NotFound("not_restricted")`."""
    with changes(_all_restricted(profile), "restriction_lifted") as c:
        _lift(c, _restriction_of(c.profile), actor)


def lift_due() -> int:
    """Lift the restrictions of which customers were informed long enough ago. Returns how many."""
    due = Restriction.objects.filter(lifted_at=None, lifts_at__lte=clock.now(), profile__merged_into=None)
    portion = list(due.select_related("profile").order_by("pk")[:PORTION])
    for restriction in portion:
        with changes(_all_restricted(restriction.profile), "restriction_lifted") as c:
            found = open_restriction(c.profile)
            # Not if it was lifted, or its lifting called off, in the meantime.
            if found is not None and found.lifts_at and found.lifts_at <= clock.now():
                _lift(c, found, found.lift_actor)
    return len(portion)


def open_restriction(profile: Profile) -> Restriction | None:
    """Return the restriction of a customer: their own, else the first of those of other profiles of the person."""
    rows = list(_open_rows(profile).order_by("pk"))
    return next((each for each in rows if not each.follows_another), rows[0] if rows else None)


def _open_rows(profile: Profile) -> QuerySet[Restriction]:
    return Restriction.objects.filter(profile=profile, lifted_at=None)


def keep_restricted(source: Profile, into: Profile) -> None:
    """Restrict a customer that a restricted one is merged into, or split from; each has rows of its own then.

    The journal has it already: its entry names those who were one when it was written.
    """
    if source.restricted_at is None:
        return
    rows = list(_open_rows(source).select_related("because_of").order_by("pk"))
    own = next((each for each in rows if each.because_of is None), None)
    if own or not rows:
        _keep_own(source, into, own)
    followed = set(_open_rows(into).values_list("because_of", flat=True))
    for row in rows:
        cause = row.because_of
        if cause is None:
            continue
        if is_anonymous(source) and not is_anonymous(into):
            # By an address that any visitor could have sent: whether it is the customer's, is asked anew.
            queue_for_others(cause)
        elif cause.profile_id != into.pk and cause.pk not in followed:
            said = {"since": row.since, "method": SAME_PERSON, "actor": row.actor, "reason": row.reason}
            Restriction.objects.create(profile=into, because_of=cause, **said)
    since = _open_rows(into).aggregate(since=Min("since"))["since"]
    if since and into.restricted_at is None:
        into.restricted_at = since
        into.save(update_fields=["restricted_at"])


def _keep_own(source: Profile, into: Profile, own: Restriction | None) -> None:
    """Keep for a customer what was said of another; who follows the one follows the other from now on."""
    said = {"method": "merge", "actor": own.actor, "reason": own.reason} if own else {"method": "merge"}
    found = _open_rows(into)
    kept = found.filter(because_of=None).first() or (found.filter(because_of=own).first() if own else None)
    if kept is None:
        since = own.since if own else source.restricted_at or clock.now()
        kept = Restriction.objects.create(profile=into, since=since, **said)
    elif kept.because_of_id and source.merged_into_id:
        found.filter(pk=kept.pk).update(because_of=None, **said)
    if own and source.merged_into_id:
        followers = own.others.exclude(profile=into)
        followers.filter(lifted_at=None, profile__in=kept.others.filter(lifted_at=None).values("profile")).delete()
        followers.update(because_of=kept)


def _restriction_of(profile: Profile) -> Restriction:
    found = open_restriction(profile)
    if found is None:
        raise NotFound("not_restricted", gettext_noop("This customer is not restricted."))
    return found


def _others(profile: Profile, actor: str, at: dt.datetime | None = None) -> list[int]:
    return holders_of(contacts_reached(profile, by_customer=actor == CUSTOMER, at=at), but=[profile.pk])


def _all_restricted(profile: Profile) -> list[Profile | int]:
    """Return a customer and the first of those that are restricted with them, to be locked together."""
    others = Restriction.objects.filter(because_of__profile=profile, because_of__lifted_at=None, lifted_at=None)
    return [profile, *others.order_by("profile").values_list("profile_id", flat=True)[:PORTION]]


def _restrict_others(c: Changes, restriction: Restriction) -> None:
    for new in follow_restriction(restriction, [each for each in c.profiles if each.pk != c.profile.pk]):
        _note(c, new)
        c.refresh(new.profile)


def _lift(c: Changes, found: Restriction, actor: str) -> None:
    found.lifted_at, found.lift_actor = clock.now(), actor[:64]
    found.save()
    # It was said of this very profile: what it follows other profiles in ends as well.
    _open_rows(c.profile).update(lifted_at=found.lifted_at, lift_actor=found.lift_actor)
    _mark(c, c.profile, None)
    _lift_rows(c, found.others.filter(lifted_at=None), found.lift_actor)
    rest = {"restriction": found.pk, "actor": found.lift_actor}
    if found.others.filter(lifted_at=None).exists():
        enqueue(NO_LONGER, rest)
    enqueue(NO_LONGER, rest, due_at=clock.now() + UNTIL_COMMITTED)


def _lift_rows(c: Changes, rows: QuerySet[Restriction], actor: str) -> None:
    """Lift those restrictions whose profiles are locked in this unit; also of one that was merged meanwhile.

    A profile stays restricted while another one stands that it follows too.
    """
    for row in rows:
        profile = c.locked(row.profile_id)
        if profile is not None:
            row.lifted_at, row.lift_actor = clock.now(), actor
            row.save()
            _mark(c, profile, _open_rows(profile).aggregate(since=Min("since"))["since"])


def _call_off(found: Restriction) -> None:
    found.lift_actor, found.lift_reason, found.announced_how = "", "", ""
    found.announced_at, found.lifts_at = None, None
    found.save()


def _note(c: Changes, found: Restriction) -> None:
    """Write it into the journal; a lifting is not: what a restore cannot know to be lifted stays restricted."""
    c.note(JournalEntry.Kind.RESTRICTED, found.said(), of=found.profile)


def _mark(c: Changes, profile: Profile, since: dt.datetime | None) -> None:
    profile.restricted_at = since
    profile.save(update_fields=["restricted_at"])
    c.refresh(profile)


def _check(reason: str, *, needed: bool) -> None:
    if needed and not reason.strip():
        raise Invalid("reason_needed", gettext_noop("Give a reason."), "reason")
    if len(reason) > LONGEST_REASON:
        raise Invalid("reason_too_long", f"A reason has at most {LONGEST_REASON} characters.", "reason")
