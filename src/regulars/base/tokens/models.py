"""Signing keys, with the private half encrypted, and token ids that were used."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from regulars.base.configuration.models import versioned
from regulars.base.db.encrypted import EncryptedJSONField


@versioned
class SigningKey(models.Model):
    """An RSA key pair. One signs, the next one is published before it signs, retired ones only verify.

    Times are the system clock's: a rehearsal that moves the business clock must not age keys.
    """

    class State(models.TextChoices):
        NEXT = "next"
        CURRENT = "current"
        RETIRED = "retired"

    kid = models.CharField(max_length=64, unique=True)
    private_pem = EncryptedJSONField()
    state = models.CharField(max_length=8, choices=State)
    created_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=Q(state="current"), name="one_key_signs"),
            models.UniqueConstraint(fields=["state"], condition=Q(state="next"), name="one_key_is_next"),
        ]

    def __str__(self) -> str:
        return self.kid


class UsedOnce(models.Model):
    """A token id that was used (`jti` of assertions and proofs), by its hash, until the token has expired anyway."""

    hash = models.CharField(max_length=64, primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.hash
