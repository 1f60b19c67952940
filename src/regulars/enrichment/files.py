"""Sources that read a table or database on this machine: the operator's file, or the sample that is included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from regulars.base.errors import Invalid

from .source import EnrichmentSource, LookupFailed

Table = TypeVar("Table")
SAMPLES = Path(__file__).parent / "data"


class TableSource(EnrichmentSource):
    """A source about areas, out of a table: `sample` is the file included, `read` maps its keys to attributes."""

    sample: str = ""
    purpose = "measure"
    is_about_areas = True
    is_local = True
    source_kind = "inferred"
    fresh_days = 180

    @staticmethod
    def read(path: Path) -> Mapping[str, Mapping[str, Any]]:
        """Return question → attribute → value of every row."""
        raise NotImplementedError

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("no_such_file")`."""
        check_file(settings["file"])

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, Any]:
        return loaded(self.read, settings["file"], self.sample).get(question, {})


def check_file(path: str) -> None:
    """`Invalid("no_such_file")`; an empty path stands for the sample."""
    try:
        missing = bool(path) and not Path(path).is_file()
    except (OSError, ValueError):
        missing = True
    if missing:
        raise Invalid("no_such_file", "There is no such file on this machine.")


def loaded(read: Callable[[Path], Table], path: str, sample: str = "") -> Table:
    """Return what `read` makes of the file, cached until the file changes. Raises `LookupFailed("cannot_read")`."""
    file = Path(path) if path else SAMPLES / sample
    try:
        return _cached(read, file, file.stat().st_mtime_ns)  # type: ignore[return-value]
    except (OSError, ValueError, UnicodeError) as fault:
        sentence = f"The file cannot be read ({type(fault).__name__})."
        raise LookupFailed("cannot_read", sentence, permanent=True) from None


@lru_cache(maxsize=8)
def _cached(read: Callable[[Path], object], file: Path, changed: int) -> object:
    return read(file)
