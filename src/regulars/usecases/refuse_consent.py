"""Withdraw and object, by whichever road it comes: for the customer, and for every profile that is the same person.

A customer says it on `/me`, by a signed link without signing in, to staff, to another system that tells the API, or on a list
that is imported. The same person is who holds the same e-mail address or phone number.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.base.jobs.tasks import enqueue, handles
from regulars.consent.fold import CUSTOMER_NO
from regulars.consent.models import SAME_PERSON, SHARED_CONTACT, ConsentEvent, ConsentState, Purpose
from regulars.consent.notices import ShownNotice
from regulars.consent.purposes import get_purpose
from regulars.consent.record import Decision
from regulars.consent.refusal_links import RefusalLink
from regulars.consent.status import ADVERTISING
from regulars.consent.suppressions import SAID_NO, marketing_purposes, suppress
from regulars.profiles.contacts import contacts_of, holders_of, proved_of
from regulars.profiles.models import Profile

from .shown_notices import purpose_notice
from .unit_of_work import Changes, changes

Action = ConsentEvent.Action
PORTION = 50  # profiles of one person that are changed in one transaction; a shared address may have thousands
READ_AT_ONCE = 500
OTHERS, NEWCOMERS = "consent.close_for_others", "consent.close_for_newcomers"
UNTIL_COMMITTED = dt.timedelta(minutes=1)  # longer than a transaction that neither saw this one nor was seen by it
LATEST = dt.timedelta(minutes=5)  # clocks of other systems differ
LONGEST_WORDS = 1000


@dataclass(frozen=True)
class Refusal:
    """A withdrawal or an objection, with who recorded it and how. No purposes: an objection to any advertising.

    `words` is what the customer said or pressed. `contacts` are what it holds for beside the profile itself; None: every
    address and number of the customer.
    """

    method: str  # profile staff api import link
    actor: str
    purposes: tuple[str, ...] = ()
    objects: bool = False  # also to purposes that rest on consent, instead of a withdrawal
    words: str = ""
    reason: str = ""
    locale: str = "en"
    at: dt.datetime | None = None
    contacts: frozenset[str] | None = None
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def any_advertising(self) -> bool:
        return not self.purposes


def refuse(profile: Profile, refusal: Refusal) -> list[ConsentEvent]:
    """Record a refusal for a customer and every profile that is the same person. Returns what was written: nothing twice.

    Raises `Invalid`: `unknown_purpose`, `needs_no_consent`, `words_too_long`, `in_the_future`.
    """
    decisions = _checked(refusal)
    contacts = contacts_of(profile) if refusal.contacts is None else set(refusal.contacts)
    others = holders_of(contacts, but=[profile.pk])
    with changes([profile, *others[:PORTION]], "consent") as c:
        due = _not_yet(c.profile, decisions)
        written = c.decide_all([(c.profile, due)]) if due else []
        late = contacts_of(c.profile) if refusal.contacts is None and c.profile.pk != profile.pk else set()
        close_for_others(c, others, decisions, contacts, late=late)
    return written


def refuse_by_link(link: RefusalLink, words: str, locale: str) -> None:
    """Record what the holder of a link wants, who need not have an account, nor be known at all."""
    purposes = (link.purpose.key,) if link.purpose else ()
    refusal = Refusal("link", "customer", purposes, words=words, locale=locale, contacts=link.contacts)
    if link.profile:
        refuse(link.profile, refusal)
        return
    for contact in link.contacts:
        refuse_for_contact(contact, refusal)


def refuse_for_contact(contact: str, refusal: Refusal) -> int:
    """Record a refusal for all who hold a contact, and for those who come to hold it. Returns how many hold it now.

    It is the word of the customer who alone has proved the contact, or alone holds it, and holds for their other addresses
    too. Of an address that several share it is not known who said it: it closes nothing by other addresses of any of them.
    """
    holders = holders_of([contact])
    refusal = replace(refusal, contacts=frozenset({contact}))
    if holders:
        proved = proved_of(list(Profile.objects.filter(pk__in=holders)))
        speakers = [pk for pk in holders if contact in proved[pk]] or holders
        if len(speakers) > 1:
            refusal = replace(refusal, evidence={**refusal.evidence, SHARED_CONTACT: True})
        refuse(Profile.objects.get(pk=speakers[0]), refusal)
    else:
        keys = {each.purpose for each in _checked(refusal)}
        suppress([contact], keys, advertising=refusal.any_advertising, since=refusal.at)
    return len(holders)


def close_for_others(
    c: Changes, others: Sequence[int], decisions: Sequence[Decision], contacts: set[str], *, late: Collection[str] = ()
) -> None:
    """Close the purposes for the other profiles of the person: the first here, thousands of them by a job.

    The contacts are suppressed, so that it holds for later lists and events too. `late` are contacts that the customer came
    to have by a link after `others` were found: a job looks for their holders.
    """
    contacts = contacts.union(late)
    same = [_of_the_same_person(each) for each in decisions]
    # Also one that another profile of the person was merged into meanwhile.
    found = [each for each in c.profiles if each.pk != c.profile.pk]
    c.decide_all([(each, due) for each in found if (due := _not_yet(each, same))])
    for at in {each.at for each in decisions}:
        due = [each for each in decisions if each.at == at]
        advertising = any(each.evidence.get(ADVERTISING) for each in due)
        suppress(contacts, {each.purpose for each in due}, advertising=advertising, since=at)
    c.has_spread()
    if contacts:
        stored = [_stored(each) for each in same]
        payload: dict[str, Any] = {"contacts": sorted(contacts), "but": c.profile.pk, "decisions": stored}
        if others[PORTION:] or late:
            enqueue(OTHERS, {**payload, "after": 0 if late else max(others[:PORTION])})
        enqueue(NEWCOMERS, payload, due_at=clock.now() + UNTIL_COMMITTED)


@handles(NEWCOMERS)
def close_for_newcomers(payload: dict[str, Any]) -> None:
    """Close the purposes for who came to hold a contact in a transaction that did not see the refusal, nor was seen by it."""
    close_next({"after": 0, **payload})


@handles(OTHERS)
def close_next(payload: dict[str, Any]) -> None:
    """Close the purposes for the next portion of the holders of a contact, and queue the rest.

    Who is closed already is passed over, so that all who share an address can refuse without a job for each pair of them.
    """
    decisions = [_from_job(each) for each in payload["decisions"]]
    if "profiles" in payload:  # queued by an earlier version
        portion, rest = payload["profiles"], False
    else:
        holders = holders_of(payload["contacts"], but=[payload["but"]])
        open_now = _still_open([pk for pk in holders if pk > payload["after"]], decisions)
        portion, rest = open_now[:PORTION], bool(open_now[PORTION:])
    if not portion:
        return
    with changes(portion, "consent") as c:
        c.decide_all([(each, due) for each in c.profiles if (due := _not_yet(each, decisions))])
    if rest:
        enqueue(OTHERS, {**payload, "after": portion[-1]})


def _still_open(numbers: Sequence[int], decisions: Sequence[Decision]) -> list[int]:
    """Return those whom a decision would still change something for: of thousands, the first, more than one portion."""
    found: list[int] = []
    for start in range(0, len(numbers), READ_AT_ONCE):
        some = numbers[start : start + READ_AT_ONCE]
        states = ConsentState.objects.filter(profile__in=some).select_related("event")
        known = {(each.profile_id, each.purpose_id): each for each in states}
        found += [pk for pk in some if not all(_is_said(known.get((pk, each.purpose)), each) for each in decisions)]
        if len(found) > PORTION:
            break
    return found


def _checked(refusal: Refusal) -> list[Decision]:
    """Return the decisions of a refusal. Raises `Invalid` as `refuse`."""
    if len(refusal.words) > LONGEST_WORDS or len(refusal.reason) > LONGEST_WORDS:
        raise Invalid("words_too_long", f"At most {LONGEST_WORDS} characters.", "words")
    if refusal.at and refusal.at > clock.now() + LATEST:
        raise Invalid("in_the_future", "A decision cannot be made in the future.", "at")
    return _decisions(refusal)


def _decisions(refusal: Refusal) -> list[Decision]:
    purposes = marketing_purposes() if refusal.any_advertising else [get_purpose(key) for key in refusal.purposes]
    evidence = {
        "controller": settings.CONTROLLER,
        **refusal.evidence,
        **({ADVERTISING: True} if refusal.any_advertising else {}),
    }
    evidence |= {name: text for name, text in (("words", refusal.words), ("reason", refusal.reason)) if text}
    decisions = []
    for purpose in purposes:
        if purpose.basis == Purpose.Basis.CONTRACT:
            message = f"{purpose.label} is part of having an account. Erase the account to end it."
            raise Invalid("needs_no_consent", message, "purpose")
        rests_on_consent = purpose.basis == Purpose.Basis.CONSENT
        withdraws = rests_on_consent and not refusal.any_advertising and not refusal.objects
        decisions.append(
            Decision(
                purpose.key,
                Action.WITHDRAWN if withdraws else Action.OBJECTED,
                refusal.method,
                evidence=evidence,
                actor=refusal.actor[:64],
                at=refusal.at,  # none: now, and after every earlier decision, whatever the clock says
                notice=purpose_notice(purpose, refusal.locale),
            )
        )
    return decisions


def _not_yet(profile: Profile, decisions: Iterable[Decision]) -> list[Decision]:
    """Return the decisions that would still change something: a link may be pressed again, and a list imported twice."""
    states = {each.purpose_id: each for each in ConsentState.objects.filter(profile=profile).select_related("event")}
    return [each for each in decisions if not (_is_said(states.get(each.purpose), each) or _is_recorded(profile, each))]


def _is_recorded(profile: Profile, decision: Decision) -> bool:
    """Return whether an earlier import recorded it. Where the customer decided again since, it is not the effective one."""
    if decision.at is None:
        return False
    same = ConsentEvent.objects.filter(
        profile=profile, purpose=decision.purpose, action=decision.action, at=decision.at
    )
    return same.exists()


def _is_said(state: ConsentState | None, decision: Decision) -> bool:
    if state is None or state.status not in (CUSTOMER_NO if decision.action == Action.REFUSED else SAID_NO):
        return False
    if decision.action == Action.OBJECTED and state.status != Action.OBJECTED:
        return False
    return bool(state.event.evidence.get(ADVERTISING)) or not decision.evidence.get(ADVERTISING)


def _stored(decision: Decision) -> dict[str, Any]:
    """Return a decision as the payload of a job."""
    notice = vars(decision.notice) if decision.notice else None
    return {**vars(decision), "at": (decision.at or clock.now()).isoformat(), "notice": notice}


def _from_job(stored: dict[str, Any]) -> Decision:
    kept = stored["notice"]
    notice = kept and ShownNotice(**{**kept, **{name: tuple(kept[name]) for name in ("recipients", "pieces")}})
    at, pieces = dt.datetime.fromisoformat(stored["at"]), tuple(stored["pieces"])
    return Decision(**{**stored, "at": at, "notice": notice, "pieces": pieces})


def _of_the_same_person(decision: Decision) -> Decision:
    kept = {name: value for name, value in decision.evidence.items() if name == ADVERTISING}
    return replace(decision, evidence={**kept, SAME_PERSON: True})
