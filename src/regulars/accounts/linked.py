"""Which rows belong to an account, or to an account that was linked with it."""

from __future__ import annotations

from django.db.models import Q
from django.db.models.expressions import RawSQL

from regulars.base.db.unions import in_either

from .models import Account


def of_account(account: int | RawSQL, field: str = "user") -> Q:
    """Rows of this account and of those whose customers became one with hers: parted again, each has its own again."""
    joined = Account.objects.filter(profile__merged_into__account=account)
    return in_either(field, Account.objects.filter(pk=account), joined)
