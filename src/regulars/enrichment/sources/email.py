"""Kind and domain of an e-mail address: a company's, a free provider's or a disposable one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from disposable_email_domains import blocklist
from email_validator import EmailNotValidError, validate_email

from ..source import EnrichmentSource

FREE = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "yahoo.com",
        "ymail.com",
        "icloud.com",
        "me.com",
        "mac.com",
        "aol.com",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "gmx.at",
        "gmx.ch",
        "web.de",
        "t-online.de",
        "freenet.de",
        "mail.com",
        "mail.ru",
        "yandex.ru",
        "yandex.com",
        "proton.me",
        "protonmail.com",
        "pm.me",
        "tutanota.com",
        "tuta.com",
        "zoho.com",
        "fastmail.com",
        "hey.com",
        "orange.fr",
        "wanadoo.fr",
        "free.fr",
        "laposte.net",
        "sfr.fr",
        "libero.it",
        "virgilio.it",
        "tiscali.it",
        "sapo.pt",
        "uol.com.br",
        "bol.com.br",
        "terra.com.br",
        "qq.com",
        "163.com",
        "126.com",
        "naver.com",
        "daum.net",
        "hanmail.net",
        "rediffmail.com",
        "seznam.cz",
        "wp.pl",
        "o2.pl",
        "onet.pl",
        "interia.pl",
        "comcast.net",
        "verizon.net",
        "att.net",
        "sbcglobal.net",
        "cox.net",
        "btinternet.com",
        "sky.com",
        "bluewin.ch",
        "telenet.be",
        "ziggo.nl",
        "kpnmail.nl",
    ]
)


class EmailSource(EnrichmentSource):
    title = "E-mail address"
    help = "Whether the address is a company's, a free provider's or a disposable one. No call is made."
    needs = ("email",)
    gives = ("email_kind", "email_domain")
    purpose = "serve"
    is_local = True
    source_kind = "inferred"
    confidence = 0.9
    fresh_days, nothing_days = 90, 90

    def question(self, traits: Mapping[str, Any]) -> str | None:
        """Return the normalised address: small domain in its Unicode form, no comment, no display name."""
        email = traits.get("email")
        if not isinstance(email, str) or len(email) > 254:
            return None
        try:
            return validate_email(email.strip(), check_deliverability=False).normalized
        except EmailNotValidError:
            return None

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, str]:
        domain = question.rpartition("@")[2].lower()
        return {"email_kind": kind_of(domain), "email_domain": domain}


def kind_of(domain: str) -> str:
    """Return `disposable`, `free` or `company` (anything with a domain of its own)."""
    parents = {domain, ".".join(domain.split(".")[-2:])}
    return "disposable" if parents & blocklist else "free" if domain in FREE else "company"


email = EmailSource()
