"""Cells that stay text in whatever opens them."""

from __future__ import annotations

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def escaped(value: str) -> str:
    """A cell that no spreadsheet reads as a formula: a customer who calls herself `=HYPERLINK(…)` stays text."""
    return f"'{value}" if value.lstrip(" \0").startswith(FORMULA_STARTS) else value
