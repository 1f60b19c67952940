"""The purposes every business starts with. Words are short because people read them on a phone."""

from __future__ import annotations

from hashlib import sha256

from regulars.base.kit.errors import Refused

from .models import Notice, Purpose

STANDARD = (
    ("serve", "Your account", "To sign you in and to serve your account.", "contract", "serve"),
    ("personalise", "A shop that fits you", "To show you things that fit you.", "consent", "personalise"),
    (
        "measure",
        "Understanding our customers",
        "To count and understand our customers as a group.",
        "legitimate_interest",
        "measure",
    ),
    ("message", "News by e-mail", "To write to you about things you may like.", "consent", "message"),
    (
        "enrich",
        "Filling the gaps",
        "To look up public information about you from the companies we name.",
        "consent",
        "enrich",
    ),
    ("share", "Sharing with partners", "To share what we know with the partners we name.", "consent", "share"),
)


def ensure_standard_purposes() -> None:
    """Insert what is missing; never overwrite an operator's words."""
    for key, label, text, basis, kind in STANDARD:
        Purpose.objects.get_or_create(key=key, defaults={"label": label, "text": text, "basis": basis, "kind": kind})


def get_purpose(key: str) -> Purpose:
    """The active purpose; `Refused("unknown_purpose")` otherwise. Nothing that uses facts may go on without one."""
    purpose = Purpose.objects.filter(key=key, active=True).first()
    if purpose is None:
        raise Refused("unknown_purpose", f"There is no active purpose called {key!r}.")
    return purpose


def get_or_create_notice(purpose: Purpose, body: str = "", locale: str = "en") -> Notice:
    """The words shown, kept once however often they are shown."""
    body = body or purpose.text
    digest = sha256(f"{purpose.key}\n{purpose.version}\n{locale}\n{body}".encode()).hexdigest()
    notice, _ = Notice.objects.get_or_create(
        hash=digest, defaults={"purpose": purpose, "version": purpose.version, "locale": locale, "body": body}
    )
    return notice
