"""Correct and remove facts. The customer's own value wins over every source; a member of staff needs a reason."""

from __future__ import annotations

from dataclasses import replace

from django.utils.translation import gettext_noop

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.events.own_events import OwnEvent
from regulars.profiles.assertions import Asserter, may_write, thing_of
from regulars.profiles.attributes import is_an_apps
from regulars.profiles.derive import CONCLUDES
from regulars.profiles.document import is_open, known
from regulars.profiles.learn import CUSTOMER, NewFact, was_deleted_by_customer
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.profiles.resolve import resolve
from regulars.profiles.values import read_value

from .clear_closed import queue_clearing
from .unit_of_work import Changes, changes
from .write_values import retract_overlapping

# An address is changed with a proof by mail, and a picture comes from a provider.
NOT_BY_HAND = {"email", "picture"}
FOLLOWS = {name for names in CONCLUDES.values() for name in names}
DELETED = "deleted_by_customer"
LONGEST_REASON = 200


def may_correct(key: str, path: str) -> bool:
    """Return whether an attribute may be typed: not what has to be proved, what is concluded, or an app's."""
    return key not in NOT_BY_HAND and may_write(Asserter.CUSTOMER, thing_of(key, path))


def may_staff_correct(attribute: Attribute) -> bool:
    """Return whether staff may write an attribute for a customer: never one of a special category."""
    thing = thing_of(attribute.key, attribute.metadata_path)
    return (
        not _is_special(attribute)
        and may_correct(attribute.key, attribute.metadata_path)
        and may_write(Asserter.STAFF, thing)
    )


def may_remove(key: str, path: str) -> bool:
    """Return whether the customer may delete an attribute: not what the account needs, nor an app's."""
    return key not in ("email", "email_verified", *FOLLOWS) and not is_an_apps(key, path)


def correct(profile: Profile, key: str, text: str, *, reason: str = "", staff: str = "") -> None:
    """Correct one attribute. `text` is form input. `staff` is the key of the member of staff who corrects it.

    Raises `DomainError`: `not_by_hand`, `bad_value`, `reason_needed`, `reason_too_long`; for staff also `special_category`
    and `deleted_by_customer`.
    """
    attribute = _declared(key)
    if not may_correct(key, _path(attribute)):
        raise Invalid(
            "not_by_hand",
            gettext_noop("This cannot be typed: it is proved by a message, or follows from something else."),
        )
    if staff and not reason.strip():
        raise Invalid(
            "reason_needed", gettext_noop("Give a reason for the change: the customer will read it."), "reason"
        )
    if len(reason) > LONGEST_REASON:
        raise Invalid("reason_too_long", f"A reason has at most {LONGEST_REASON} characters.", "reason")
    value = read_value(attribute, text)
    source, asserter = (f"staff:{staff}", Asserter.STAFF) if staff else (CUSTOMER, Asserter.CUSTOMER)
    with changes(profile, "corrected") as c:
        if staff and attribute and _is_special(attribute):
            raise Invalid(
                "special_category",
                gettext_noop("Only customers themselves may provide this, with their explicit consent."),
            )
        if staff and was_deleted_by_customer(c.profile, key):
            raise Invalid(
                "deleted_by_customer", gettext_noop("The customer deleted this. Only the customer may enter it again.")
            )
        corrected = _standing_fact(c.profile, key)
        retract_overlapping(c, _path(attribute) or key)
        new = NewFact(
            key,
            value,
            Fact.SourceKind.CORRECTED,
            source,
            basis="contract",
            reason=reason.strip(),
            asserter=asserter,
        )
        if corrected is not None:  # a correction is no new decision
            under = {"basis": corrected.basis, "purpose": corrected.purpose, "consents": corrected.consents}
            new = replace(new, **under)
        _write(c, new)


def remove(profile: Profile, key: str, *, reason: str = "") -> int:
    """Retract every fact of an attribute and its conclusions. Only the customer may enter it again, no other source.

    Returns how many facts were retracted. Raises `Invalid("not_by_hand")` for what the account needs.
    """
    if not may_remove(key, _path(_declared(key))):
        raise Invalid("not_by_hand", gettext_noop("This goes with what it belongs to, or with the account."))
    with changes(profile, DELETED) as c:
        facts = list(c.profile.facts.filter(attribute=key, retracted_at=None))
        c.retract(facts)
        _write(
            c,
            NewFact(
                key,
                None,
                Fact.SourceKind.CORRECTED,
                CUSTOMER,
                basis="contract",
                reason=reason.strip()[:LONGEST_REASON],
                asserter=Asserter.CUSTOMER,
            ),
        )
    return len(facts)


def _standing_fact(profile: Profile, key: str) -> Fact | None:
    """Return the fact that wins now: of those whose decisions stand, or of all when none does."""
    live = list(profile.facts.filter(attribute=key, retracted_at=None))
    for facts in ([fact for fact in live if is_open(profile, fact)], live):
        if winner := resolve(map(known, facts), clock.now()):
            return next(fact for fact in facts if fact.pk == winner.fact_id)
    return None


def _declared(key: str) -> Attribute | None:
    return Attribute.objects.filter(key=key).first()


def _is_special(attribute: Attribute) -> bool:
    return attribute.sensitivity == Attribute.Sensitivity.SPECIAL


def _path(attribute: Attribute | None) -> str:
    return attribute.metadata_path if attribute else ""


def _write(c: Changes, fact: NewFact) -> None:
    """The value is not copied onto the event, which would keep it when the fact is closed."""
    c.learn([fact])
    done = {"attribute": fact.attribute, "removed": fact.value is None, "by": fact.source}
    c.record_event(OwnEvent.PROFILE_CORRECTED, done)
    queue_clearing([c.profile.pk])  # raw stores hold the value from before
