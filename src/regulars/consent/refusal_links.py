"""Signed links by which a customer says no without signing in: in mails of ours, and for the mails of destinations.

A link is encrypted: its address names no one. It does not expire, because people press it years later; it means the
customer that a profile is by then, and nothing once they were erased.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from regulars.base.crypto import decrypt, encrypt
from regulars.base.errors import DomainError, NotFound
from regulars.profiles.contacts import EMAIL, contact_of, holders_of
from regulars.profiles.find import canonical_profile
from regulars.profiles.models import Profile

from .erasures import erased_among
from .models import Purpose

KIND = "refuse"  # what else this key encrypts is no link
PATH = "/unsubscribe/"


@dataclass(frozen=True)
class RefusalLink:
    """What a link is good for: a profile, or the holders of an address, and a purpose; None: any advertising."""

    profile: Profile | None
    contacts: frozenset[str]
    purpose: Purpose | None


def link_of_profile(profile: Profile, purpose: Purpose) -> str:
    """Return the link for mails about one purpose that a destination sends to this customer."""
    return _link({"profile": profile.pk, "purpose": purpose.key})


def link_of_address(email: str) -> str:
    """Return the link for our own mails to an address, which may be no customer's yet: it closes any advertising."""
    return _link({"email": contact_of(EMAIL, email) or email})


def open_link(token: str) -> RefusalLink:
    """Return what a link is good for. Raises `NotFound`: `bad_link`, `customer_erased`."""
    try:
        content = decrypt(token)
    except (DomainError, ValueError):
        content = None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise NotFound("bad_link", "This link is not complete.")
    if email := content.get("email"):
        contacts = frozenset({str(email)})
        holders = holders_of(contacts)
        if not holders and erased_among([f"email|{email}"]):
            raise NotFound("customer_erased", "This customer was erased.")
        return RefusalLink(None, contacts, None)
    found = Profile.objects.filter(pk=int(content.get("profile") or 0)).select_related("merged_into").first()
    if found is None:
        raise NotFound("customer_erased", "This customer was erased.")
    profile = canonical_profile(found)
    contact = contact_of(EMAIL, profile.document.get("email"))
    # A purpose that is not used any more: what the customer does not want is then any advertising.
    purpose = Purpose.objects.filter(key=content.get("purpose"), active=True).exclude(basis=Purpose.Basis.CONTRACT)
    return RefusalLink(profile, frozenset({contact} if contact else ()), purpose.first())


def _link(content: dict[str, object]) -> str:
    return f"{settings.PUBLIC_URL}{PATH}{encrypt({'kind': KIND, **content})}"
