"""What a login is told of its browser, and what rules are told of a login: Auth0's `context`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from regulars.clients.models import Client
from regulars.profiles.models import Profile

TENANT = "regulars"


@dataclass(frozen=True)
class LoginContext:
    """What the browser and its session say of this login; rules see it, and nothing here is trusted.

    `methods` is Auth0's `[{"name": "pwd", "timestamp": <milliseconds>}]`; `protocol` is Auth0's word
    ("oidc-basic-profile", "redirect-callback", "oauth2-refresh-token"). `silent`: no page may be shown. `proved`: she showed
    for this very request who she is, on a page of the app; else a silent one is the same visit going on. `busy`: no question
    now, for the app said `ask=0` (a checkout, or it asks by itself) or she proves once more who she is.
    """

    protocol: str
    hostname: str = ""
    ip: str = ""
    user_agent: str = ""
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    session_id: str = ""
    methods: list[dict[str, Any]] = field(default_factory=list)
    connection: str = ""
    strategy: str = ""
    other_clients: Callable[[], list[str]] = list
    locale: str = "en"
    silent: bool = False
    proved: bool = False
    busy: bool = False

    @property
    def is_login(self) -> bool:
        """Whether it counts as one."""
        return self.proved or not self.silent


def context_of(profile: Profile, client: Client, visit: LoginContext, scopes: list[str]) -> dict[str, Any]:
    """Auth0's `context`, and `requested_scopes` for actions. Without geography: we do not look addresses up while she waits."""
    others = visit.other_clients()
    return {
        "tenant": TENANT,
        "clientID": client.pk,
        "clientName": client.name,
        "clientMetadata": client.metadata,
        "connection": visit.connection,
        "connectionStrategy": visit.strategy,
        "protocol": visit.protocol,
        "stats": {"loginsCount": profile.logins_count + int(visit.is_login)},
        "sso": {
            "with_auth0": bool(others),
            "with_dbconn": visit.strategy == "auth0",
            "current_clients": [*others, client.pk],
        },
        "sessionID": visit.session_id,
        "request": {
            "ip": visit.ip,
            "userAgent": visit.user_agent,
            "hostname": visit.hostname,
            "query": dict(visit.query),
            "body": dict(visit.body),
        },
        "authentication": {"methods": visit.methods},
        "authorization": {"roles": []},
        "requested_scopes": scopes,
        "accessToken": {},
        "idToken": {},
    }
