"""Authorization requests: the parameters of an app, read and checked before anything is done with them.

`CHECKS` lists every check with the endpoints that run it: /authorize, /oauth/par, /oauth/device/code and the
passwordless OTP grant of the token endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_noop
from joserfc.errors import JoseError
from joserfc.jws import extract_compact

from regulars.base.json_reader import UnreadableJson, read_json
from regulars.base.text import storable
from regulars.clients.cache import find_api, find_client, is_public, may_refresh
from regulars.clients.models import CURRENT_USER_SCOPE, Client, ResourceServer, management_audience

from .dialect import Answers, decided_dialect, dialect_of
from .grant import DEVICE_CODE, IMPLICIT
from .protocol_errors import NonRedirectableError, OAuthError
from .requested_claims import RequestedClaims, read_requested_claims

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
PROMPTS = ("none", "login", "consent", "select_account")
MULTI_FACTOR = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"
MULTI_FACTOR_ACRS = frozenset({MULTI_FACTOR, "mfa"})
# A repeated parameter may be read differently by another reader of the same address.
NOT_REPEATABLE = {
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
    "display",
    "id_token_hint",
    "request",
    "request_uri",
    "ui_locales",
}
SHA_256 = re.compile(r"[A-Za-z0-9_-]{43}")  # in base64url
LONGEST = 4096
LONGEST_AGE = 18  # digits of a max_age that are read: more seconds than any sign-in is old
FRONT_CHANNEL_LIFETIME = 7200  # seconds, as Auth0's
DEFAULT_LIFETIME = 86400  # seconds, of an access token that is for /userinfo only


class Parameters(Mapping[str, str]):
    """The parameters of a request. A repeated name counts with its last value, as in Django.

    A parameter without a value is as if it was not sent (RFC 6749, 3.1).
    """

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = {name: given for name, given in values.items() if any(given)}

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Parameters:
        """Return the parameters with one value for each name."""
        return cls({name: [value] for name, value in params.items()})

    def __getitem__(self, name: str) -> str:
        return self._values[name][-1] if self._values[name] else ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def all(self, name: str) -> Sequence[str]:
        return self._values.get(name, ())

    def text(self, name: str) -> str:
        return self.get(name, "")


class Endpoint(StrEnum):
    """The endpoints at which an app requests tokens."""

    AUTHORIZE = "authorize"
    PAR = "par"
    DEVICE = "device"
    OTP = "otp"


class SecondFactor(StrEnum):
    """How much an app wants a second factor. A wish may be declined: then the ID token has no `acr`."""

    NOT_ASKED = ""
    WISHED = "wished"
    DEMANDED = "demanded"


@dataclass(frozen=True)
class ReturnAddress:
    """The address of answers. It is known before the rest of the request was checked."""

    client: Client
    redirect_uri: str
    sent_redirect_uri: str
    state: str
    response_mode: str
    answers: Answers


@dataclass
class AuthorizationRequest:
    """One request for tokens of a customer. The checks fill it in.

    `scopes` are the requested ones that exist. `redirect_uri` is where the answer goes; `sent_redirect_uri` is empty when
    the app left the address to us. `response_types` are the words of response_type. `pushed`: it came by /oauth/par.
    `answers` is the dialect of the grant; empty when the token request of its code decides it.
    """

    client: Client
    params: Parameters
    redirect_uri: str = ""
    sent_redirect_uri: str = ""
    response_types: frozenset[str] = frozenset()
    scopes: list[str] = field(default_factory=list)
    api: ResourceServer | None = None
    nonce: str = ""
    challenge: str = ""
    jkt: str = ""
    prompts: frozenset[str] = frozenset()
    max_age: int | None = None
    claims: RequestedClaims = field(default_factory=RequestedClaims)
    second_factor: SecondFactor = SecondFactor.NOT_ASKED
    pushed: bool = False
    answers: str = ""

    @property
    def client_id(self) -> str:
        return str(self.client.pk)

    @property
    def is_silent(self) -> bool:
        return "none" in self.prompts

    @property
    def scopes_to_consent(self) -> list[str]:
        """The scopes that the customer of a third-party app must allow, with those of single claims."""
        return list(dict.fromkeys((*self.scopes, *self.claims.scopes)))

    @property
    def id_token_claims(self) -> list[str]:
        return list(self.claims.id_token)

    @property
    def userinfo_claims(self) -> list[str]:
        return list(self.claims.userinfo)

    @property
    def audience(self) -> str:
        return self.api.identifier if self.api else ""

    @property
    def lifetime(self) -> int:
        return self.api.token_lifetime if self.api else DEFAULT_LIFETIME

    @property
    def front_channel_lifetime(self) -> int:
        """Seconds for an access token that goes through the browser, and so into its history and logs."""
        return self.api.token_lifetime_for_web if self.api else FRONT_CHANNEL_LIFETIME


def read_return_address(params: Parameters) -> ReturnAddress:
    """Return the client and the address of answers.

    Everything about the answer is decided here, before anything else can fail: each refusal that follows is an answer too.
    Raises `NonRedirectableError` when client or address is unknown: the browser is never sent to one that is not registered.
    """
    client = find_client(params.text("client_id"))
    if client is None:
        raise NonRedirectableError("unknown_client", gettext_noop("The app that sent you here is not known to us."))
    sent = params.text("redirect_uri")
    if len(params.all("client_id")) > 1 or len(params.all("redirect_uri")) > 1:
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
    inside = _request_object(params.text("request"))
    return ReturnAddress(
        client=client,
        redirect_uri=sent or client.redirect_uris[0],
        sent_redirect_uri=sent,
        state=params.text("state") or inside.get("state", ""),
        response_mode=_response_mode(params, inside.get("response_mode", "")),
        answers=dialect_of(client, params),
    )


def _request_object(token: str) -> dict[str, str]:
    """Return the text claims of a request object. It is refused, and nothing in it is trusted but how it wants the refusal.

    A client that signs its request sends `state` and `response_mode` in there alone (OpenID Connect Core 6.1).
    """
    if not token or len(token) > LONGEST or not token.isascii():
        return {}
    try:
        claims = read_json(extract_compact(token.encode()).payload)
    except (JoseError, UnreadableJson, ValueError):
        return {}
    if not isinstance(claims, dict):
        return {}
    return {name: value for name, value in claims.items() if isinstance(value, str) and value == storable(value)}


def _response_mode(params: Parameters, inside: str) -> str:
    """Return the requested mode where it is allowed. Tokens never travel in the query, which servers write to logs."""
    if params.get("owp") == "true":  # the popup of Lock and auth0-js, which have no response_mode for it
        return "popup"
    with_tokens = bool({"token", "id_token"} & set(params.text("response_type").split()))
    mode = params.text("response_mode") or inside
    if mode not in RESPONSE_MODES or (mode == "query" and with_tokens):
        return "fragment" if with_tokens else "query"
    return mode


def read_authorization_request(
    endpoint: Endpoint,
    client: Client,
    params: Parameters,
    address: ReturnAddress | None = None,
    *,
    pushed: bool = False,
) -> AuthorizationRequest:
    """Return the request when it passes every check of the endpoint. Raises `OAuthError` for the first that fails."""
    request = AuthorizationRequest(client, params, pushed=pushed)
    if address:
        request.redirect_uri, request.sent_redirect_uri = address.redirect_uri, address.sent_redirect_uri
    for check, endpoints in CHECKS:
        if endpoint in endpoints:
            check(request, endpoint)
    has_tokens = (
        bool(request.response_types - {"code"}) or endpoint == Endpoint.OTP
    )  # no token request comes before them
    request.answers = dialect_of(client, params).value if has_tokens else decided_dialect(client, params)
    return request


def check_repeated_parameters(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    for name in request.params:
        values = request.params.all(name)
        if name in NOT_REPEATABLE and len(values) > 1:
            raise OAuthError("invalid_request", f"Parameter {name} was sent twice.")
        if any("\0" in value or len(value) > LONGEST for value in (name, *values)):
            raise OAuthError("invalid_request", "A parameter is too long or holds a NUL.")


def check_response_mode(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    if request.params.get("response_mode", "query") not in RESPONSE_MODES:
        raise OAuthError("invalid_request", f"response_mode is one of {', '.join(RESPONSE_MODES)}.")


def check_unsupported_parameters(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    if request.params.get("organization"):
        raise OAuthError("invalid_request", "parameter organization is not allowed for this client")
    if "request" in request.params:
        raise OAuthError("request_not_supported", "Request objects are not supported.")
    if "request_uri" in request.params:
        raise OAuthError("request_uri_not_supported", "Request objects are not supported.")


def check_response_type(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    words = frozenset(request.params.text("response_type").split())
    if not words or not words <= {"code", "token", "id_token"}:
        raise OAuthError("unsupported_response_type", f"response_type is one of: {', '.join(RESPONSE_TYPES)}.")
    request.response_types = words


def check_grant_type(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    if endpoint == Endpoint.DEVICE:
        needed = [DEVICE_CODE]
    else:
        needed = ["authorization_code"] if "code" in request.response_types else []
        needed += [IMPLICIT] if request.response_types - {"code"} else []
    for grant_type in needed:
        if grant_type not in request.client.grant_types:
            raise OAuthError("unauthorized_client", f"Grant type '{grant_type}' is not allowed for the client.")


def check_tokens_not_in_query(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    if request.response_types - {"code"} and request.params.get("response_mode") == "query":
        raise OAuthError("invalid_request", "response_mode=query is for response_type=code alone.")


def check_audience(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    audience = request.params.text("audience")
    request.api = find_api(audience) if audience else None
    if audience and request.api is None:
        raise OAuthError("access_denied", f"Service not found: {audience[:200]}")


def check_scope(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    """Keep the scopes that exist: OpenID's own and the API's. The rest is dropped, as Auth0 does."""
    api = request.api
    known = {*OPENID_SCOPES, *(api.scopes if api else ())}
    if api and api.identifier == management_audience():  # a customer may hold those that concern the customer alone
        known = {*OPENID_SCOPES, *(scope for scope in api.scopes if CURRENT_USER_SCOPE in scope)}
    by_browser = endpoint in (Endpoint.AUTHORIZE, Endpoint.PAR)
    without_code = by_browser and "code" not in request.response_types
    if without_code or not may_refresh(request.client) or (api and not api.allow_offline_access):
        known.discard("offline_access")
    request.scopes = [scope for scope in dict.fromkeys(request.params.text("scope").split()) if scope in known]


def check_id_token_nonce(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    """An ID token that comes through the browser is bound to its request by a nonce (OpenID Connect Core 3.2.2.1)."""
    if "id_token" in request.response_types and "openid" not in request.scopes:
        raise OAuthError("invalid_request", "An id_token needs scope=openid.")
    request.nonce = request.params.text("nonce")
    if "id_token" in request.response_types and not request.nonce:
        raise OAuthError("invalid_request", "Missing required parameter: nonce")


def check_pkce(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    if "code" not in request.response_types:
        return
    challenge, method = request.params.text("code_challenge"), request.params.text("code_challenge_method")
    if not challenge and (method or is_public(request.client)):
        raise OAuthError("invalid_request", "Missing required parameter: code_challenge")
    if challenge and method != "S256":
        raise OAuthError("invalid_request", "code_challenge_method must be S256.")
    if challenge and not SHA_256.fullmatch(challenge):
        raise OAuthError("invalid_request", "code_challenge is not a base64url SHA-256.")
    request.challenge = challenge


def check_dpop_jkt(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    """An app may name the key of its later proofs here (RFC 9449, 10), so that a stolen code is of no use."""
    request.jkt = request.params.text("dpop_jkt")
    if request.jkt and not SHA_256.fullmatch(request.jkt):
        raise OAuthError("invalid_request", "dpop_jkt is not a base64url SHA-256.")


def check_prompt(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    request.prompts = frozenset(request.params.text("prompt").split())
    if not request.prompts <= set(PROMPTS) or ("none" in request.prompts and len(request.prompts) > 1):
        raise OAuthError("invalid_request", f"prompt is {', '.join(PROMPTS)}; none stands alone.")


def check_max_age(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    seconds = request.params.text("max_age")
    if seconds and not (seconds.isascii() and seconds.isdigit()):
        raise OAuthError("invalid_request", "max_age is a number of seconds.")
    request.max_age = int(seconds.lstrip("0")[:LONGEST_AGE] or "0") if seconds else request.client.default_max_age


def check_claims(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    """Read the single claims that the app requests. About the customer they belong to OpenID Connect's scope."""
    claims = read_requested_claims(request.params.text("claims"))
    request.claims = claims if "openid" in request.scopes else replace(claims, id_token=(), userinfo=())


def check_second_factor(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    """An app wishes for two factors by `acr_values` (OpenID Connect Core 3.1.2.1), and demands them by an essential `acr` (5.5.1.1).

    The operator may demand them for an app as well (`requires_second_factor`).
    """
    essential = request.claims.essential_acrs
    if request.client.requires_second_factor or MULTI_FACTOR_ACRS.intersection(essential):
        request.second_factor = SecondFactor.DEMANDED
    elif essential:
        raise OAuthError("unmet_authentication_requirements", f"The essential acr is {MULTI_FACTOR}, or none.")
    elif MULTI_FACTOR_ACRS.intersection(request.params.text("acr_values").split()):
        request.second_factor = SecondFactor.WISHED


def check_pushed(request: AuthorizationRequest, endpoint: Endpoint) -> None:
    if request.client.requires_par and not request.pushed:
        raise OAuthError("invalid_request", "This app leaves its requests at /oauth/par first.")


Check = Callable[[AuthorizationRequest, Endpoint], None]
A, P, D, O = Endpoint.AUTHORIZE, Endpoint.PAR, Endpoint.DEVICE, Endpoint.OTP  # noqa: E741
# Rows are checks in their order; columns are the endpoints that run them.
# fmt: off
CHECKS: list[tuple[Check, set[Endpoint]]] = [
    (check_repeated_parameters,     {A, P      }),
    (check_response_mode,           {A, P      }),
    (check_unsupported_parameters,  {A, P      }),
    (check_response_type,           {A, P      }),
    (check_grant_type,              {A, P, D   }),
    (check_tokens_not_in_query,     {A, P      }),
    (check_audience,                {A, P, D, O}),
    (check_scope,                   {A, P, D, O}),
    (check_id_token_nonce,          {A, P      }),
    (check_pkce,                    {A, P      }),
    (check_dpop_jkt,                {A, P      }),
    (check_prompt,                  {A, P      }),
    (check_max_age,                 {A, P      }),
    (check_claims,                  {A, P      }),
    (check_second_factor,           {A, P      }),
    (check_pushed,                  {A         }),
]
# fmt: on
