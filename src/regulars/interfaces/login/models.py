"""What the sign-in pages remember: sign-ups that wait for a click, and how often somebody tried."""

from __future__ import annotations

from django.db import models


class PendingSignup(models.Model):
    """Somebody asked for an account; the link in the mail makes it. `password` is hashed. Times are the machine's."""

    email = models.EmailField()
    password = models.CharField(max_length=128)
    onward = models.TextField(blank=True)  # where she was going
    told = models.JSONField(default=dict)  # what an app asked her besides: {"source": "app:…", "values": {path: text}}
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"sign-up until {self.expires_at:%Y-%m-%d %H:%M}"


class Attempts(models.Model):
    """How many attempts fell into one window of one limit. `key` is a fingerprint: no address in words."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.count} until {self.expires_at:%H:%M}"
