"""The lock file, read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Locked:
    """A package, pinned: `tarball` is its path at any npm registry, `entry` the file to begin with ("": as it says)."""

    name: str
    version: str
    integrity: str
    tarball: str
    licence: str = ""
    entry: str = ""


CURATED: dict[str, Locked] = {
    one["name"]: Locked(**one) for one in json.loads((Path(__file__).parent / "curated.json").read_text())
}
