"""The notices that pages show before a decision. Every form that can give consent takes its notice and its hash from here."""

from __future__ import annotations

from collections.abc import Sequence

from regulars.consent.models import Purpose
from regulars.consent.notices import ShownNotice, remember_shown
from regulars.consent.purposes import words_in


def notice_on(purpose: Purpose, locale: str, words: str, pieces: Sequence[str] = ()) -> ShownNotice:
    """Return the notice in these words: with everything that a yes to the purpose would cover now."""
    return ShownNotice(purpose.key, purpose.version, locale, words, pieces=tuple(pieces))


def purpose_notice(purpose: Purpose, locale: str) -> ShownNotice:
    """Return the notice of a purpose by itself, in the best language that the operator wrote."""
    written, label, text = words_in(purpose, locale)
    return notice_on(purpose, written, f"{label}\n{text}")


def show_purposes(locale: str) -> dict[str, str]:
    """Return, for every active purpose, the hash of the notice that a page shows now, and remember these notices."""
    shown = [(purpose_notice(purpose, locale), purpose) for purpose in Purpose.objects.filter(active=True)]
    remember_shown(shown)
    return {purpose.key: notice.hash for notice, purpose in shown}
