"""allauth's second factors, as this house wants them: secrets encrypted, one name for the house everywhere."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings

from regulars.base import crypto

from ..models import Account


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    def encrypt(self, text: str) -> str:
        return crypto.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return str(crypto.decrypt(encrypted_text))

    def get_totp_issuer(self) -> str:
        return house()

    def get_totp_label(self, user: Account) -> str:
        return known_as(user)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys belong to the host of `REGULARS_URL`: whoever moves it elsewhere makes them useless."""
        return {"id": house(), "name": house()}

    def get_public_key_credential_user_entity(self, user: Account) -> dict[str, Any]:
        name = known_as(user)
        return {**super().get_public_key_credential_user_entity(user), "display_name": name, "name": name}


def house() -> str:
    return urlsplit(settings.PUBLIC_URL).hostname or "localhost"


def known_as(account: Account) -> str:
    """What she recognises herself by in a list of accounts."""
    document: dict[str, Any] = getattr(getattr(account, "profile", None), "document", {})
    return str(account.email or document.get("email") or document.get("name") or "customer")
