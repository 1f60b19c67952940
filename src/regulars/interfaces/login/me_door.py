"""What the pages under `/me` share: only for herself, and the weighty ones only shortly after she proved who she is."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_noop

from regulars.profiles.models import Profile
from regulars.profiles.sign_in import sign_in_block

from .door import is_fresh, page, session_profile

P = ParamSpec("P")
HerView = Callable[Concatenate[HttpRequest, Profile, P], HttpResponse]


def hers(view: HerView[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A page for the customer who is signed in; anybody else is shown the sign-in first. Staff are nobody here."""

    @page
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        profile = session_profile(request)
        if profile is None:
            return HttpResponseRedirect("/login?" + urlencode({"next": _page_of(request)}))
        if sign_in_block(profile):
            return words(
                request,
                gettext_noop("This account is closed"),
                gettext_noop("Ask the shop if you think that is wrong."),
                403,
            )
        return view(request, profile, *args, **kwargs)

    return guarded


def fresh(view: HerView[P]) -> HerView[P]:
    """A page that asks to sign in again unless the session is freshly authenticated (`is_fresh`): a borrowed phone must
    not be enough.
    """

    @wraps(view)
    def guarded(request: HttpRequest, profile: Profile, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not is_fresh(request):
            return HttpResponseRedirect("/login?" + urlencode({"prompt": "login", "next": _page_of(request)}))
        return view(request, profile, *args, **kwargs)

    return guarded


def words(request: HttpRequest, title: str, sentence: str, status: int) -> HttpResponse:
    """A page that says one thing, with the way back to her page."""
    return render(request, "signin/me_words.html", {"title": title, "sentence": sentence}, status=status)


def _page_of(request: HttpRequest) -> str:
    """Where she goes on afterwards: a form that was sent is not sent again for her."""
    return request.get_full_path() if request.method in ("GET", "HEAD") else "/me"
