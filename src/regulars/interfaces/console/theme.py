"""Light, dark, or whatever the system says: remembered in a cookie."""

from __future__ import annotations

from django.http import HttpRequest

COOKIE = "regulars_theme"
THEMES = ("", "light", "dark")


def theme_of(request: HttpRequest) -> str:
    """The chosen theme; empty when the system decides."""
    chosen = request.COOKIES.get(COOKIE, "")
    return chosen if chosen in THEMES else ""
