"""The language of a hosted page: what the app asked for, else the customer's locale, else the browser's languages."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

from regulars.accounts.models import Account
from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.profiles.models import Profile

COOKIE = "regulars_language"  # what the app asked for, for pages whose address no longer names it
LIVES = 3600  # seconds
NOT_HOSTED = ("/console", "/api/", "/static/", "/brand/")
STAFF = "en"


def choose_language(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that activates the language of the customer. Staff read English."""

    def respond(request: HttpRequest) -> HttpResponse:
        if request.path.startswith(NOT_HOSTED):
            with translation.override(STAFF):
                return get_response(request)
        asked = _asked(request)
        language = asked or _kept(request) or translation.get_language_from_request(request)
        with translation.override(language):
            response = get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Accept-Language",))
        if asked and asked != request.COOKIES.get(COOKIE):
            response.set_cookie(COOKIE, asked, max_age=LIVES, httponly=True, samesite="Lax", secure=settings.SECURE)
        return response

    return respond


def _asked(request: HttpRequest) -> str:
    """Return the first supported tag of `ui_locales`, in the address itself or in the request that waits in `next`."""
    tags = request.GET.get("ui_locales") or _in_next(request.GET.get("next", ""))
    return _first(tags.split()[:10])


def _kept(request: HttpRequest) -> str:
    return _first([request.COOKIES.get(COOKIE, ""), _of_customer(request)])


def _of_customer(request: HttpRequest) -> str:
    """Return the locale of the customer; without a session cookie no query is made."""
    user = request.user if settings.SESSION_COOKIE_NAME in request.COOKIES else None
    found = _document.first(account=user.pk) if isinstance(user, Account) and not user.is_staff else None
    return str((found or {}).get("locale", ""))


_document = CompiledQuery(
    lambda: Profile.objects.filter(account_id=param("account"), merged_into=None).values_list("document", flat=True)
)


def _first(tags: list[str]) -> str:
    for tag in tags:
        try:
            return translation.get_supported_language_variant(tag.replace("_", "-").lower())
        except LookupError:
            continue
    return ""


def _in_next(onward: str) -> str:
    try:
        return parse_qs(urlsplit(onward).query).get("ui_locales", [""])[0]
    except ValueError:
        return ""
