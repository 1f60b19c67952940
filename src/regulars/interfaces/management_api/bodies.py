"""What the Management API takes for a user. A property that is not here is refused, as Auth0 does."""

from __future__ import annotations

from typing import Annotated, Any

from ninja import Field, Schema
from pydantic import ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Password = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Text = Annotated[str, StringConstraints(max_length=300)]

ROOT = (
    "email",
    "email_verified",
    "phone_number",
    "phone_verified",
    "username",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "picture",
)


class UserChange(Schema):
    """The body of PATCH. What is not sent stays; null takes a root attribute back."""

    model_config = ConfigDict(extra="forbid")

    email: Email | None = None
    email_verified: bool | None = None
    phone_number: Text | None = None
    phone_verified: bool | None = None
    username: Text | None = None
    name: Name | None = None
    given_name: Name | None = None
    family_name: Name | None = None
    nickname: Name | None = None
    picture: Annotated[str, StringConstraints(max_length=2000)] | None = None
    blocked: bool | None = None
    user_metadata: dict[str, Any] | None = None
    app_metadata: dict[str, Any] | None = None
    password: Password | None = None
    connection: Text | None = None
    client_id: Text | None = None
    verify_email: bool | None = None
    verify_phone_number: bool | None = None

    def sent(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class NewUser(UserChange):
    """The body of POST: a user of a database connection."""

    connection: Text = Field(...)
    email: Email = Field(...)
    password: Password = Field(...)
    user_id: Id | None = None
