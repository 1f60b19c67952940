"""What every page of the console shares: who may see it, what a browser may load, and how a "no" looks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template import Context, RequestContext, loader
from django.template.backends.django import Template
from django.template.loader_tags import BlockNode, ExtendsNode
from django.utils.http import url_has_allowed_host_and_scheme

from regulars.accounts.models import Account
from regulars.base.errors import DomainError, Invalid
from regulars.base.text import has_nul

View = Callable[..., HttpResponseBase]

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: https:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

# Each role may do what the roles before it may.
ROLES = ("viewer", "marketer", "admin")
PROVED = "console_second_factor"  # session key: the second factor was shown in this session


def page(view: View) -> View:
    """A page that anybody may open (the login page): strict policy, never cached."""

    @wraps(view)
    def opened(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return opened


def staff_page(view: View) -> View:
    """A page for staff; others are shown the login. Reading is for every role, writing asks `require`."""

    @page
    @wraps(view)
    def opened(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_staff(request):
            return to_login(request)
        try:
            if has_nul(request, request.GET, request.POST):
                raise Invalid(
                    "nul", "There is a character in it (NUL) that no text may hold. Take it out and try again."
                )
            return view(request, *args, **kwargs)
        except Http404 as missing:
            return words(request, "Nothing here", str(missing) or "This page does not exist.", 404)
        except NotAllowed as refused:
            return words(request, "Not for your role", refused.message, 403)
        except DomainError as refused:
            return words(request, "That did not work", refused.message, 400)

    return opened


class NotAllowed(DomainError):
    """The member of staff's role does not reach this far."""


def require(request: HttpRequest, role: str) -> None:
    """Refuse a write to a role below `role`."""
    mine = getattr(request.user, "role", "")
    if mine not in ROLES or ROLES.index(mine) < ROLES.index(role):
        raise NotAllowed("role_too_small", f"This needs the role {role!r}; yours is {mine or 'none'!r}.")


def may(request: HttpRequest, role: str) -> bool:
    """Whether to show the button that `require` would refuse."""
    try:
        require(request, role)
    except NotAllowed:
        return False
    return True


def is_staff(request: HttpRequest) -> bool:
    """Staff who showed their second factor in this session; in the demonstration a password is enough."""
    user = request.user
    proved = settings.DEMO or bool(request.session.get(PROVED))
    return isinstance(user, Account) and user.is_staff and user.is_active and proved


def to_login(request: HttpRequest) -> HttpResponse:
    """The login, which comes back here. htmx is told to leave the page rather than to paste the login into it."""
    address = "/console/login?" + urlencode({"next": _address_of_page(request)})
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def local_address(wanted: str) -> str:
    """Where to go on: only ever inside the console."""
    local = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) and wanted.startswith("/console/")
    return wanted if local else "/console/"


def words(request: HttpRequest, title: str, sentence: str, status: int) -> HttpResponse:
    """A page that says why not."""
    return render(request, "console/words.html", {"title": title, "sentence": sentence}, status=status)


def show(
    request: HttpRequest, template: str, context: dict[str, Any], part: str = "", status: int = 200
) -> HttpResponse:
    """The whole page, or for htmx the block called `part` of the same template."""
    if part and request.headers.get("HX-Request"):
        return HttpResponse(_block(request, template, context, part), status=status)
    return render(request, template, context, status=status)


def _block(request: HttpRequest, template: str, values: dict[str, Any], name: str) -> str:
    source = loader.get_template(template)
    assert isinstance(source, Template)
    context: Context = RequestContext(request, values)
    with context.render_context.push_state(source.template), context.bind_template(source.template):
        return str(_find_block(source.template.nodelist, name).render(context))


def _find_block(nodes: Any, name: str) -> BlockNode:
    for extends in nodes.get_nodes_by_type(ExtendsNode):
        if name in extends.blocks:
            return extends.blocks[name]  # type: ignore[no-any-return]
    raise LookupError(f"no block is called {name!r}")


def _address_of_page(request: HttpRequest) -> str:
    """Where the person is: for a fragment that is the page around it."""
    return request.get_full_path() if request.method == "GET" else "/console/"
