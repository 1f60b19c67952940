"""The customer who is signed in at the browser, and how and when they authenticated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from regulars.accounts.models import Account
from regulars.accounts.proofs import mailed_codes
from regulars.connections.login_methods import PASSWORD_CONNECTION
from regulars.profiles.find import DATABASE
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
PASSKEY = "passkey"  # a passkey that was the only proof: Auth0's name of the method, and here of the connection too
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
        """Auth0's name of each method that was used, and its time in milliseconds. A passkey alone is a second factor too."""
        return [
            (name, int(record["at"] * 1000))
            for record in self.records
            for name in ([PASSKEY] if record.get("passwordless") else [])
            + [METHODS.get(record["method"], (record["method"], ""))[0]]
        ]

    @property
    def connection(self) -> tuple[str, str]:
        """Auth0's (connection, strategy) of the login method that opened this session, from its own record.

        Never from the customer's identities: with several of them, one that was not used would pass a rule that admits
        a single login method. Empty when the record names none.
        """
        for record in reversed(self.records):
            if found := self._connection_of(record):
                return found
        return "", ""

    def _connection_of(self, record: dict[str, Any]) -> tuple[str, str] | None:
        match record:
            case {"passwordless": True}:
                return PASSKEY, PASSKEY
            case {"method": "password" | "password_reset"}:
                return PASSWORD_CONNECTION, DATABASE
            case {"method": "code"}:
                return mailed_codes.CONNECTION, mailed_codes.STRATEGY
            case {"method": "socialaccount", "provider": str(strategy), "connection": str(name)}:
                return name, strategy
            case {"method": "socialaccount", "provider": str(strategy), "uid": str(uid)}:
                return self._connection_of_old(strategy, uid), strategy
        return None

    def _connection_of_old(self, strategy: str, uid: str) -> str:
        """Return the connection of a session from before connections were recorded; empty when it could be several."""
        identities: list[dict[str, Any]] = self.profile.document.get("identities", [])
        names = {
            str(each["connection"])
            for each in identities
            if each["provider"] == strategy and each["user_id"] in (uid, f"{each['connection']}|{uid}")
        }
        return names.pop() if len(names) == 1 else ""

    @property
    def may_sign_in(self) -> bool:
        return sign_in_block(self.profile) is None

    def authentication(self, sid: str = "") -> Authentication:
        """Return what tokens repeat of this session, or of another session `sid` that this authentication starts."""
        connection, strategy = self.connection
        return Authentication(
            profile=self.profile,
            sub=self.profile.user_id,
            sid=sid or self.sid,
            auth_time=None if self.auth_time is None else int(self.auth_time),
            amr=self.amr,
            acr=MULTI_FACTOR if "mfa" in self.amr else "",
            connection=connection,
            strategy=strategy,
            methods=self.methods,
        )
