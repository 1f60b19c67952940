"""Group commit: while one transaction is written to disk, the next one gathers. There is no artificial delay.

A response is sent only after the commit of its messages. Message ids are unique in the database, so a batch that is sent
twice is stored once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError, connection, transaction
from django.db.models import Q

from regulars.base import clock
from regulars.base.configuration.versioned_cache import VersionedCache, one_version
from regulars.base.crypto import fingerprint
from regulars.base.db.deadlocks import repeat_after_deadlock
from regulars.base.errors import DomainError

from .counts import add_counts
from .models import InboxItem, Rejection, Source
from .segment_format import InboxMessage, RejectedMessage

log = logging.getLogger("regulars.collector")

MAX_WAITING = 20_000  # messages; beyond that senders are asked to come back
MAX_ROWS = 5_000  # per transaction
MAX_KEYS = 10_000  # cached; an attacker may invent any number
MAX_NOTES = 20  # recorded rejections per request
NOTE_SECONDS = 60.0  # at most one record of an unknown write key in this time

Row = tuple[int, str, str, str, str, str | None]
COLUMNS = "source_id, message_id, type, body, sent_at, received_at, rejected"
ONE_ROW = "(%s, %s, %s, %s, %s, %s, '')"
ROWS_PER_STATEMENT = 100  # seven hundred parameters: below every database's limit


class ServerKeyInBrowser(DomainError):
    """A browser sent a server's key: `server_key_in_browser`. Every visitor of that page can read the key."""


class Overloaded(DomainError):
    """More messages are waiting than the disk can write: `overloaded`. The sender retries."""


@dataclass(frozen=True, slots=True)
class InboxRequest:
    """The messages of one request, with the future that its sender awaits."""

    key: str
    messages: Sequence[InboxMessage]
    rejected: Sequence[RejectedMessage]
    sent_at: str
    kept: asyncio.Future[None] = field(compare=False)
    from_browser: bool = False


class Inbox:
    """One writer thread with a connection of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiting: list[InboxRequest] = []
        self.count = 0
        self.lock = threading.Lock()
        self.something = threading.Event()
        self.closing = False
        self.unknown_keys = UnknownKeys()
        self.thread = threading.Thread(target=self._write_for_ever, name="inbox", daemon=True)
        self.thread.start()

    def put(
        self,
        key: str,
        messages: Sequence[InboxMessage],
        rejected: Sequence[RejectedMessage],
        sent_at: str,
        *,
        from_browser: bool = False,
    ) -> asyncio.Future[None]:
        """Queue messages. The future is done once they are on disk and may fail with `Overloaded` or `ServerKeyInBrowser`.

        Raises `Overloaded`.
        """
        if self.count > MAX_WAITING or self.closing:
            raise Overloaded("overloaded", "Too much is waiting to be written. Try again in a second.")
        kept: asyncio.Future[None] = self.loop.create_future()
        with self.lock:
            self.waiting.append(InboxRequest(key, messages, rejected, sent_at, kept, from_browser))
            self.count += len(messages)
        self.something.set()
        return kept

    async def close(self) -> None:
        """Write what is queued, then stop."""
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

    def _next_group(self) -> list[InboxRequest]:
        with self.lock:
            group: list[InboxRequest] = []
            rows = 0
            while self.waiting and (not group or rows + len(self.waiting[0].messages) <= MAX_ROWS):
                group.append(self.waiting.pop(0))
                rows += len(group[-1].messages)
            self.count -= rows
            if not self.waiting and not self.closing:
                self.something.clear()
        return group

    def _write(self, group: list[InboxRequest]) -> None:
        fault: Exception | None = None
        refused: list[InboxRequest] = []
        try:
            refused = keep(group, self.unknown_keys)
        except DatabaseError as error:
            log.error("the inbox cannot be written: %s", error)
            connection.close()  # the next group begins with a fresh one
            fault = error
        except Exception as error:  # the thread must survive any fault of one group
            log.exception("unexpected error in the inbox")
            fault = error
        self.loop.call_soon_threadsafe(_answer, group, fault, refused)


@repeat_after_deadlock
def keep(group: Sequence[InboxRequest], unknown_keys: UnknownKeys) -> list[InboxRequest]:
    """Write a group in one transaction. Returns the requests in which a browser sent a server's key: they are not kept."""
    now = connection.ops.adapt_datetimefield_value(clock.now())  # once, in the format of the ORM
    rows: list[Row] = []
    notes: list[Rejection] = []
    reasons: Counter[tuple[int, str]] = Counter()
    refused: list[InboxRequest] = []
    with transaction.atomic(durable=True), one_version():
        senders = {key: _find_sender(key) for key in {delivery.key for delivery in group}}
        for delivery in group:
            sender = senders[delivery.key]
            if sender is None:
                notes += unknown_keys.rejection_of(delivery.key)
                continue
            source, kind = sender
            if kind == Source.Kind.SERVER and delivery.from_browser:
                notes.append(Rejection(source_id=source, reason="server_key_in_browser", excerpt=""))
                refused.append(delivery)
                continue
            rows += [
                (source, each.message_id, each.type, each.body, delivery.sent_at, now) for each in delivery.messages
            ]
            notes += [
                Rejection(source_id=source, reason=each.reason, excerpt=each.excerpt[:500])
                for each in delivery.rejected[:MAX_NOTES]
            ]
            reasons.update((source, each.reason) for each in delivery.rejected)
        # repeated message ids are ignored; both databases accept the same statement
        table = connection.ops.quote_name(InboxItem._meta.db_table)
        with connection.cursor() as cursor:
            for start in range(0, len(rows), ROWS_PER_STATEMENT):
                part = rows[start : start + ROWS_PER_STATEMENT]
                values = ", ".join([ONE_ROW] * len(part))
                statement = f"INSERT INTO {table} ({COLUMNS}) VALUES {values} ON CONFLICT (message_id) DO NOTHING"  # noqa: S608
                cursor.execute(statement, [value for row in part for value in row])
        Rejection.objects.bulk_create(notes)
        if reasons:
            add_counts(reasons)
    return refused


def _answer(group: list[InboxRequest], fault: Exception | None, refused: list[InboxRequest]) -> None:
    for delivery in group:
        if delivery.kept.done():  # the sender disconnected meanwhile
            continue
        if any(delivery is each for each in refused):
            message = "This is a server's key. Use the key of a public source in browsers, and replace this one."
            delivery.kept.set_exception(ServerKeyInBrowser("server_key_in_browser", message))
        elif fault is None:
            delivery.kept.set_result(None)
        else:
            delivery.kept.set_exception(Overloaded("not_written", "The messages could not be written. Try again."))


def _load_sender(key: str) -> tuple[int, str] | None:
    """Return the id and kind of the source with this write key."""
    public = Q(write_key=key, kind=Source.Kind.PUBLIC)
    server = Q(write_key=fingerprint(key), kind=Source.Kind.SERVER)
    return Source.objects.filter(public | server, enabled=True).values_list("id", "kind").first()


_find_sender = VersionedCache(_load_sender, Source, most=MAX_KEYS, absent=True)


class UnknownKeys:
    """Rejections of unknown write keys for the log and the console, but not one per message. For the writer thread."""

    def __init__(self) -> None:
        self.last_note = -NOTE_SECONDS

    def rejection_of(self, key: str) -> list[Rejection]:
        now = time.monotonic()
        if now - self.last_note < NOTE_SECONDS:
            return []
        self.last_note = now
        log.warning("events with an unknown write key are not kept (key of %s characters)", len(key))
        return [Rejection(source=None, reason="unknown_write_key", excerpt=f"{key[:4]}…")]
