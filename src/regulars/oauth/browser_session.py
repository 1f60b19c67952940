"""The customer who is signed in at the browser, and how and when they authenticated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from regulars.accounts.models import Account
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import sign_in_block

from .authorization_request import MULTI_FACTOR
from .grant import Authentication

# allauth's methods → Auth0's names (context.authentication.methods) and RFC 8176's values (amr).
METHODS = {
    "password": ("pwd", "pwd"),
    "socialaccount": ("federated", "fed"),
    "code": ("email", "otp"),
    "mfa": ("mfa", "mfa"),
    "password_reset": ("email", "otp"),
}
SECOND_FACTORS = {"totp": "otp", "recovery_codes": "otp", "webauthn": "hwk"}


@dataclass(frozen=True)
class BrowserSession:
    """A session of a customer. `records` are allauth's authentication records; `at` in them is seconds since 1970."""

    account: Account
    profile: Profile
    sid: str
    records: list[dict[str, Any]]

    @property
    def auth_time(self) -> float | None:
        return max((float(record["at"]) for record in self.records), default=None)

    @property
    def amr(self) -> list[str]:
        values = [METHODS.get(record["method"], ("", record["method"]))[1] for record in self.records]
        second = [SECOND_FACTORS[str(each.get("type"))] for each in self.records if each.get("type") in SECOND_FACTORS]
        return list(dict.fromkeys(values + second))

    @property
    def methods(self) -> list[tuple[str, int]]:
        """Auth0's name of each method that was used, and its time in milliseconds."""
        return [(METHODS.get(each["method"], (each["method"], ""))[0], int(each["at"] * 1000)) for each in self.records]

    @property
    def connection(self) -> tuple[str, str]:
        """Auth0's (connection, strategy) of the last authentication."""
        identities: list[dict[str, Any]] = self.profile.document.get("identities", [])
        for record in reversed(self.records):
            for identity in identities:
                if record["method"] == "socialaccount":
                    is_used = str(record.get("uid")) == identity["user_id"]
                else:
                    is_used = record["method"] in ("password", "code") and identity["provider"] == "auth0"
                if is_used:
                    return str(identity["connection"]), str(identity["provider"])
        return (identities[0]["connection"], identities[0]["provider"]) if identities else ("", "")

    @property
    def may_sign_in(self) -> bool:
        return sign_in_block(self.profile) is None

    def authentication(self, sid: str = "") -> Authentication:
        """Return what tokens repeat of this session, or of another session `sid` that this authentication starts."""
        return Authentication(
            profile=self.profile,
            sub=self.profile.user_id,
            sid=sid or self.sid,
            auth_time=None if self.auth_time is None else int(self.auth_time),
            amr=self.amr,
            acr=MULTI_FACTOR if "mfa" in self.amr else "",
        )
