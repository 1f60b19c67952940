"""Passkeys (WebAuthn): a key in her device that opens only for this house, after her finger, face or PIN.

What a browser is asked for waits in its session, so these work within a request only (allauth keeps it there).
"""

from __future__ import annotations

import json
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.webauthn.internal import auth
from cryptography.exceptions import InvalidSignature
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from regulars.base.kit.errors import Refused
from regulars.base.kit.text import storable

from ..models import Account

LARGEST = 20_000  # characters of a browser's answer
MOST = 10  # passkeys of one account
# A browser's answer is a stranger's: the library names what is wrong with it in many ways.
MALFORMED = (
    ValidationError,
    InvalidSignature,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    LookupError,
)


def passkeys_of(account: Account) -> list[Authenticator]:
    return list(Authenticator.objects.filter(user=account, type=Authenticator.Type.WEBAUTHN).order_by("pk"))


def options_to_add(account: Account) -> dict[str, Any]:
    """What the browser is asked to make, as `PublicKeyCredential.parseCreationOptionsFromJSON` reads it."""
    options: dict[str, Any] = auth.begin_registration(account, passwordless=True)["publicKey"]
    return dict(options)


def options_to_sign_in(account: Account | None = None) -> dict[str, Any]:
    """What the browser is asked to sign. Without an account any passkey of this house may answer."""
    options: dict[str, Any] = auth.begin_authentication(account)["publicKey"]
    return dict(options)


@transaction.atomic
def add(account: Account, answer: str, name: str) -> Authenticator:
    """Keep a new passkey. Raises `Refused("bad_passkey")` or `Refused("too_many_passkeys")`."""
    Account.objects.select_for_update().get(pk=account.pk)
    if len(passkeys_of(account)) >= MOST:
        raise Refused("too_many_passkeys", f"You have {MOST} passkeys. Remove one first.")
    credential = _read(answer)
    try:
        auth.complete_registration(credential)
        made = auth.WebAuthn.add(account, storable(name.strip()[:60]) or "Passkey", storable(credential)).instance
    except MALFORMED:
        raise _refused() from None
    RecoveryCodes.activate(account)
    return made


def check(answer: str, account: Account | None = None) -> Authenticator:
    """The passkey that signed, of `account` or of whoever it says. Raises `Refused("bad_passkey")`."""
    response = _read(answer)
    try:
        whose = account or auth.extract_user_from_response(response)
        passkey: Authenticator = auth.complete_authentication(whose, response)
    except MALFORMED:
        raise _refused() from None
    Authenticator.objects.filter(pk=passkey.pk).update(last_used_at=timezone.now())
    return passkey


def _read(answer: str) -> dict[str, Any]:
    try:
        found = json.loads(answer[: LARGEST + 1]) if len(answer) <= LARGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _refused()
    return found


def _refused() -> Refused:
    return Refused("bad_passkey", "This passkey was not accepted. Try again, or sign in another way.")
