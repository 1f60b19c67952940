"""Auth0's `user`: the shape of a customer in rules, tokens and the Management API."""

from __future__ import annotations

from typing import Any, TypedDict


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
