"""Ask one destination to let go of one customer, until it has confirmed."""

from __future__ import annotations

import logging

from regulars.base import clock
from regulars.base.errors import DomainError, Invalid
from regulars.base.jobs.tasks import Retry

from .circuit_breaker import note_failure, note_success
from .deliver import PAUSES, told_to_people
from .kind import KINDS, Removal, Removes, SendFailed
from .models import Destination, Disclosure

log = logging.getLogger("regulars.destinations")
State = Disclosure.State


def let_go(disclosure: Disclosure) -> None:
    """Send a removal that waits; any other is left alone. Call it outside a transaction.

    A destination that is switched off is asked all the same: it still has her. Afterwards the row says `removed` or
    `failed`; raises `Retry` when it stays `removing` for a later attempt.
    """
    if disclosure.state != State.REMOVING:
        return
    destination = disclosure.destination
    try:
        disclosure.attempts += 1
        _remove(destination, _removal(disclosure))
    except SendFailed as fault:
        note_failure(destination, fault)
        _failed(disclosure, fault)
    except DomainError as no:
        _write(disclosure, State.FAILED, no)
    else:
        note_success(destination)
        _confirmed(disclosure)


def _remove(destination: Destination, removal: Removal) -> None:
    kind = KINDS[destination.kind]
    if not isinstance(kind, Removes):
        raise Invalid("cannot_remove", f"{kind.title} has no way to take somebody back: do it there by hand.")
    try:
        kind.remove(removal, destination.settings)
    except DomainError:
        raise
    except Exception as fault:  # a stranger's plug-in may raise anything
        log.warning("destination kind %r raised %s", destination.kind, type(fault).__name__)
        raise SendFailed("plugin_failed", f"The plug-in raised {type(fault).__name__}.") from None


def _removal(disclosure: Disclosure) -> Removal:
    match = dict(disclosure.match)
    return Removal(
        id=f"del_{disclosure.removal_id.hex}",
        at=disclosure.asked_at or clock.now(),
        user_id=match.pop("user_id", ""),
        match=match,
        segments=tuple(disclosure.segments),
        told=tuple(sorted(disclosure.told)),
        erase=disclosure.erase,
    )


def _failed(disclosure: Disclosure, fault: SendFailed) -> None:
    if fault.permanent or disclosure.attempts > len(PAUSES):
        return _write(disclosure, State.FAILED, fault)
    _write(disclosure, State.REMOVING, fault)
    pause = PAUSES[disclosure.attempts - 1] if fault.after is None else fault.after
    raise Retry(f"removal {disclosure.pk}: {fault.code}", pause)


def _confirmed(disclosure: Disclosure) -> None:
    """Of somebody who was forgotten nothing stays but that, when and where it was deleted."""
    emptied: dict[str, object] = {"match": {}, "told": {}, "segments": []} if disclosure.erase else {"segments": []}
    Disclosure.objects.filter(pk=disclosure.pk).update(confirmed_at=clock.now(), **emptied)
    _write(disclosure, State.REMOVED)


def _write(disclosure: Disclosure, state: State, reason: DomainError | None = None) -> None:
    disclosure.state, disclosure.error = state, reason.code[:64] if reason else ""
    disclosure.last_error = told_to_people(disclosure.destination, reason.message) if reason else ""
    fields = ("state", "attempts", "error", "last_error")
    Disclosure.objects.filter(pk=disclosure.pk).update(**{name: getattr(disclosure, name) for name in fields})
