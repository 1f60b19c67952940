"""The browser's drawing library, made of the wheel we already have: no node, no other host."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import version
from pathlib import Path


def drawing_script(folder: Path) -> Path:
    """A file in `folder` with vega, vega-lite and vega-embed; bundled on first use (1.5 s), kept by the wheel's version."""
    made = folder / f"vega-{version('vl-convert-python')}.js"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = made.with_suffix(f".{os.getpid()}.part")
        part.write_text(import_module("vl_convert").javascript_bundle(), encoding="utf-8")
        part.replace(made)  # whole or not at all: another process may be serving it
    return made
