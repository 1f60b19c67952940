"""Send one message, if consent permits it at this moment, and record the outcome."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.jobs.run_jobs import mark_done, next_waiting_jobs
from regulars.base.jobs.tasks import Retry
from regulars.base.plugins.fields import redacted

from .circuit_breaker import record_failure, record_success
from .disclosures import ErasedMeanwhile, record_attempt, record_sent
from .kind import KINDS, DestinationKind, SegmentMessage, SendFailed
from .message import ComposedMessage, MessageDropped, MessageSubject, SegmentPurposes, compose
from .models import Delivery, Destination, Disclosure
from .queue import JOB

__all__ = ["ATTEMPTS", "PAUSES", "MessageDropped", "deliver"]

log = logging.getLogger("regulars.destinations")

# Seconds before the second, third… attempt, as Standard Webhooks advises: about 76 hours in all.
PAUSES = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
ATTEMPTS = len(PAUSES) + 1
# While the circuit is open nothing is tried, so attempts alone would let messages wait for ever.
TOO_OLD = dt.timedelta(days=7)


def deliver(delivery: Delivery, segment_purposes: SegmentPurposes) -> None:
    """Send a pending delivery; a finished one is left as it is. Call it outside a transaction.

    Entering a segment is sent only where the segment's purpose is open as well as the destination's.

    Where its kind takes batches, what waits for the same destination is sent with it. Afterwards the row is `sent`,
    `dropped` or `failed`. Raises `Retry` when it stays `pending` for a later attempt.
    """
    if delivery.state != Delivery.State.PENDING:
        return
    destination = delivery.destination
    try:
        kind = KINDS[destination.kind]
        composed, disclosure = _prepared(delivery, kind, segment_purposes)
        delivery.attempts += 1
        delivery.save(update_fields=["attempts"])  # counted before it is tried: the worker may crash with it
        if not (kind.batch_size > 1 and _sent_together(kind, composed.message, delivery, segment_purposes)):
            send(kind, composed.message, destination)
    except (MessageDropped, ErasedMeanwhile) as reason:
        _finish(delivery, Delivery.State.DROPPED, reason)
    except SendFailed as fault:
        record_failure(destination, fault)
        is_over = delivery.attempts >= ATTEMPTS or clock.now() - delivery.queued_at > TOO_OLD
        if fault.permanent or is_over:
            _finish(delivery, Delivery.State.FAILED, fault)
            return
        _write(delivery, fault)
        pause = PAUSES[delivery.attempts - 1] if fault.after is None else fault.after
        raise Retry(f"delivery {delivery.pk}: {fault.code}", pause) from None
    except DomainError as error:  # the plug-in was uninstalled, or refuses its settings
        _finish(delivery, Delivery.State.FAILED, error)
    else:
        record_success(destination)
        record_sent(disclosure, composed)
        _finish(delivery, Delivery.State.SENT)


def send(kind: DestinationKind, message: SegmentMessage, destination: Destination) -> None:
    with plugin_guarded(destination):
        kind.send(message, destination.settings)


@contextmanager
def plugin_guarded(destination: Destination) -> Iterator[None]:
    """Contain a third party's plug-in: it may raise anything with any text, so only the type is kept."""
    try:
        yield
    except DomainError:
        raise
    except Exception as fault:
        log.warning("destination kind %r raised %s", destination.kind, type(fault).__name__)
        raise SendFailed("plugin_failed", f"The plug-in raised {type(fault).__name__}.") from None


def _prepared(
    delivery: Delivery, kind: DestinationKind, segment_purposes: SegmentPurposes
) -> tuple[ComposedMessage, Disclosure]:
    """Compose what may be sent now and record it as about to leave. Raises `MessageDropped` or `ErasedMeanwhile`."""
    if kind.latest_only:  # a newer one may have been sent already when this one is sent again
        newer = Delivery.objects.filter(
            destination=delivery.destination_id,
            profile=delivery.profile_id,
            segment_slug=delivery.segment_slug,
            at__gt=delivery.at,
            state=Delivery.State.SENT,
        )
        if newer.exists():
            raise MessageDropped("overtaken", "A newer message about this customer and segment was sent already.")
    subject = MessageSubject(
        id=f"msg_{delivery.message_id.hex}",
        at=delivery.at,
        segment_slug=delivery.segment_slug,
        segment_name=delivery.segment_name,
        entered=delivery.entered,
    )
    composed = compose(delivery.destination, kind, delivery.profile, subject, segment_purposes)
    return composed, record_attempt(delivery.destination, delivery.profile, composed)


@dataclass(frozen=True)
class _BatchItem:
    """A delivery that is sent in another's call, and the job that would have sent it."""

    delivery: Delivery
    composed: ComposedMessage
    disclosure: Disclosure
    job: int


def _ready_with(delivery: Delivery, kind: DestinationKind, segment_purposes: SegmentPurposes) -> list[_BatchItem]:
    """Return what waits for the same destination and may go in the same call. The rest is left to its own job."""
    jobs = {
        job.payload["delivery"]: job.pk
        for job in next_waiting_jobs(delivery.destination.queue, JOB, kind.batch_size - 1)
    }
    waiting = Delivery.objects.filter(pk__in=jobs, state=Delivery.State.PENDING).exclude(profile=delivery.profile_id)
    ready = []
    for other in waiting.select_related("profile").order_by("id"):
        other.destination = delivery.destination
        with suppress(MessageDropped, ErasedMeanwhile):
            ready.append(_BatchItem(other, *_prepared(other, kind, segment_purposes), jobs[other.pk]))
    return ready


def _sent_together(
    kind: DestinationKind, message: SegmentMessage, delivery: Delivery, segment_purposes: SegmentPurposes
) -> bool:
    """Send it in one call with what else waits. False: it is alone, or the call was refused, so each is sent by itself."""
    destination, others = delivery.destination, _ready_with(delivery, kind, segment_purposes)
    if not others:
        return False
    try:
        with plugin_guarded(destination):
            kind.send_batch([message, *(other.composed.message for other in others)], destination.settings)
    except SendFailed as fault:
        if fault.permanent:
            return False
        raise
    for other in others:
        record_sent(other.disclosure, other.composed)
        other.delivery.attempts += 1
        _finish(other.delivery, Delivery.State.SENT)
    mark_done(other.job for other in others)
    return True


def redacted_error(destination: Destination, sentence: str, settings: Mapping[str, str]) -> str:
    """Return the sentence without secrets; without the plug-in it is unknown which settings are secret."""
    if destination.kind not in KINDS:
        return f"No plug-in for destinations is called {destination.kind!r}."
    return redacted(sentence, KINDS[destination.kind].fields, settings)


def _finish(delivery: Delivery, state: Delivery.State, reason: DomainError | None = None) -> None:
    delivery.state, delivery.finished_at = state, clock.now()
    _write(delivery, reason)


def _write(delivery: Delivery, reason: DomainError | None) -> None:
    """Update by primary key and not with `save`: the customer and the row may have been erased meanwhile."""
    delivery.error = reason.code[:64] if reason else ""
    delivery.last_error = (
        redacted_error(delivery.destination, reason.message, delivery.destination.settings) if reason else ""
    )
    fields = ("state", "attempts", "error", "last_error", "finished_at")
    Delivery.objects.filter(pk=delivery.pk).update(**{name: getattr(delivery, name) for name in fields})
