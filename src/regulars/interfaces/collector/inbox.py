"""Group commit: while one transaction is on its way to the disk, the next one gathers. Nobody waits on purpose.

An answer is given only after the commit that holds its messages. Message ids are unique in the same transaction, so that
a batch sent twice is kept once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError, connection, transaction

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.events.models import InboxItem, Rejection, Source

from .parse import Message, SetAside

log = logging.getLogger("regulars.collector")

MAX_WAITING = 20_000  # messages; beyond that senders are asked to come back
MAX_ROWS = 5_000  # per transaction
KEY_SECONDS = 5.0  # how long a write key is believed
MAX_KEYS = 10_000  # a stranger may invent any number of them
MAX_NOTES = 20  # rejections written down per request
NOTE_SECONDS = 60.0  # one rejection of a stranger's key in so much time is enough to know

Row = tuple[int, str, str, str, str, str | None]
COLUMNS = "source_id, message_id, type, body, sent_at, received_at, rejected"
ONE_ROW = "(%s, %s, %s, %s, %s, %s, '')"
ROWS_PER_STATEMENT = 100  # seven hundred parameters: below every database's limit


class Overloaded(DomainError):
    """More is waiting than the disk takes: `overloaded`. The sender tries again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one request brought, and who waits to hear that it is kept."""

    key: str
    messages: Sequence[Message]
    set_aside: Sequence[SetAside]
    sent_at: str
    kept: asyncio.Future[None] = field(compare=False)


class Inbox:
    """One writer thread with a connection of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiting: list[Delivery] = []
        self.count = 0
        self.lock = threading.Lock()
        self.something = threading.Event()
        self.closing = False
        self.sources = _Sources()
        self.thread = threading.Thread(target=self._write_for_ever, name="inbox", daemon=True)
        self.thread.start()

    def put(
        self, key: str, messages: Sequence[Message], set_aside: Sequence[SetAside], sent_at: str
    ) -> asyncio.Future[None]:
        """A future that is done once everything is on disk. Raises `Overloaded`; the future may fail with DatabaseError."""
        if self.count > MAX_WAITING or self.closing:
            raise Overloaded("overloaded", "Too much is waiting to be written. Try again in a second.")
        kept: asyncio.Future[None] = self.loop.create_future()
        with self.lock:
            self.waiting.append(Delivery(key, messages, set_aside, sent_at, kept))
            self.count += len(messages)
        self.something.set()
        return kept

    async def close(self) -> None:
        """Write what was taken, then stop."""
        self.closing = True
        self.something.set()
        await asyncio.to_thread(self.thread.join, 30)

    def _write_for_ever(self) -> None:
        try:
            while self.something.wait():
                group = self._next_group()
                if group:
                    self._write(group)
                elif self.closing:
                    return
        finally:
            connection.close()

    def _next_group(self) -> list[Delivery]:
        with self.lock:
            group: list[Delivery] = []
            rows = 0
            while self.waiting and (not group or rows + len(self.waiting[0].messages) <= MAX_ROWS):
                group.append(self.waiting.pop(0))
                rows += len(group[-1].messages)
            self.count -= rows
            if not self.waiting and not self.closing:
                self.something.clear()
        return group

    def _write(self, group: list[Delivery]) -> None:
        fault: Exception | None = None
        try:
            keep(group, self.sources)
        except DatabaseError as error:
            log.error("the inbox cannot be written: %s", error)
            connection.close()  # the next group begins with a fresh one
            fault = error
        except Exception as error:  # the thread must outlive whatever one group brings
            log.exception("the inbox met something unforeseen")
            fault = error
        self.loop.call_soon_threadsafe(_answer, group, fault)


def keep(group: Sequence[Delivery], sources: _Sources) -> None:
    """One transaction for all of them."""
    now = connection.ops.adapt_datetimefield_value(clock.now())  # once, and in the words the ORM would write
    rows: list[Row] = []
    notes: list[Rejection] = []
    with transaction.atomic(durable=True):
        for delivery in group:
            source = sources.id_of(delivery.key)
            if source is None:
                notes += sources.note_of_stranger(delivery.key)
                continue
            rows += [
                (source, each.message_id, each.type, each.body, delivery.sent_at, now) for each in delivery.messages
            ]
            notes += [
                Rejection(source_id=source, reason=each.reason, excerpt=each.excerpt[:500])
                for each in delivery.set_aside[:MAX_NOTES]
            ]
        _insert(rows)
        Rejection.objects.bulk_create(notes)


def _insert(rows: Sequence[Row]) -> None:
    """Repeats of a message id add nothing. Both databases take the same words."""
    table = connection.ops.quote_name(InboxItem._meta.db_table)
    with connection.cursor() as cursor:
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            part = rows[start : start + ROWS_PER_STATEMENT]
            values = ", ".join([ONE_ROW] * len(part))
            statement = f"INSERT INTO {table} ({COLUMNS}) VALUES {values} ON CONFLICT (message_id) DO NOTHING"  # noqa: S608
            cursor.execute(statement, [value for row in part for value in row])


def _answer(group: list[Delivery], fault: Exception | None) -> None:
    for delivery in group:
        if delivery.kept.done():  # the sender hung up meanwhile
            continue
        if fault is None:
            delivery.kept.set_result(None)
        else:
            delivery.kept.set_exception(Overloaded("not_written", "The messages could not be written. Try again."))


class _Sources:
    """Write key → source id, remembered for a few seconds; used by the writer thread only."""

    def __init__(self) -> None:
        self.known: OrderedDict[str, tuple[float, int | None]] = OrderedDict()
        self.last_note = -NOTE_SECONDS

    def id_of(self, key: str) -> int | None:
        now = time.monotonic()
        until, source = self.known.get(key, (0.0, None))
        if until < now:
            source = Source.objects.filter(write_key=key, enabled=True).values_list("id", flat=True).first()
            self.known[key] = (now + KEY_SECONDS, source)
            self.known.move_to_end(key)
            if len(self.known) > MAX_KEYS:
                self.known.popitem(last=False)
        return source

    def note_of_stranger(self, key: str) -> list[Rejection]:
        """The operator hears of a wrong key, in the log and in the console, but not once per message."""
        now = time.monotonic()
        if now - self.last_note < NOTE_SECONDS:
            return []
        self.last_note = now
        log.warning("events with an unknown write key are not kept (key of %s characters)", len(key))
        return [Rejection(source=None, reason="unknown_write_key", excerpt=f"{key[:4]}…")]
