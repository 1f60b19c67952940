"""Tokens of social networks: what a customer's provider gave us to ask there in her name. Encrypted, the newest only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models
from django.utils import timezone

from regulars.base.db.encrypted import EncryptedJSONField
from regulars.base.text import storable

EARLY = dt.timedelta(seconds=30)  # a token that runs out on the way is none
LONGEST_LIFE = 10 * 365 * 86400  # seconds


class UpstreamToken(models.Model):
    """The token of one identity. `secret` is `{"access_token": …, "refresh_token": …}`; times are the machine's.

    `refreshing_until`: somebody is renewing it now, and until then nobody else does.
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
        """Empty when it has run out."""
        return good_token(self.secret, self.expires_at)

    @property
    def refresh_token(self) -> str:
        return str(self.secret.get("refresh_token", ""))


class LeavingGrant(models.Model):
    """What somebody who was forgotten had allowed us at her network, until that network ended it. Names nobody.

    `secret` is what ending it takes, and goes as soon as it is over. `erasure` is the number of the proof.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        ENDED = "ended"
        GONE = "gone"  # the network says that there was nothing to end any more
        UNABLE = "unable"  # this network lets nobody but herself end it
        GAVE_UP = "gave_up"

    erasure = models.UUIDField(db_index=True)
    connection = models.CharField(max_length=128)
    secret = EncryptedJSONField(default=dict)
    expires_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    why = models.CharField(max_length=200, blank=True)  # of the last try that failed
    asked_at = models.DateTimeField(default=timezone.now)
    over_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.connection}, {self.state}"

    @property
    def access_token(self) -> str:
        return good_token(self.secret, self.expires_at)


def good_token(secret: Mapping[str, Any], expires_at: dt.datetime | None) -> str:
    """The access token; empty when it has run out."""
    good = expires_at is None or expires_at > timezone.now() + EARLY
    return str(secret.get("access_token", "")) if good else ""


def expiry_of(issued: Mapping[str, Any]) -> dt.datetime | None:
    """When a token that was just issued runs out; None when its provider does not say."""
    return _expiry(issued.get("expires_in"), timezone.now())


def keep_token(identity_id: int, issued: Mapping[str, Any], scopes: Iterable[str] | None = None) -> None:
    """What a token endpoint answered. A refresh token stays until a new one comes: many give it once only."""
    before = UpstreamToken.objects.filter(identity=identity_id).first()
    kept = before.refresh_token if before else ""
    said = {name: value for name in ("access_token", "refresh_token") if isinstance(value := issued.get(name), str)}
    now = timezone.now()
    values: dict[str, Any] = {
        "secret": {"refresh_token": kept, **said},
        "scopes": storable(list(scopes)) if scopes is not None else before.scopes if before else [],
        "expires_at": _expiry(issued.get("expires_in"), now),
        "refreshing_until": None,
        "updated_at": now,
    }
    UpstreamToken.objects.update_or_create(identity_id=identity_id, defaults=values)


def _expiry(seconds: Any, now: dt.datetime) -> dt.datetime | None:
    try:
        return now + dt.timedelta(seconds=min(max(int(seconds), 0), LONGEST_LIFE))
    except (TypeError, ValueError, OverflowError):
        return None
