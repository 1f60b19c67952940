"""Names of the events that Regulars records itself: the history that staff, charts and conditions rely on.

A write key is public. Under these names nothing is taken from collectors, however they are written.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum

OWN_SOURCE = "regulars"  # the slug under which own events are shown; no source may have it


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
    return skeleton(name) in _OWN


def skeleton(name: str) -> str:
    """Return what a reader sees of a name: letters only, in lower case, look-alikes as Latin letters."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in decomposed.translate(_TO_LATIN) if letter.isalnum())


_OWN = frozenset(skeleton(each) for each in OwnEvent)
