"""Access to the pages under `/me`: for the signed-in customer, and for sensitive pages only when freshly authenticated."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext_noop

from regulars.base.db.deadlocks import repeat_after_deadlock
from regulars.base.errors import NotFound
from regulars.interfaces.pages.language import show_languages_at
from regulars.interfaces.pages.response_policy import page
from regulars.interfaces.pages.signed_in import is_fresh, session_profile
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import sign_in_block

P = ParamSpec("P")
CustomerView = Callable[Concatenate[HttpRequest, Profile, P], HttpResponseBase]
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def customer_page(*, fresh: bool = False, home: str = "/me") -> Callable[[CustomerView[P]], View[P]]:
    """A page of the signed-in customer; every other visitor signs in first. Staff are no customers.

    `fresh` asks to sign in again unless the session is freshly authenticated (`pages.sessions.is_fresh`): a borrowed
    phone must not be enough. After the login the customer sees the page they asked for, or `home` instead of the effect
    of a form: a form that was sent is not sent again. A customer who is erased while the view runs signs in, too.
    """

    def decorate(view: CustomerView[P]) -> View[P]:
        @page
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            profile = session_profile(request)
            goes_to = request.get_full_path() if request.method in ("GET", "HEAD") else home
            if profile is None:
                return HttpResponseRedirect("/login?" + urlencode({"next": goes_to}))
            if sign_in_block(profile):
                title = gettext_noop("This account is closed")
                return account_message(request, title, gettext_noop("Ask the shop if you think that is wrong."), 403)
            if fresh and not is_fresh(request):
                return HttpResponseRedirect("/login?" + urlencode({"next": goes_to, "prompt": "login"}))
            # Meanwhile the customer may be erased, between any two steps of the view.
            try:
                response = repeat_after_deadlock(view)(request, profile, *args, **kwargs)
            except (NotFound, ObjectDoesNotExist, DatabaseError):
                if Profile.objects.filter(pk=profile.pk).exists():
                    raise
            else:
                if response.status_code < 400 or Profile.objects.filter(pk=profile.pk).exists():
                    return response
            return HttpResponseRedirect("/login?" + urlencode({"next": goes_to}))

        return guarded

    return decorate


def account_message(request: HttpRequest, title: str, sentence: str, status: int) -> HttpResponse:
    """Show one message, with a link back to the customer's page. Both texts are message ids."""
    if request.method == "POST":
        show_languages_at(request, "/me")
    return render(request, "account/message.html", {"title": title, "sentence": sentence}, status=status)
