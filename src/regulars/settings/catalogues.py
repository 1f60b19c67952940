"""The catalogues of what customers read: kept as .po, compiled into the home folder by whoever finds them newer.

Compiled here and not with msgfmt: a bare machine has none, and the package's own folder may not be ours to write.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCES = Path(__file__).parents[1] / "locale"
PLACE = Path("LC_MESSAGES")


def compiled(home: Path) -> list[str]:
    """Django's LOCALE_PATHS."""
    target = home / "locale"
    for source in sorted(SOURCES.glob("*/LC_MESSAGES/django.po")):
        made = target / source.relative_to(SOURCES).with_suffix(".mo")
        if not made.exists() or made.stat().st_mtime_ns < source.stat().st_mtime_ns:
            _compile(source, made)
    return [str(target)]


def _compile(source: Path, made: Path) -> None:
    """Whole or not at all: another process may read it at this moment. It takes the age of what it was made from."""
    made.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as file:
        catalogue = read_po(file)
    with NamedTemporaryFile(dir=made.parent, delete=False) as draft:
        write_mo(draft, catalogue)
    age = source.stat()
    os.utime(draft.name, ns=(age.st_atime_ns, age.st_mtime_ns))
    Path(draft.name).replace(made)
