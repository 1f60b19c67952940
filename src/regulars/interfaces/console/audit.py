"""Write down what staff did."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from regulars.accounts.models import Account

from .models import AuditEntry


def note(request: HttpRequest, what: str, subject: str = "", **details: Any) -> AuditEntry:
    """Append one act of whoever is signed in (nobody, for a failed sign-in)."""
    account = request.user if isinstance(request.user, Account) else None
    return AuditEntry.objects.create(account=account, what=what, subject=subject[:255], details=details)
