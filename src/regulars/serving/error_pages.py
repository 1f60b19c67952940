"""Answers to failures outside a view: a form that cannot be trusted, an unknown address, an unexpected exception.

No interface shows a page of Django's own: the APIs answer JSON, the console and the hosted pages answer pages of theirs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from bs4 import BeautifulSoup, Tag
from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_noop

from regulars.base.db.deadlocks import is_deadlock
from regulars.base.errors import Unavailable
from regulars.interfaces.console.pages import CONTENT_SECURITY_POLICY, error_page, is_staff, local_address
from regulars.interfaces.http_api.error_responses import ApiError, error_response
from regulars.interfaces.login.entry import onward
from regulars.interfaces.pages.navigation import message_page
from regulars.interfaces.pages.response_policy import page
from regulars.interfaces.pages.signed_in import customer

from .api_fast_path import VIEWS as PROGRAM_VIEWS

log = logging.getLogger("regulars.serving")
API, CONSOLE = "/api/", "/console"
# Pages that end with a session. A customer who has one by now goes on to where the page would have led.
SIGN_IN_PAGES = ("/login", "/signup", "/password/reset", "/second-factor", "/passkey", "/code")
STAFF_SIGN_IN_PAGES = ("/console/login",)

FORM_EXPIRED = gettext_noop("This page waited too long, or you signed in in another tab. Check it and send it again.")
NO_COOKIE = gettext_noop("Your browser sent no cookie with this form. Allow cookies for this site and send it again.")
GO_BACK = (
    gettext_noop("This was not sent"),
    gettext_noop(
        "This page waited too long, or you signed in in another tab. Go back, load the page anew and try again."
    ),
)
BAD_REQUEST = (
    gettext_noop("This request cannot be read"),
    gettext_noop("Go back and try again. Nothing was changed."),
)
NOT_PERMITTED = (gettext_noop("Not permitted"), gettext_noop("This page may not be opened from here."))
NOT_FOUND = (
    gettext_noop("Page not found"),
    gettext_noop("There is no page at this address. Check it for mistakes."),
)
FAILED = (
    gettext_noop("Something went wrong"),
    gettext_noop("This is our fault, and it was recorded. Please try again in a moment."),
)
NOT_DONE = gettext_noop("That did not work")
# Shown when not even the page of an error can be made, for instance without a database.
BARE = b'<!doctype html><html lang="en"><meta charset="utf-8"><title>Something went wrong</title>\
<h1>Something went wrong</h1><p>Please try again in a moment.</p></html>'


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose token does not belong to the browser's cookie. Nothing of it is carried out.

    Signing in changes the token, so the usual sender is a second tab or a second click: a customer who is signed in goes on.
    Otherwise the page is shown again with what was typed, passwords excepted.
    """
    path = request.path
    if path.startswith(API):
        return error_response(ApiError(403, "csrf_failed", "The form token is missing or does not match the cookie."))
    if request.headers.get("HX-Request"):
        return HttpResponse(status=HTTPStatus.FORBIDDEN, headers={"HX-Refresh": "true"})
    if _is_below(path, STAFF_SIGN_IN_PAGES) and is_staff(request):
        return _see_other(local_address(request.GET.get("next", "")))
    if _is_below(path, SIGN_IN_PAGES) and request.GET.get("prompt") != "login" and customer(request):
        return _see_other(onward(request))
    return _form_again(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 400, BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 403, NOT_PERMITTED)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 404, NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    raised = sys.exc_info()[1]
    # After a deadlock nothing of the transaction was kept, and the same request may succeed now.
    status = 503 if isinstance(raised, OperationalError) and is_deadlock(raised) else 500
    try:
        return _error(request, status, FAILED)
    except Exception:  # the cause of the first failure, such as a lost database, can also stop the error page
        return HttpResponse(BARE, status=500)


class AnswerUnavailable:
    """Middleware: answer 503 with the reason where something that a page depends on does not work now, and no view caught it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, Unavailable):
            return None
        log.error("%s: %s", exception.code, exception.message)
        if request.path.startswith(API):
            return error_response(ApiError(503, exception.code, exception.message))
        return _error(request, 503, (NOT_DONE, exception.message))


def _form_again(request: HttpRequest) -> HttpResponse:
    typed = {name: [str(value) for value in values] for name, values in request.POST.lists()}
    request.method = "GET"
    notice = FORM_EXPIRED if settings.CSRF_COOKIE_NAME in request.COOKIES else NO_COOKIE
    request.form_notice = notice  # type: ignore[attr-defined]  # read by the templates
    match = request.resolver_match
    shown = match.func(request, *match.args, **match.kwargs) if match else HttpResponse(status=404)
    if shown.has_header("Location"):
        return shown
    if shown.status_code != HTTPStatus.OK or not shown.headers["Content-Type"].startswith("text/html"):
        return _error(request, 403, GO_BACK)  # a form that is part of another page
    shown.content = fill_in(shown.content.decode(), typed)
    shown.status_code = HTTPStatus.FORBIDDEN
    return shown


def fill_in(html: str, typed: Mapping[str, Sequence[str]]) -> str:
    """Return the page with these values in its forms, by the names of the fields; passwords, files and hidden fields keep theirs."""
    page = BeautifulSoup(html, "html.parser")
    for field in page.find_all(["input", "textarea", "select"], attrs={"name": list(typed)}):
        values = typed[str(field["name"])]
        match str(field.get("type", "text")).lower() if field.name == "input" else field.name:
            case "password" | "hidden" | "file" | "submit" | "button" | "image":
                continue
            case "checkbox" | "radio":
                _mark(field, "checked", str(field.get("value", "on")) in values)
            case "select":
                for option in field.find_all("option"):
                    _mark(option, "selected", str(option.get("value", option.get_text())) in values)
            case "textarea":
                field.string = values[0]
            case _:
                field["value"] = values[0]
    return str(page)


def _mark(field: Tag, attribute: str, on: bool) -> None:
    if on:
        field[attribute] = ""
    else:
        field.attrs.pop(attribute, None)


def _error(request: HttpRequest, status: int, words: tuple[str, str]) -> HttpResponse:
    title, sentence = words
    if request.path.startswith(API):
        codes = {400: "invalid_uri", 403: "insufficient_scope", 404: "not_found"}
        return error_response(ApiError(status, codes.get(status, "internal_error"), f"{title}. {sentence}"))
    view = PROGRAM_VIEWS.get(request.path_info) or getattr(request.resolver_match, "func", None)
    if failed := getattr(view, "failed", None):  # an endpoint for programs
        answer: HttpResponse = failed(request, status, f"{title}. {sentence}")
        return answer
    if _is_below(request.path, (CONSOLE,)):
        response = error_page(request, title, sentence, status)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response
    return page(message_page)(request, title, sentence, status)


def _see_other(address: str) -> HttpResponse:
    return HttpResponseRedirect(address, status=HTTPStatus.SEE_OTHER)


def _is_below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)
