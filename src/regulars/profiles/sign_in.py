"""The rule for who may sign in: one, for every entrance, on a profile, on an account and in SQL.

Every entrance asks here: passwords, codes by mail, passkeys, social login, reset, the second factor, browser sessions,
authorization codes, device codes, refresh tokens, userinfo, and tokens of customers at the APIs.
"""

from __future__ import annotations

from enum import StrEnum

from django.db.models import Q

from regulars.accounts.models import Account

from .models import Profile


class SignInBlock(StrEnum):
    """Why a customer may not sign in."""

    BLOCKED = "blocked"  # staff, an app or a rule blocked the customer
    CLOSED = "closed"  # the account is not active, or is no customer's
    MERGED = "merged"  # the profile is a part of another customer by now


MAY_SIGN_IN = Q(merged_into=None, blocked=False) & ~Q(account__is_active=False)


def sign_in_block(profile: Profile) -> SignInBlock | None:
    """Return why this customer may not sign in, or None. What follows merges asks about the canonical profile."""
    return SignInBlock.MERGED if profile.merged_into_id else _block(profile)


def account_block(account: Account) -> SignInBlock | None:
    """Return why this account may not be signed in with, or None.

    An account that was merged signs in as the customer of the merge: both must be open. Staff are no customers.
    """
    profile: Profile | None = getattr(account, "profile", None)
    if profile is None or account.is_staff:
        return SignInBlock.CLOSED
    return _block(profile) or (_block(profile.merged_into) if profile.merged_into else None)


def may_sign_in_sql(profile_id: str) -> str:
    """Return the rule as a condition of raw SQL on a column with a profile's id; a merged profile follows its merge.

    EXISTS and not IN: SQLite would collect the ids of every customer for IN.
    """
    profiles, accounts = Profile._meta.db_table, Account._meta.db_table
    return (
        f"EXISTS (SELECT 1 FROM {profiles} p LEFT JOIN {accounts} a ON a.id = p.account_id"  # noqa: S608 - our own names
        f" LEFT JOIN {profiles} c ON c.id = p.merged_into_id LEFT JOIN {accounts} b ON b.id = c.account_id"
        f" WHERE p.id = {profile_id} AND NOT p.blocked AND COALESCE(a.is_active, TRUE)"
        " AND NOT COALESCE(c.blocked, FALSE) AND COALESCE(b.is_active, TRUE))"
    )


def _block(profile: Profile) -> SignInBlock | None:
    if profile.blocked:
        return SignInBlock.BLOCKED
    return SignInBlock.CLOSED if profile.account and not profile.account.is_active else None
