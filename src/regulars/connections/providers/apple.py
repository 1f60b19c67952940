"""Apple: the ID token holds everything, the name comes once and by a form, and the secret is a token we sign."""

from __future__ import annotations

import time
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from regulars.base.errors import Invalid
from regulars.base.plugins.fields import SettingField

from ..provider import Credentials, Provider, ProviderClaim, ProviderRequest, Raw, Settings, UpstreamGrant
from .reading import mail, mapping, self_declared, text

LIFETIME = 300  # seconds; Apple allows six months


def user_id_of(raw: Raw, settings: Settings) -> Any:
    return mapping(raw.get("id_token")).get("sub")


def read(raw: Raw, settings: Settings) -> list[ProviderClaim]:
    """The address may be one that Apple made for us; it reaches the customer, and no other account shares it."""
    token, name = mapping(raw.get("id_token")), mapping(mapping(raw.get("user")).get("name"))
    given, family = text(name.get("firstName")), text(name.get("lastName"))
    return [
        *self_declared(name=f"{given} {family}".strip(), given_name=given, family_name=family),
        *mail(token.get("email"), proved=token.get("email_verified") in (True, "true")),
    ]


def secret_of(settings: Settings, client_id: str, secret: str) -> str:
    """Return the token that Apple expects instead of a secret, signed with the private key downloaded there."""
    now = int(time.time())
    claims = {
        "iss": settings["team_id"],
        "iat": now,
        "exp": now + LIFETIME,
        "aud": "https://appleid.apple.com",
        "sub": client_id,
    }
    try:
        return jwt.encode({"alg": "ES256", "kid": settings["key_id"]}, claims, ECKey.import_key(secret))
    except (JoseError, ValueError, TypeError):
        raise Invalid(
            "bad_key", "The private key is not one that Apple made: paste the whole .p8 file.", "secret"
        ) from None


def revoke(grant: UpstreamGrant, credentials: Credentials) -> list[ProviderRequest]:
    form = {
        "client_id": credentials.client_id,
        "client_secret": credentials.secret,
        "token": grant.token,
        "token_type_hint": "access_token",
    }
    return [ProviderRequest("POST", grant.address, form=form)]


apple = Provider(
    key="apple",
    label="Apple",
    scopes=("openid", "name", "email"),
    read=read,
    user_id_of=user_id_of,
    openid=True,
    issuer="https://appleid.apple.com",
    addresses={
        "token": "https://appleid.apple.com/auth/token",
        "revoke": "https://appleid.apple.com/auth/revoke",
    },
    settings=(
        SettingField("team_id", "Team ID", "Ten characters, at the top right of Apple's developer pages."),
        SettingField("key_id", "Key ID", "Of the key whose .p8 file is the client secret here."),
    ),
    parameters={"response_mode": "form_post"},
    secret_of=secret_of,
    revoke=revoke,
    note="The client id is the Services ID. Apple sends the name only once.",
)
