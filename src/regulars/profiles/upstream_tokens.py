"""Tokens of providers: what lets the business ask a customer's provider on their behalf. Encrypted, the newest only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models
from django.utils import timezone

from regulars.base.db.encrypted import EncryptedJSONField
from regulars.base.text import storable

EARLY = dt.timedelta(seconds=30)  # a token that expires on the way counts as expired
LONGEST_LIFE = 10 * 365 * 86400  # seconds


class UpstreamToken(models.Model):
    """The token of one identity. `secret` is `{"access_token": …, "refresh_token": …, "issued_by": …}`; times are this server's.

    `issued_by` is the address that issued it: where a connection is moved elsewhere, its tokens are not sent there.

    `refreshing_until`: one process is renewing the token, and until then no other does.
    """

    identity = models.OneToOneField("profiles.Identity", on_delete=models.CASCADE, related_name="token")
    secret = EncryptedJSONField()
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    refreshing_until = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"token of {self.identity_id}"

    @property
    def access_token(self) -> str:
        """Empty when it has expired."""
        return _unexpired(self.secret, self.expires_at)

    @property
    def refresh_token(self) -> str:
        return str(self.secret.get("refresh_token", ""))

    @property
    def issued_by(self) -> str:
        """Empty for a token from before this was recorded."""
        return str(self.secret.get("issued_by", ""))


class UpstreamRevocation(models.Model):
    """The grant of an erased customer at their provider, until the provider has ended it. The row names no customer.

    `secret` is what ending the grant takes, and is deleted as soon as that is over. `erasure` is the number of the proof.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        ENDED = "ended"
        NOT_FOUND = "not_found"  # the provider has no such grant any more
        UNABLE = "unable"  # at this provider only the customer can end it
        FAILED = "failed"

    erasure = models.UUIDField(db_index=True)
    connection = models.CharField(max_length=128)
    secret = EncryptedJSONField(default=dict)
    expires_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    why = models.CharField(max_length=200, blank=True)  # of the last try that failed
    asked_at = models.DateTimeField(default=timezone.now)
    over_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.connection}, {self.state}"

    @property
    def access_token(self) -> str:
        """Empty when it has expired."""
        return _unexpired(self.secret, self.expires_at)


def expiry_of(issued: Mapping[str, object]) -> dt.datetime | None:
    """Return when a token that was just issued expires; None when its provider does not say."""
    seconds = issued.get("expires_in")
    try:
        lifetime = int(seconds)  # type: ignore[call-overload]  # whatever a provider sent
        return timezone.now() + dt.timedelta(seconds=min(max(lifetime, 0), LONGEST_LIFE))
    except (TypeError, ValueError, OverflowError):
        return None


def keep_token(identity_id: int, issued: Mapping[str, object], scopes: Iterable[str] | None = None) -> None:
    """Save what a token endpoint issued: `{"access_token", "refresh_token", "expires_in"}`.

    A refresh token stays until a new one comes: many providers issue it once only.
    """
    before = UpstreamToken.objects.filter(identity=identity_id).first()
    names = ("access_token", "refresh_token", "issued_by")
    new = {name: value for name in names if isinstance(value := issued.get(name), str)}
    was_moved = before is not None and before.issued_by not in ("", new.get("issued_by"))
    kept = before.refresh_token if before and not was_moved else ""
    secret: Any = {"refresh_token": kept, **new}
    UpstreamToken.objects.update_or_create(
        identity_id=identity_id,
        defaults={
            "secret": secret,
            "scopes": storable(list(scopes)) if scopes is not None else before.scopes if before else [],
            "expires_at": expiry_of(issued),
            "refreshing_until": None,
            "updated_at": timezone.now(),
        },
    )


def _unexpired(secret: Mapping[str, str], expires_at: dt.datetime | None) -> str:
    usable = expires_at is None or expires_at > timezone.now() + EARLY
    return str(secret.get("access_token", "")) if usable else ""
