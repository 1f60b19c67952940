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


class SentForm(models.Model):
    """The one-time number of a form that made something, and the page of what it made (`edits.creating`).

    `content` is a keyed hash of what was sent. `secret`: a secret was shown in the answer, and is shown nowhere else.
    """

    number = models.CharField(max_length=64, primary_key=True)
    content = models.CharField(max_length=64)
    address = models.CharField(max_length=255, blank=True)
    secret = models.BooleanField(default=False)
    at = models.DateTimeField(default=clock.now, db_index=True)

    def __str__(self) -> str:
        return self.address
