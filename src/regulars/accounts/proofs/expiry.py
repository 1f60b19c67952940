"""Deletion of mailed codes, login tickets and sign-ups that were not confirmed in time. The worker runs it.

The next one that is made deletes them too, but there may be none for long, and they hold addresses.
"""

from __future__ import annotations

from django.utils import timezone

from regulars.accounts.models import PendingSignup
from regulars.base.db.portions import delete_in_portions

from .models import EmailCode, LoginTicket


def delete_expired_proofs() -> None:
    now = timezone.now()
    for model in (EmailCode, LoginTicket, PendingSignup):
        delete_in_portions(model._default_manager.filter(expires_at__lt=now), "expires_at")
