"""Notices: what a customer reads before they decide, and the one rule that a click counts only for what it was shown with.

Every form that can give consent carries `ShownNotice.hash`, and its use case calls `require_shown` with the notice of now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.utils.translation import gettext_noop

from regulars.base.errors import Conflict

from .models import Notice, Purpose


class NoticeChangedError(Conflict):
    """What the customer read is not what a yes would mean now: show it again, and take nothing. Its code is `notice_changed`."""

    def __init__(self) -> None:
        super().__init__(
            "notice_changed", gettext_noop("This changed since you opened the page. Please read it again.")
        )


@dataclass(frozen=True)
class ShownNotice:
    """One notice in one language, as a page shows it.

    `subject` is the key of a purpose, or `app:<client id>` where a third-party application asks. `recipients` are the
    companies named beside the words, and `pieces` what the decision is about: claims, an attribute, scopes.
    """

    subject: str
    version: int
    locale: str
    words: str
    recipients: tuple[str, ...] = ()
    pieces: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> ShownNotice:
        """Read what `asdict` wrote and JSON kept."""
        lists = {name: tuple(stored[name]) for name in ("recipients", "pieces")}
        return cls(**{**stored, **lists})

    @property
    def hash(self) -> str:
        """The address of the notice: equal for equal notices only."""
        more = json.dumps([self.recipients, self.pieces]) if self.recipients or self.pieces else ""
        return sha256(f"{self.subject}\n{self.version}\n{self.locale}\n{self.words}{more}".encode()).hexdigest()


def require_shown(now: ShownNotice, shown: str) -> None:
    """Refuse a click for anything but exactly this notice; `shown` is the hash that the form carried.

    Raises `NoticeChangedError`.
    """
    if shown != now.hash:
        raise NoticeChangedError


def store_notice(notice: ShownNotice, purpose: Purpose) -> Notice:
    """Return the row of this notice, stored once however often it is shown."""
    row = Notice.objects.filter(hash=notice.hash).first()
    if row is None:
        remember_shown([(notice, purpose)])
        row = Notice.objects.get(hash=notice.hash)
    return row


def remember_shown(notices: Sequence[tuple[ShownNotice, Purpose]]) -> None:
    """Store what a page is about to show, so that a click on it finds the very words (`find_shown`). Mostly a read."""
    stored = set(Notice.objects.filter(hash__in=[each.hash for each, _ in notices]).values_list("hash", flat=True))
    missing = [_row(each, purpose) for each, purpose in notices if each.hash not in stored]
    if missing:
        Notice.objects.bulk_create(missing, ignore_conflicts=True)


def find_shown(hash_: str, purpose: Purpose) -> ShownNotice | None:
    """Return the notice of this purpose that a page showed, by the hash that its form carried."""
    row = Notice.objects.filter(hash=hash_[:64], purpose=purpose).first()
    if row is None:
        return None
    return ShownNotice(purpose.key, row.version, row.locale, row.body, tuple(row.recipients), tuple(row.pieces))


def _row(notice: ShownNotice, purpose: Purpose) -> Notice:
    return Notice(
        hash=notice.hash,
        purpose=purpose,
        version=notice.version,
        locale=notice.locale,
        body=notice.words,
        recipients=list(notice.recipients),
        pieces=list(notice.pieces),
    )
