"""Who is at the browser, and how and when she signed in: out of the session and allauth's records in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allauth.account.authentication import get_authentication_records
from django.http import HttpRequest

from regulars.accounts.models import Account
from regulars.profiles.find import find_by_account, find_by_user_id
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import sign_in_block

from .sessions import name_session, sid_of

# allauth's methods → Auth0's names (context.authentication.methods) and RFC 8176's words (amr).
METHODS = {
    "password": ("pwd", "pwd"),
    "socialaccount": ("federated", "fed"),
    "code": ("email", "otp"),
    "mfa": ("mfa", "mfa"),
    "password_reset": ("email", "otp"),
}
SECOND_FACTORS = {"totp": "otp", "recovery_codes": "otp", "webauthn": "hwk"}
MULTI_FACTOR = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"


@dataclass(frozen=True)
class BrowserSession:
    """A signed-in customer. `auth_time` is seconds since 1970, None when no record of signing in is there."""

    account: Account
    profile: Profile
    sid: str
    records: list[dict[str, Any]]

    @property
    def auth_time(self) -> float | None:
        return max((float(record["at"]) for record in self.records), default=None)

    @property
    def amr(self) -> list[str]:
        words = [METHODS.get(record["method"], ("", record["method"]))[1] for record in self.records]
        second = [SECOND_FACTORS[str(each.get("type"))] for each in self.records if each.get("type") in SECOND_FACTORS]
        return list(dict.fromkeys(words + second))

    @property
    def acr(self) -> str:
        return MULTI_FACTOR if "mfa" in self.amr else ""

    @property
    def methods(self) -> list[dict[str, Any]]:
        """As Auth0's rules see them; times in milliseconds."""
        return [
            {"name": METHODS.get(each["method"], (each["method"], ""))[0], "timestamp": int(each["at"] * 1000)}
            for each in self.records
        ]

    @property
    def way_in(self) -> tuple[str, str]:
        """Auth0's (connection, strategy) of the last way she proved who she is."""
        identities: list[dict[str, Any]] = self.profile.document.get("identities", [])
        for record in reversed(self.records):
            for identity in identities:
                if _is_way(record, identity):
                    return str(identity["connection"]), str(identity["provider"])
        return (identities[0]["connection"], identities[0]["provider"]) if identities else ("", "")

    @property
    def is_barred(self) -> bool:
        return sign_in_block(self.profile) is not None


def find_visitor(request: HttpRequest) -> BrowserSession | None:
    """The customer of this session. Staff are nobody here: they have no profile."""
    account = request.user
    if not isinstance(account, Account):
        return None
    profile = find_by_account(account.pk)
    if profile is None:
        return None
    profile.account = account  # known already: the rule for signing in asks for it
    name_session(request)
    return BrowserSession(account, profile, sid_of(request), list(get_authentication_records(request, account)))


def find_present(sub: str) -> Profile | None:
    """The customer that a token's `sub` is today, if she may come in."""
    profile = find_by_user_id(sub)
    return None if profile is None or sign_in_block(profile) else profile


def _is_way(record: dict[str, Any], identity: dict[str, Any]) -> bool:
    if record["method"] == "socialaccount":
        return bool(str(record.get("uid")) == identity["user_id"])
    return record["method"] in ("password", "code") and identity["provider"] == "auth0"
