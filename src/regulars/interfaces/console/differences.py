"""What changed between two JSON objects, path by path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_NOTHING = object()


@dataclass(frozen=True)
class Difference:
    """`path` is dotted: `app_metadata.tier`. A side that was or is not there is empty, and `kind` says which."""

    path: str
    kind: str  # "added" "taken away" "changed"
    before: Any = ""
    after: Any = ""


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Objects are compared key by key, everything else as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            inner = f"{path}.{key}" if path else key
            yield from differences(before.get(key, _NOTHING), after.get(key, _NOTHING), inner)
    elif before is _NOTHING:
        yield Difference(path, "added", after=after)
    elif after is _NOTHING:
        yield Difference(path, "taken away", before=before)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield Difference(path, "changed", before, after)
