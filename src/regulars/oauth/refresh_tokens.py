"""Refresh tokens: each is used once and followed by the next; a token that is used again ends its family."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from regulars.base.crypto import fingerprint, random_secret
from regulars.clients.cache import find_client, may_refresh
from regulars.clients.models import Client
from regulars.profiles.find import canonical_profile
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import account_block

from .grant import Grant
from .models import RefreshFamily, RefreshToken
from .protocol_errors import OAuthError
from .revoked_grants import revoke_grant

# Seconds, for clients without settings of their own (`Client.refresh`).
IDLE_LIFETIME, ABSOLUTE_LIFETIME = 15 * 86400, 30 * 86400
LEEWAY = "refresh_token_leeway"  # the same setting in a client's metadata, for consoles that have no other field
LONGEST_LEEWAY = 60
ACCOUNTS = ("family__profile__account", "family__profile__merged_into__account")


@dataclass(frozen=True)
class UsableToken:
    """A refresh token that may be used now. `profile` is the customer after any linking of customers.

    `grant.sub` stays the id under which the app knows the customer (OpenID Connect Core 12.2). When linked customers are
    separated, the offline access belongs to the customer who granted it.
    """

    token: RefreshToken
    family: RefreshFamily
    grant: Grant
    profile: Profile

    @property
    def access_lifetime(self) -> dt.timedelta:
        return dt.timedelta(seconds=self.grant.lifetime)


def unknown_token(family: RefreshFamily | None = None) -> OAuthError:
    """Return the same error for every reason. SDKs look for this text and then let the customer sign in again.

    It has the dialect of the token's family, where that is known.
    """
    answers = Grant.from_json(family.grant).answers if family else ""
    return OAuthError("invalid_grant", "Unknown or invalid refresh token.", answers=answers)


def start_if_offline(family: uuid.UUID, profile_id: int, client: Client, grant: Grant) -> str:
    """Start a family and return its first token; empty unless offline access is granted and the app may refresh."""
    if not (grant.is_offline and may_refresh(client)):
        return ""
    row = RefreshFamily(
        id=family,
        client_id=grant.client_id,
        profile_id=profile_id,
        grant=grant.to_json(),
        sid=grant.sid,
        expires_at=timezone.now() + absolute_lifetime(client),
    )
    RefreshFamily.objects.bulk_create([row])
    return _new_token(row)


def peek(token: str, client: Client) -> UsableToken | None:
    """Return the token if it may be used. A token that was used before ends nothing here."""
    rows = RefreshToken.objects.filter(hash=fingerprint(token), family__client=client, used_at=None)
    row = rows.select_related(*ACCOUNTS).first()
    return _usable(row, timezone.now()) if row else None


def find(token: str, client: Client) -> UsableToken:
    """Return the token if it may be used. A token that was used before ends its family.

    Raises `OAuthError("invalid_grant")`.
    """
    rows = RefreshToken.objects.filter(hash=fingerprint(token), family__client=client)
    row = rows.select_related(*ACCOUNTS).first()
    now = timezone.now()
    found = _usable(row, now) if row else None
    if row is None or found is None:
        raise unknown_token(row.family if row else None)
    if row.used_at and now - row.used_at > leeway_of(client):
        end_family(row.family_id, "token_reused", found.access_lifetime)
        raise unknown_token(row.family)
    return found


def rotate(found: UsableToken, client: Client) -> str:
    """Use the token up and return the next one. Of many calls at once, one gets it; the others find a used token."""
    now, leeway = timezone.now(), leeway_of(client)
    with transaction.atomic():
        this = RefreshToken.objects.filter(pk=found.token.pk)
        is_first = this.filter(used_at=None).update(used_at=now)
        if is_first or (leeway and this.filter(used_at__gt=now - leeway).exists()):
            return _new_token(found.family)
        end_family(found.family.pk, "token_reused", found.access_lifetime)
    raise unknown_token(found.family)


def end_family(family: uuid.UUID, why: str, access_lifetime: dt.timedelta) -> None:
    """End the offline access and the access tokens of one grant. A grant without offline access has access tokens alone.

    `access_lifetime` is how long an access token that was issued just now is valid.
    """
    RefreshFamily.objects.filter(pk=family, revoked_at=None).update(revoked_at=timezone.now(), revoked_why=why)
    revoke_grant(family.hex, access_lifetime)


def end_by_token(token: str, client: Client) -> None:
    """Revoke offline access, and the access tokens of the same grant (RFC 7009, 2.1). An unknown token is no error (2.2)."""
    rows = RefreshToken.objects.filter(hash=fingerprint(token), family__client=client)
    row = rows.select_related("family").first()
    if row:
        lifetime = Grant.from_json(row.family.grant).lifetime
        end_family(row.family_id, "by_client", dt.timedelta(seconds=lifetime))


def leeway_of(client: Client) -> dt.timedelta:
    try:
        seconds = float(client.refresh.get("leeway") or client.metadata.get(LEEWAY, 0))
    except (TypeError, ValueError):
        seconds = 0.0
    return dt.timedelta(seconds=min(max(seconds, 0.0), LONGEST_LEEWAY))


def absolute_lifetime(client: Client) -> dt.timedelta:
    """Return how long offline access lasts that starts now, however often its tokens are used."""
    return _lifetime(client, "token_lifetime", ABSOLUTE_LIFETIME)


def _lifetime(client: Client | None, name: str, otherwise: int) -> dt.timedelta:
    return dt.timedelta(seconds=(client.refresh.get(name) if client else None) or otherwise)


def _usable(row: RefreshToken, now: dt.datetime) -> UsableToken | None:
    """Return the token unless it expired, was revoked, or belongs to a customer who may not sign in."""
    family, profile = row.family, row.family.profile
    if family.revoked_at or min(row.expires_at, family.expires_at) <= now:
        return None
    if profile.account is None or account_block(profile.account):
        return None
    return UsableToken(row, family, Grant.from_json(family.grant), canonical_profile(profile))


def _new_token(family: RefreshFamily) -> str:
    token = random_secret(43)
    idle = _lifetime(find_client(family.client_id), "idle_token_lifetime", IDLE_LIFETIME)
    expires_at = min(timezone.now() + idle, family.expires_at)
    RefreshToken.objects.bulk_create([RefreshToken(hash=fingerprint(token), family=family, expires_at=expires_at)])
    return token
