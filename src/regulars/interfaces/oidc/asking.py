"""Read what an app asks for at /authorize. Nothing of it is trusted before it is read here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.http import QueryDict
from django.utils.translation import gettext_noop

from regulars.clients.cache import find_api, find_client, is_public, may_refresh
from regulars.clients.models import Client, ResourceServer

from .claims_asked import needs_second_factor
from .errors import NonRedirectableError, OAuthError

OPENID_SCOPES = ("openid", "profile", "email", "phone", "address", "offline_access")
RESPONSE_MODES = ("query", "fragment", "form_post", "web_message")
RESPONSE_TYPES = (
    "code",
    "token",
    "id_token",
    "code token",
    "code id_token",
    "token id_token",
    "code token id_token",
)
IMPLICIT = "implicit"  # the grant type that lets an app have tokens straight from /authorize
HERSELF = ":current_user"  # what Auth0's scopes have in their names that a customer may hold
PROMPTS = ("none", "login", "consent", "select_account")
# Said twice, one of them is not what the other reader of the address saw.
ONCE = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "audience",
    "prompt",
    "max_age",
    "code_challenge",
    "code_challenge_method",
    "login_hint",
    "acr_values",
    "claims",
    "dpop_jkt",
]
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
LONGEST = 4096
BROWSER_LIFETIME = 7200  # seconds, as Auth0's
DEFAULT_LIFETIME = 86400  # seconds, of an access token that is for /userinfo only


@dataclass(frozen=True)
class Asked:
    """One authorization request that holds together.

    `scopes` are those of the requested ones that there are. `redirect_uri` is where the answer goes; `sent_redirect_uri`
    is empty when the app left it to us. `response_types` are the words of response_type, in no order.
    """

    client: Client
    params: Mapping[str, str]
    redirect_uri: str
    sent_redirect_uri: str
    state: str
    response_mode: str
    response_types: frozenset[str]
    scopes: list[str]
    api: ResourceServer | None
    nonce: str
    challenge: str
    jkt: str
    prompts: frozenset[str]
    max_age: int | None
    second_factor: bool

    @property
    def is_silent(self) -> bool:
        return "none" in self.prompts

    @property
    def audience(self) -> str:
        return self.api.identifier if self.api else ""

    @property
    def lifetime(self) -> int:
        return self.api.token_lifetime if self.api else DEFAULT_LIFETIME

    @property
    def browser_lifetime(self) -> int:
        """Of an access token that goes through the browser and so into its history and logs."""
        return self.api.token_lifetime_for_web if self.api else BROWSER_LIFETIME


@dataclass(frozen=True)
class ReturnAddress:
    """Where answers go, known before the rest of the request is found right or wrong."""

    client: Client
    redirect_uri: str
    sent_redirect_uri: str
    state: str
    response_mode: str


def read_address(query: QueryDict) -> ReturnAddress:
    """Who asks and where to answer. `NonRedirectableError` when nobody may be answered: never a redirect to an address we do not know."""
    client = find_client(query.get("client_id", ""))
    if client is None:
        raise NonRedirectableError("unknown_client", gettext_noop("The app that sent you here is not known to us."))
    sent = query.get("redirect_uri", "")
    if len(query.getlist("client_id")) > 1 or len(query.getlist("redirect_uri")) > 1:
        raise NonRedirectableError(
            "invalid_request", gettext_noop("The app that sent you here did not say clearly where to send you back.")
        )
    if not sent and len(client.redirect_uris) != 1:
        raise NonRedirectableError(
            "missing_redirect_uri", gettext_noop("The app that sent you here did not say where to send you back.")
        )
    if sent and sent not in client.redirect_uris:
        raise NonRedirectableError(
            "unknown_redirect_uri",
            gettext_noop("The app that sent you here wants you sent to an address we do not know."),
        )
    return ReturnAddress(
        client=client,
        redirect_uri=sent or client.redirect_uris[0],
        sent_redirect_uri=sent,
        state=query.get("state", ""),
        response_mode=_mode(query),
    )


def read(query: QueryDict, address: ReturnAddress) -> Asked:
    """The rest of the request; `OAuthError` with OAuth's word for what is wrong with it."""
    _refuse_malformed(query)
    client = address.client
    types = _response_types(query, client)
    api = find_audience(query.get("audience", ""))
    scopes = scopes_of(query.get("scope", ""), api, client)
    _refuse_unsafe_id_token(query, types, scopes)
    return Asked(
        client=client,
        params={name: str(value) for name, value in query.items()},
        redirect_uri=address.redirect_uri,
        sent_redirect_uri=address.sent_redirect_uri,
        state=address.state,
        response_mode=address.response_mode,
        response_types=types,
        scopes=scopes if "code" in types else [scope for scope in scopes if scope != "offline_access"],
        api=api,
        nonce=query.get("nonce", ""),
        challenge=_challenge(query, client) if "code" in types else "",
        jkt=_jkt(query.get("dpop_jkt", "")),
        prompts=_prompts(query.get("prompt", "")),
        max_age=_max_age(query.get("max_age", "")),
        second_factor=needs_second_factor(query.get("acr_values", ""), query.get("claims", "")),
    )


def scopes_of(scope: str, api: ResourceServer | None, client: Client) -> list[str]:
    """Those of the words that mean something here: OpenID's own and the API's. The rest is dropped, as Auth0 does."""
    known = {*OPENID_SCOPES, *(_for_customers(api) if api else ())}
    if not may_refresh(client) or (api and not api.allow_offline_access):
        known.discard("offline_access")
    return [word for word in dict.fromkeys(scope.split()) if word in known]


def _for_customers(api: ResourceServer) -> list[str]:
    """The Management API is for the company's programs: a customer has of it what concerns herself, whatever she asks for."""
    if api.identifier != f"{settings.ISSUER}api/v2/":
        return list(api.scopes)
    return [scope for scope in api.scopes if HERSELF in scope]


def _mode(query: QueryDict) -> str:
    """As asked where it may be. Tokens never travel in the query, where servers on the way write them down."""
    if query.get("owp") == "true":  # Lock and auth0-js, whose popup is no response_mode of its own
        return "popup"
    tokens = bool({"token", "id_token"} & _words(query))
    mode = query.get("response_mode", "")
    if mode not in RESPONSE_MODES or (mode == "query" and tokens):
        return "fragment" if tokens else "query"
    return str(mode)


def _words(query: QueryDict) -> frozenset[str]:
    return frozenset(query.get("response_type", "").split())


def _response_types(query: QueryDict, client: Client) -> frozenset[str]:
    words = _words(query)
    if not words or not words <= {"code", "token", "id_token"}:
        raise OAuthError("unsupported_response_type", f"response_type is one of: {', '.join(RESPONSE_TYPES)}.")
    needed = [*(["authorization_code"] if "code" in words else []), *([IMPLICIT] if words - {"code"} else [])]
    for grant in needed:
        if grant not in client.grant_types:
            raise OAuthError("unauthorized_client", f"Grant type '{grant}' is not allowed for the client.")
    if words - {"code"} and query.get("response_mode") == "query":
        raise OAuthError("invalid_request", "response_mode=query is for response_type=code alone.")
    return words


def _refuse_unsafe_id_token(query: QueryDict, types: frozenset[str], scopes: list[str]) -> None:
    """An ID token that comes through the browser says by its nonce which request it answers (OpenID Core 3.2.2.1)."""
    if "id_token" not in types:
        return
    if "openid" not in scopes:
        raise OAuthError("invalid_request", "An id_token needs scope=openid.")
    if not query.get("nonce"):
        raise OAuthError("invalid_request", "Missing required parameter: nonce")


def _refuse_malformed(query: QueryDict) -> None:
    for name, values in query.lists():
        if name in ONCE and len(values) > 1:
            raise OAuthError("invalid_request", f"Parameter {name} was sent twice.")
        if any("\0" in value or len(value) > LONGEST for value in (name, *values)):
            raise OAuthError("invalid_request", "A parameter is too long or holds a NUL.")
    if query.get("response_mode", "query") not in RESPONSE_MODES:
        raise OAuthError("invalid_request", f"response_mode is one of {', '.join(RESPONSE_MODES)}.")
    if query.get("organization"):
        raise OAuthError("invalid_request", "parameter organization is not allowed for this client")
    if "request" in query:
        raise OAuthError("request_not_supported", "Request objects are not supported.")
    if "request_uri" in query:
        raise OAuthError("request_uri_not_supported", "Request objects are not supported.")


def find_audience(audience: str) -> ResourceServer | None:
    if not audience:
        return None
    api = find_api(audience)
    if api is None:
        raise OAuthError("access_denied", f"Service not found: {audience[:200]}")
    return api


def _challenge(query: QueryDict, client: Client) -> str:
    challenge, method = query.get("code_challenge", ""), query.get("code_challenge_method", "")
    if not challenge and (method or is_public(client)):
        raise OAuthError("invalid_request", "Missing required parameter: code_challenge")
    if challenge and method != "S256":
        raise OAuthError("invalid_request", "code_challenge_method must be S256.")
    if challenge and not CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "code_challenge is not a base64url SHA-256.")
    return challenge


def _jkt(thumbprint: str) -> str:
    """An app may say already here which key it will prove to have (RFC 9449, 10): a stolen code is of no use then."""
    if thumbprint and not CHALLENGE.fullmatch(thumbprint):
        raise OAuthError("invalid_request", "dpop_jkt is not a base64url SHA-256.")
    return thumbprint


def _prompts(prompt: str) -> frozenset[str]:
    words = frozenset(prompt.split())
    if not words <= set(PROMPTS) or ("none" in words and len(words) > 1):
        raise OAuthError("invalid_request", f"prompt is {', '.join(PROMPTS)}; none stands alone.")
    return words


def _max_age(seconds: str) -> int | None:
    if not seconds:
        return None
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) < 11):
        raise OAuthError("invalid_request", "max_age is a number of seconds.")
    return int(seconds)
