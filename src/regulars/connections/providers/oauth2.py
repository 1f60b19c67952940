"""Any OAuth 2.0 provider: its three addresses, and where in its answer each thing stands."""

from __future__ import annotations

from typing import Any

from regulars.base.plugins.fields import SettingField

from ..provider import Provider, ProviderCall, ProviderClaim, Raw, Settings
from .reading import mail, mapping, plainly

HELP = "A name in its answer, with dots for what is inside: data.user.id"


def at(raw: Raw, path: str) -> Any:
    value: Any = raw.get("user")
    for step in path.split("."):
        value = mapping(value).get(step)
    return value


def who(raw: Raw, settings: Settings) -> Any:
    return at(raw, settings["id_at"])


def read(raw: Raw, settings: Settings) -> list[ProviderClaim]:
    return [
        *plainly(
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
    who=who,
    addresses={"authorize": "", "token": "", "user": ""},
    calls=(ProviderCall("user", required=True),),
    settings=(
        SettingField("id_at", "Her id", HELP, "id", required=False),
        SettingField("name_at", "Her name", HELP, "name", required=False),
        SettingField("nickname_at", "Her nickname", HELP, "login", required=False),
        SettingField("email_at", "Her e-mail", HELP, "email", required=False),
        SettingField("email_verified_at", "Whether it is proved", HELP, "email_verified", required=False),
        SettingField("picture_at", "Her picture", HELP, "picture", required=False),
    ),
    scoped_ids=True,
)
