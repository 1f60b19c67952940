"""/userinfo: what the scopes of an access token tell of its customer."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from regulars.base.kit.errors import Refused
from regulars.base.kit.signing.tokens import verify
from regulars.consent.view import served
from regulars.profiles.models import Profile

from . import dpop
from .cors import open_to_scripts
from .errors import Refusal
from .sessions import claims_in
from .tokens import ACCESS_TOKEN, claims_of, userinfo_audience


@open_to_scripts("GET", "POST")
def userinfo(request: HttpRequest) -> HttpResponse:
    try:
        kind, token = _credential(request)
        claims = verify(token, userinfo_audience(), typ=ACCESS_TOKEN)
        _check_holder(request, kind, token, claims)
    except Refused as refused:
        return _unauthorized(refused.sentence)
    except Refusal as refusal:
        return _unauthorized(refusal.description, refusal.error, "DPoP")
    customers = Profile.objects.filter(blocked=False).exclude(account__is_active=False)
    profile = customers.filter(user_id=claims["sub"]).first()
    if profile is None:
        return _unauthorized("This customer is not here.")
    scopes = str(claims.get("scope", "")).split()
    told_by_rules = claims_in(str(claims.get("sid", "")), str(claims.get("client_id", "")), profile)
    answer: dict[str, Any] = {**claims_of(served(profile), scopes), **told_by_rules, "sub": profile.user_id}
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


def _credential(request: HttpRequest) -> tuple[str, str]:
    """From the header, or from a form as RFC 6750 2.2 allows; never from the address, which ends up in logs."""
    kind, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() in ("bearer", "dpop") and token:
        return kind.lower(), str(token.strip())
    if request.method == "POST" and request.content_type == "application/x-www-form-urlencoded":
        return "bearer", str(request.POST.get("access_token", ""))
    return "bearer", ""


def _check_holder(request: HttpRequest, kind: str, token: str, claims: dict[str, Any]) -> None:
    """A token that is bound to a key comes with a proof of it, and only such a token comes as DPoP."""
    jkt = claims.get("cnf", {}).get("jkt", "")
    if kind == "bearer" and not jkt:
        return
    proved = dpop.thumbprint_of(request.headers, str(request.method), "userinfo", access_token=token)
    if kind != "dpop" or not proved or proved != jkt:
        raise Refusal("invalid_token", "This token comes with a DPoP proof of the key it is bound to.")


def _unauthorized(why: str, error: str = "invalid_token", kind: str = "Bearer") -> HttpResponse:
    challenge = f'{kind} error="{error}", error_description="{why}"'
    nonce = {"DPoP-Nonce": dpop.nonce()} if error == "use_dpop_nonce" else {}
    return HttpResponse(
        "Unauthorized",
        status=401,
        content_type="text/plain; charset=utf-8",
        headers={"WWW-Authenticate": challenge, **nonce},
    )
