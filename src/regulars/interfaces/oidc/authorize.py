"""/authorize: from an app's request to a code. A list of gates; whoever passes them all gets one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from regulars.consent.view import served
from regulars.oauth.models import PendingLogin
from regulars.usecases.login import Decision, Denied, InteractionRequired, Login, LoginContext, log_in, run_rules_again

from . import codes, consents, pending, pushed, sessions
from .asking import Asked, ReturnAddress, read, read_address
from .errors import NonRedirectableError, OAuthError
from .grants import Grant
from .pending import RESUME, Wait
from .responses import say_lost, say_no, say_yes, with_policy, with_query
from .tokens import browser_answer, claims_of
from .visitor import MULTI_FACTOR, BrowserSession, find_visitor

TICKET = "login_ticket"  # she signed in on a page of the app; the sign-in door makes a session of it
PASSED_ON = ("login_hint", "screen_hint", "connection", "ui_locales", "acr_values", TICKET)  # to the sign-in page
# Auth0's context.protocol
FIRST_RUN, BACK_FROM_RULE = "oidc-basic-profile", "redirect-callback"
IMPLICIT, HYBRID = "oidc-implicit-profile", "oidc-hybrid-profile"
GONE = "This sign-in is finished, was started in another browser, or waited too long."


@dataclass
class AuthorizationContext:
    """One request that brings a login further. `pending` is written down only when she is sent to a page."""

    request: HttpRequest
    address: ReturnAddress
    asked: Asked
    pending: PendingLogin
    protocol: str = FIRST_RUN
    visitor: BrowserSession | None = None

    @property
    def came_from(self) -> str:
        """Which page she was sent to before; empty on the first request."""
        return self.pending.waits_for

    @property
    def progress(self) -> dict[str, Any]:
        progress: dict[str, Any] = self.pending.progress
        return progress


@csrf_exempt
@require_http_methods(["GET", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """Where every login of an app starts, and where it goes on after a page of ours."""
    resumed = pending.take_up(request, request.GET.get(RESUME, ""), Wait.LOGIN, Wait.QUESTION)
    if resumed:
        return _go_on(request, _query_of(resumed.params), resumed)
    # A state that waits no more (the back button) leaves the request itself, which begins anew.
    query = (request.POST if request.method == "POST" else request.GET).copy()
    query.pop(RESUME, None)
    if "request_uri" not in query:
        return _go_on(request, query, None)
    try:
        left = pushed.take(query.get("request_uri", ""), query.get("client_id", ""))
    except NonRedirectableError as lost:
        return say_lost(request, lost)
    return _go_on(request, left, None, pushed_before=True)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def continue_(request: HttpRequest) -> HttpResponse:
    """Where a rule's own page sends her back to. By POST its fields are kept, and her browser comes again by GET."""
    size = len(request.body)  # before its fields: a form with files can be read once only
    state = request.GET.get("state") or request.POST.get("state", "")
    if request.method == "POST":
        if size > pending.LARGEST_BODY or not pending.leave_message(state, request.POST.dict()):
            return say_lost(request, NonRedirectableError("invalid_request", GONE))
        query = {**request.GET.dict(), "state": state}
        return HttpResponseRedirect("/continue?" + urlencode(query), status=303)
    resumed = pending.take_up(request, state, Wait.RULE)
    if resumed is None:
        return say_lost(request, NonRedirectableError("invalid_request", GONE))
    resumed.progress = run_rules_again(resumed.progress)
    return _go_on(request, _query_of(resumed.params), resumed, BACK_FROM_RULE)


@require_http_methods(["GET", "POST"])
def consent(request: HttpRequest) -> HttpResponse:
    """An app of somebody else asks her. Forged answers fail on Django's token and on the browser's own state."""
    state = request.GET.get("state", "")
    waiting = pending.find(request, state, Wait.CONSENT)
    visitor = find_visitor(request)
    if waiting is None or visitor is None or waiting.account_id != visitor.account.pk:
        return say_lost(request, NonRedirectableError("invalid_request", GONE))
    query = _query_of(waiting.params)
    try:
        asked = read(query, read_address(query))
    except (NonRedirectableError, OAuthError):  # the app was changed while she read
        return say_lost(request, NonRedirectableError("invalid_request", GONE))
    if request.method == "GET":
        page = render(request, "provider/consent.html", {"client": asked.client, "lines": consents.in_words(asked)})
        return with_policy(page, {})
    return _decided(request, state, visitor, asked)


def _decided(request: HttpRequest, state: str, visitor: BrowserSession, asked: Asked) -> HttpResponse:
    taken = pending.take_up(request, state, Wait.CONSENT)
    if taken is None:
        return say_lost(request, NonRedirectableError("invalid_request", GONE))
    query = _query_of(taken.params)
    if request.POST.get("do") != "allow":
        pending.forget(taken)
        return say_no(request, read_address(query), OAuthError("access_denied", "The customer did not allow it."))
    consents.remember(visitor.profile, asked)
    taken.progress["consented"] = True
    return _go_on(request, query, taken)


def _go_on(
    request: HttpRequest,
    query: QueryDict,
    resumed: PendingLogin | None,
    protocol: str = FIRST_RUN,
    pushed_before: bool = False,
) -> HttpResponse:
    try:
        address = read_address(query)
    except NonRedirectableError as lost:
        return say_lost(request, lost)
    try:
        asked = read(query, address)
        login = resumed or pending.begin(request, asked.client.pk, dict(asked.params), pushed=pushed_before)
        if asked.client.requires_par and not login.pushed:
            raise OAuthError("invalid_request", "This app leaves its requests at /oauth/par first.")
        return _through(GATES, AuthorizationContext(request, address, asked, login, protocol))
    except OAuthError as refusal:
        if resumed:
            pending.forget(resumed)
        return say_no(request, address, refusal)


Gate = Callable[[AuthorizationContext], HttpResponse | None]


def _through(gates: list[Gate], turn: AuthorizationContext) -> HttpResponse:
    for gate in gates:
        response = gate(turn)
        if response is not None:
            return response
    return _finish(turn)


def is_signed_in(turn: AuthorizationContext) -> HttpResponse | None:
    """There is a session of a customer, as fresh as the app wants it."""
    turn.visitor = visitor = find_visitor(turn.request)
    if visitor and _is_fresh_enough(visitor, turn):
        return _second_factor(turn, visitor)
    if turn.asked.params.get(TICKET) and turn.came_from != Wait.LOGIN:
        return _to_sign_in(turn, again=True)
    # She comes from the sign-in page and is not signed in: sending her there again would never end.
    if turn.asked.is_silent or turn.came_from == Wait.LOGIN:
        raise OAuthError("login_required", "Login required")
    return _to_sign_in(turn, again=turn.request.user.is_authenticated or "login" in turn.asked.prompts)


def _second_factor(turn: AuthorizationContext, visitor: BrowserSession) -> HttpResponse | None:
    if not turn.asked.second_factor or "mfa" in visitor.amr:
        return None
    if turn.asked.is_silent:
        raise OAuthError("interaction_required", "Multifactor authentication required")
    if turn.came_from == Wait.LOGIN:
        raise OAuthError("unmet_authentication_requirements", "She did not show a second factor.")
    return _to_sign_in(turn, again=False)


def is_allowed_in(turn: AuthorizationContext) -> HttpResponse | None:
    if _visitor(turn).is_barred:
        raise OAuthError("unauthorized", "user is blocked")
    return None


def is_the_same_person(turn: AuthorizationContext) -> HttpResponse | None:
    """What was decided for another account in this browser is not decided for her."""
    account = _visitor(turn).account
    if turn.pending.account_id != account.pk:
        turn.pending.account, turn.pending.progress, turn.pending.brought = account, {}, {}
        turn.protocol = FIRST_RUN
    return None


def has_consent(turn: AuthorizationContext) -> HttpResponse | None:
    must_ask = "consent" in turn.asked.prompts and not turn.asked.client.first_party
    if turn.progress.get("consented") or (not must_ask and consents.is_given(_visitor(turn).profile, turn.asked)):
        return None
    if turn.asked.is_silent:
        raise OAuthError("consent_required", "Consent required")
    state = pending.put_down(turn.pending, Wait.CONSENT)
    return _away(turn, "/authorize/consent?" + urlencode({"state": state}))


GATES: list[Gate] = [
    is_signed_in,
    is_allowed_in,
    is_the_same_person,
    has_consent,
]


def _finish(turn: AuthorizationContext) -> HttpResponse:
    """The steps of the login, and what came of them."""
    visitor = _visitor(turn)
    login = Login(visitor.profile, turn.asked.client, _visit(turn), turn.asked.scopes, turn.progress)
    match log_in(login, lambda decision: _issue(turn, decision)):
        case Denied() as denied:
            raise OAuthError(denied.error, denied.description)
        case InteractionRequired() as detour:
            return _detour(turn, detour)
        case dict(answer):
            return say_yes(turn.request, turn.address, answer)
    raise AssertionError("a login ends in one of three ways")


def _issue(turn: AuthorizationContext, decision: Decision) -> dict[str, Any]:
    visitor, asked = _visitor(turn), turn.asked
    pending.forget(turn.pending)
    grant = Grant(
        client_id=asked.client.pk,
        sub=visitor.profile.user_id,
        scopes=decision.scopes,
        audience=asked.audience,
        lifetime=asked.lifetime,
        sid=visitor.sid,
        auth_time=None if visitor.auth_time is None else int(visitor.auth_time),
        amr=visitor.amr,
        acr=visitor.acr,
        nonce=asked.nonce,
        redirect_uri=asked.sent_redirect_uri,
        challenge=asked.challenge,
        jkt=asked.jkt,
        id_token={**claims_of(served(visitor.profile), decision.scopes), **decision.id_token},
        access_token=decision.access_token,
    )
    code = codes.issue(visitor.profile, grant) if "code" in asked.response_types else ""
    sessions.note(visitor.profile, grant.sid, grant.client_id, decision.id_token)
    in_browser = replace(grant, lifetime=asked.browser_lifetime, jkt="")
    return {**({"code": code} if code else {}), **browser_answer(in_browser, asked.response_types, code)}


def _detour(turn: AuthorizationContext, detour: InteractionRequired) -> HttpResponse:
    if turn.asked.is_silent:
        raise OAuthError("interaction_required", "A page must be shown first. Sign in without prompt=none.")
    state = pending.put_down(turn.pending, detour.why)
    onward = {"state": state} if detour.why == Wait.RULE else {"next": pending.way_back(turn.pending, state)}
    return _away(turn, with_query(detour.url, onward))


def _to_sign_in(turn: AuthorizationContext, again: bool) -> HttpResponse:
    """`again`: she must prove anew who she is, and on her return we must know that she did. All is decided anew then."""
    turn.pending.progress, turn.pending.brought = {}, {}
    params = turn.asked.params
    hints = {name: params[name] for name in PASSED_ON if params.get(name)}
    if turn.asked.second_factor:
        hints["acr_values"] = MULTI_FACTOR
    must_know = again or turn.pending.pushed or turn.asked.second_factor
    if not must_know and turn.asked.max_age is None and not turn.asked.prompts:
        next_ = "/authorize?" + urlencode(turn.pending.params)
        return HttpResponseRedirect("/login?" + urlencode({"next": next_, **hints}))
    next_ = pending.way_back(turn.pending, pending.put_down(turn.pending, Wait.LOGIN))
    return _away(turn, "/login?" + urlencode({"next": next_, **hints, **({"prompt": "login"} if again else {})}))


def _away(turn: AuthorizationContext, url: str) -> HttpResponse:
    response = HttpResponse(status=302)
    response.headers["Location"] = url
    pending.mark_browser(turn.request, response)
    return response


def _is_fresh_enough(visitor: BrowserSession, turn: AuthorizationContext) -> bool:
    at = visitor.auth_time or 0.0
    if at > turn.pending.started_at.timestamp():
        return True
    if turn.asked.prompts & {"login", "select_account"} or turn.asked.params.get(TICKET):
        return False
    return turn.asked.max_age is None or time.time() - at <= turn.asked.max_age


def _visitor(turn: AuthorizationContext) -> BrowserSession:
    assert turn.visitor is not None
    return turn.visitor


def _visit(turn: AuthorizationContext) -> LoginContext:
    request, visitor = turn.request, _visitor(turn)
    connection, strategy = visitor.way_in
    is_back = turn.protocol == BACK_FROM_RULE
    return LoginContext(
        protocol=turn.protocol if is_back else _profile_of(turn.asked),
        hostname=request.get_host(),
        ip=request.META.get("REMOTE_ADDR", ""),
        user_agent=request.headers.get("User-Agent", ""),
        query=request.GET.dict() if is_back else turn.asked.params,
        body=turn.pending.brought,
        session_id=visitor.sid,
        methods=visitor.methods,
        connection=connection,
        strategy=strategy,
        other_clients=lambda: sessions.others_in(visitor.sid, turn.asked.client.pk),
        locale=(turn.asked.params.get("ui_locales", "").split() or [get_language() or "en"])[0],
        silent=turn.asked.is_silent,
        proved=bool(turn.asked.params.get(TICKET)),  # a ticket brings her here only by a session that it just made
        busy=turn.asked.second_factor or turn.asked.params.get("ask") == "0",
    )


def _profile_of(asked: Asked) -> str:
    """Auth0's name for how the app gets its tokens."""
    if asked.response_types == {"code"}:
        return FIRST_RUN
    return HYBRID if "code" in asked.response_types else IMPLICIT


def _query_of(params: dict[str, str]) -> QueryDict:
    query = QueryDict(mutable=True)
    query.update(params)
    return query
