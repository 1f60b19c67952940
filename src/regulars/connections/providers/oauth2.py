"""Any OAuth 2.0 provider: its three addresses, and the place of each claim in its answer."""

from __future__ import annotations

from typing import Any

from regulars.base.plugins.fields import SettingField

from ..provider import Provider, ProviderCall, ProviderClaim, Raw, Settings
from .reading import mail, mapping, self_declared

HELP = "A name in the answer, with dots for nested names: data.user.id"


def at(raw: Raw, path: str) -> Any:
    value: Any = raw.get("user")
    for step in path.split("."):
        value = mapping(value).get(step)
    return value


def user_id_of(raw: Raw, settings: Settings) -> Any:
    return at(raw, settings["id_at"])


def read(raw: Raw, settings: Settings) -> list[ProviderClaim]:
    return [
        *self_declared(
            name=at(raw, settings["name_at"]),
            nickname=at(raw, settings["nickname_at"]),
            picture=at(raw, settings["picture_at"]),
        ),
        *mail(at(raw, settings["email_at"]), proved=at(raw, settings["email_verified_at"]) is True),
    ]


oauth2 = Provider(
    key="oauth2",
    label="OAuth 2.0",
    scopes=(),
    read=read,
    user_id_of=user_id_of,
    addresses={"authorize": "", "token": "", "user": ""},
    calls=(ProviderCall("user", required=True),),
    settings=(
        SettingField("id_at", "User id", HELP, "id", required=False),
        SettingField("name_at", "Name", HELP, "name", required=False),
        SettingField("nickname_at", "Nickname", HELP, "login", required=False),
        SettingField("email_at", "E-mail", HELP, "email", required=False),
        SettingField("email_verified_at", "E-mail verified", HELP, "email_verified", required=False),
        SettingField("picture_at", "Picture", HELP, "picture", required=False),
    ),
    scoped_ids=True,
)
