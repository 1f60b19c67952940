"""What customers allowed apps of others: remembered, and asked for in words."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from regulars.profiles.models import AppGrant, Profile, ResourceServer

from .asking import Asked

WORDS = {
    "openid": "know that it is you, by a number of yours",
    "profile": "see your name, picture and the rest of your basic profile",
    "email": "see your e-mail address",
    "phone": "see your phone number",
    "address": "see your postal address",
    "offline_access": "stay connected when you are away",
}


def is_given(profile: Profile, asked: Asked) -> bool:
    """Our own apps need none, unless an API wants it. An app of somebody else has what was allowed to it, not to another one."""
    if asked.client.first_party and (asked.api is None or asked.api.skip_consent):
        return True
    given = AppGrant.objects.filter(profile=profile, client=asked.client, audience=asked.audience).first()
    return given is not None and set(asked.scopes) <= set(given.scopes)


@transaction.atomic
def remember(profile: Profile, asked: Asked) -> None:
    consent, _ = AppGrant.objects.select_for_update().get_or_create(
        profile=profile, client=asked.client, audience=asked.audience
    )
    consent.scopes = sorted({*consent.scopes, *asked.scopes})
    consent.given_at = timezone.now()
    consent.save(update_fields=["scopes", "given_at"])


def in_words(asked: Asked) -> list[str]:
    return words_of(asked.scopes, asked.api)


def words_of(scopes: list[str], api: ResourceServer | None) -> list[str]:
    """One line per thing that is asked for: our own words, the API's, or at least the scope's name."""
    own = {**(api.scope_words if api else {}), **WORDS}
    return [own.get(scope) or f"use {scope} of {api.name if api else ''} for you" for scope in scopes]
