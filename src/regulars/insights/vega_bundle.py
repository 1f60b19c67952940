"""Bundle the browser's drawing library from the installed wheel, without Node and without another host."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import version
from pathlib import Path


def vega_bundle(folder: Path) -> Path:
    """Return a file in `folder` with vega, vega-lite and vega-embed, bundled on first use (1.5 s) and kept per version."""
    made = folder / f"vega-{version('vl-convert-python')}.js"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = made.with_suffix(f".{os.getpid()}.part")
        part.write_text(import_module("vl_convert").javascript_bundle(), encoding="utf-8")
        part.replace(made)  # atomic: another process may be serving it
    return made
