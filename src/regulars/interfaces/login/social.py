"""Sign in with a provider: the page before, where the customer chooses what to share, the way there, and the callback."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, TypedDict
from urllib.parse import urlencode

from django.conf import settings
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language, gettext_noop
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from regulars.accounts.models import Account
from regulars.base.crypto import decrypt, encrypt
from regulars.base.errors import DomainError, Invalid, Unavailable
from regulars.connections.endpoints import issuer_of
from regulars.connections.login_methods import find_social
from regulars.connections.models import Connection
from regulars.connections.oauth_client import ProviderClient, ProviderError, ProviderIdentity
from regulars.connections.provider import PROVIDERS, Raw, RequestedClaim
from regulars.consent.notices import NoticeChangedError, ShownNotice
from regulars.interfaces.pages.language import language_shown, show_languages_at
from regulars.interfaces.pages.navigation import address, local_path, message_page
from regulars.interfaces.pages.response_policy import page
from regulars.interfaces.pages.signed_in import customer, is_fresh, shown_here
from regulars.profiles.find import find_by_identity
from regulars.profiles.models import Profile
from regulars.usecases.complete_social_login import ClaimConsent, ProviderLogin, complete_social_login, is_reworded
from regulars.usecases.link_accounts import link_social_login
from regulars.usecases.shown_notices import ClaimText, claim_notice, claim_text, recipients_text, whole_notices
from regulars.usecases.stop_sharing import shared_claims_of

from .entry import enter, onward

log = logging.getLogger("regulars.signin")

DECLINED, REMEMBERED = "declined", 365 * 86400  # a cookie, and its seconds
LONGEST_FORM = 2000  # characters of what a provider sends by a form
PENDING, PENDING_LIFETIME, MOST_PENDING = "provider_logins", 600, 10  # a session key, its seconds, and how many at once
WHOLE = "all:"  # before the key of a purpose among what was declined
CHANGED = "changed"  # the parameter of a browser that comes back to a notice that was reworded while it was away
# The words of providers for a customer who stopped there.
CANCELLED = ("access_denied", "user_cancelled_login", "user_cancelled_authorize", "user_denied")


class LoginPurpose(StrEnum):
    """The reason why a customer is sent to a provider: to sign in, to share more, or to add the provider to their account."""

    LOGIN = "login"
    SHARE_MORE = "more"
    LINK = "link"


class ChosenClaim(TypedDict):
    """A claim that the customer chose to share, with the notice that stood beside its box (`ShownNotice` as JSON)."""

    claim: str
    notice: dict[str, Any]


@dataclass(frozen=True)
class PendingProviderLogin:
    """A sign-in at a provider that has begun on this browser. It is kept in the session under its `state`.

    `claims` are those asked for at a provider that is asked for single ones; None: whatever the answer has is read.
    `allowed` are the notices of purposes that the customer allowed as a whole (`ShownNotice` as JSON).
    `profile` is the customer who began to share more or to link. `at` is seconds since 1970.
    """

    connection: str
    purpose: LoginPurpose
    scopes: list[str]
    chosen: list[ChosenClaim]
    resume_url: str
    nonce: str
    code_verifier: str
    profile: int | None
    at: float
    claims: list[str] | None = None
    allowed: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PendingProviderLogin:
        """Read what `asdict` wrote; keys that a later version added are ignored, one that it lacks has its default."""
        known = {each.name: stored[each.name] for each in fields(cls) if each.name in stored}
        return cls(**{**known, "purpose": LoginPurpose(known["purpose"])})


@require_http_methods(["GET", "POST"])
@page
def start(request: HttpRequest, name: str) -> HttpResponse:
    """`/login/<connection>?next=`: offer what may be shared, nothing chosen; then go on to the provider.

    A connection that asks for nothing optional goes straight on. For a customer who is signed in, `?more=1` offers what
    they do not share yet, and `?link=1` adds this login method to their account.
    """
    connection = find_social(name)
    if connection is None:
        return message_page(
            request, gettext_noop("This login method is switched off"), gettext_noop("Sign in another way."), 404
        )
    intent = _intent(request, connection)
    if isinstance(intent, HttpResponse):
        return intent
    requested_claims = (
        intent.requested_claims if intent else PROVIDERS[connection.strategy].offered(connection.requested_claims)
    )
    locale = language_shown(request)
    wanted = request.POST.getlist("claim")
    chosen = [(claim, claim_notice(claim, locale)) for claim in requested_claims if claim.key in wanted]
    whole = _whole_notices(connection, locale, intent)
    allowed = [notice for notice in whole if notice.subject in request.POST.getlist("allow")]
    same = [claim.key for claim, notice in chosen if request.POST.get(f"notice-{claim.key}") == notice.hash]
    same_whole = [each.subject for each in allowed if request.POST.get(f"notice-all-{each.subject}") == each.hash]
    changed = (len(same), len(same_whole)) != (len(chosen), len(allowed))
    if changed or (request.method == "GET" and (requested_claims or intent)):
        # What changed is not ticked any more: a box that is ticked already asks nothing.
        return _choice_page(request, connection, requested_claims, intent, same, same_whole, changed=changed)
    return _send_to_provider(request, connection, chosen, allowed, intent)


@csrf_exempt  # the state proves that the answer belongs to this browser
@require_http_methods(["GET", "POST"])
@page
def callback(request: HttpRequest) -> HttpResponse:
    """`/login/callback?state=&code=`: the answer of any provider. The state must be of this browser, and fresh."""
    if request.method == "POST":
        return _by_form(request)
    show_languages_at(request, address("/login", request))  # this address works once
    state = request.GET.get("state", "")
    connection = find_social(state.partition(".")[0])
    if connection is None or _is_from_another(request, connection):
        return _expired(request)
    pending = _take_pending(request, state)
    if pending is None or pending.connection != connection.name:
        return _expired(request)
    if "error" in request.GET or "code" not in request.GET:
        return _stopped(request, connection, pending)
    try:
        answer = _client(connection).complete(
            request.GET["code"],
            nonce=pending.nonce,
            code_verifier=pending.code_verifier,
            form=_form_claims(request),
            claims=pending.claims,
        )
    except ProviderError as fault:
        log.warning("sign-in by %s failed: %s: %s", connection.name, fault.code, fault.message)
        return _expired(request) if fault.code == "nonce_mismatch" else _failed(request, connection, pending)
    return _enter(request, connection, pending, answer)


def _client(connection: Connection) -> ProviderClient:
    """One callback address serves every provider, as it is registered there: the state names the connection."""
    return ProviderClient(connection, f"{settings.PUBLIC_URL}/login/callback")


def _is_from_another(request: HttpRequest, connection: Connection) -> bool:
    """Return whether the answer names another issuer than the customer was sent to (RFC 9207).

    One address serves all providers: one of them could send the customer on to another, and receive the code of that one.
    """
    issuer = request.GET.get("iss", "").rstrip("/")
    return bool(issuer) and PROVIDERS[connection.strategy].openid and issuer != issuer_of(connection)


def _by_form(request: HttpRequest) -> HttpResponse:
    """Turn Apple's form post into a GET, because browsers send no cookie of ours with a form from another site.

    The name in the form must not stand in an address, so it travels encrypted.
    """
    sent = {name: request.POST[name] for name in ("state", "code", "error", "iss") if name in request.POST}
    if request.POST.get("user"):
        sent["form"] = encrypt(request.POST["user"][:LONGEST_FORM])
    answer = HttpResponseRedirect(f"/login/callback?{urlencode(sent)}")
    answer.status_code = 303
    return answer


def _form_claims(request: HttpRequest) -> Raw:
    """Return what came with a form post, by way of `_by_form`; nothing when `_by_form` did not write it."""
    try:
        claims = json.loads(decrypt(request.GET["form"]))
    except (KeyError, ValueError, TypeError, DomainError):
        return {}
    return claims if isinstance(claims, dict) else {}


# --- logins at a provider that have begun on this browser


def _save_pending(request: HttpRequest, state: str, pending: PendingProviderLogin) -> None:
    """Keep it under its state; several tabs may be open at once, the oldest go first."""
    kept = {
        key: each
        for key, each in request.session.get(PENDING, {}).items()
        if time.time() - each["at"] <= PENDING_LIFETIME
    }
    newest = sorted(kept.items(), key=lambda item: float(item[1]["at"]))[-(MOST_PENDING - 1) :]
    request.session[PENDING] = {**dict(newest), state: asdict(pending)}
    _save_session(request)


def _take_pending(request: HttpRequest, state: str) -> PendingProviderLogin | None:
    """Return it once; None when this browser did not begin it, when it was taken already, or when it expired."""
    waiting = dict(request.session.get(PENDING, {}))
    stored = waiting.pop(state, None)
    if stored is None:
        return None
    request.session[PENDING] = waiting
    _save_session(request)
    return PendingProviderLogin.from_json(stored) if time.time() - stored["at"] <= PENDING_LIFETIME else None


def _save_session(request: HttpRequest) -> None:
    """Save now, and read the session anew when it is next used.

    Asking a provider takes seconds. What another tab saves meanwhile must not be overwritten at the end of this request.
    """
    request.session.save()
    request.session = type(request.session)(request.session.session_key)
    request.session.modified = True


# --- the page before


@dataclass(frozen=True)
class _ClaimOption:
    """A requested claim as the page shows it, with the hash of its notice."""

    key: str
    text: ClaimText
    notice: str
    recipients: str
    ticked: bool


@dataclass(frozen=True)
class _WholeOption:
    """A purpose as a whole, as the page shows it: the label and text are the words of its notice."""

    key: str
    label: str
    text: str
    notice: str
    recipients: str
    ticked: bool


@dataclass(frozen=True)
class _Intent:
    """The purpose of a signed-in customer at this connection: to share more, or to link it."""

    purpose: LoginPurpose
    profile: Profile
    requested_claims: list[RequestedClaim]


def _intent(request: HttpRequest, connection: Connection) -> _Intent | HttpResponse | None:
    """Return what the customer wants, None for a plain sign-in, or a redirect to sign in first."""
    purposes = (LoginPurpose.SHARE_MORE, LoginPurpose.LINK)
    purpose = next((each for each in purposes if request.GET.get(each) == "1"), None)
    if purpose is None:
        return None
    profile = customer(request)
    if profile is None or (purpose == LoginPurpose.LINK and not is_fresh(request)):
        here = urlencode({"next": request.get_full_path(), "prompt": "login"})
        return HttpResponseRedirect(f"/login?{here}")
    if purpose == LoginPurpose.LINK:
        return _Intent(purpose, profile, [])
    identity = profile.identities.filter(provider=connection.strategy, connection=connection.name).first()
    share = shared_claims_of(identity) if identity else None
    if share is not None and not share.more and CHANGED in request.GET:
        found = _Intent(purpose, profile, [])  # what changed was a purpose as a whole
        return found if _whole_notices(connection, "en", found) else HttpResponseRedirect(onward(request))
    if CHANGED in request.GET and share is None:
        return HttpResponseRedirect(onward(request))
    if share is None or not share.more:
        sentence = _("There is nothing more to share from {network}.").format(network=connection.display_name)
        return message_page(request, gettext_noop("Nothing more to share"), sentence)
    return _Intent(purpose, profile, list(share.more))


def _whole_notices(connection: Connection, locale: str, intent: _Intent | None) -> list[ShownNotice]:
    """Return the notices of the purposes that the connection's claims are for, as a whole; none where it is only added."""
    if intent and intent.purpose == LoginPurpose.LINK:
        return []
    offered = PROVIDERS[connection.strategy].offered(connection.requested_claims)
    return whole_notices(offered, locale, intent.profile if intent else None)


def _choice_page(
    request: HttpRequest,
    connection: Connection,
    requested_claims: list[RequestedClaim],
    intent: _Intent | None,
    ticked: list[str],
    allowed: list[str],
    *,
    changed: bool,
) -> HttpResponse:
    """Show the claims to choose from, and their purposes as a whole. Those declined the last time are folded away.

    `changed`: a notice is not any more what the customer decided on.
    """
    locale = get_language() or "en"
    declined = [] if intent or changed else _declined(request).get(connection.name, [])
    offered = [
        _ClaimOption(claim.key, claim_text(claim, locale), notice.hash, recipients_text(notice), claim.key in ticked)
        for claim in requested_claims
        for notice in [claim_notice(claim, locale)]
    ]
    whole = [
        _WholeOption(notice.subject, label, text, notice.hash, recipients_text(notice), notice.subject in allowed)
        for notice in _whole_notices(connection, locale, intent)
        for label, _newline, text in [notice.words.partition("\n")]
    ]
    context = {
        "connection": connection,
        "offered": [each for each in offered if each.key not in declined],
        "declined": [each for each in offered if each.key in declined],
        "whole": [each for each in whole if WHOLE + each.key not in declined],
        "declined_whole": [each for each in whole if WHOLE + each.key in declined],
        "purpose": intent.purpose if intent else "",
        "login": address("/login", request),
        "locale": locale,
        "problem": _(NoticeChangedError().message) if changed or CHANGED in request.GET else "",
        "without": onward(request) if CHANGED in request.GET else "",
    }
    return render(request, "login/share.html", context, status=409 if changed else 200)


def _declined(request: HttpRequest) -> dict[str, list[str]]:
    try:
        found = json.loads(request.get_signed_cookie(DECLINED, default="{}", max_age=REMEMBERED) or "{}")
    except (BadSignature, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember_declined(
    request: HttpRequest, response: HttpResponse, connection: Connection, login: ProviderLogin
) -> None:
    shared = {each.claim for each in login.shared}
    left = [key for key in connection.requested_claims if key not in shared]
    allowed = {each.subject for each in login.allowed}
    whole = _whole_notices(connection, "en", None)
    left += [WHOLE + each.subject for each in whole if each.subject not in allowed]
    value = json.dumps({**_declined(request), connection.name: left})
    secure = settings.PUBLIC_URL.startswith("https://")
    response.set_signed_cookie(DECLINED, value, max_age=REMEMBERED, httponly=True, samesite="Lax", secure=secure)


def _send_to_provider(
    request: HttpRequest,
    connection: Connection,
    chosen: list[tuple[RequestedClaim, ShownNotice]],
    allowed: list[ShownNotice],
    intent: _Intent | None,
) -> HttpResponse:
    """Send the browser to the provider, and remember what the customer wants there and the notices that they read."""
    strategy = PROVIDERS[connection.strategy]
    parameters = strategy.offline[1] if connection.offline else {}
    fresh = strategy.reauthenticate if request.GET.get("prompt") == "login" else {}
    again = strategy.ask_again if intent and intent.purpose == LoginPurpose.SHARE_MORE else {}
    hint = request.GET.get("login_hint", "")[:320]
    try:
        client = _client(connection)
        asked = client.data_request([claim for claim, _notice in chosen])
        hinted = {"login_hint": hint} if hint else {}
        begun = client.begin(asked.scopes, {**parameters, **fresh, **again, **hinted, **asked.parameters})
    except ProviderError as fault:
        log.warning("connection %s cannot be reached: %s: %s", connection.name, fault.code, fault.message)
        sentence = _("{network} does not answer. Try again in a moment, or sign in another way.").format(
            network=connection.display_name
        )
        return message_page(request, gettext_noop("This login method does not work now"), sentence, 502)
    pending = PendingProviderLogin(
        connection=connection.name,
        purpose=intent.purpose if intent else LoginPurpose.LOGIN,
        scopes=asked.scopes,
        claims=asked.claims,
        chosen=[{"claim": claim.key, "notice": asdict(notice)} for claim, notice in chosen],
        allowed=[asdict(notice) for notice in allowed],
        resume_url=onward(request),
        nonce=begun.nonce,
        code_verifier=begun.code_verifier,
        profile=intent.profile.pk if intent else None,
        at=time.time(),
    )
    _save_pending(request, begun.state, pending)
    return HttpResponseRedirect(begun.url)


# --- the answer


def _enter(
    request: HttpRequest, connection: Connection, pending: PendingProviderLogin, answer: ProviderIdentity
) -> HttpResponse:
    """Save what the provider answered, and start the customer's session."""
    login = _provider_login(connection, pending, answer)
    try:
        account = _account_for(request, login, pending)
    except Unavailable:  # the page of `serving.error_pages`
        raise
    except DomainError as no:
        return message_page(request, gettext_noop("You cannot sign in"), no.message, 403)
    where = local_path(pending.resume_url)
    if is_reworded(login):
        # Reworded while the customer was away: nothing of it was taken, and they may read it again.
        where = f"/login/{connection.name}?" + urlencode({LoginPurpose.SHARE_MORE: "1", CHANGED: "1", "next": where})
    # "socialaccount" is allauth's word for this method; sessions and tokens (`amr`) go by it.
    how = {"provider": connection.strategy, "uid": answer.user_id, "connection": connection.name}
    response = enter(request, account, "socialaccount", where, **how)
    if pending.purpose == LoginPurpose.LOGIN:
        _remember_declined(request, response, connection, login)
    return response


def _account_for(request: HttpRequest, login: ProviderLogin, pending: PendingProviderLogin) -> Account:
    """To share more or to link, the customer who began it must still be signed in."""
    if pending.purpose == LoginPurpose.LOGIN:
        return complete_social_login(login, shown_here(request))
    profile = customer(request)
    if profile is None or profile.pk != pending.profile:
        raise Invalid(
            "another_customer", gettext_noop("Another customer is signed in on this browser now. Start again.")
        )
    if pending.purpose == LoginPurpose.LINK:
        return link_social_login(profile, login, shown_here(request))
    known = find_by_identity(login.strategy, login.provider_user_id)
    if known is None or known.pk != profile.pk:
        raise Invalid(
            "another_person", gettext_noop("You chose another account there than the one you sign in with here.")
        )
    return complete_social_login(login, shown_here(request))


def _provider_login(connection: Connection, pending: PendingProviderLogin, answer: ProviderIdentity) -> ProviderLogin:
    strategy = PROVIDERS[connection.strategy]
    granted = pending.scopes if answer.granted is None else strategy.canonical_scopes(answer.granted)
    known = {claim.key: claim for claim in strategy.requested_claims}
    asked = set(pending.scopes)  # a claim that was asked for alone needs none of its scopes
    # A sign-in that began before an upgrade carries no notice: then nothing was chosen.
    chosen = [
        (known[each["claim"]], ShownNotice.from_json(each["notice"]))
        for each in pending.chosen
        if each["claim"] in known and "notice" in each
    ]
    return ProviderLogin(
        strategy=connection.strategy,
        provider_user_id=f"{connection.name}|{answer.user_id}" if _has_ids_of_its_own(connection) else answer.user_id,
        connection=connection.name,
        raw=answer.raw,
        asked=pending.scopes,
        granted=granted,
        claims=answer.claims,
        shared=[
            ClaimConsent(claim.key, notice) for claim, notice in chosen if set(claim.scopes) & asked <= set(granted)
        ],
        allowed=list(map(ShownNotice.from_json, pending.allowed)),
        issued=answer.issued,
    )


def _has_ids_of_its_own(connection: Connection) -> bool:
    """Return whether another connection of this strategy may give the same user id to another person."""
    elsewhere = (
        bool(connection.urls.get("issuer") or connection.urls.get("site")) and connection.name != connection.strategy
    )
    return elsewhere or PROVIDERS[connection.strategy].scoped_ids


def _stopped(request: HttpRequest, connection: Connection, pending: PendingProviderLogin) -> HttpResponse:
    """The provider sent the customer back without a code: they stopped there, or the provider failed."""
    error = request.GET.get("error")
    if error in CANCELLED:
        return HttpResponseRedirect(
            "/login?" + urlencode({"next": local_path(pending.resume_url), "stopped": connection.name})
        )
    log.warning("sign-in by %s failed: %r", connection.name, (error or "")[:80])
    return _failed(request, connection, pending)


def _failed(request: HttpRequest, connection: Connection, pending: PendingProviderLogin) -> HttpResponse:
    context = {
        "title": _("That did not work"),
        "sentence": _("{network} did not confirm who you are. Try again, or sign in another way.").format(
            network=connection.display_name
        ),
        "login": "/login?" + urlencode({"next": local_path(pending.resume_url)}),
    }
    return render(request, "pages/message.html", context, status=502)


def _expired(request: HttpRequest) -> HttpResponse:
    return message_page(
        request,
        gettext_noop("This sign-in has run out"),
        gettext_noop("It took too long, or was begun in another browser. Nothing was saved. Start again."),
        400,
    )
