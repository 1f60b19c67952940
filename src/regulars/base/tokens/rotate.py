"""Change the key that signs, so that nobody's tokens fail: the next key was published long before it signs anything."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone

from regulars.base.errors import Invalid

from . import keys
from .keys import LONGEST_TOKEN, State
from .models import SigningKey

# Apps keep our published keys for minutes. A key that signs before they have seen it makes their checks fail.
PUBLISHED_FOR = dt.timedelta(minutes=15)


def rotate(*, at_once: bool = False) -> SigningKey:
    """The next key signs from now on, a new one is published to be next, the old one only verifies. Returns the signer.

    Raises `Invalid("too_soon")` when the next key has not been published for `PUBLISHED_FOR`, unless `at_once`.
    """
    keys.ring()  # the first two keys, if nobody needed one yet
    spare = keys.new_key(State.NEXT)
    with transaction.atomic():
        signer = _next(at_once)
        SigningKey.objects.filter(state=State.CURRENT).update(state=State.RETIRED, retired_at=timezone.now())
        signer.state = State.CURRENT
        signer.save(update_fields=["state"])
        spare.save()
        forget_retired()
    keys.forget_ring()
    return signer


def revoke(kid: str) -> None:
    """Nothing this key signed is good any more. Raises `DomainError`: `unknown_key`, `key_signs` (rotate first)."""
    with transaction.atomic():
        key = SigningKey.objects.select_for_update().filter(kid=kid).first()
        if key is None:
            raise Invalid("unknown_key", "There is no signing key of this name.")
        if key.state != State.RETIRED:
            raise Invalid("key_signs", f"This key is {key.state}. Rotate first; then it can be revoked.")
        key.delete()
    keys.forget_ring()


def forget_retired() -> int:
    """Delete the keys whose last tokens have run out."""
    return SigningKey.objects.filter(state=State.RETIRED, retired_at__lte=timezone.now() - LONGEST_TOKEN).delete()[0]


def _next(at_once: bool) -> SigningKey:
    # Who rotates at the same time waits at the current key, and then finds a next one that is seconds old.
    list(SigningKey.objects.select_for_update().filter(state=State.CURRENT))
    signer = SigningKey.objects.get(state=State.NEXT)
    if not at_once and timezone.now() - signer.created_at < PUBLISHED_FOR:
        minutes = PUBLISHED_FOR.seconds // 60
        raise Invalid(
            "too_soon", f"The next key has been published for less than {minutes} minutes. Wait, or force it."
        )
    return signer
