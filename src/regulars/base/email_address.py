"""One form of each e-mail address: the domain in ASCII, as DNS and mail servers read it (RFC 5891, UTS 46)."""

from __future__ import annotations

import idna

from .text import storable

LONGEST = 254  # characters of an address (RFC 5321); a longer one is left alone
LONGEST_LABEL = 63  # octets between two dots (RFC 1035)
PREFIX = "xn--"


def canonical_email(email: str) -> str:
    """Return the address without spaces around it and with its domain in ASCII and lower case.

    `anna@bücher.example` and `anna@XN--bcher-kva.example` are both `anna@xn--bcher-kva.example`. The part before the `@`
    is left as it is: only its server knows what it reads alike. What is no address comes back stripped.
    """
    email = storable(email.strip())
    local, at, domain = email.rpartition("@")
    if not at or len(email) > LONGEST:
        return email
    canonical = f"{local}@{canonical_domain(domain)}"
    return canonical if len(canonical) <= LONGEST else email


def canonical_domain(domain: str) -> str:
    """Return the domain in ASCII and lower case; one that IDNA cannot write is only put in lower case."""
    if domain.isascii() and PREFIX not in domain.lower():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        pass
    # Not allowed by IDNA 2008, and in use all the same: a domain of emoji, a label with an underscore.
    try:
        labels = idna.uts46_remap(domain, std3_rules=False).split(".")
        labels = [label if label.isascii() else PREFIX + label.encode("punycode").decode() for label in labels]
    except (idna.IDNAError, UnicodeError):
        return domain.lower()
    return ".".join(labels) if max(map(len, labels)) <= LONGEST_LABEL else domain.lower()


def readable_email(email: str) -> str:
    """Return the address for people: a domain in Unicode where that form leads back to the same domain."""
    local, at, domain = email.rpartition("@")
    if PREFIX not in domain.lower():
        return email
    try:
        unicode_form = idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return email
    return f"{local}{at}{unicode_form}" if canonical_domain(unicode_form) == domain.lower() else email


def address_key(email: str) -> str:
    """Return the form in which an address belongs to one account: only ASCII letters ignore case, as when one signs in."""
    return canonical_email(email).encode().lower().decode()
