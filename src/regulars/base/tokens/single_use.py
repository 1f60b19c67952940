"""Single use of token ids: a captured assertion or proof cannot be sent again."""

from __future__ import annotations

import datetime as dt

from regulars.base.crypto import fingerprint

from .models import UsedOnce


def consume_jti(name: str, until: float) -> bool:
    """Return True to the first caller with this name, False to every later one.

    `until` is the time, in seconds since 1970, after which the name may be forgotten.
    """
    expires_at = dt.datetime.fromtimestamp(until, dt.UTC)
    return UsedOnce.objects.get_or_create(pk=fingerprint(name), defaults={"expires_at": expires_at})[1]
