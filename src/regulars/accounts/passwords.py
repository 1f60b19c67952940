"""Password policies per connection, setting a password, and the cost of its hash."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.password_validation import (
    CommonPasswordValidator,
    MinimumLengthValidator,
    UserAttributeSimilarityValidator,
)
from django.core.exceptions import ValidationError
from django.db import transaction

from regulars.base.email_address import canonical_email
from regulars.base.errors import Invalid
from regulars.base.text import storable
from regulars.connections.models import Connection

from .breached import is_listed
from .hashes import LONGEST, forms_of, hash_in_vain, matches, normalised
from .models import Account, PasswordPolicy, PreviousPassword

log = logging.getLogger("regulars.profiles")

SHORTEST, MOST_OLD = (8, 64), 10  # the limits of a policy
UNUSABLE = "This one cannot be used. Choose another."
PERSONAL = ("name", "given_name", "family_name", "nickname", "username")


class PasswordHasher(Argon2PasswordHasher):
    """Argon2id, three passes over 64 MiB in four lanes: the second recommended option of RFC 9106, for machines that hash
    several passwords at once. Hashes of another cost are renewed at the next login.

    A process hashes as many at once as there are cores, and the others wait: thirty at once take as long in sum, but
    leave no processor time to the thread that holds a lock of the database.
    """

    time_cost = 3
    memory_cost = 64 * 1024  # KiB
    parallelism = 4

    turns = BoundedSemaphore(os.cpu_count() or 1)

    def encode(self, password: str, salt: str) -> str:
        with self.turns:
            return str(super().encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        with self.turns:
            return bool(super().verify(password, encoded))


@dataclass(frozen=True)
class Rules:
    """A policy as an operator writes it. `history`: so many of the last passwords cannot be chosen again."""

    min_length: int = 8
    common: bool = True
    personal: bool = True
    breached: bool = True
    history: int = 0


def rules_of(connection: str) -> Rules:
    row = PasswordPolicy.objects.filter(connection__name=connection).first()
    if row is None:
        return Rules()
    return Rules(row.min_length, row.common, row.personal, row.breached, row.history)


def save_rules(connection: Connection, rules: Rules) -> None:
    """Raises `DomainError`: `bad_length`, `bad_history`."""
    shortest, longest = SHORTEST
    if not shortest <= rules.min_length <= longest:
        raise Invalid("bad_length", f"The shortest password has {shortest} to {longest} characters.", "min_length")
    if not 0 <= rules.history <= MOST_OLD:
        raise Invalid("bad_history", f"Remember 0 to {MOST_OLD} passwords.", "history")
    values = {name: getattr(rules, name) for name in Rules.__dataclass_fields__}
    PasswordPolicy.objects.update_or_create(connection=connection, defaults=values)


def problems_with(password: str, account: Account, connection: str) -> list[str]:
    """What is wrong with it, in sentences; empty when it may be taken."""
    typed, password = password, normalised(password)
    if storable(typed) != typed or len(password) > LONGEST:
        return [UNUSABLE]
    rules = rules_of(connection)
    problems: list[str] = []
    validators: list[Any] = [MinimumLengthValidator(rules.min_length)]
    validators += [_common()] if rules.common else []
    validators += [UserAttributeSimilarityValidator(("email",))] if rules.personal else []
    for validator in validators:
        try:
            validator.validate(password, account)
        except ValidationError as fault:
            problems += fault.messages
    if rules.personal:
        document: dict[str, Any] = getattr(getattr(account, "profile", None), "document", {})
        words = [word for name in PERSONAL for word in str(document.get(name, "")).lower().split()]
        if any(len(word) > 3 and word in password.lower() for word in words):
            problems.append("The password holds your name.")
    if rules.breached and any(_is_breached(form) for form in forms_of(typed)):
        problems.append("This password was found in a data breach elsewhere. Choose another.")
    if rules.history and account.pk is not None:
        old = PreviousPassword.objects.filter(account=account).order_by("-pk").values_list("password", flat=True)
        if any(matches(typed, each) for each in [account.password, *old[: rules.history - 1]]):
            problems.append("You had this password before. Choose another.")
    return problems


@transaction.atomic
def set_password(account: Account, password: str, connection: str) -> None:
    """The new hash; the old one is remembered as long as the policy wants."""
    keep = rules_of(connection).history
    if keep and account.has_usable_password():
        PreviousPassword.objects.create(account=account, password=account.password)
    old = PreviousPassword.objects.filter(account=account).order_by("-pk").values_list("pk", flat=True)
    PreviousPassword.objects.filter(pk__in=list(old[keep:])).delete()
    account.set_password(password)
    account.save(update_fields=["password"])


def accounts_with_password(candidates: Iterable[Account], password: str) -> list[Account]:
    """Return those with this password. An address without an account costs the hashes of one that has an account."""
    candidates = list(candidates)
    if not candidates:
        hash_in_vain(password)
    return [account for account in candidates if account.check_password(password)]


def find_staff(email: str, password: str) -> Account | None:
    """Return the member of staff with these credentials."""
    email = canonical_email(email)
    candidates = Account.objects.filter(email__iexact=email, is_staff=True, is_active=True).order_by("pk")
    return next(iter(accounts_with_password(candidates, password)), None)


@lru_cache(maxsize=1)
def _common() -> CommonPasswordValidator:
    """Django's 20,000, unpacked once."""
    return CommonPasswordValidator()


def _is_breached(password: str) -> bool:
    """Return False when the list cannot be read; `regulars doctor` reports that."""
    if not settings.BREACHED_PASSWORDS:
        return False
    try:
        return is_listed(password, Path(settings.BREACHED_PASSWORDS))
    except OSError as fault:
        log.error("the list of breached passwords cannot be read: %s", fault.strerror)
        return False
