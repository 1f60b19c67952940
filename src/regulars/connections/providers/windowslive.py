"""Microsoft, which Auth0's applications call `windowslive`: work, school and private accounts, read from Graph."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop

from regulars.base.plugins.fields import SettingField

from ..provider import Provider, ProviderCall, ProviderClaim, Raw, RequestedClaim, Settings
from .reading import CALL, WORK, mail, mapping, optional, self_declared, text

GRAPH = "https://graph.microsoft.com/"
REQUESTED_CLAIMS = (
    RequestedClaim("work", gettext_noop("Your job title"), WORK, ("User.Read",), ("job_title",)),
    RequestedClaim(
        "phone", gettext_noop("Your mobile number"), CALL, ("User.Read",), ("phone_number",), purpose="serve"
    ),
)


def user_id_of(raw: Raw, settings: Settings) -> Any:
    return mapping(raw.get("me")).get("id")


def read(raw: Raw, settings: Settings) -> list[ProviderClaim]:
    """An administrator may enter any address in a work account, so none of them counts as verified."""
    me = mapping(raw.get("me"))
    return [
        *self_declared(
            name=me.get("displayName"),
            given_name=me.get("givenName"),
            family_name=me.get("surname"),
            locale=me.get("preferredLanguage"),
        ),
        *mail(me.get("mail"), proved=False),
        *optional("work", job_title=text(me.get("jobTitle"))),
        *optional("phone", phone_number=text(me.get("mobilePhone"))),
    ]


windowslive = Provider(
    key="windowslive",
    label="Microsoft",
    scopes=("User.Read",),
    requested_claims=REQUESTED_CLAIMS,
    read=read,
    user_id_of=user_id_of,
    addresses={
        "authorize": "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
        "token": "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
        "me": f"{GRAPH}v1.0/me",
    },
    calls=(ProviderCall("me", required=True),),
    settings=(
        SettingField(
            "tenant", "Tenant", "common: all accounts. Or the id of one organisation.", "common", required=False
        ),
    ),
    aliases=((f"{GRAPH}User.Read", "User.Read"),),
    reauthenticate={"prompt": "select_account"},
    ask_again={"prompt": "consent"},
    offline=(("offline_access",), {}),
)
