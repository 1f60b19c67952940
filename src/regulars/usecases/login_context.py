"""The context of a login: the browser's request and session, and Auth0's `context` made of them for rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from regulars.clients.models import Client
from regulars.oauth.grant import Authentication
from regulars.profiles.models import Profile
from regulars.rules.auth0_context import Auth0Context, AuthenticationMethod, RequestInfo
from regulars.rules.geoip import place_of

TENANT = "regulars"
BACK_FROM_RULE = "redirect-callback"  # Auth0's value of context.protocol


@dataclass(frozen=True)
class LoginContext:
    """The browser's request and session in one login. Rules see it; nothing in it is trusted.

    `methods` is Auth0's `[{"name": "pwd", "timestamp": <milliseconds>}]`, and `amr` the same in OpenID's names; `protocol` is Auth0's context.protocol
    ("oidc-basic-profile", "redirect-callback", "oauth2-refresh-token"). `silent`: no page may be shown. `proved`: the customer
    authenticated for this very request on a page of the app; otherwise a silent login continues an earlier browser. `busy`:
    no question now, because the app sent `ask=0` (a checkout, or it asks by itself) or the customer is re-authenticating.
    `locale` is the language of the pages; `named_locale` is the same where the app or the customer named it, else empty.
    """

    protocol: str = ""
    hostname: str = ""
    ip: str = ""
    user_agent: str = ""
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    session_id: str = ""
    methods: list[AuthenticationMethod] = field(default_factory=list)
    amr: list[str] = field(default_factory=list)
    connection: str = ""
    strategy: str = ""
    other_clients: Callable[[], list[str]] = list
    locale: str = "en"
    named_locale: str = ""
    silent: bool = False
    proved: bool = False
    busy: bool = False

    @property
    def is_login(self) -> bool:
        """Whether it is counted as a login."""
        return self.proved or not self.silent


def authenticated(browser: LoginContext, authentication: Authentication) -> LoginContext:
    """Return the context of a request whose customer signed in like this, now or earlier."""
    return replace(
        browser,
        session_id=authentication.sid,
        methods=[AuthenticationMethod(name=name, timestamp=at) for name, at in authentication.methods],
        amr=authentication.amr,
        connection=authentication.connection,
        strategy=authentication.strategy,
    )


def context_of(profile: Profile, client: Client, browser: LoginContext, scopes: list[str]) -> Auth0Context:
    """Return Auth0's `context`, and `requested_scopes` for actions."""
    others, place = browser.other_clients(), place_of(browser.ip)
    request: RequestInfo = {
        "ip": browser.ip,
        "userAgent": browser.user_agent,
        "hostname": browser.hostname,
        "query": dict(browser.query),
        "body": dict(browser.body),
    }
    if place:
        request["geoip"] = place
    return {
        "tenant": TENANT,
        "clientID": client.pk,
        "clientName": client.name,
        "clientMetadata": client.metadata,
        "connection": browser.connection,
        "connectionStrategy": browser.strategy,
        "protocol": browser.protocol,
        # At least this one: a silent login may follow one that never ended, on the page of a rule.
        "stats": {"loginsCount": max(1, profile.logins_count + int(browser.is_login))},
        "sso": {
            "with_auth0": bool(others),
            "with_dbconn": browser.strategy == "auth0",
            "current_clients": [*others, client.pk],
        },
        "sessionID": browser.session_id,
        "request": request,
        "authentication": {"methods": browser.methods},
        "authorization": {"roles": []},
        "requested_scopes": scopes,
        "accessToken": {},
        "idToken": {},
    }
