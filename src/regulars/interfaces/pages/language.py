"""The language of a journey through hosted pages: what the app asked for, else the customer's own choice, else the browser's.

A journey keeps its language from the first page to the last: to a provider and back, through questions, consent and
sign-out, and in its mails. What a provider or an app says about the customer's language changes no page. Every page has
links that choose another language (`pages/languages.html`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

from regulars.base.page_language import page_language, page_path

from .journey_address import NOT_HOSTED, waiting_request

CHOICE = "language"  # the parameter of the links that choose a language
JOURNEY_COOKIE, JOURNEY_LIVES = "regulars_language", 3600  # seconds; for pages whose address no longer names a language
CHOICE_COOKIE, CHOICE_LIVES = "regulars_language_choice", 365 * 86400
STAFF = "en"


@dataclass(frozen=True)
class Journey:
    """The language of a journey; empty before an app or the customer named one.

    After the customer's own choice, `instead_of` is the language that the app asked for: its addresses go on doing so.
    """

    language: str = ""
    by_customer: bool = False
    instead_of: str = ""

    @classmethod
    def read(cls, cookie: str) -> Journey:
        """Read `fr` (the app's) or `de.fr` (the customer's, instead of the app's; `de.` of none)."""
        language, dot, instead_of = cookie.partition(".")
        return cls(_first([language]), bool(dot), _first([instead_of]))

    @property
    def of_app(self) -> str:
        return self.instead_of if self.by_customer else self.language

    def __str__(self) -> str:
        return f"{self.language}.{self.instead_of}" if self.by_customer else self.language


def choose_language(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that activates the language of the journey. Staff read English."""

    def respond(request: HttpRequest) -> HttpResponse:
        if request.path.startswith(NOT_HOSTED):
            with translation.override(STAFF):
                return get_response(request)
        before = Journey.read(request.COOKIES.get(JOURNEY_COOKIE, ""))
        chosen, asked = _first([request.GET.get(CHOICE, "")]), _asked(request)
        if chosen:
            journey = Journey(chosen, by_customer=True, instead_of=asked or before.of_app)
        elif asked and asked != before.instead_of:
            journey = Journey(asked)
        else:
            journey = before
        named = journey.language or _first([request.COOKIES.get(CHOICE_COOKIE, "")])
        language = named or translation.get_language_from_request(request)
        request.named_language = named  # type: ignore[attr-defined]
        token = page_language.set(language if named or _names_languages(request) else "")
        place = page_path.set(request.path[:200])
        try:
            with translation.override(language):
                response = get_response(request)
        finally:
            page_language.reset(token)
            page_path.reset(place)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        if journey != before:
            _set_cookie(response, JOURNEY_COOKIE, str(journey), JOURNEY_LIVES)
        if chosen:
            _set_cookie(response, CHOICE_COOKIE, chosen, CHOICE_LIVES)
        return response

    return respond


def named_language(request: HttpRequest) -> str:
    """Return the language that the app or the customer named; empty where the browser's languages decided."""
    return getattr(request, "named_language", "")


@dataclass(frozen=True)
class LanguageLink:
    """A link to this page in another language."""

    code: str
    name: str
    url: str
    is_current: bool


def language_shown(request: HttpRequest) -> str:
    """Return the language that a page was shown in, which its form carries: another tab may have chosen another since."""
    try:
        return translation.get_supported_language_variant(request.POST["shown"], strict=True)
    except (KeyError, LookupError):
        return translation.get_language() or "en"


def language_links(request: HttpRequest) -> dict[str, object]:
    """Context processor: `language_links`, a callable, so that pages without them pay nothing."""
    return {"language_links": lambda: _links(request)}


def show_languages_at(request: HttpRequest, url: str) -> None:
    """Let the links of this page lead to `url`: its own address shows another page, or takes forms alone."""
    request.languages_at = url  # type: ignore[attr-defined]


def _links(request: HttpRequest) -> list[LanguageLink]:
    path, _, query = str(getattr(request, "languages_at", request.get_full_path())).partition("?")
    path = "/" + path.lstrip("/")  # `//shop.example` is a page that was not found here, and another host in a link
    current = _first([translation.get_language() or ""])
    kept = [part for part in query.split("&") if part.partition("=")[0] != CHOICE]
    return [
        LanguageLink(code, name, "?".join((path, "&".join([*filter(None, kept), f"{CHOICE}={code}"]))), code == current)
        for code, name in settings.LANGUAGES
    ]


def _names_languages(request: HttpRequest) -> bool:
    """Return whether the client is set to a language. Servers send no header, or `*`."""
    return request.headers.get("Accept-Language", "").strip()[:1] not in ("", "*")


def _set_cookie(response: HttpResponse, name: str, value: str, lives: int) -> None:
    response.set_cookie(name, value, max_age=lives, httponly=True, samesite="Lax", secure=settings.SECURE)


def _asked(request: HttpRequest) -> str:
    """Return the first supported tag of `ui_locales`, in the address itself or in the request that waits in `next`."""
    tags = request.GET.get("ui_locales") or waiting_request(request)[1].get("ui_locales", [""])[0]
    return _first(tags.split()[:10])


def _first(tags: list[str]) -> str:
    for tag in tags:
        try:
            return translation.get_supported_language_variant(tag.replace("_", "-").lower())
        except LookupError:
            continue
    return ""
