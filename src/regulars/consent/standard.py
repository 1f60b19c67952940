"""Names and texts of the standard purposes, short because customers read them on a phone."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext, gettext_noop, override

# key, label, text, basis, kind
STANDARD = (
    (
        "serve",
        gettext_noop("Your account"),
        gettext_noop("To sign you in and to serve your account."),
        "contract",
        "serve",
    ),
    (
        "personalise",
        gettext_noop("A shop that fits you"),
        gettext_noop("To show you things that fit you."),
        "consent",
        "personalise",
    ),
    (
        "measure",
        gettext_noop("Understanding our customers"),
        gettext_noop("To count and understand our customers as a group."),
        "legitimate_interest",
        "measure",
    ),
    (
        "message",
        gettext_noop("News by e-mail"),
        gettext_noop("To write to you about things you may like."),
        "consent",
        "message",
    ),
    (
        "enrich",
        gettext_noop("Filling the gaps"),
        gettext_noop("To look up public information about you from the companies we name."),
        "consent",
        "enrich",
    ),
    (
        "share",
        gettext_noop("Sharing with partners"),
        gettext_noop("To share what we know with the partners we name."),
        "consent",
        "share",
    ),
)


def in_every_language(label: str, text: str) -> dict[str, dict[str, str]]:
    """Return `{"de": {"label", "text"}, …}` for every language of the pages but English; `pt-br` is stored as `pt`."""
    translated = {}
    for code, _ in settings.LANGUAGES:
        if code != "en":
            with override(code):
                translated[code.partition("-")[0]] = {"label": gettext(label), "text": gettext(text)}
    return translated
