"""Passkeys on a page of an app: the page asks, and the browser signs the origin of the page that was used.

What was asked is not kept here: it travels sealed, comes back with the answer, and is good for one answer.
"""

from __future__ import annotations

import json
import time
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth
from django.core import signing
from fido2.server import Fido2Server
from fido2.webauthn import PublicKeyCredentialRpEntity, UserVerificationRequirement

from regulars.base.tokens.single_use import consume_jti

from ..models import Account
from .passkeys import LARGEST, MALFORMED, note_use, refused

SALT = "regulars.passkeys_in_apps"
LIVES = 15 * 60  # seconds: the offer beside the e-mail field waits as long as the page is open


def ask(client_id: str, origin: str) -> tuple[str, dict[str, Any]]:
    """The sealed question, and what the browser must sign, as `PublicKeyCredential.parseRequestOptionsFromJSON` reads it."""
    options, state = _server(origin).authenticate_begin([], UserVerificationRequirement.REQUIRED)
    asked = {"state": state, "client": client_id, "origin": origin}
    return signing.dumps(asked, salt=SALT), dict(dict(options)["publicKey"])


def check(question: str, answer: dict[str, Any], client_id: str, origin: str) -> Authenticator:
    """The passkey that signed on a page of this app at this origin. Raises `Invalid("bad_passkey")` or `CopiedPasskey`."""
    try:
        asked = signing.loads(question, salt=SALT, max_age=LIVES)
    except signing.BadSignature:
        raise refused() from None
    if (asked["client"], asked["origin"]) != (client_id, origin) or len(json.dumps(answer)) > LARGEST:
        raise refused()
    try:
        owner: Account = auth.extract_user_from_response(answer)
        credential = _server(origin).authenticate_complete(asked["state"], auth.get_credentials(owner), answer)
    except MALFORMED:
        raise refused() from None
    passkey: Authenticator | None = auth.get_authenticator_by_credential_id(owner, credential.credential_id)
    if passkey is None or not consume_jti(f"passkey:{asked['state']['challenge']}", time.time() + LIVES):
        raise refused()
    note_use(passkey, answer)
    return passkey


def _server(origin: str) -> Fido2Server:
    """allauth's takes what was signed at our own host; this one what was signed at exactly this origin."""
    relying_party = PublicKeyCredentialRpEntity(**get_adapter().get_public_key_credential_rp_entity())
    return Fido2Server(relying_party, verify_origin=lambda signed_at: bool(signed_at == origin))
