"""Names of the events that Regulars records itself: the history that staff, charts and conditions rely on.

A write key is public. Under these names nothing is taken from collectors, however they are written.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from functools import lru_cache

OWN_SOURCE = "regulars"  # the slug under which own events are shown; no source may have it

PIECE = 16  # characters
MAX_REMEMBERED = 255  # characters: senders may invent names of any length


class OwnEvent(StrEnum):
    SIGNED_UP = "Signed Up"
    SIGNED_IN = "Signed In"
    QUESTION_ANSWERED = "Question Answered"
    QUESTION_PASSED = "Question Passed"
    QUESTION_DECLINED = "Question Declined"
    QUESTION_LEFT_OPEN = "Question Left Open"
    PROFILE_CORRECTED = "Profile Corrected"
    STOPPED_SHARING = "Stopped Sharing"
    EARLIER_ACCESS_ENDED = "Earlier Access Ended"
    CREDENTIAL_CHANGED = "Account Credential Changed"


# Letters and digits that look like these Latin letters, after case folding: Cyrillic, Greek, Armenian and others.
LOOK_ALIKES = {
    "a": "аαɑ",
    "b": "ь",
    "c": "сϲᴄ",
    "d": "ԁժ",
    "e": "еҽε3",
    "g": "ɡցԍ",
    "h": "һհ",
    "i": "іιıɩӏ1l|ǀ",
    "k": "κкᴋ",
    "n": "ոռп",
    "o": "оοօσ0",
    "p": "рρ",
    "q": "ԛզ",
    "r": "гᴦ",
    "s": "ѕꜱ5$",
    "t": "тτ",
    "u": "υսцʋ",
    "v": "ѵν",
    "w": "ԝѡω",
    "x": "хχ",
    "y": "уүγ",
}
_TO_LATIN = {ord(other): latin for latin, others in LOOK_ALIKES.items() for other in others.casefold()}


def is_own_name(name: str) -> bool:
    """Return whether a name is one of ours to a reader: in any case, spacing or alphabet (`ѕigned‑IN`)."""
    return _remembered(name) if len(name) <= MAX_REMEMBERED else _reads_as_own(name)


def _reads_as_own(name: str) -> bool:
    """Read a name piece by piece, no further than our names go: one character may decompose into eighteen."""
    read = ""
    for start in range(0, len(name), PIECE):
        read += skeleton(name[start : start + PIECE])
        if len(read) > _LONGEST:
            return False
    return read in _OWN


def skeleton(name: str) -> str:
    """Return what a reader sees of a name: letters only, in lower case, look-alikes as Latin letters."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in decomposed.translate(_TO_LATIN) if letter.isalnum())


_OWN = frozenset(skeleton(each) for each in OwnEvent)
_LONGEST = max(map(len, _OWN))
_remembered = lru_cache(maxsize=1024)(_reads_as_own)  # a shop sends the same few names again and again
