"""Send one message, if the customer allows it at this moment, and write down what became of it."""

from __future__ import annotations

import logging

from regulars.base.jobs.queue import Retry
from regulars.base.kit import clock
from regulars.base.kit.errors import Refused
from regulars.base.kit.fields import redacted
from regulars.consent.view import may, view

from .kind import KINDS, DestinationKind, Message, SendFailed
from .models import Delivery

log = logging.getLogger("regulars.destinations")

# Seconds before the second, third… attempt, as Standard Webhooks advises: about 32 hours in all.
PAUSES = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0)
ATTEMPTS = len(PAUSES) + 1


class Dropped(Refused):
    """The message is not to be sent: `no_consent`, `switched_off`, `nothing_to_match`."""


def deliver(delivery: Delivery) -> None:
    """Send a pending delivery; one that is finished is left alone. Call it outside a transaction.

    Afterwards the row says `sent`, `dropped` or `failed`. Raises `Retry` when it stays `pending` for a later attempt.
    """
    if delivery.state != Delivery.State.PENDING:
        return
    try:
        kind = KINDS[delivery.destination.kind]
        message = _message(delivery, kind)
        delivery.attempts += 1
        _send(kind, message, delivery)
    except Dropped as no:
        _finish(delivery, Delivery.State.DROPPED, no)
    except SendFailed as fault:
        _failed(delivery, fault)
    except Refused as no:  # the plug-in is gone, or refuses the settings it was given
        _finish(delivery, Delivery.State.FAILED, no)
    else:
        _finish(delivery, Delivery.State.SENT)


def _message(delivery: Delivery, kind: DestinationKind) -> Message:
    """What may leave now. Consent is asked here, at the last moment, not when the news was written down."""
    destination, profile = delivery.destination, delivery.profile
    if not destination.enabled:
        raise Dropped("switched_off", "The destination is switched off.")
    if not may(profile, destination.purpose_id):
        raise Dropped("no_consent", f"The customer does not allow the purpose {destination.purpose_id!r}.")
    traits = {key: value.value for key, value in view(profile, destination.purpose_id).items()}
    lacking = [key for key in kind.needs if key not in traits]
    if lacking:
        raise Dropped("nothing_to_match", f"What the destination needs may not be used or is not known: {lacking[0]}.")
    return Message(
        id=f"msg_{delivery.message_id.hex}",
        at=delivery.at,
        user_id=profile.user_id,
        segment_slug=delivery.segment_slug,
        segment_name=delivery.segment_name,
        entered=delivery.entered,
        traits=traits,
    )


def _send(kind: DestinationKind, message: Message, delivery: Delivery) -> None:
    """A stranger's plug-in may raise anything; its words may hold anything, so only the type is told."""
    try:
        kind.send(message, delivery.destination.settings)
    except Refused:
        raise
    except Exception as fault:
        log.warning("destination kind %r raised %s", delivery.destination.kind, type(fault).__name__)
        raise SendFailed("plugin_failed", f"The plug-in raised {type(fault).__name__}.") from None


def _failed(delivery: Delivery, fault: SendFailed) -> None:
    if fault.permanent or delivery.attempts >= ATTEMPTS:
        return _finish(delivery, Delivery.State.FAILED, fault)
    _write(delivery, fault)
    pause = PAUSES[delivery.attempts - 1] if fault.after is None else fault.after
    raise Retry(f"delivery {delivery.pk}: {fault.name}", pause)


def _finish(delivery: Delivery, state: Delivery.State, reason: Refused | None = None) -> None:
    delivery.state, delivery.finished_at = state, clock.now()
    _write(delivery, reason)


def _write(delivery: Delivery, reason: Refused | None) -> None:
    delivery.error = reason.name[:64] if reason else ""
    delivery.last_error = _told(delivery, reason.sentence) if reason else ""
    delivery.save(update_fields=["state", "attempts", "error", "last_error", "finished_at"])


def _told(delivery: Delivery, sentence: str) -> str:
    """The sentence without secrets; of a plug-in that is gone nobody knows which settings are secret."""
    destination = delivery.destination
    if destination.kind not in KINDS:
        return f"No plug-in for destinations is called {destination.kind!r}."
    return redacted(sentence, KINDS[destination.kind].fields, destination.settings)
