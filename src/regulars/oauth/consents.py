"""Consent of customers to third-party apps: what they allowed, and the texts of the page that asks."""

from __future__ import annotations

import datetime as dt
import re

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, override

from regulars.clients.models import ResourceServer
from regulars.consent.journal import new_entry, save_entries
from regulars.consent.models import JournalEntry
from regulars.consent.notices import ShownNotice, require_shown
from regulars.profiles.find import canonical_profile, of_profile
from regulars.profiles.models import Profile

from .authorization_request import AuthorizationRequest
from .grant import Grant
from .models import AppGrant, AuthorizationCode, RefreshFamily
from .refresh_tokens import end_family

SCOPE_TEXTS = {
    "openid": gettext_noop("know that it is you, by a number of yours"),
    "profile": gettext_noop("see your name, picture and the rest of your basic profile"),
    "email": gettext_noop("see your e-mail address"),
    "phone": gettext_noop("see your phone number"),
    "address": gettext_noop("see your postal address"),
    "offline_access": gettext_noop("stay connected when you are away"),
}


def needs_consent(request: AuthorizationRequest) -> bool:
    """Whether the customer has to let the app in. A first-party app needs no consent, unless the API requires it."""
    return not (request.client.first_party and (request.api is None or request.api.skip_consent))


def has_consent(profile: Profile, request: AuthorizationRequest) -> bool:
    """Whether the app may have what it requests."""
    if not needs_consent(request):
        return True
    rows = AppGrant.objects.filter(of_profile(profile.pk), client=request.client, audience=request.audience)
    given = {scope for row in rows for scope in row.scopes}
    return bool(rows) and set(request.scopes_to_consent) <= given


@transaction.atomic
def record_consent(profile: Profile, request: AuthorizationRequest, shown: str, locale: str) -> None:
    """Record that the customer lets the app in, with the words of the page that they saw in this language.

    `shown` is the hash that the page carried (`app_notice`). Raises `NoticeChangedError` when the app, the API or what is
    requested reads differently by now.
    """
    notice = app_notice(request, locale)
    require_shown(notice, shown)
    consent, _ = AppGrant.objects.select_for_update().get_or_create(
        profile=profile, client=request.client, audience=request.audience
    )
    consent.scopes = sorted({*consent.scopes, *request.scopes_to_consent})
    consent.given_at, consent.locale, consent.words = timezone.now(), notice.locale, notice.words
    consent.save(update_fields=["scopes", "given_at", "locale", "words"])


def app_notice(request: AuthorizationRequest, locale: str) -> ShownNotice:
    """Return what the page of a third-party app shows in this language: the app is the recipient, scopes are the pieces."""
    with override(locale):
        lines = [_(line) for line in scope_texts(request.scopes_to_consent, request.api)]
    pieces = (request.audience, *request.scopes_to_consent)
    return ShownNotice(
        f"app:{request.client_id}", 1, locale, "\n".join(lines), recipients=(request.client.name,), pieces=pieces
    )


@transaction.atomic
def withdraw_consents(consents: QuerySet[AppGrant]) -> None:
    """Delete consents, for good (a restore repeats it), and end what the apps got by them."""
    note_ended(consents)
    end_consents(consents)


def note_ended(consents: QuerySet[AppGrant]) -> None:
    """Write into the journal that these consents end, so that no restored backup brings them back."""
    ended = consents.values_list("profile__merged_into", "profile", "client", "audience")
    save_entries(
        [
            new_entry(JournalEntry.Kind.APP_REVOKED, into or profile, {"client": client, "audience": audience})
            for into, profile, client, audience in ended
        ]
    )


@transaction.atomic
def end_consents(consents: QuerySet[AppGrant]) -> None:
    """Delete consents, and end what the apps got by them: codes that are not redeemed yet, and offline access."""
    for consent in consents.select_related("profile__merged_into"):
        whose = of_profile(canonical_profile(consent.profile).pk)
        got = {"client_id": consent.client_id, "grant__audience": consent.audience}
        AuthorizationCode.objects.filter(whose, family=None, **got).delete()
        for family in RefreshFamily.objects.filter(whose, revoked_at=None, **got):
            lifetime = dt.timedelta(seconds=Grant.from_json(family.grant).lifetime)
            end_family(family.pk, "consent_withdrawn", lifetime)
    consents.delete()


def scope_texts(scopes: list[str], api: ResourceServer | None) -> list[str]:
    """Return one line for each scope: our text, the API's, or its words in the API's name (`read:orders` → "read orders")."""
    own = {**(api.scope_words if api else {}), **SCOPE_TEXTS}
    named = _("use {scope} of {api} for you")
    unnamed = _("use {api} for you").format(api=api.name) if api else _("use further services for you")

    def line(scope: str) -> str:
        words = "" if "/" in scope else re.sub(r"[^\w]+|_", " ", scope).strip()
        return own.get(scope) or (named.format(scope=words, api=api.name) if words and api else unnamed)

    return list(dict.fromkeys(line(scope) for scope in scopes))
