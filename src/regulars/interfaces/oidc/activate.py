"""/activate: the customer types the code that their device shows, sees what it asks for, and allows it or not."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_http_methods

from regulars.accounts.rate_limits import TooManyAttempts, attempting
from regulars.consent.notices import NoticeChangedError
from regulars.interfaces.pages.attempts import attempt_of
from regulars.interfaces.pages.language import language_shown
from regulars.oauth.browser_session import BrowserSession
from regulars.oauth.consents import app_notice
from regulars.oauth.device_codes import deny_device, find_device, request_of, was_issued
from regulars.oauth.interactions import Wait, with_query
from regulars.oauth.models import DeviceRequest
from regulars.usecases.authorize import AlreadyAnsweredError, authorize_device
from regulars.usecases.login import Denied, InteractionRequired
from regulars.usecases.login_progress import LoginProgress

from .browser import browser_context, find_browser_session
from .responses import with_policy

ALLOWED = "device_allowed"  # session key: the device that the customer allowed, while they answer a question
BACK = "back_from"  # the parameter of a browser that comes back from the question
LONGEST_CODE = 20
UNKNOWN = "No device waits with this code. Look again, or let the device show a new one."
TOO_MANY = "Too many wrong codes. Wait ten minutes and try again."
NEEDS_PAGE = "This app must show you a page first. Sign in to it on this device, then try again."


@require_http_methods(["GET", "POST"])
def activate(request: HttpRequest) -> HttpResponse:
    """The page in its three steps: code, question, end. A code in the address is filled in, never used."""
    code = (request.POST if request.method == "POST" else request.GET).get("user_code", "")[:LONGEST_CODE]
    session = find_browser_session(request)
    if session is None or not session.may_sign_in:
        next_ = "/activate?" + urlencode({"user_code": code}) if code else "/activate"
        return HttpResponseRedirect("/login?" + urlencode({"next": next_}))
    if request.method == "GET":
        if not request.GET.get(BACK):
            return _code_page(request, code)
        # After the question, only the session knows that the customer had allowed the device.
        allowed, row = request.session.pop(ALLOWED, {}), find_device(code)
        if row is None or (allowed.get("device"), allowed.get("account")) != (row.pk, session.account.pk):
            return _code_page(request, code)
        if not _is_shown_now(row, allowed.get("notice", ""), allowed.get("locale", "en")):
            return _question_page(request, row, code, NoticeChangedError())
        progress = LoginProgress.from_json(allowed["progress"])
        return _allow(request, row, session, code, progress, allowed["notice"], allowed["locale"])
    account = session.account
    try:
        with attempting(attempt_of(request, "device", f"account {account.pk}", email=account.email)) as place:
            row = find_device(code)
            if row or was_issued(code):
                place.succeed()
            if row is None:
                return _code_page(request, code, UNKNOWN, 400)
    except TooManyAttempts:
        return _code_page(request, "", TOO_MANY, 429)
    match request.POST.get("do"):
        case "allow":
            notice, locale = request.POST.get("notice", ""), language_shown(request)
            if not _is_shown_now(row, notice, locale):
                return _question_page(request, row, code, NoticeChangedError())
            return _allow(request, row, session, code, LoginProgress(), notice, locale)
        case "refuse":
            if not deny_device(row, session.profile):
                return _code_page(request, "", UNKNOWN, 400)
            return _end_page(request, row, "denied")
    return _question_page(request, row, code)


def _is_shown_now(row: DeviceRequest, notice: str, locale: str) -> bool:
    """Whether the page reads in this language as it did when it was given this hash."""
    return app_notice(request_of(row), locale).hash == notice


def _allow(
    request: HttpRequest,
    row: DeviceRequest,
    session: BrowserSession,
    code: str,
    progress: LoginProgress,
    notice: str,
    locale: str,
) -> HttpResponse:
    """Log the customer in on the device. A question is asked on the way; a rule with a page of its own refuses the device."""
    try:
        context = browser_context(request)
        stopped, progress = authorize_device(row, session, context, progress, notice=notice, locale=locale)
    except AlreadyAnsweredError:
        return _code_page(request, "", UNKNOWN, 400)
    except NoticeChangedError as changed:
        return _question_page(request, row, code, changed)
    match stopped:
        case InteractionRequired(reason=Wait.QUESTION, url=url):
            request.session[ALLOWED] = {
                "device": row.pk,
                "account": session.account.pk,
                "progress": progress.to_json(),
                "notice": notice,
                "locale": locale,
            }
            back = "/activate?" + urlencode({"user_code": code, BACK: Wait.QUESTION})
            return HttpResponseRedirect(with_query(url, {"next": back}))
        case Denied(description=sentence):
            deny_device(row, session.profile)
            return _end_page(request, row, "denied", sentence, 403)
        case InteractionRequired(reason=Wait.LOGIN, url=url):
            return HttpResponseRedirect(with_query(url, {"next": "/activate?" + urlencode({"user_code": code})}))
        case InteractionRequired():
            deny_device(row, session.profile)
            return _end_page(request, row, "denied", NEEDS_PAGE, 403)
    return _end_page(request, row, "allowed")


def _code_page(request: HttpRequest, code: str, error: str = "", status: int = 200) -> HttpResponse:
    return _page(request, "code", {"code": code, "error": error}, status)


def _question_page(
    request: HttpRequest, row: DeviceRequest, code: str, changed: NoticeChangedError | None = None
) -> HttpResponse:
    """Show what the device asks for. `changed`: it is not any more what the customer allowed."""
    locale = get_language() or "en"
    notice = app_notice(request_of(row), locale)
    context = {
        "client": row.client,
        "code": code,
        "lines": notice.words.splitlines(),
        "locale": locale,
        "notice": notice.hash,
        "problem": changed.message if changed else "",
    }
    return _page(request, "question", context, 409 if changed else 200)


def _end_page(
    request: HttpRequest, row: DeviceRequest, outcome: str, sentence: str = "", status: int = 200
) -> HttpResponse:
    return _page(request, "end", {"outcome": outcome, "client": row.client, "sentence": sentence}, status)


def _page(request: HttpRequest, step: str, context: dict[str, object], status: int = 200) -> HttpResponse:
    page = render(request, "oidc/activate.html", {"step": step, **context}, status=status)
    return with_policy(page, form_action="'self'")
