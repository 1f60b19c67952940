"""allauth's adapter for second factors: encrypted secrets, and one name of this server everywhere."""

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
        return server_host()

    def get_totp_label(self, user: Account) -> str:
        return known_as(user)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys belong to the host of `REGULARS_URL`: moving it to another host makes them useless."""
        return {"id": server_host(), "name": server_host()}

    def get_public_key_credential_user_entity(self, user: Account) -> dict[str, Any]:
        name = known_as(user)
        return {**super().get_public_key_credential_user_entity(user), "display_name": name, "name": name}


def server_host() -> str:
    return urlsplit(settings.PUBLIC_URL).hostname or "localhost"


def known_as(account: Account) -> str:
    """Return the name by which a customer recognises the account in a list."""
    document: dict[str, Any] = getattr(getattr(account, "profile", None), "document", {})
    return str(account.email or document.get("email") or document.get("name") or "customer")
