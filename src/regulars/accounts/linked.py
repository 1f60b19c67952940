"""Rows of an account, and of accounts that were linked with it."""

from __future__ import annotations

from django.db.models import Q
from django.db.models.expressions import RawSQL

from regulars.base.db.unions import in_either

from .models import Account


def of_account(account: int | RawSQL, field: str = "user") -> Q:
    """Rows of this account and of accounts whose customers were merged into its customer; unlinked, each has its own again."""
    joined = Account.objects.filter(profile__merged_into__account=account)
    return in_either(field, Account.objects.filter(pk=account), joined)
