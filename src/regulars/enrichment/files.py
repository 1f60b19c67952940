"""Tables and databases that a source reads from this machine: the operator's file, or the sample that comes with us."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from regulars.base.errors import Invalid

from .source import LookupFailed

Table = TypeVar("Table")
SAMPLES = Path(__file__).parent / "data"


def check_file(path: str) -> None:
    """`Invalid("no_such_file")`; an empty path stands for the sample."""
    try:
        missing = bool(path) and not Path(path).is_file()
    except (OSError, ValueError):
        missing = True
    if missing:
        raise Invalid("no_such_file", "There is no such file on this machine.")


def loaded(read: Callable[[Path], Table], path: str, sample: str = "") -> Table:
    """What `read` makes of the file, kept until the file changes. Raises `LookupFailed("cannot_read")`."""
    file = Path(path) if path else SAMPLES / sample
    try:
        return _kept(read, file, file.stat().st_mtime_ns)  # type: ignore[return-value]
    except (OSError, ValueError, UnicodeError) as fault:
        raise LookupFailed(
            "cannot_read", f"The file cannot be read ({type(fault).__name__}).", permanent=True
        ) from None


@lru_cache(maxsize=8)
def _kept(read: Callable[[Path], object], file: Path, changed: int) -> object:
    return read(file)
