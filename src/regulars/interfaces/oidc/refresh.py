"""Refresh tokens: each used once, each followed by the next; a token used again ends its whole family."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from regulars.base.crypto import fingerprint, random_secret
from regulars.clients.cache import find_client
from regulars.clients.models import Client
from regulars.oauth.models import RefreshFamily, RefreshToken
from regulars.profiles.find import whole
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import account_block

from .errors import OAuthError
from .grants import Grant

# Seconds, where the client's own settings (`Client.refresh`) say nothing else.
IDLE, ABSOLUTE = 15 * 86400, 30 * 86400
LEEWAY = "refresh_token_leeway"  # the same setting in a client's metadata, for consoles that know no other place
LONGEST_LEEWAY = 60
WHOSE = ("family__profile__account", "family__profile__merged_into__account")


@dataclass(frozen=True)
class Found:
    """A refresh token that may be used now. `profile` is the customer that she is today.

    When the one she signed in as was linked to another since, that is the other; `grant.sub` stays what the app knows
    her by (OpenID Connect Core, 12.2). Parted again, the offline access is again of the one who gave it.
    """

    token: RefreshToken
    family: RefreshFamily
    grant: Grant
    profile: Profile


def unknown() -> OAuthError:
    """One sentence for every reason; SDKs look for its words and then sign in again."""
    return OAuthError("invalid_grant", "Unknown or invalid refresh token.")


def start(family: uuid.UUID, profile_id: int, grant: Grant) -> str:
    """Begin a family and give its first token."""
    row = RefreshFamily(
        id=family,
        client_id=grant.client_id,
        profile_id=profile_id,
        grant=grant.kept(),
        sid=grant.sid,
        expires_at=timezone.now() + _lifetime(find_client(grant.client_id), "token_lifetime", ABSOLUTE),
    )
    RefreshFamily.objects.bulk_create([row])
    return _new_token(row)


def look(token: str, client: Client) -> Found | None:
    """The token if it may be used, without ending anything when it may not."""
    rows = RefreshToken.objects.filter(hash=fingerprint(token), family__client=client, used_at=None)
    row = rows.select_related(*WHOSE).first()
    return _usable(row, timezone.now()) if row else None


def find(token: str, client: Client) -> Found:
    """The token if it may be used; `OAuthError("invalid_grant")` if not. A token used before ends the family."""
    rows = RefreshToken.objects.filter(hash=fingerprint(token), family__client=client)
    row = rows.select_related(*WHOSE).first()
    now = timezone.now()
    found = _usable(row, now) if row else None
    if row is None or found is None:
        raise unknown()
    if row.used_at and now - row.used_at > leeway_of(client):
        end(row.family_id, "token_reused")
        raise unknown()
    return found


def rotate(found: Found, client: Client) -> str:
    """Use the token up and give the next one. Of many at once, one gets it; to the rest the token is a used one."""
    now = timezone.now()
    with transaction.atomic():
        unused = RefreshToken.objects.filter(pk=found.token.pk, used_at=None)
        if unused.update(used_at=now) or _within_leeway(found, client, now):
            return _new_token(found.family)
        end(found.family.pk, "token_reused")
    raise unknown()


def end(family: uuid.UUID, why: str) -> None:
    RefreshFamily.objects.filter(pk=family, revoked_at=None).update(revoked_at=timezone.now(), revoked_why=why)


def end_by_token(token: str, client: Client) -> None:
    """What /oauth/revoke does. A token of another app, or of nobody, is passed over in silence (RFC 7009)."""
    row = RefreshToken.objects.filter(hash=fingerprint(token), family__client=client).first()
    if row:
        end(row.family_id, "by_client")


def leeway_of(client: Client) -> dt.timedelta:
    try:
        seconds = float(client.refresh.get("leeway") or client.metadata.get(LEEWAY, 0))
    except (TypeError, ValueError):
        seconds = 0.0
    return dt.timedelta(seconds=min(max(seconds, 0.0), LONGEST_LEEWAY))


def _lifetime(client: Client | None, name: str, otherwise: int) -> dt.timedelta:
    return dt.timedelta(seconds=(client.refresh.get(name) if client else None) or otherwise)


def _usable(row: RefreshToken, now: dt.datetime) -> Found | None:
    """Neither run out nor ended, of a customer who may come in."""
    family, profile = row.family, row.family.profile
    if family.revoked_at or min(row.expires_at, family.expires_at) <= now:
        return None
    if profile.account is None or account_block(profile.account):
        return None
    return Found(row, family, Grant(**family.grant), whole(profile))


def _within_leeway(found: Found, client: Client, now: dt.datetime) -> bool:
    leeway = leeway_of(client)
    return bool(leeway) and RefreshToken.objects.filter(pk=found.token.pk, used_at__gt=now - leeway).exists()


def _new_token(family: RefreshFamily) -> str:
    token = random_secret(43)
    idle = _lifetime(find_client(family.client_id), "idle_token_lifetime", IDLE)
    expires_at = min(timezone.now() + idle, family.expires_at)
    RefreshToken.objects.bulk_create([RefreshToken(hash=fingerprint(token), family=family, expires_at=expires_at)])
    return token
