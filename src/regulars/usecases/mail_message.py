"""Write a mail as a text and an HTML part, in the name and the colours of an app.

A mail loads nothing when it is opened: no picture, no font, no style sheet. So no server learns that it was read.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from email.utils import formataddr, parseaddr
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from regulars.clients import branding
from regulars.clients.branding import Branding
from regulars.clients.models import Client
from regulars.consent.refusal_links import link_of_address

ISOLATE, POP = "\u2068", "\u2069"  # Unicode's first strong isolate, and its end


@dataclass(frozen=True)
class Part:
    """A paragraph, perhaps with a link, whose `button` says what it does. `is_code`: digits to type."""

    text: str = ""
    link: str = ""
    button: str = ""
    is_code: bool = False


@dataclass(frozen=True)
class Sender:
    """Who writes: an app of the business, or Regulars' own host where no app is known."""

    name: str
    branding: Branding

    @classmethod
    def of(cls, client_id: str) -> Sender:
        """Return the app. A third party's name never stands in a mail: it could pose as another company there."""
        client = Client.objects.filter(pk=client_id, first_party=True).first() if client_id else None
        if client is None:
            return cls(_host(), Branding())
        found = branding.branding_of(client)
        return cls(" ".join((found.title or client.name).split()) or _host(), found)


@dataclass(frozen=True)
class Colours:
    """The colours of a mail, for light or for dark. All text on them has a contrast of at least `branding.READABLE`."""

    accent: str
    on_accent: str
    link: str
    page: str
    card: str
    text: str
    muted: str


def light(of: Branding) -> Colours:
    palette = branding.light(of)
    page = palette.page or "#f1f3f7"
    return Colours(palette.accent, palette.on_accent, palette.link, page, branding.CARD, "#0f172a", "#475569")


def dark(of: Branding) -> Colours:
    palette = branding.dark(of)
    page = palette.page or "#0b1120"
    return Colours(palette.accent, palette.on_accent, palette.link, page, branding.CARD_DARK, "#e2e8f0", "#a3b1c6")


def new_mail_id() -> str:
    return uuid.uuid4().hex


def write_mail(to: str, subject: str, parts: list[Part], sender: Sender, mail_id: str = "") -> EmailMultiAlternatives:
    """Return the mail in the language that is active.

    `mail_id` becomes its Message-ID. A worker that is killed between the mail server's yes and its own record sends the mail
    again: by the id the receiving side knows that it is the same one. Empty: one of its own.
    """
    bidi = translation.get_language_bidi()
    legal = ((_("Terms"), sender.branding.terms), (_("Privacy"), sender.branding.privacy))
    context = {
        "subject": subject,
        "parts": parts,
        "site": sender.name,
        "host": _host(),
        "language": translation.get_language() or settings.LANGUAGE_CODE,
        "direction": "rtl" if bidi else "ltr",
        "start": "right" if bidi else "left",
        "light": light(sender.branding),
        "dark": dark(sender.branding),
        "legal": [(label, urljoin(settings.PUBLIC_URL, address)) for label, address in legal if address],
    }
    mail = EmailMultiAlternatives(
        subject,
        render_to_string("accounts/mail/message.txt", context),
        _from(sender),
        [to],
        headers={
            "Auto-Submitted": "auto-generated",  # RFC 3834: out-of-office replies stay away
            # RFC 8058: the button of the mail program. It ends advertising; codes and notices of the account still come.
            "List-Unsubscribe": f"<{link_of_address(to)}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            **({"Message-ID": f"<{mail_id}@{urlsplit(settings.PUBLIC_URL).hostname}>"} if mail_id else {}),
        },
    )
    mail.attach_alternative(render_to_string("accounts/mail/message.html", context), "text/html")
    return mail


def isolated(text: str) -> str:
    """Keep a name or an address in its own direction within a sentence that is read from right to left."""
    return f"{ISOLATE}{text}{POP}" if translation.get_language_bidi() else text


def _from(sender: Sender) -> str:
    """Return the address of the settings, under the app's name unless the settings have one."""
    name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return formataddr((name or sender.name, address)) if address else settings.DEFAULT_FROM_EMAIL


def _host() -> str:
    return urlsplit(settings.PUBLIC_URL).netloc
