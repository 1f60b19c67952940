"""Login tickets: from an app's own sign-in form to a session with us, for the browser and app that asked, once."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from django.utils import timezone

from regulars.base.crypto import fingerprint, random_secret
from regulars.clients.models import Client

from ..models import Account
from .models import LoginTicket

LIVES = dt.timedelta(seconds=60)


@dataclass(frozen=True)
class Proof:
    """The account and its authentication method in allauth's word; for `mfa` also the passkey."""

    account: Account
    method: str
    passkey: Authenticator | None = None


def may_embed(client: Client) -> bool:
    """Return whether the app may show its own sign-in form. This is off until it is switched on for the app."""
    return client.embeds_login


def give(proof: Proof, client: Client, origin: str, browser: str) -> str:
    """Issue a ticket for the account of `proof`. `browser` is a secret that only the browser holds."""
    LoginTicket.objects.filter(expires_at__lt=timezone.now()).delete()
    ticket = random_secret(43)
    LoginTicket.objects.create(
        hash=fingerprint(ticket),
        account=proof.account,
        client=client,
        origin=origin,
        browser=fingerprint(browser),
        method=proof.method,
        passkey=proof.passkey,
        expires_at=timezone.now() + LIVES,
    )
    return ticket


def take(ticket: str, client_id: str, browser: str, origin: str = "") -> LoginTicket | None:
    """The ticket, for the first who shows it, from the browser it was given to. `origin`, where known, must be the same."""
    found = LoginTicket.objects.filter(
        hash=fingerprint(ticket), client=client_id, browser=fingerprint(browser), expires_at__gt=timezone.now()
    )
    row = found.select_related("account").first()
    if row is None or (origin and origin != row.origin) or not found.delete()[0]:
        return None
    return row
