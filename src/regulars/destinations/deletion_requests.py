"""Send deletion requests to a destination, until it has confirmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.db.models import QuerySet

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.jobs.tasks import Retry

from .circuit_breaker import record_failure, record_success
from .deliver import PAUSES, plugin_guarded, redacted_error
from .disclosures import GIVEN_UP
from .field_changes import USER_ID, trait_fields
from .kind import KINDS, DeletionRequest, DestinationKind, SendFailed
from .models import Disclosure
from .versions import leads_to_same_address

State = Disclosure.State
NOT_LET_IN = frozenset({"http_401", "http_403"})


def send_deletion_request(disclosure: Disclosure) -> None:
    """Send a deletion request that waits; any other is left as it is. Call it outside a transaction.

    It goes to the place that was sent the data, also when the destination has moved since. A destination that is switched
    off is asked too: it still has the data. Afterwards the row is `removed` or `failed`. Raises `Retry` when it stays
    `removing` for a later attempt.
    """
    if disclosure.state != State.REMOVING:
        return
    try:
        disclosure.attempts += 1
        request = deletion_request(disclosure, f"del_{disclosure.request_id.hex}")
        call_where_sent(disclosure, lambda kind, settings: kind.remove(request, settings))
    except SendFailed as fault:
        count_failure(disclosure, fault)
        if fault.permanent or disclosure.attempts > len(PAUSES):
            save_outcome(disclosure, State.FAILED, fault)
            return
        if not save_outcome(disclosure, State.REMOVING, fault):
            return
        pause = PAUSES[disclosure.attempts - 1] if fault.after is None else fault.after
        raise Retry(f"deletion request {disclosure.pk}: {fault.code}", pause) from None
    except DomainError as error:
        save_outcome(disclosure, State.FAILED, error)
    else:
        count_success(disclosure)
        # Of an erased customer nothing stays but that, when and where the data was deleted.
        emptied: dict[str, object] = (
            {"match": {}, "fields": {}, "segments": []} if disclosure.erase else {"segments": []}
        )
        Disclosure.objects.filter(pk=disclosure.pk).update(confirmed_at=clock.now(), **emptied)
        save_outcome(disclosure, State.REMOVED)


def give_up(rows: QuerySet[Disclosure]) -> int:
    """Delete what destinations recognise erased customers by, where they did not confirm in time. Returns how many."""
    kept: dict[str, object] = {"match": {}, "fields": {}, "segments": [], "last_error": ""}
    # The state once more: one that is confirmed in this moment is not failed.
    return rows.exclude(state=State.REMOVED).update(state=State.FAILED, error=GIVEN_UP, **kept)


def deletion_request(disclosure: Disclosure, request_id: str) -> DeletionRequest:
    match = dict(disclosure.match)
    return DeletionRequest(
        id=request_id,
        at=disclosure.asked_at or clock.now(),
        user_id=match.pop(USER_ID, ""),
        match=match,
        segments=tuple(disclosure.segments),
        fields=trait_fields(disclosure),
        erase=disclosure.erase,
    )


def call_where_sent(disclosure: Disclosure, call: Callable[[DestinationKind, Mapping[str, str]], None]) -> None:
    """Call the kind with the settings under which the data was sent. Raises `DomainError`.

    A key that is refused may have been replaced since: then the one of today is tried, at the same address only.
    """
    destination, settings = disclosure.destination, disclosure.version.settings
    kind = KINDS[destination.kind]
    try:
        with plugin_guarded(destination):
            call(kind, settings)
    except SendFailed as fault:
        replaced = settings != destination.settings
        if not (
            replaced
            and fault.code in NOT_LET_IN
            and leads_to_same_address(destination.kind, settings, destination.settings)
        ):
            raise
        with plugin_guarded(destination):
            call(kind, destination.settings)


def count_failure(disclosure: Disclosure, fault: SendFailed) -> None:
    """Count a failure for the circuit breaker, unless the destination has moved since: its old place proves nothing."""
    if disclosure.version.settings == disclosure.destination.settings:
        record_failure(disclosure.destination, fault)


def count_success(disclosure: Disclosure) -> None:
    if disclosure.version.settings == disclosure.destination.settings:
        record_success(disclosure.destination)


def save_outcome(disclosure: Disclosure, state: State, reason: DomainError | None = None) -> bool:
    """Write the outcome. The error holds neither the secrets of today nor those of then: both may have been tried.

    Returns whether it was written: a request that was given up while it was under way stays so, unless it was confirmed.
    What the customer was known by is deleted, so that another attempt would name no one.
    """
    disclosure.state, disclosure.error = state, reason.code[:64] if reason else ""
    sentence = reason.message if reason else ""
    for settings in (disclosure.version.settings, disclosure.destination.settings) if sentence else ():
        sentence = redacted_error(disclosure.destination, sentence, settings)
    disclosure.last_error = sentence
    fields = ("state", "attempts", "error", "last_error")
    rows = Disclosure.objects.filter(pk=disclosure.pk)
    if state != State.REMOVED:
        rows = rows.exclude(error=GIVEN_UP)
    return bool(rows.update(**{name: getattr(disclosure, name) for name in fields}))
