"""Send the fields that changed to a destination, until it has confirmed."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from regulars.base import clock
from regulars.base.errors import DomainError, Invalid
from regulars.base.jobs.tasks import Retry
from regulars.consent.uses import why_no_rows_for
from regulars.consent.view import may, view
from regulars.profiles.models import Profile
from regulars.profiles.resolve import Value

from .deletion_requests import call_where_sent, count_failure, count_success, deletion_request, save_outcome
from .deliver import PAUSES
from .disclosures import queue_updates
from .field_changes import USER_ID, FieldChanges, changes_of, digest_of, kind_of
from .kind import DestinationKind, FieldUpdate, SendFailed
from .models import DisclosedField, Disclosure
from .queue import resend_memberships

State = Disclosure.State


@dataclass(frozen=True)
class _Attempt:
    """What is about to be sent: the changes, and the view that they come from."""

    changes: FieldChanges
    permitted: dict[str, Value]


def send_update(disclosure: Disclosure) -> None:
    """Send what changed since the destination was sent it, if an update waits. Call it outside a transaction.

    Afterwards the row is `sent`, `not_updated`, or `updating` again where something changed meanwhile. A kind that changes
    no single fields removes the customer there and sends what may be used now. Raises `Retry` for a later attempt.
    """
    attempt = _begin(disclosure)
    if attempt is None:
        return
    try:
        kind = kind_of(disclosure)
        if kind.can_update:
            call_where_sent(disclosure, lambda kind, settings: kind.update(_update(disclosure, attempt), settings))
        else:
            _start_anew(disclosure, kind)
    except SendFailed as fault:
        count_failure(disclosure, fault)
        if fault.permanent or disclosure.attempts > len(PAUSES):
            save_outcome(disclosure, State.NOT_UPDATED, fault)
            return
        save_outcome(disclosure, State.UPDATING, fault)
        pause = PAUSES[disclosure.attempts - 1] if fault.after is None else fault.after
        raise Retry(f"update {disclosure.pk}: {fault.code}", pause) from None
    except DomainError as error:
        save_outcome(disclosure, State.NOT_UPDATED, error)
    else:
        count_success(disclosure)
        if kind.can_update:
            _confirm(disclosure, attempt)


@transaction.atomic
def _begin(disclosure: Disclosure) -> _Attempt | None:
    """Return what to send, with the customer locked as `record_attempt` does. None: there is nothing to send.

    Until the destination confirms, the old and the new value may both be there: the digests say so.
    """
    customer = _locked_customer(disclosure)
    row = Disclosure.objects.select_for_update().filter(pk=disclosure.pk, state=State.UPDATING).first()
    purpose = disclosure.version.purpose_id
    if row is None or customer is None or why_no_rows_for([purpose]) or not may(customer, purpose):
        return None  # erased or withdrawn: a deletion request follows
    permitted = view(customer, purpose)
    changes = changes_of(disclosure, permitted)
    if not changes:
        save_outcome(disclosure, State.SENT)
        return None
    for name in changes.fields:
        row.fields[name]["digest"] = ""
    row.attempts += 1
    row.save(update_fields=["fields", "attempts"])
    disclosure.fields, disclosure.attempts = row.fields, row.attempts
    return _Attempt(changes, permitted)


def _update(disclosure: Disclosure, attempt: _Attempt) -> FieldUpdate:
    changes = attempt.changes
    return FieldUpdate(
        id=f"upd_{disclosure.request_id.hex}",
        at=disclosure.asked_at or clock.now(),
        user_id=disclosure.match.get(USER_ID, ""),
        match=changes.match,
        new_match=changes.new_match,
        fields=changes.fields,
        current=changes.current,
        segments=tuple(disclosure.segments),
    )


def _start_anew(disclosure: Disclosure, kind: DestinationKind) -> None:
    """Remove the customer there, then send the segments again with what may be used now. Raises `Invalid("cannot_update")`."""
    if not kind.can_remove:
        raise Invalid(
            "cannot_update", f"{kind.title} can neither change nor remove what it was sent. Do it there by hand."
        )
    request = deletion_request(disclosure, f"upd_{disclosure.request_id.hex}")
    call_where_sent(disclosure, lambda kind, settings: kind.remove(request, settings))
    with transaction.atomic():
        resend_memberships(disclosure)
        Disclosure.objects.filter(pk=disclosure.pk).update(fields={}, segments=[], match={}, confirmed_at=clock.now())
        save_outcome(disclosure, State.REMOVED)


@transaction.atomic
def _confirm(disclosure: Disclosure, attempt: _Attempt) -> None:
    """Record what the destination has now; what changed while it answered is queued again."""
    customer = _locked_customer(disclosure)
    row = Disclosure.objects.select_for_update().filter(pk=disclosure.pk).first()
    if row is None or row.profile_id is None:
        return
    now = clock.now()
    for name, value in attempt.changes.fields.items():
        sent: DisclosedField | None = row.fields.pop(name, None)
        if value is not None and sent is not None:
            fact = attempt.permitted[sent["attribute"]].fact_id
            row.fields[name] = {**sent, "fact": fact, "at": now.isoformat(), "digest": digest_of(value)}
    user_id = {key: value for key, value in row.match.items() if key == USER_ID}
    row.match = {**user_id, **attempt.changes.new_match}
    gone = attempt.changes.match.keys() - attempt.changes.new_match.keys()
    row.fields = {name: sent for name, sent in row.fields.items() if not (name in gone and sent.get("is_match"))}
    row.confirmed_at, row.last_at = now, now
    if row.state == State.UPDATING:
        row.state, row.error, row.last_error = State.SENT, "", ""
    row.save()
    purpose = disclosure.version.purpose_id
    row.destination, row.version = disclosure.destination, disclosure.version
    if row.state == State.SENT and customer and may(customer, purpose) and changes_of(row, view(customer, purpose)):
        queue_updates([row])


def _locked_customer(disclosure: Disclosure) -> Profile | None:
    """Return the customer that the disclosure is about by now, locked; None after an erasure."""
    if disclosure.profile_id is None or not (profile := Profile.objects.filter(pk=disclosure.profile_id).first()):
        return None
    return Profile.objects.select_for_update().filter(pk=profile.merged_into_id or profile.pk).first()
