"""Auth0's `user`: the shape of a customer in rules, tokens and the Management API."""

from __future__ import annotations

from typing import Any, TypedDict

# Auth0's list of the names that `app_metadata` cannot have on its first level.
RESERVED_IN_APP_METADATA = frozenset(
    {
        "__tenant",
        "_id",
        "blocked",
        "clientID",
        "created_at",
        "email",
        "email_verified",
        "globalClientID",
        "global_client_id",
        "identities",
        "lastIP",
        "lastLogin",
        "loginsCount",
        "metadata",
        "multifactor",
        "multifactor_last_modified",
        "updated_at",
        "user_id",
    }
)


class Auth0Identity(TypedDict, total=False):
    """One login method of a customer. `access_token` is the provider's, for rules alone."""

    connection: str
    provider: str
    user_id: str
    isSocial: bool
    profileData: dict[str, Any]
    access_token: str


class Auth0User(TypedDict, total=False):
    """A customer. Times are ISO 8601 in UTC; unknown values are absent. Attributes of the installation are further keys."""

    user_id: str
    email: str
    email_verified: bool
    phone_number: str
    phone_verified: bool
    name: str
    given_name: str
    family_name: str
    nickname: str
    picture: str
    identities: list[Auth0Identity]
    user_metadata: dict[str, Any]
    app_metadata: dict[str, Any]
    created_at: str
    updated_at: str
    last_login: str
    last_ip: str
    logins_count: int
    blocked: bool


# What stands at the root of a user by right. Rules find the keys of `app_metadata` at the root too, but never these, also
# when the user has no value there: a `blocked` or an `email_verified` of an application must not pass for ours.
ROOT_NAMES = (
    frozenset(Auth0User.__annotations__)
    | RESERVED_IN_APP_METADATA
    | {"last_password_reset", "phone_number_verified", "username"}
)
