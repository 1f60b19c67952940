"""Passkeys (WebAuthn): a key in the customer's device that signs for this server only, after finger, face or PIN.

What a browser is asked for waits in its session, so these work within a request only (allauth keeps it there).
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.webauthn.internal import auth
from cryptography.exceptions import InvalidSignature
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop
from fido2.utils import websafe_decode
from fido2.webauthn import AttestedCredentialData, AuthenticationResponse
from fido2.webauthn import UserVerificationRequirement as Verification

from regulars.base.errors import DomainError, Invalid
from regulars.base.json_reader import UnreadableJson, read_json
from regulars.base.text import storable

from ..models import Account
from .authenticator_codes import of_account

LARGEST = 20_000  # characters of a browser's answer
MOST = 10  # passkeys of one account
COUNTER = "sign_count"  # in a passkey's data: what its device counted to at the last signature
# A browser's response is untrusted: the library raises many kinds of errors for it.
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


class CopiedPasskey(DomainError):
    """`passkey` signed rightly, but its device counted backwards: two devices seem to have its key."""

    def __init__(self, passkey: Authenticator) -> None:
        super().__init__(
            "copied_passkey",
            gettext_noop(
                "This passkey was not accepted: it may have been copied. Sign in another way, remove it and add a new one."
            ),
        )
        self.passkey = passkey


def passkeys_of(account: Account) -> list[Authenticator]:
    """Passkeys of this account, and of accounts whose customers were merged into its customer."""
    found = Authenticator.objects.filter(of_account(account.pk), type=Authenticator.Type.WEBAUTHN)
    return list(found.select_related("user").order_by("pk"))


def options_to_add(account: Account) -> dict[str, Any]:
    """What the browser is asked to make, as `PublicKeyCredential.parseCreationOptionsFromJSON` reads it."""
    options: dict[str, Any] = auth.begin_registration(account, passwordless=True)["publicKey"]
    return dict(options)


def options_to_sign_in(account: Account | None = None) -> dict[str, Any]:
    """What the browser is asked to sign. Without an account any passkey of this server may answer."""
    server = auth.get_server()
    may_answer = [_credential(key) for key in passkeys_of(account)] if account else []
    # allauth's own `begin_authentication` knows one account's keys only; its levels are kept.
    verified = Verification.PREFERRED if account else Verification.REQUIRED
    options, state = server.authenticate_begin(credentials=may_answer, user_verification=verified)
    auth.set_state(state)
    return dict(dict(options)["publicKey"])


@transaction.atomic
def add(account: Account, answer: str, name: str) -> Authenticator:
    """Keep a new passkey. Raises `Invalid("bad_passkey")` or `Invalid("too_many_passkeys")`."""
    Account.objects.select_for_update().get(pk=account.pk)
    if len(passkeys_of(account)) >= MOST:
        raise Invalid("too_many_passkeys", f"You have {MOST} passkeys. Remove one first.")
    credential = _read(answer)
    try:
        auth.complete_registration(credential)
        made = auth.WebAuthn.add(account, storable(name.strip()[:60]) or "Passkey", storable(credential)).instance
    except MALFORMED:
        raise refused() from None
    RecoveryCodes.activate(account)
    return made


def check(answer: str, account: Account | None = None) -> Authenticator:
    """Return the passkey that signed: one of `account`, or of the account that it names. Raises `Invalid("bad_passkey")` or `CopiedPasskey`."""
    response = _read(answer)
    # A second factor may be a key without finger, face or PIN; such a key alone does not sign in.
    if account is None and (auth.get_state() or {}).get("user_verification") != Verification.REQUIRED:
        raise refused()
    try:
        if account:
            # The passkey may belong to another of the linked accounts.
            credential = websafe_decode(response["rawId"])
            keys = [key for key in passkeys_of(account) if _credential(key).credential_id == credential]
            owner = keys[0].user if keys else account
        else:
            owner = auth.extract_user_from_response(response)
        passkey: Authenticator = auth.complete_authentication(owner, response)
    except MALFORMED:
        raise refused() from None
    note_use(passkey, response)
    return passkey


def note_use(passkey: Authenticator, response: dict[str, Any]) -> None:
    """It signed `response`, which was found good. Raises `CopiedPasskey`."""
    if not _counts_on(passkey, AuthenticationResponse.from_dict(response).response.authenticator_data.counter):
        raise CopiedPasskey(passkey)


@transaction.atomic
def _counts_on(passkey: Authenticator, count: int) -> bool:
    """WebAuthn 7.2, step 22: a device that counts has counted on since the last time. Synchronised passkeys stay at 0."""
    held = Authenticator.objects.select_for_update().get(pk=passkey.pk)
    before = held.data.get(COUNTER, held.wrap().authenticator_data.counter)
    if (count or before) and count <= before:
        return False
    held.data[COUNTER], held.last_used_at = count, timezone.now()
    held.save(update_fields=["data", "last_used_at"])
    return True


def _credential(passkey: Authenticator) -> AttestedCredentialData:
    found: AttestedCredentialData = passkey.wrap().authenticator_data.credential_data
    return found


def _read(answer: str) -> dict[str, Any]:
    try:
        found = read_json(answer) if len(answer) <= LARGEST else None
    except UnreadableJson:
        found = None
    if not isinstance(found, dict):
        raise refused()
    return found


def refused() -> DomainError:
    return Invalid("bad_passkey", gettext_noop("This passkey was not accepted. Try again, or sign in another way."))
