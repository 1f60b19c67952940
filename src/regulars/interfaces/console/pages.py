"""Access to the console's pages, their security headers, their errors, and the record of what staff did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from regulars.accounts.models import Account
from regulars.base.errors import DomainError, Forbidden, Invalid, Unavailable
from regulars.base.text import has_nul
from regulars.interfaces.pages.response_policy import content_security_policy

from .edits import SecondPress, typed_in
from .models import AuditEntry

View = Callable[..., HttpResponseBase]

CONTENT_SECURITY_POLICY = content_security_policy(connect_src="'self'", form_action="'self'")

# Each role may do what the roles before it may. A viewer sees numbers of at least ten customers and no customer.
ROLES = ("viewer", "marketer", "admin")
EXPORTED = "segment.exported"
MOST_DOWNLOADS = 20
SHOWN_ONCE = (
    "It was made by your first press already. Its secret was shown once, in the answer to that press. If you have not seen it,"
    " make a new secret below."
)
NO_ROLE = ""  # of a method that the page does not have
PROVED = "console_second_factor"  # session key: the second factor was shown in this session


class RoleTooLow(Forbidden):
    """The role of the member of staff does not permit this."""


def page(view: View) -> View:
    """Serve a page that needs no login, with the strict policy."""

    @wraps(view)
    def opened(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    return opened


def staff_page(read: str, write: str = NO_ROLE) -> Callable[[View], View]:
    """Serve a page to staff and redirect others to the login.

    GET needs the role `read`, POST the role `write`, before anything is looked up. `tests/console/test_roles.py` has all of them.
    """

    def serve(view: View) -> View:
        @page
        @wraps(view)
        def opened(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not is_staff(request):
                # the login returns to this page; htmx gets a header, or it would paste the login into the page
                here = request.get_full_path() if request.method == "GET" else "/console/"
                address = "/console/login?" + urlencode({"next": here})
                if request.headers.get("HX-Request"):
                    return HttpResponse(headers={"HX-Redirect": address})
                return HttpResponseRedirect(address)
            try:
                role = write if request.method == "POST" else read
                if role not in ROLES or not may(request, role):
                    mine = getattr(request.user, "role", "")
                    raise RoleTooLow("role_too_small", f"This needs the role {role!r}; yours is {mine or 'none'!r}.")
                if has_nul(request, request.GET, request.POST):
                    raise Invalid(
                        "nul", "The text contains a NUL character, which cannot be stored. Remove it and try again."
                    )
                return view(request, *args, **kwargs)
            except SecondPress as press:
                messages.info(request, SHOWN_ONCE if press.secret else "It was made by your first press already.")
                return HttpResponseRedirect(press.address)
            except Http404 as error:
                typed = typed_in(request)
                if typed:
                    return render(request, "console/deleted.html", {"sentence": str(error), "typed": typed}, status=404)
                return error_page(request, "Not found", str(error) or "This page does not exist.", 404)
            except RoleTooLow as error:
                return error_page(request, "Not permitted", error.message, 403)
            except DomainError as error:
                status = 503 if isinstance(error, Unavailable) else 400
                return error_page(request, "That did not work", error.message, status)

        opened.roles = (read, write)  # type: ignore[attr-defined]  # for the navigation and the test of all pages
        return opened

    return serve


def reading_role(view: Callable[..., object]) -> str:
    """Return the role that GET of a staff page needs."""
    read: str = view.roles[0]  # type: ignore[attr-defined]  # put there by `staff_page`
    return read


def may(request: HttpRequest, role: str) -> bool:
    """Return whether the member of staff has this role or a higher one, to show or hide a part of a page."""
    mine = getattr(request.user, "role", "")
    return mine in ROLES and ROLES.index(mine) >= ROLES.index(role)


def is_staff(request: HttpRequest) -> bool:
    """Return whether a member of staff is signed in with a second factor; in the demonstration a password is enough."""
    user = request.user
    proved = settings.DEMO or bool(request.session.get(PROVED))
    return isinstance(user, Account) and user.is_staff and user.is_active and proved


def local_address(wanted: str) -> str:
    """Return the address if it is inside the console, else the home page."""
    local = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) and wanted.startswith("/console/")
    return wanted if local else "/console/"


def error_page(request: HttpRequest, title: str, sentence: str, status: int) -> HttpResponse:
    """Show an error with the navigation to staff, and by itself to others and before the session is read."""
    signed_in = hasattr(request, "session") and is_staff(request)
    template = "console/error.html" if signed_in else "console/bare_error.html"
    return render(request, template, {"title": title, "sentence": sentence}, status=status)


def show(
    request: HttpRequest, template: str, context: Mapping[str, object], part: str = "", status: int = 200
) -> HttpResponse:
    """Render the page, or for htmx only its partial `part`."""
    name = f"{template}#{part}" if part and request.headers.get("HX-Request") else template
    return render(request, name, context, status=status)


def record_action(request: HttpRequest, what: str, subject: str = "", **details: Any) -> AuditEntry:
    """Append one action of the signed-in member of staff; without one, such as a failed login, of no account."""
    account = request.user if isinstance(request.user, Account) else None
    return AuditEntry.objects.create(account=account, what=what, subject=subject[:255], details=details)


def downloads(segment: str = "") -> list[AuditEntry]:
    """Return the newest downloads of members as a file, of one segment or of all."""
    found = AuditEntry.objects.filter(what=EXPORTED, **({"subject": segment} if segment else {}))
    return list(found.select_related("account").order_by("-at", "-id")[:MOST_DOWNLOADS])


def done(request: HttpRequest, address: str, what: str, subject: str, sentence: str, **details: Any) -> HttpResponse:
    """Record the action, show a success message and redirect, so that a reload repeats nothing."""
    record_action(request, what, subject, **details)
    messages.success(request, sentence)
    return HttpResponseRedirect(address)
