"""Whether a password is in a list of breached ones: SHA-1 hashes in order, as Have I Been Pwned publishes them.

The file may have a thousand million lines: it is searched by halves and never read as a whole. Nothing leaves the machine.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


def is_listed(password: str, list_: Path) -> bool:
    """`list_` has lines `<40 hex digits>:<count>` or the digits alone, sorted. `OSError` when it cannot be read."""
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    with list_.open("rb") as file:
        low, high = 0, file.seek(0, 2)
        while low < high:
            middle = (low + high) // 2
            # The first line that begins at `middle` or after.
            file.seek(max(middle - 1, 0))
            if middle:
                file.readline()
            line = file.readline()
            here = line[:40].upper()
            if here == digest:
                return True
            if here and here < digest:
                low = file.tell()
            else:
                high = middle
    return False
