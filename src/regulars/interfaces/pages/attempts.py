"""Attempts that a request makes, under the limits of its browser: known to the customer, or not."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from regulars.accounts.devices import REMEMBERED, KnownBrowser, Site, new_browser, open_browser
from regulars.accounts.models import Account
from regulars.accounts.rate_limits import Attempt

from .signed_in import client_ip

COOKIES = {Site.LOGIN: ("regulars_browser", "/"), Site.CONSOLE: ("regulars_staff_browser", "/console")}  # name, path


def attempt_of(
    request: HttpRequest, action: str, subject: str, *, email: str | None = None, site: Site = Site.LOGIN
) -> Attempt:
    """Return the attempt of this request. `email` is the address that a known browser is known by: else the subject."""
    browser = _browser(request, site)
    known = browser is not None and browser.knows(subject if email is None else email)
    return Attempt(action, subject, client_ip(request), browser.id if browser and known else "")


def second_factor_attempt(request: HttpRequest, account: Account, site: Site = Site.LOGIN) -> Attempt:
    """Return an attempt at the second factor of this account, which has no address of its own."""
    return attempt_of(request, "second", f"account {account.pk}", email=account.email, site=site)


def remember_browser(request: HttpRequest, response: HttpResponse, *emails: str, site: Site = Site.LOGIN) -> None:
    """Let the browser carry that the customer with these addresses signed in there."""
    browser = _browser(request, site) or new_browser(site)
    for email in filter(None, emails):
        browser = browser.after_sign_in(email)
    name, path = COOKIES[site]
    response.set_cookie(
        name,
        browser.seal(),
        max_age=int(REMEMBERED.total_seconds()),
        path=path,
        httponly=True,
        samesite="Lax",
        secure=settings.SECURE,
    )


def _browser(request: HttpRequest, site: Site) -> KnownBrowser | None:
    return open_browser(site, request.COOKIES.get(COOKIES[site][0], ""))
