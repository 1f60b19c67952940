"""Everything a login decided, in one value that travels from the code to the tokens. The token endpoint adds nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
EMAIL_CODE = "http://auth0.com/oauth/grant-type/passwordless/otp"


@dataclass(frozen=True)
class Grant:
    """`sub` is the customer's user id. `audience` is empty when the tokens are for /userinfo only. Times are seconds.

    `auth_time` None: nobody knows when she signed in. `redirect_uri` is empty when the app did not send one. `jkt` is
    the thumbprint of the key that every use of the tokens must be signed with; empty: none is needed.
    """

    client_id: str
    sub: str
    scopes: list[str]
    audience: str = ""
    lifetime: int = 86400
    sid: str = ""
    auth_time: int | None = None
    amr: list[str] = field(default_factory=list)
    acr: str = ""
    nonce: str = ""
    redirect_uri: str = ""
    challenge: str = ""
    jkt: str = ""
    id_token: dict[str, Any] = field(default_factory=dict)
    access_token: dict[str, Any] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        return " ".join(self.scopes)

    @property
    def is_offline(self) -> bool:
        return "offline_access" in self.scopes

    def kept(self) -> dict[str, Any]:
        """As JSON; `Grant(**kept)` is the way back."""
        return dict(vars(self))
