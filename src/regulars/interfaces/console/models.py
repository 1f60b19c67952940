"""The record of what staff did: sign-ins, changes, exports."""

from __future__ import annotations

from django.db import models

from regulars.accounts.models import Account
from regulars.base import clock


class AuditEntry(models.Model):
    """One action of a member of staff. Append-only.

    `what` is a stable key (`segment.exported`, `login.failed`), `subject` is the object; `details` never holds a secret.
    """

    at = models.DateTimeField(default=clock.now)
    account = models.ForeignKey(Account, null=True, on_delete=models.SET_NULL, related_name="+")
    what = models.CharField(max_length=64)
    subject = models.CharField(max_length=255, blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["what", "subject", "-at"], name="audit_of_subject")]

    def __str__(self) -> str:
        return f"{self.what} {self.subject}"
