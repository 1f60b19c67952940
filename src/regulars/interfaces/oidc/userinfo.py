"""/userinfo: what the scopes of an access token tell of its customer."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, JsonResponse

from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.errors import DomainError, Invalid
from regulars.base.tokens import dpop
from regulars.base.tokens.jwt import verify
from regulars.consent.view import served, to_serve
from regulars.profiles.find import number_of
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import MAY_SIGN_IN

from . import sessions
from .cors import open_to_scripts
from .tokens import ACCESS_TOKEN, claims_of, userinfo_audience

TOLD = "told_by_rules"
GONE = "This customer is not here."  # read by apps


@open_to_scripts("GET", "POST")
def userinfo(request: HttpRequest) -> HttpResponse:
    kind, token = _credential(request)
    try:
        claims = verify(token, userinfo_audience(), typ=ACCESS_TOKEN)
    except DomainError as refused:
        return _unauthorized(refused, "Bearer")
    try:
        dpop.check_holder(claims, kind, token, request.headers, str(request.method), "userinfo")
    except DomainError as refused:
        return _unauthorized(refused, "DPoP")
    profile = _customer.first(
        user_id=str(claims["sub"]), sid=str(claims.get("sid", "")), client=str(claims.get("client_id", ""))
    )
    if profile is None:
        return _unauthorized(Invalid("unknown_customer", GONE), "Bearer")
    scopes = str(claims.get("scope", "")).split()
    told_by_rules: dict[str, Any] = getattr(profile, TOLD) or {}
    answer: dict[str, Any] = {**claims_of(served(profile), scopes), **told_by_rules, "sub": claims["sub"]}
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


def _customers() -> QuerySet[Profile]:
    """Whoever may be told of, with what is told: by what she allows, and by rules in this session of this app."""
    here = Profile.objects.filter(MAY_SIGN_IN, pk=number_of(param("user_id")))
    told = sessions.claims_in(param("sid"), param("client"), OuterRef("pk"))
    return to_serve(here).annotate(**{TOLD: Subquery(told)}).defer("terms", "closed_consents")


_customer = CompiledQuery(_customers)


def _credential(request: HttpRequest) -> tuple[str, str]:
    """From the header, or from a form as RFC 6750 2.2 allows; never from the address, which ends up in logs."""
    kind, token = dpop.credential_of(request.headers)
    if not token and request.method == "POST" and request.content_type == "application/x-www-form-urlencoded":
        token = str(request.POST.get("access_token", ""))
    return kind or "bearer", token


def _unauthorized(refused: DomainError, kind: str) -> HttpResponse:
    headers = dpop.challenge(refused, kind)
    return HttpResponse("Unauthorized", status=401, content_type="text/plain; charset=utf-8", headers=headers)
