"""/authorize, its consent page, and /continue, where the pages of rules send the browser back to."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from regulars.clients.cache import find_client
from regulars.consent.notices import NoticeChangedError
from regulars.interfaces.pages.language import language_shown
from regulars.oauth import consents
from regulars.oauth.authorization_request import (
    AuthorizationRequest,
    Endpoint,
    Parameters,
    ReturnAddress,
    read_authorization_request,
    read_return_address,
)
from regulars.oauth.interactions import (
    RESUME,
    Wait,
    delete_interaction,
    find_interaction,
    new_interaction,
    resume_interaction,
    store_posted_fields,
)
from regulars.oauth.models import PendingLogin
from regulars.oauth.protocol_errors import NonRedirectableError, OAuthError
from regulars.oauth.pushed_requests import is_reference, take_request
from regulars.usecases.authorize import AuthorizationContext
from regulars.usecases.authorize import authorize as authorize_app
from regulars.usecases.login import InteractionRequired
from regulars.usecases.login_context import BACK_FROM_RULE
from regulars.usecases.login_progress import LoginProgress, Step

from .browser import browser_context, browser_id, find_browser_session, save_browser_id
from .responses import error_page, send_answer, send_error, with_policy

LARGEST_POST = 64 * 1024  # bytes that a rule's page may post
EXPIRED = "This sign-in is finished, was started in another browser, or waited too long."


@csrf_exempt
@require_http_methods(["GET", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """/authorize: start the login of an app, or resume it after a page of ours."""
    resumed = resume_interaction(browser_id(request), request.GET.get(RESUME, ""), Wait.LOGIN, Wait.QUESTION)
    if resumed:
        return _proceed(request, Parameters.of(resumed.params), resumed)
    # A state that waits no more (the back button) leaves the request itself, which starts anew.
    sent = request.POST if request.method == "POST" else request.GET
    params = Parameters({name: [str(each) for each in values] for name, values in sent.lists() if name != RESUME})
    if not is_reference(params.text("request_uri")):
        return _proceed(request, params)
    try:
        pushed = take_request(params.text("request_uri"), params.text("client_id"))
    except NonRedirectableError as error:
        return _refuse_reference(request, params, error)
    return _proceed(request, pushed, pushed=True)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def continue_(request: HttpRequest) -> HttpResponse:
    """/continue: resume after a rule's page. The fields of a POST are kept, and the browser is sent here again by GET."""
    size = len(request.body)  # before the fields: a form with files can be read once only
    state = request.GET.get("state") or request.POST.get("state", "")
    if request.method == "POST":
        if size > LARGEST_POST or not store_posted_fields(state, request.POST.dict()):
            return _expired(request)
        query = {**request.GET.dict(), "state": state}
        return HttpResponseRedirect("/continue?" + urlencode(query), status=303)
    resumed = resume_interaction(browser_id(request), state, Wait.RULE)
    if resumed is None:
        return _expired(request)
    progress = LoginProgress.from_json(resumed.progress).without(Step.RUN_RULES)  # rules run again, as Auth0's do
    return _proceed(request, Parameters.of(resumed.params), resumed, progress, protocol=BACK_FROM_RULE)


@require_http_methods(["GET", "POST"])
def consent(request: HttpRequest) -> HttpResponse:
    """/authorize/consent: a third-party app asks the customer.

    Forged answers fail on Django's CSRF token and on the state, which belongs to this browser.
    """
    state = request.GET.get("state", "")
    waiting = find_interaction(browser_id(request), state, Wait.CONSENT)
    session = find_browser_session(request)
    if waiting is None or session is None or waiting.account_id != session.account.pk:
        return _expired(request)
    try:
        address, requested = _read(Parameters.of(waiting.params), pushed=waiting.pushed)
    except (NonRedirectableError, OAuthError):  # the app was changed meanwhile
        return _expired(request)
    locale = language_shown(request)
    allows = request.method == "POST" and request.POST.get("do") == "allow"
    if request.method == "GET":
        return _consent_page(request, requested, locale)
    if allows and request.POST.get("notice") != consents.app_notice(requested, locale).hash:
        return _consent_page(request, requested, get_language() or locale, changed=NoticeChangedError())
    resumed = resume_interaction(browser_id(request), state, Wait.CONSENT)
    if resumed is None:
        return _expired(request)
    if not allows:
        delete_interaction(resumed)
        return send_error(request, address, OAuthError("access_denied", "The customer did not allow it."))
    consents.record_consent(session.profile, requested, request.POST["notice"], locale)
    progress = replace(LoginProgress.from_json(resumed.progress), consented=True)
    return _proceed(request, Parameters.of(resumed.params), resumed, progress)


def _consent_page(
    request: HttpRequest,
    requested: AuthorizationRequest,
    locale: str,
    changed: NoticeChangedError | None = None,
) -> HttpResponse:
    """Show what the app asks for. `changed`: it is not any more what the customer allowed."""
    notice = consents.app_notice(requested, locale)
    context = {
        "client": requested.client,
        "lines": notice.words.splitlines(),
        "locale": locale,
        "notice": notice.hash,
        "problem": changed.message if changed else "",
    }
    return with_policy(render(request, "oidc/consent.html", context, status=409 if changed else 200))


def _proceed(
    request: HttpRequest,
    params: Parameters,
    resumed: PendingLogin | None = None,
    progress: LoginProgress | None = None,
    *,
    protocol: str = "",
    pushed: bool = False,
) -> HttpResponse:
    """Take the login as far as it gets, and answer the app, or send the browser to the page that is required."""
    try:
        address = read_return_address(params)
    except NonRedirectableError as error:
        return error_page(request, error, find_client(params.text("client_id")))
    try:
        _, requested = _read(params, pushed=resumed.pushed if resumed else pushed)
        pending = resumed or new_interaction(browser_id(request), requested)
        context = AuthorizationContext(
            request=requested,
            pending=pending,
            progress=progress or LoginProgress.from_json(pending.progress),
            session=find_browser_session(request),
            browser=browser_context(request, protocol),
            is_authenticated=request.user.is_authenticated,
        )
        answer = authorize_app(context)
    except OAuthError as error:
        if resumed:
            delete_interaction(resumed)
        return send_error(request, address, error)
    if isinstance(answer, InteractionRequired):
        response = HttpResponse(status=302, headers={"Location": answer.url})
        if pending.state_hash:
            save_browser_id(request, response)
        return response
    return send_answer(request, address, answer)


def _read(params: Parameters, *, pushed: bool) -> tuple[ReturnAddress, AuthorizationRequest]:
    address = read_return_address(params)
    return address, read_authorization_request(Endpoint.AUTHORIZE, address.client, params, address, pushed=pushed)


def _refuse_reference(request: HttpRequest, params: Parameters, error: NonRedirectableError) -> HttpResponse:
    """Answer the app where its address names one of its own, beside the reference; else show the customer a page."""
    try:
        address = read_return_address(params)
    except NonRedirectableError:
        return error_page(request, error, find_client(params.text("client_id")))
    if not address.sent_redirect_uri:  # without it the app would get an answer to a request whose state is unknown
        return error_page(request, error, find_client(params.text("client_id")))
    return send_error(request, address, OAuthError(error.error, "The request_uri was used before or has expired."))


def _expired(request: HttpRequest) -> HttpResponse:
    return error_page(request, NonRedirectableError("invalid_request", EXPIRED))
