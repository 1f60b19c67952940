"""Escape cells that a spreadsheet would run as a formula."""

from __future__ import annotations

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def escaped(value: str) -> str:
    """Return the cell as text: a customer whose name is `=HYPERLINK(…)` must not run a formula on staff machines."""
    return f"'{value}" if value.lstrip(" \0").startswith(FORMULA_STARTS) else value
