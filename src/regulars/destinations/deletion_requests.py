"""Send deletion requests to a destination, until it has confirmed."""

from __future__ import annotations

import logging

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.jobs.tasks import Retry

from .circuit_breaker import record_failure, record_success
from .deliver import PAUSES, redacted_error
from .kind import KINDS, DeletionRequest, SendFailed
from .models import Destination, Disclosure

log = logging.getLogger("regulars.destinations")
State = Disclosure.State


def send_deletion_request(disclosure: Disclosure) -> None:
    """Send a deletion request that waits; any other is left as it is. Call it outside a transaction.

    A destination that is switched off is asked too: it still has the data. Afterwards the row is `removed` or `failed`.
    Raises `Retry` when it stays `removing` for a later attempt.
    """
    if disclosure.state != State.REMOVING:
        return
    destination = disclosure.destination
    try:
        disclosure.attempts += 1
        match = dict(disclosure.match)
        request = DeletionRequest(
            id=f"del_{disclosure.request_id.hex}",
            at=disclosure.asked_at or clock.now(),
            user_id=match.pop("user_id", ""),
            match=match,
            segments=tuple(disclosure.segments),
            fields=tuple(sorted(disclosure.fields)),
            erase=disclosure.erase,
        )
        _send(destination, request)
    except SendFailed as fault:
        record_failure(destination, fault)
        if fault.permanent or disclosure.attempts > len(PAUSES):
            _save(disclosure, State.FAILED, fault)
            return
        _save(disclosure, State.REMOVING, fault)
        pause = PAUSES[disclosure.attempts - 1] if fault.after is None else fault.after
        raise Retry(f"deletion request {disclosure.pk}: {fault.code}", pause) from None
    except DomainError as error:
        _save(disclosure, State.FAILED, error)
    else:
        record_success(destination)
        # Of an erased customer nothing stays but that, when and where the data was deleted.
        emptied: dict[str, object] = (
            {"match": {}, "fields": {}, "segments": []} if disclosure.erase else {"segments": []}
        )
        Disclosure.objects.filter(pk=disclosure.pk).update(confirmed_at=clock.now(), **emptied)
        _save(disclosure, State.REMOVED)


def _send(destination: Destination, request: DeletionRequest) -> None:
    kind = KINDS[destination.kind]
    try:
        kind.remove(request, destination.settings)
    except DomainError:
        raise
    except Exception as fault:  # a third party's plug-in may raise anything
        log.warning("destination kind %r raised %s", destination.kind, type(fault).__name__)
        raise SendFailed("plugin_failed", f"The plug-in raised {type(fault).__name__}.") from None


def _save(disclosure: Disclosure, state: State, reason: DomainError | None = None) -> None:
    disclosure.state, disclosure.error = state, reason.code[:64] if reason else ""
    disclosure.last_error = redacted_error(disclosure.destination, reason.message) if reason else ""
    fields = ("state", "attempts", "error", "last_error")
    Disclosure.objects.filter(pk=disclosure.pk).update(**{name: getattr(disclosure, name) for name in fields})
