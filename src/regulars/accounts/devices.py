"""Browsers of customers: their names for people, and which customers have signed in with one before.

A browser carries the latter itself, in a signed cookie, so that a page asks no table that an unknown address is not in.
What others attempt does not count against a known browser (`rate_limits`); it opens nothing by itself.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from django.core import signing
from django.utils.crypto import salted_hmac

from regulars.base.crypto import random_secret
from regulars.base.email_address import canonical_email

# The first that occurs wins: most browsers name the others too.
BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "Mac",
    "Linux": "Linux",
}


def device(user_agent: str) -> str:
    """`Firefox on Windows`; `A browser` when the user agent names none."""
    browser = next((name for mark, name in BROWSERS.items() if mark in user_agent), "A browser")
    system = next((name for mark, name in SYSTEMS.items() if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser


REMEMBERED = dt.timedelta(days=400)  # the longest that browsers keep a cookie
MOST_ADDRESSES = 10  # of one browser that several customers share


class Site(StrEnum):
    """Where a browser signs in. Staff's browsers are known apart from those of customers."""

    LOGIN = "login"
    CONSOLE = "console"


@dataclass(frozen=True)
class KnownBrowser:
    """A browser with the addresses that signed in there, as keyed hashes, the latest first."""

    site: Site
    id: str
    addresses: tuple[str, ...] = ()

    def knows(self, email: str) -> bool:
        return _hash(self.site, email) in self.addresses

    def after_sign_in(self, email: str) -> KnownBrowser:
        """Return the browser with one more address."""
        latest = _hash(self.site, email)
        others = [each for each in self.addresses if each != latest]
        return KnownBrowser(self.site, self.id, (latest, *others[: MOST_ADDRESSES - 1]))

    def seal(self) -> str:
        return signing.dumps([self.id, *self.addresses], salt=f"regulars.browser.{self.site}")


def new_browser(site: Site) -> KnownBrowser:
    return KnownBrowser(site, random_secret(22))


def open_browser(site: Site, sealed: str) -> KnownBrowser | None:
    """Return the browser of a cookie; None for one that was changed, is too old or is of the other site."""
    try:
        id_, *addresses = signing.loads(sealed, salt=f"regulars.browser.{site}", max_age=REMEMBERED)
    except signing.BadSignature:
        return None
    return KnownBrowser(site, id_, tuple(addresses))


def _hash(site: Site, email: str) -> str:
    return salted_hmac(f"regulars.browser.{site}", canonical_email(email).lower(), algorithm="sha256").hexdigest()[:24]
