"""The keys that sign tokens, kept in the operational database, the private half encrypted."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from regulars.base.kit.encrypted import EncryptedJSONField


class SigningKey(models.Model):
    """An RSA key pair. One is current and signs; the others only verify what they signed before.

    Times are the machine's: a rehearsal that moves the business clock must not age keys.
    """

    kid = models.CharField(max_length=64, unique=True)
    private_pem = EncryptedJSONField()
    is_current = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["is_current"], condition=Q(is_current=True), name="one_key_signs"),
        ]

    def __str__(self) -> str:
        return self.kid
