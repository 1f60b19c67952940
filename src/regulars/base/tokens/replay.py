"""Names that may be used once: a captured assertion or proof is of no use to whoever sends it again."""

from __future__ import annotations

import datetime as dt

from regulars.base.crypto import fingerprint

from .models import UsedOnce


def use(name: str, until: float) -> bool:
    """True for the first who brings this name, False for everybody after. `until`: seconds since 1970 it matters for."""
    expires_at = dt.datetime.fromtimestamp(until, dt.UTC)
    return UsedOnce.objects.get_or_create(pk=fingerprint(name), defaults={"expires_at": expires_at})[1]
