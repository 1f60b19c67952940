"""Signing in with a social network: what she shares, the way there, and the way back."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import requests
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.core.signing import BadSignature
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language, gettext_noop
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from regulars.accounts.models import Account
from regulars.base.crypto import encrypt
from regulars.base.errors import DomainError, Invalid
from regulars.connections.endpoints import issuer_of, settings_of
from regulars.connections.models import Connection
from regulars.connections.provider import PROVIDERS, RequestedClaim
from regulars.consent.purposes import get_purpose, words_in
from regulars.profiles.find import find_by_identity
from regulars.profiles.models import Profile
from regulars.usecases.complete_social_login import Choice, ProviderLogin, complete_social_login
from regulars.usecases.link_accounts import arrive_and_link, ways_in
from regulars.usecases.stop_sharing import share_of

from .connections import find_social
from .door import address, customer, enter, is_fresh, local_path, onward, page, words
from .mail import mailbox_of, tell

log = logging.getLogger("regulars.signin")

DECLINED, REMEMBERED = "declined", 365 * 86400  # a cookie, and its seconds
LONGEST_FORM = 2000  # characters of what a provider tells by a form


@require_http_methods(["GET", "POST"])
@page
def start(request: HttpRequest, name: str) -> HttpResponse:
    """`/login/<connection>?next=`: what she may share, nothing chosen; then on to the provider.

    A connection that asks for nothing optional goes straight on. For a customer who is signed in, `?more=1` offers what
    she does not share yet, and `?link=1` adds this way in to her account.
    """
    connection = find_social(name)
    if connection is None:
        return words(request, gettext_noop("This way in is closed"), gettext_noop("Sign in another way."), 404)
    aim = _aim(request, connection)
    if isinstance(aim, HttpResponse):
        return aim
    pieces = aim.pieces if aim else PROVIDERS[connection.strategy].offered(connection.pieces)
    offered = [_Offer(piece) for piece in pieces]
    if request.method == "GET" and (offered or aim):
        return _ask(request, connection, offered, aim)
    wanted = request.POST.getlist("piece")
    return _go(request, connection, [offer for offer in offered if offer.piece.key in wanted], aim)


@csrf_exempt  # the state is what tells a foreign answer
@require_http_methods(["GET", "POST"])
@page
def callback(request: HttpRequest) -> HttpResponse:
    """`/login/callback?state=&code=`: back from any provider. The state must be of this browser, and fresh."""
    if request.method == "POST":
        return _by_form(request)
    name = request.GET.get("state", "").partition(".")[0]
    connection = find_social(name)
    if connection is None or _is_from_another(request, connection):
        return _lost(request)
    provider = get_adapter(request).get_provider(request, connection.name)
    view = OAuth2CallbackView.adapter_view(provider.get_oauth2_adapter(request))
    return view(request)  # type: ignore[no-any-return]


def _is_from_another(request: HttpRequest, connection: Connection) -> bool:
    """Whether the answer names another issuer than she was sent to (RFC 9207). One address serves all providers: one of
    them could pass her on to another, and have us bring it the code of that one.
    """
    said = request.GET.get("iss", "").rstrip("/")
    return bool(said) and PROVIDERS[connection.strategy].openid and said != issuer_of(connection)


def _by_form(request: HttpRequest) -> HttpResponse:
    """Apple answers by a form from its own site, where browsers send no cookie of ours: she comes again, by address.

    What the form tells of her is not for the address line, so it travels encrypted.
    """
    sent = {name: request.POST[name] for name in ("state", "code", "error", "iss") if name in request.POST}
    if request.POST.get("user"):
        sent["told"] = encrypt(request.POST["user"][:LONGEST_FORM])
    answer = HttpResponseRedirect(f"/login/callback?{urlencode(sent)}")
    answer.status_code = 303
    return answer


@dataclass(frozen=True)
class _Offer:
    """A piece as the page shows it."""

    piece: RequestedClaim

    @property
    def label(self) -> str:
        return _(self.piece.label)

    @property
    def why(self) -> str:
        return _(self.piece.why)

    @property
    def use(self) -> str:
        text = words_in(get_purpose(self.piece.purpose), get_language() or "en")[2]
        return _("What we use it for:") + " " + text

    @property
    def words(self) -> str:
        """What stands next to the box, whole: her yes is kept with these words."""
        return f"{self.label}. {self.why} {self.use}"


@dataclass(frozen=True)
class _Aim:
    """What a customer who is signed in wants of this connection: "more" of what she shares, or to "link" it."""

    what: str
    profile: Profile
    pieces: list[RequestedClaim]


def _aim(request: HttpRequest, connection: Connection) -> _Aim | HttpResponse | None:
    what = next((each for each in ("more", "link") if request.GET.get(each) == "1"), "")
    profile = customer(request) if what else None
    if profile is None or (what == "link" and not is_fresh(request)):
        here = urlencode({"next": request.get_full_path(), "prompt": "login"})
        return HttpResponseRedirect(f"/login?{here}") if what else None
    if what == "link":
        return _Aim(what, profile, [])
    identity = profile.identities.filter(provider=connection.strategy, connection=connection.name).first()
    share = share_of(identity) if identity else None
    if share is None or not share.more:
        sentence = f"There is nothing more to share from {connection.display_name}."
        return words(request, gettext_noop("Nothing more to share"), sentence)
    return _Aim(what, profile, list(share.more))


def _ask(request: HttpRequest, connection: Connection, offered: list[_Offer], aim: _Aim | None) -> HttpResponse:
    """What she left out the last time, on this browser, is not put before her again: it waits in a fold."""
    declined = [] if aim else _declined(request).get(connection.name, [])
    context = {
        "connection": connection,
        "offered": [offer for offer in offered if offer.piece.key not in declined],
        "declined": [offer for offer in offered if offer.piece.key in declined],
        "aim": aim.what if aim else "",
        "login": address("/login", request),
    }
    return render(request, "signin/pieces.html", context)


def _declined(request: HttpRequest) -> dict[str, list[str]]:
    try:
        found = json.loads(request.get_signed_cookie(DECLINED, default="{}", max_age=REMEMBERED) or "{}")
    except (BadSignature, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember_declined(
    request: HttpRequest, response: HttpResponse, connection: Connection, arrival: ProviderLogin
) -> None:
    shared = {choice.piece for choice in arrival.choices}
    left = [key for key in connection.pieces if key not in shared]
    said = json.dumps({**_declined(request), connection.name: left})
    secure = settings.PUBLIC_URL.startswith("https://")
    response.set_signed_cookie(DECLINED, said, max_age=REMEMBERED, httponly=True, samesite="Lax", secure=secure)


def _go(request: HttpRequest, connection: Connection, chosen: list[_Offer], aim: _Aim | None) -> HttpResponse:
    strategy = PROVIDERS[connection.strategy]
    always, parameters = strategy.offline if connection.offline else ((), {})
    pieces = [scope for offer in chosen for scope in offer.piece.scopes]
    scopes = [*(connection.scopes or strategy.scopes), *always, *pieces]
    data = {
        "connection": connection.name,
        "asked": list(dict.fromkeys([*(["openid"] if strategy.openid else []), *scopes])),
        "choices": [{"piece": offer.piece.key, "words": offer.words} for offer in chosen],
        **({aim.what: aim.profile.pk} if aim else {}),
    }
    fresh = strategy.fresh if request.GET.get("prompt") == "login" else {}
    hints = {**parameters, **fresh, **(strategy.again if aim and aim.what == "more" else {})}
    if request.GET.get("login_hint"):
        hints["login_hint"] = request.GET["login_hint"][:320]
    try:
        provider = get_adapter(request).get_provider(request, connection.name)
        return provider.start(request, onward(request), data, hints)  # type: ignore[no-any-return]
    except (OAuth2Error, requests.RequestException) as fault:
        log.warning("connection %s cannot be reached: %s", connection.name, fault)
        sentence = _("{network} does not answer. Try again in a moment, or sign in another way.").format(
            network=connection.display_name
        )
        return words(request, gettext_noop("This way in does not work now"), sentence, 502)


def arrived(request: HttpRequest, login: SocialLogin) -> HttpResponse:
    """The provider said who she is: keep it, and let her in."""
    data, raw = login.state["data"], login.account.extra_data
    if login.state["nonce"] and raw["id_token"].get("nonce") != login.state["nonce"]:
        return _lost(request)
    connection = Connection.objects.get(name=data["connection"])
    arrival = _arrival(connection, login, raw, data)
    try:
        account = _let_in(request, arrival, data)
    except DomainError as no:
        return words(request, gettext_noop("You cannot sign in"), no.message, 403)
    where = local_path(login.state.get("next", ""))
    response = enter(request, account, "socialaccount", where, provider=connection.strategy, uid=login.account.uid)
    if "more" not in data and "link" not in data:
        _remember_declined(request, response, connection, arrival)
    return response


def _let_in(request: HttpRequest, arrival: ProviderLogin, data: dict[str, Any]) -> Account:
    """Whoever shares more or links must be signed in still, as the one who began it."""
    begun = data.get("more") or data.get("link")
    profile = customer(request) if begun else None
    if begun and (profile is None or profile.pk != begun):
        raise Invalid("another_customer", gettext_noop("Somebody else is signed in on this browser now. Start again."))
    if profile is None:
        return complete_social_login(arrival)
    if data.get("link"):
        return _linked(profile, arrival)
    known = find_by_identity(arrival.strategy, arrival.provider_user_id)
    if known is None or known.pk != profile.pk:
        raise Invalid(
            "another_person", gettext_noop("You chose another account there than the one you sign in with here.")
        )
    return complete_social_login(arrival)


@transaction.atomic
def _linked(profile: Profile, arrival: ProviderLogin) -> Account:
    """She hears of it, at the address she had before: it may not have been her."""
    account = profile.account
    to = mailbox_of(account) if account else ""
    known = {each.pk for each in ways_in(profile)}
    signs_in = arrive_and_link(profile, arrival)
    if account and any(each.pk not in known for each in ways_in(profile)):
        tell(account, "way_added", to)
    return signs_in


def _arrival(connection: Connection, login: SocialLogin, raw: dict[str, Any], data: dict[str, Any]) -> ProviderLogin:
    strategy, uid = PROVIDERS[connection.strategy], login.account.uid
    given = data["asked"] if login.granted is None else strategy.called(login.granted)
    pieces = {piece.key: piece for piece in strategy.pieces}
    chosen = [(pieces[each["piece"]], each["words"]) for each in data["choices"] if each["piece"] in pieces]
    return ProviderLogin(
        strategy=connection.strategy,
        provider_user_id=f"{connection.name}|{uid}" if _has_ids_of_its_own(connection) else uid,
        connection=connection.name,
        raw=raw,
        asked=data["asked"],
        granted=given,
        told=list(strategy.read(raw, settings_of(connection))),
        choices=[Choice(piece.key, piece.purpose, said) for piece, said in chosen if set(piece.scopes) <= set(given)],
        issued=login.issued,
    )


def _has_ids_of_its_own(connection: Connection) -> bool:
    """Whether the same user id from another connection of this strategy could be another person: another issuer's could."""
    elsewhere = (
        bool(connection.urls.get("issuer") or connection.urls.get("site")) and connection.name != connection.strategy
    )
    return elsewhere or PROVIDERS[connection.strategy].scoped_ids


def failed(request: HttpRequest, provider: Any, state: dict[str, Any] | None, *, cancelled: bool) -> HttpResponse:
    """Back without her: she said no there, it took too long, or the provider failed."""
    if state is None:
        return _lost(request)
    login = "/login?" + urlencode({"next": local_path(state.get("next", ""))})
    if cancelled:
        return HttpResponseRedirect(f"{login}&stopped={provider.sub_id}")
    context = {
        "title": _("That did not work"),
        "sentence": _("{network} did not confirm who you are. Try again, or sign in another way.").format(
            network=provider.name
        ),
        "login": login,
    }
    return render(request, "signin/words.html", context, status=502)


def _lost(request: HttpRequest) -> HttpResponse:
    return words(
        request,
        gettext_noop("This sign-in has run out"),
        gettext_noop("It took too long, or was begun in another browser. Nothing was saved. Start again."),
        400,
    )
