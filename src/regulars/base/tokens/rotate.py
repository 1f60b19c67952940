"""Rotation of signing keys. The next key is published long before it signs, so that no token fails verification."""

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
    """Let the next key sign, publish a new next key, and let the old one only verify. Returns the key that signs.

    Raises `Invalid("too_soon")` when the next key has not been published for `PUBLISHED_FOR`, unless `at_once`.
    """
    keys.key_set()  # makes the first two keys, if there are none
    spare = keys.new_key(State.NEXT)
    with transaction.atomic():
        # A second rotation at the same time waits for the lock of the current key, and then finds a next key that is
        # seconds old.
        list(SigningKey.objects.select_for_update().filter(state=State.CURRENT))
        signer = SigningKey.objects.get(state=State.NEXT)
        if not at_once and timezone.now() - signer.created_at < PUBLISHED_FOR:
            minutes = PUBLISHED_FOR.seconds // 60
            raise Invalid(
                "too_soon", f"The next key has been published for less than {minutes} minutes. Wait, or force it."
            )
        SigningKey.objects.filter(state=State.CURRENT).update(state=State.RETIRED, retired_at=timezone.now())
        signer.state = State.CURRENT
        signer.save(update_fields=["state"])
        spare.save()
        delete_retired()
    return signer


def revoke(kid: str) -> None:
    """Delete a retired key: its tokens are invalid from now on. Raises `Invalid`: `unknown_key`, `key_signs`."""
    with transaction.atomic():
        key = SigningKey.objects.select_for_update().filter(kid=kid).first()
        if key is None:
            raise Invalid("unknown_key", "There is no signing key of this name.")
        if key.state != State.RETIRED:
            raise Invalid("key_signs", f"This key is {key.state}. Rotate first; then it can be revoked.")
        key.delete()


def delete_retired() -> int:
    """Delete the keys whose last tokens have expired. Returns how many there were."""
    return SigningKey.objects.filter(state=State.RETIRED, retired_at__lte=timezone.now() - LONGEST_TOKEN).delete()[0]
