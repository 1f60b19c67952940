"""Endpoints of tokens: issue, revoke, introspect, and the requests that begin without a browser. No session is read."""

from __future__ import annotations

from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from regulars.base.errors import DomainError, Forbidden, Invalid
from regulars.base.tokens import dpop
from regulars.base.tokens.jwt import verify
from regulars.base.tokens.kinds import TokenKind, client_of
from regulars.clients.cache import find_client
from regulars.oauth import device_codes, pushed_requests, refresh_tokens
from regulars.oauth.authorization_request import Endpoint, Parameters, read_authorization_request
from regulars.oauth.claims import check_token_in_query, check_userinfo_scope, userinfo_claims
from regulars.oauth.client_authentication import authenticate_client
from regulars.oauth.introspection import introspect as introspect_token
from regulars.oauth.tokens import signed_userinfo
from regulars.usecases.issue_tokens import issue_tokens
from regulars.usecases.login import LoginContext
from regulars.usecases.record_disclosures import record_userinfo

from .endpoint import endpoint, json_response, plain_json, read_parameters, required
from .query_token import token_in_query


@endpoint("POST")
def token(request: HttpRequest) -> HttpResponse:
    """/oauth/token: tokens for a code, a refresh token, a client's secret, a device code or a mailed code."""
    params = read_parameters(request)
    required(params, "grant_type")
    caller = LoginContext(
        hostname=request.META.get("HTTP_HOST", ""),
        ip=request.META.get("REMOTE_ADDR", ""),
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
        body={name: value for name, value in params.items() if name in ("grant_type", "client_id", "scope")},
    )
    return json_response(issue_tokens(params, request.headers, caller))


@endpoint("POST")
def revoke(request: HttpRequest) -> HttpResponse:
    """/oauth/revoke: end the offline access of the calling app (RFC 7009)."""
    params = read_parameters(request)
    client = authenticate_client(params, request.headers)
    refresh_tokens.end_by_token(required(params, "token"), client)
    return HttpResponse(status=200)


@endpoint("POST")
def introspect(request: HttpRequest) -> HttpResponse:
    """/oauth/introspect: whether a token is valid now (RFC 7662)."""
    params = read_parameters(request)
    client = authenticate_client(params, request.headers, allow_public=False)
    return json_response(introspect_token(required(params, "token"), client))


@endpoint("POST")
def push(request: HttpRequest) -> HttpResponse:
    """/oauth/par: leave an authorization request here and get a reference to it (RFC 9126)."""
    params = read_parameters(request)
    reference = pushed_requests.push_request(authenticate_client(params, request.headers), params)
    return json_response({"request_uri": reference, "expires_in": pushed_requests.LIFETIME}, 201)


@endpoint("POST")
def device_code(request: HttpRequest) -> HttpResponse:
    """/oauth/device/code: the codes that begin the login of a device without a keyboard (RFC 8628)."""
    params = read_parameters(request)
    client = authenticate_client(params, request.headers)
    requested = read_authorization_request(Endpoint.DEVICE, client, Parameters.of(params))
    code, user_code = device_codes.start_device_login(requested)
    page = f"{settings.ISSUER}activate"
    return json_response(
        {
            "device_code": code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={user_code}",
            "expires_in": device_codes.LIFETIME,
            "interval": device_codes.INTERVAL,
        }
    )


@endpoint("GET", "POST")
def userinfo(request: HttpRequest) -> HttpResponse:
    """/userinfo: the claims that the scopes of an access token disclose of its customer."""
    # The token comes in the header, or in a form as RFC 6750 2.2 allows. In the address, which ends up in the logs of proxies,
    # it may come for apps that opted in.
    kind, in_header = dpop.credential_of(request.headers)
    in_form = ""
    if request.method == "POST" and request.content_type == "application/x-www-form-urlencoded":
        in_form = str(request.POST.get("access_token", ""))
    in_query = token_in_query(request)
    scheme = "DPoP" if kind == "dpop" else "Bearer"
    if [in_header, in_form, in_query].count("") < 2:
        return _refusal(400, dpop.challenge(Invalid("invalid_request", "Send the access token once."), scheme))
    access_token = in_header or in_form or in_query
    if not access_token:  # a challenge without an error: the app may not know that a token is needed (RFC 6750, 3.1)
        return _refusal(401, {"WWW-Authenticate": 'Bearer realm="userinfo"'})
    try:
        claims = verify(access_token, kinds=[TokenKind.ACCESS])
        if in_query:
            check_token_in_query(claims)
        check_userinfo_scope(claims)
    except Forbidden as refused:
        return _refusal(403, dpop.challenge(refused, scheme, scope="openid"))
    except DomainError as refused:
        return _refusal(401, dpop.challenge(refused, scheme))
    try:
        method = str(request.method)
        dpop.check_holder(claims, kind or "bearer", access_token, request.headers, method, "userinfo")
    except DomainError as refused:
        return _refusal(401, dpop.challenge(refused, "DPoP"))
    try:
        found = userinfo_claims(claims)
    except DomainError as refused:
        return _refusal(401, dpop.challenge(refused, scheme))
    client = find_client(client_of(claims))
    if client is not None and not client.first_party:
        record_userinfo(client, found)
    if client is not None and client.userinfo_algorithm:
        body = signed_userinfo(found, client.pk)
        return HttpResponse(body, content_type="application/jwt", headers={"Cache-Control": "no-store"})
    return plain_json(found, headers={"Cache-Control": "no-store"})


def _refusal(status: int, headers: dict[str, str]) -> HttpResponse:
    """Return Auth0's plain text; the header says what is wrong (RFC 6750, 3)."""
    phrase = HTTPStatus(status).phrase
    return HttpResponse(phrase, status=status, content_type="text/plain; charset=utf-8", headers=headers)
