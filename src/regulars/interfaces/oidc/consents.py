"""What customers allowed apps of others: remembered, and asked for in words."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from regulars.clients.models import ResourceServer
from regulars.oauth.models import AppGrant
from regulars.profiles.find import of_profile
from regulars.profiles.models import Profile

from .asking import Asked

WORDS = {
    "openid": gettext_noop("know that it is you, by a number of yours"),
    "profile": gettext_noop("see your name, picture and the rest of your basic profile"),
    "email": gettext_noop("see your e-mail address"),
    "phone": gettext_noop("see your phone number"),
    "address": gettext_noop("see your postal address"),
    "offline_access": gettext_noop("stay connected when you are away"),
}


def is_given(profile: Profile, asked: Asked) -> bool:
    """Our own apps need none, unless an API wants it. An app of somebody else has what was allowed to it, not to another one."""
    if asked.client.first_party and (asked.api is None or asked.api.skip_consent):
        return True
    rows = AppGrant.objects.filter(of_profile(profile.pk), client=asked.client, audience=asked.audience)
    given = {scope for row in rows for scope in row.scopes}
    return bool(rows) and set(asked.scopes) <= given


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
    named = _("use {scope} of {api} for you")
    return [own.get(scope) or named.format(scope=scope, api=api.name if api else "") for scope in scopes]
