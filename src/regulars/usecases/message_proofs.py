"""Whose word a message is: a public write key's, or a server's.

A public write key can be read by every visitor, so what comes with it is weak: it may attach an anonymous browser and
never joins two customers. A proof that the sender is the user lifts it:

- `context.token`: an ID token of ours for a first-party client, of this very user (an app of others holds one too),
  issued after the first proof of their address: the maker of an account that is not theirs may hold an earlier one;
- `context.userHash`: HMAC-SHA256 of the user id, in hex, by the source's secret. Only the shop's backend can make it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from regulars.base.errors import Invalid
from regulars.base.tokens.jwt import verify
from regulars.base.tokens.kinds import TokenKind
from regulars.clients.models import Client
from regulars.events.models import Event, Source
from regulars.events.own_events import OwnEvent
from regulars.profiles.assertions import Asserter
from regulars.profiles.find import canonical_id_of

TOKEN, HASH = "token", "userHash"  # in the context of a message
PROOFS = frozenset({TOKEN, HASH})
# An app keeps an ID token for its session, and a phone sends its events when it has a network again.
TOKEN_GRACE = dt.timedelta(hours=24)


def whose_word(source: Source, context: Mapping[str, Any], user_id: str, received_at: dt.datetime) -> Asserter:
    """Return whose word a message is: a public key's, unless the key is a server's or the sender proves the user id."""
    if source.kind == Source.Kind.SERVER or (user_id and _is_proved(source, context, user_id, received_at)):
        return Asserter.SERVER_KEY
    return Asserter.PUBLIC_KEY


def _is_proved(source: Source, context: Mapping[str, Any], user_id: str, received_at: dt.datetime) -> bool:
    given = context.get(HASH)
    if isinstance(given, str) and source.secret:
        expected = hmac.new(str(source.secret).encode(), user_id.encode(), hashlib.sha256).hexdigest()
        if hmac.compare_digest(expected, given.strip().lower().encode("ascii", "replace").decode()):
            return True
    token = context.get(TOKEN)
    return isinstance(token, str) and _is_their_token(token, user_id, received_at)


def _is_their_token(token: str, user_id: str, received_at: dt.datetime) -> bool:
    """Return whether this is an ID token of ours for a first-party client, of this user and not from before it was theirs."""
    try:
        claims = verify(token, kinds=[TokenKind.ID], allow_expired=True)
    except Invalid:
        return False
    audiences = claims.get("aud")
    audiences = [audiences] if isinstance(audiences, str) else audiences or []
    issued_at, expires_at = claims.get("iat"), claims.get("exp")
    if not isinstance(issued_at, int | float) or not isinstance(expires_at, int | float):
        return False
    if received_at.timestamp() > expires_at + TOKEN_GRACE.total_seconds() or str(claims.get("sub")) != user_id:
        return False
    if not Client.objects.filter(pk__in=audiences, first_party=True).exists():
        return False
    since = dt.datetime.fromtimestamp(issued_at, dt.UTC)
    ended = Event.objects.filter(name=OwnEvent.EARLIER_ACCESS_ENDED, source=None, at__gte=since)
    return not ended.filter(profile_id=canonical_id_of(user_id)).exists()
