"""LinkedIn by OpenID Connect, which is all it grants to new apps: name, picture, e-mail, language."""

from __future__ import annotations

from ..provider import Provider, ProviderClaim, Raw, Settings
from .oidc import info_of, user_id_of
from .reading import claims, mapping, text


def read(raw: Raw, settings: Settings) -> list[ProviderClaim]:
    """LinkedIn's `locale` is a pair of language and country, not a string."""
    info = info_of(raw)
    pair = mapping(info.get("locale"))
    words = "-".join(filter(None, (text(pair.get("language")), text(pair.get("country")))))
    return claims({**info, "locale": words or info.get("locale")})


linkedin = Provider(
    key="linkedin",
    label="LinkedIn",
    scopes=("openid", "profile", "email"),
    read=read,
    user_id_of=user_id_of,
    openid=True,
    issuer="https://www.linkedin.com/oauth",
    pkce=False,  # only for its native apps
    nonce=False,  # its ID tokens do not repeat one
)
