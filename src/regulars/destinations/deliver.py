"""Send one message, if the customer allows it at this moment, and write down what became of it."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.jobs.run import mark_done, next_waiting_jobs
from regulars.base.jobs.tasks import Retry
from regulars.base.plugins.fields import redacted

from .circuit_breaker import note_failure, note_success
from .disclosures import Gone, note_attempt, note_sent
from .kind import KINDS, Batches, DestinationKind, Message, SendFailed
from .message import Dropped, News, Told, compose
from .models import Delivery, Destination, Disclosure
from .queue import JOB

__all__ = ["ATTEMPTS", "PAUSES", "Dropped", "deliver"]

log = logging.getLogger("regulars.destinations")

# Seconds before the second, third… attempt, as Standard Webhooks advises: about 76 hours in all.
PAUSES = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
ATTEMPTS = len(PAUSES) + 1
# While the breaker is open nothing is tried, so attempts alone would let news wait for ever.
TOO_OLD = dt.timedelta(days=7)


def deliver(delivery: Delivery) -> None:
    """Send a pending delivery; one that is finished is left alone. Call it outside a transaction.

    Where its kind takes many at once, what waits for the same destination goes with it. Afterwards the row says `sent`,
    `dropped` or `failed`. Raises `Retry` when it stays `pending` for a later attempt.
    """
    if delivery.state != Delivery.State.PENDING:
        return
    destination = delivery.destination
    try:
        kind = KINDS[destination.kind]
        told, disclosure = _prepared(delivery, kind)
        delivery.attempts += 1
        delivery.save(update_fields=["attempts"])  # counted before it is tried: it may take the worker with it
        if not (isinstance(kind, Batches) and _sent_together(kind, told.message, delivery)):
            send(kind, told.message, destination)
    except (Dropped, Gone) as no:
        _finish(delivery, Delivery.State.DROPPED, no)
    except SendFailed as fault:
        note_failure(destination, fault)
        _failed(delivery, fault)
    except DomainError as no:  # the plug-in is gone, or refuses the settings it was given
        _finish(delivery, Delivery.State.FAILED, no)
    else:
        note_success(destination)
        note_sent(disclosure, told)
        _finish(delivery, Delivery.State.SENT)


def send(kind: DestinationKind, message: Message, destination: Destination) -> None:
    with _plugin_guarded(destination):
        kind.send(message, destination.settings)


@contextmanager
def _plugin_guarded(destination: Destination) -> Iterator[None]:
    """A stranger's plug-in may raise anything; its words may hold anything, so only the type is told."""
    try:
        yield
    except DomainError:
        raise
    except Exception as fault:
        log.warning("destination kind %r raised %s", destination.kind, type(fault).__name__)
        raise SendFailed("plugin_failed", f"The plug-in raised {type(fault).__name__}.") from None


def _prepared(delivery: Delivery, kind: DestinationKind) -> tuple[Told, Disclosure]:
    """What may be told now, written down as about to leave. Raises `Dropped` or `Gone`."""
    if getattr(kind, "keeps_last", False) and _is_overtaken(delivery):
        raise Dropped("overtaken", "It was told something newer of her and this segment already.")
    told = compose(delivery.destination, kind, delivery.profile, _news(delivery))
    return told, note_attempt(delivery.destination, delivery.profile, told)


@dataclass(frozen=True)
class _Ready:
    """A delivery that goes with another's call, and the job that would have sent it."""

    delivery: Delivery
    told: Told
    disclosure: Disclosure
    job: int


def _ready_with(delivery: Delivery, kind: Batches) -> list[_Ready]:
    """What waits for the same destination and may go in the same call. What may not leave is left to its own turn."""
    jobs = {
        job.payload["delivery"]: job.pk
        for job in next_waiting_jobs(delivery.destination.queue, JOB, kind.batch_size - 1)
    }
    waiting = Delivery.objects.filter(pk__in=jobs, state=Delivery.State.PENDING).exclude(profile=delivery.profile_id)
    ready = []
    for other in waiting.select_related("profile").order_by("id"):
        other.destination = delivery.destination
        with suppress(Dropped, Gone):
            ready.append(_Ready(other, *_prepared(other, KINDS[delivery.destination.kind]), jobs[other.pk]))
    return ready


def _sent_together(kind: Batches, message: Message, delivery: Delivery) -> bool:
    """Send it with what else waits, in one call. False: it is alone, or the call as a whole was refused, so that each is
    sent by itself."""
    destination, others = delivery.destination, _ready_with(delivery, kind)
    if not others:
        return False
    try:
        with _plugin_guarded(destination):
            kind.send_batch([message, *(other.told.message for other in others)], destination.settings)
    except SendFailed as fault:
        if fault.permanent:
            return False
        raise
    for other in others:
        note_sent(other.disclosure, other.told)
        other.delivery.attempts += 1
        _finish(other.delivery, Delivery.State.SENT)
    mark_done(other.job for other in others)
    return True


def told_to_people(destination: Destination, sentence: str) -> str:
    """The sentence without secrets; of a plug-in that is gone nobody knows which settings are secret."""
    if destination.kind not in KINDS:
        return f"No plug-in for destinations is called {destination.kind!r}."
    return redacted(sentence, KINDS[destination.kind].fields, destination.settings)


def _news(delivery: Delivery) -> News:
    return News(
        id=f"msg_{delivery.message_id.hex}",
        at=delivery.at,
        segment_slug=delivery.segment_slug,
        segment_name=delivery.segment_name,
        entered=delivery.entered,
    )


def _is_overtaken(delivery: Delivery) -> bool:
    """Whether newer news of the same has arrived: only what is sent again can be late."""
    same = Delivery.objects.filter(
        destination=delivery.destination_id, profile=delivery.profile_id, segment_slug=delivery.segment_slug
    )
    return same.filter(at__gt=delivery.at, state=Delivery.State.SENT).exists()


def _failed(delivery: Delivery, fault: SendFailed) -> None:
    is_over = delivery.attempts >= ATTEMPTS or clock.now() - delivery.queued_at > TOO_OLD
    if fault.permanent or is_over:
        return _finish(delivery, Delivery.State.FAILED, fault)
    _write(delivery, fault)
    pause = PAUSES[delivery.attempts - 1] if fault.after is None else fault.after
    raise Retry(f"delivery {delivery.pk}: {fault.code}", pause)


def _finish(delivery: Delivery, state: Delivery.State, reason: DomainError | None = None) -> None:
    delivery.state, delivery.finished_at = state, clock.now()
    _write(delivery, reason)


def _write(delivery: Delivery, reason: DomainError | None) -> None:
    """By its number and not by `save`: she may have been forgotten meanwhile, and the row with her."""
    delivery.error = reason.code[:64] if reason else ""
    delivery.last_error = told_to_people(delivery.destination, reason.message) if reason else ""
    fields = ("state", "attempts", "error", "last_error", "finished_at")
    Delivery.objects.filter(pk=delivery.pk).update(**{name: getattr(delivery, name) for name in fields})
