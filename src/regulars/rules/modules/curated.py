"""The lock file of curated modules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PinnedModule:
    """A pinned package: `tarball` is its path at an npm registry, `entry` the main file ("": as in package.json)."""

    name: str
    version: str
    integrity: str
    tarball: str
    licence: str = ""
    entry: str = ""


CURATED: dict[str, PinnedModule] = {
    one["name"]: PinnedModule(**one) for one in json.loads((Path(__file__).parent / "curated.json").read_text())
}
