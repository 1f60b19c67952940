"""/activate: she types the code that her device shows, sees what it asks for, and allows it or not."""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_http_methods

from regulars.clients.cache import find_api
from regulars.clients.models import Client
from regulars.consent.view import served
from regulars.oauth.models import DeviceRequest
from regulars.usecases.login import Decision, Denied, InteractionRequired, Login, LoginContext, log_in

from . import consents, devices, sessions
from .asking import DEFAULT_LIFETIME
from .grants import Grant
from .pending import Wait
from .responses import with_policy, with_query
from .tokens import claims_of
from .visitor import BrowserSession, find_visitor

PROTOCOL = "oauth2-device-code"
TRIES, WINDOW = 10, 600.0  # wrong codes in one session, and seconds until they are forgotten
TRIED = "device_codes_tried"
ALLOWED = "device_allowed"  # session key: the device she allowed, while a question is before her
BACK = "back_from"  # the parameter that says she comes from there
LONGEST_CODE = 20
UNKNOWN = "No device waits with this code. Look again, or let the device show a new one."
TOO_MANY = "Too many wrong codes. Wait ten minutes and try again."


@require_http_methods(["GET", "POST"])
def activate(request: HttpRequest) -> HttpResponse:
    """The page in its three looks: the code, the question, the end. A code in the address is filled in, never used."""
    code = (request.POST if request.method == "POST" else request.GET).get("user_code", "")[:LONGEST_CODE]
    visitor = find_visitor(request)
    if visitor is None or visitor.is_barred:
        next_ = "/activate?" + urlencode({"user_code": code}) if code else "/activate"
        return HttpResponseRedirect("/login?" + urlencode({"next": next_}))
    if request.method == "GET":
        return _go_on(request, visitor, code) if request.GET.get(BACK) else _ask_for_code(request, code)
    if _tried_too_often(request):
        return _ask_for_code(request, "", TOO_MANY, 429)
    row = devices.find(code)
    if row is None:
        request.session[TRIED] = [*request.session.get(TRIED, []), time.time()][-TRIES:]
        return _ask_for_code(request, code, UNKNOWN, 400)
    match request.POST.get("do"):
        case "allow":
            return _allow(request, row, visitor, code, {})
        case "refuse":
            return _end(request, row, devices.decide(row, DeviceRequest.State.DENIED, visitor.profile, {}), "denied")
        case _:
            return _ask_for_yes(request, row, code)


def _allow(
    request: HttpRequest, row: DeviceRequest, visitor: BrowserSession, code: str, progress: dict[str, Any]
) -> HttpResponse:
    """The steps of every login. A question is asked on the way; a rule that wants a page of its own refuses the device."""
    scopes = row.params["scope"].split()
    login = Login(visitor.profile, row.client, _visit(request, visitor), scopes, progress)
    try:
        ended = log_in(login, lambda decision: _issue(row, visitor, decision))
    except AnsweredAlready:
        return _ask_for_code(request, "", UNKNOWN, 400)
    match ended:
        case InteractionRequired(why=Wait.QUESTION, url=url):
            request.session[ALLOWED] = {"device": row.pk, "account": visitor.account.pk, "progress": login.progress}
            back = "/activate?" + urlencode({"user_code": code, BACK: Wait.QUESTION})
            return HttpResponseRedirect(with_query(url, {"next": back}))
        case Denied() as denied:
            devices.decide(row, DeviceRequest.State.DENIED, visitor.profile, {})
            return _page(request, "end", {"what": "denied", "client": row.client, "sentence": denied.description}, 403)
        case InteractionRequired():
            devices.decide(row, DeviceRequest.State.DENIED, visitor.profile, {})
            sentence = "This app must show you a page first. Sign in to it on this device, then try again."
            return _page(request, "end", {"what": "denied", "client": row.client, "sentence": sentence}, 403)
    return _end(request, row, True, "allowed")


def _go_on(request: HttpRequest, visitor: BrowserSession, code: str) -> HttpResponse:
    """She is back from the question. That she had allowed it only her session knows: who had not sees the first page."""
    allowed, row = request.session.pop(ALLOWED, {}), devices.find(code)
    if row is None or (allowed.get("device"), allowed.get("account")) != (row.pk, visitor.account.pk):
        return _ask_for_code(request, code)
    return _allow(request, row, visitor, code, allowed["progress"])


class AnsweredAlready(Exception):
    """Two answers for one device: the second undoes itself, so that no login is counted that nobody made."""


def _issue(row: DeviceRequest, visitor: BrowserSession, decision: Decision) -> None:
    """The device has a session of its own: signing out here does not switch the television off."""
    api = find_api(row.params["audience"])
    grant = Grant(
        client_id=row.client_id,
        sub=visitor.profile.user_id,
        scopes=decision.scopes,
        audience=row.params["audience"],
        lifetime=api.token_lifetime if api else DEFAULT_LIFETIME,
        sid=secrets.token_hex(16),
        auth_time=None if visitor.auth_time is None else int(visitor.auth_time),
        amr=visitor.amr,
        acr=visitor.acr,
        id_token={**claims_of(served(visitor.profile), decision.scopes), **decision.id_token},
        access_token=decision.access_token,
    )
    if not devices.decide(row, DeviceRequest.State.ALLOWED, visitor.profile, grant.kept()):
        raise AnsweredAlready
    sessions.note(visitor.profile, grant.sid, grant.client_id, decision.id_token)


def _visit(request: HttpRequest, visitor: BrowserSession) -> LoginContext:
    connection, strategy = visitor.way_in
    return LoginContext(
        protocol=PROTOCOL,
        hostname=request.get_host(),
        ip=request.META.get("REMOTE_ADDR", ""),
        user_agent=request.headers.get("User-Agent", ""),
        session_id=visitor.sid,
        methods=visitor.methods,
        connection=connection,
        strategy=strategy,
        locale=get_language() or "en",
    )


def _ask_for_code(request: HttpRequest, code: str, problem: str = "", status: int = 200) -> HttpResponse:
    return _page(request, "code", {"code": code, "problem": problem}, status)


def _ask_for_yes(request: HttpRequest, row: DeviceRequest, code: str) -> HttpResponse:
    lines = consents.words_of(row.params["scope"].split(), find_api(row.params["audience"]))
    return _page(request, "question", {"client": row.client, "code": code, "lines": lines})


def _end(request: HttpRequest, row: DeviceRequest, done: bool, what: str) -> HttpResponse:
    if not done:
        return _ask_for_code(request, "", UNKNOWN, 400)
    client: Client = row.client
    return _page(request, "end", {"what": what, "client": client})


def _page(request: HttpRequest, look: str, context: dict[str, object], status: int = 200) -> HttpResponse:
    page = render(request, "provider/activate.html", {"look": look, **context}, status=status)
    return with_policy(page, {"form-action": "'self'"})


def _tried_too_often(request: HttpRequest) -> bool:
    tried = [at for at in request.session.get(TRIED, []) if time.time() - at < WINDOW]
    return len(tried) >= TRIES
