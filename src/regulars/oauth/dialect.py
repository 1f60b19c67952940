"""Two dialects of answers: Auth0's, and that of the OAuth and OpenID Connect standards. Who asks decides which one it is.

Auth0's SDKs read a time as text and expect 403 where RFC 6749 has 400; libraries for OpenID Connect refuse the former and
misread the latter. An application may be set to one dialect. Otherwise Auth0's is for requests with the telemetry of Auth0's
SDKs: the parameter `auth0Client` in an address, the header `Auth0-Client` elsewhere (`read_parameters` puts it among the
parameters under the name of the former). A dialect is the form of answers; it never decides what is accepted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from regulars.base.tokens.jwt import Claims
from regulars.clients.models import Client

Answers = Client.Answers
TELEMETRY, TELEMETRY_HEADER = "auth0Client", "Auth0-Client"
UPDATED_AT = "updated_at"
DIALECT = "dialect"  # the claim of an access token that tells it to /userinfo; without it the dialect is Auth0's


def bears_telemetry(params: Mapping[str, str]) -> bool:
    return bool(params.get(TELEMETRY, "").strip())


def dialect_of(client: Client | None, params: Mapping[str, str]) -> Answers:
    """Return the dialect of the answer to a request; `client` is None when the request names none that is known."""
    if client is not None and client.answers != Answers.AUTO:
        return Answers(client.answers)
    return Answers.AUTH0 if bears_telemetry(params) else Answers.OPENID


def decided_dialect(client: Client, params: Mapping[str, str]) -> str:
    """Return the dialect of a grant where the request for its code decides it; empty: the token request decides it."""
    is_open = client.answers == Answers.AUTO and not bears_telemetry(params)
    return "" if is_open else dialect_of(client, params).value


def in_dialect(claims: Claims, answers: str) -> Claims:
    """Return claims about a customer in this dialect.

    `updated_at` is a text as Auth0 writes it, or the number of seconds since 1970 (OpenID Connect Core 5.1). A text of
    a rule that is no time stays.
    """
    updated_at = claims.get(UPDATED_AT)
    if answers != Answers.OPENID or not isinstance(updated_at, str):
        return claims
    try:
        moment = dt.datetime.fromisoformat(updated_at)
    except ValueError:
        return claims
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return {**claims, UPDATED_AT: int(moment.timestamp())}
