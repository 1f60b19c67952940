"""Who may open these pages, and who may change something: the customer herself, who proved it a moment ago."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from regulars.accounts.models import Account

from ..door import customer, is_fresh, page

HERE = "/me/security"

Page = Callable[[HttpRequest, Account], HttpResponse]


def own_page(view: Page) -> Callable[[HttpRequest], HttpResponse]:
    """A page of the signed-in customer; anybody else signs in first."""

    @page
    @wraps(view)
    def opened(request: HttpRequest) -> HttpResponse:
        account = _account(request)
        return view(request, account) if account else _to_login(request)

    return opened


def fresh_page(view: Page) -> Callable[[HttpRequest], HttpResponse]:
    """The same, for who has proved in the last minutes that it is her (`door.is_fresh`)."""

    @page
    @wraps(view)
    def opened(request: HttpRequest) -> HttpResponse:
        account = _account(request)
        if account is None or not is_fresh(request):
            return _to_login(request, again=account is not None)
        return view(request, account)

    return opened


def _account(request: HttpRequest) -> Account | None:
    profile = customer(request)
    return profile.account if profile else None


def _to_login(request: HttpRequest, again: bool = False) -> HttpResponse:
    """What she wanted to send is asked again: after the login she sees the page, not its effect."""
    goes_to = request.get_full_path() if request.method == "GET" else HERE
    return HttpResponseRedirect("/login?" + urlencode({"next": goes_to, **({"prompt": "login"} if again else {})}))
