"""What we remember of password rules: the policy of a connection, and passwords she had before (hashes)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from .connections import Connection


class PasswordPolicy(models.Model):
    """What a password of this connection must be (`passwords.Rules`). Without a row the defaults hold."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="password_policy")
    min_length = models.PositiveSmallIntegerField(default=8)
    common = models.BooleanField(default=True)  # True: refuse the 20,000 most common ones
    personal = models.BooleanField(default=True)  # True: refuse her own name and address
    breached = models.BooleanField(default=True)  # True: refuse what is in the operator's list
    history = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return f"passwords of {self.connection_id}"


class PreviousPassword(models.Model):
    """A hash she had before, kept only while a policy asks for it."""

    account = models.ForeignKey("profiles.Account", on_delete=models.CASCADE, related_name="previous_passwords")
    password = models.CharField(max_length=128)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"password until {self.at:%Y-%m-%d}"
