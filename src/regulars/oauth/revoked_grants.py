"""Grants whose tokens were stolen or given back: their access tokens are refused before they expire.

An access token is a JWT, so an API that checks signatures by itself accepts it until its end. Here, and at introspection, it
is refused as soon as its grant is revoked. Its claim `grant_id` names the grant; a token from before that claim has none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db.models import Exists, Q
from django.utils import timezone

from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.errors import Invalid
from regulars.base.tokens.kinds import ONLY_USER, client_of
from regulars.clients.cache import find_client

from .models import RevokedGrant

CLAIM = "grant_id"
# A token request that was under way at the time of the revocation may still answer with an access token.
LONGEST_TOKEN_REQUEST = dt.timedelta(hours=1)


def revoke_grant(grant_id: str, lifetime: dt.timedelta) -> None:
    """Refuse the access tokens of a grant from now on; `lifetime` is how long one that was issued just now is valid."""
    until = timezone.now() + lifetime + LONGEST_TOKEN_REQUEST
    RevokedGrant.objects.bulk_create([RevokedGrant(grant_id=grant_id, expires_at=until)], ignore_conflicts=True)


def refuse_revoked(claims: Mapping[str, Any]) -> None:
    """Raise `Invalid("revoked_token")` for the claims of an access token whose grant is revoked or whose app is deleted."""
    grant_id = str(claims.get(CLAIM, ""))
    if (grant_id and _revoked.exists(grant_id=grant_id)) or is_of_deleted_app(claims):
        raise Invalid("revoked_token", "This token was revoked.")


def is_of_deleted_app(claims: Mapping[str, Any]) -> bool:
    """Return whether the application that an access token was issued to does not exist any more."""
    client_id = "" if claims.get(ONLY_USER) else client_of(claims)
    return bool(client_id) and find_client(client_id) is None


def is_revoked(grant_id: Any) -> Q:
    """Return a condition: the grant with this id, which may be a placeholder, is revoked."""
    return Q(Exists(RevokedGrant.objects.filter(pk=grant_id)))


_revoked = CompiledQuery(lambda: RevokedGrant.objects.filter(pk=param("grant_id")).values_list("pk", flat=True))
