"""Accounts, their sessions, password policies, sign-ups that wait for a click, and counts of attempts."""

from __future__ import annotations

import secrets
from importlib import import_module
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from regulars.base import clock
from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.email_address import canonical_email
from regulars.connections.models import Connection

from .hashes import forms_of, normalised

__all__ = ["Account", "AttemptCount", "PasswordPolicy", "PendingSignup", "PreviousPassword", "StoredSession", "new_key"]


def new_key() -> str:
    """24 hex characters, the shape of Auth0's own database user ids."""
    return secrets.token_hex(12)


class AccountManager(BaseUserManager["Account"]):
    def create_user(self, email: str = "", password: str | None = None, **fields: Any) -> Account:
        account = self.model(email=canonical_email(email), **fields)
        account.set_password(password)
        account.save(using=self._db)
        return account

    def get(self, *args: Any, **kwargs: Any) -> Account:
        """Read by key alone with SQL compiled once: every request with a session does (`django.contrib.auth.get_user`)."""
        if args or set(kwargs) != {"pk"}:
            return super().get(*args, **kwargs)
        found = _by_key.first(pk=kwargs["pk"])
        if found is None:
            raise Account.DoesNotExist
        return found

    def create_staff(self, email: str, password: str, role: str = "admin") -> Account:
        return self.create_user(email, password, is_staff=True, role=role)


class Account(AbstractBaseUser, PermissionsMixin):
    """An account that can sign in. Customers have a profile; staff have a role instead.

    `address_key` is the address in the form that no two accounts share; NULL: none, or another account held it first
    (`profiles.find.hold_address`). `is_active` closes an account; whether a customer may sign in is decided by `profiles.sign_in`. `language` is that of the
    pages at the last sign-in; empty before one that named a language.
    """

    key = models.CharField(max_length=24, unique=True, default=new_key, editable=False)
    email = models.EmailField(blank=True, db_index=True)
    address_key = models.CharField(max_length=320, null=True, blank=True, unique=True, editable=False)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    role = models.CharField(max_length=20, blank=True)
    language = models.CharField(max_length=16, blank=True)
    date_joined = models.DateTimeField(default=clock.now)

    objects: ClassVar[AccountManager] = AccountManager()

    USERNAME_FIELD = "key"
    EMAIL_FIELD = "email"

    class Meta:
        indexes = [models.Index(Lower("email"), name="account_by_lower_email")]  # a login asks by it

    def __str__(self) -> str:
        return self.email or self.key

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(None if raw_password is None else normalised(raw_password))

    def check_password(self, raw_password: str | None) -> bool:
        """Return whether this is the password. A hash of the password as it was typed becomes one of its normal form."""
        if raw_password is None:
            return False
        for form in forms_of(raw_password):
            before = self.password
            if super().check_password(form):
                if form != normalised(raw_password) and self.password == before:
                    self.set_password(raw_password)
                    Account.objects.filter(pk=self.pk, password=before).update(password=self.password)
                return True
        return False


_by_key = CompiledQuery(lambda: Account.objects.filter(pk=param("pk")))


class StoredSession(AbstractBaseSession):
    """A session of a browser, in place of Django's own row, which names its account only in encoded data.

    `account` is signed in, or has shown a first proof. `words` are checksums of the words of a session before its login
    (`session_contents`). Both are set whenever the session is saved.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="+")
    words = models.TextField(null=True)

    class Meta(AbstractBaseSession.Meta):
        indexes = [
            models.Index(fields=["session_key"], name="session_with_words", condition=models.Q(words__isnull=False)),
        ]

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        store: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
        return store


class PasswordPolicy(models.Model):
    """The rules for passwords of one connection (`passwords.Rules`). Without a row the defaults hold."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="password_policy")
    min_length = models.PositiveSmallIntegerField(default=8)
    common = models.BooleanField(default=True)  # True: refuse the 20,000 most common ones
    personal = models.BooleanField(default=True)  # True: refuse the customer's own name and address
    breached = models.BooleanField(default=True)  # True: refuse what is in the operator's list
    history = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return f"passwords of {self.connection_id}"


class PreviousPassword(models.Model):
    """The hash of an earlier password, kept only while a policy asks for it."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="previous_passwords")
    password = models.CharField(max_length=128)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"password until {self.at:%Y-%m-%d}"


class PendingSignup(models.Model):
    """A sign-up whose mail is sent and whose link is not opened yet. `password` is hashed. Times are the machine's."""

    email = models.EmailField()
    password = models.CharField(max_length=128)
    onward = models.TextField(blank=True)  # the path to continue at
    answers = models.JSONField(default=dict)  # what an app's form asked: {"source": "app:…", "values": {path: text}}
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"sign-up until {self.expires_at:%Y-%m-%d %H:%M}"


class AttemptCount(models.Model):
    """How many attempts fell into one window of one limit. `key` is a fingerprint and contains no address."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField()
    under_way = models.PositiveIntegerField(default=0, db_default=0)  # of `count`: attempts without a result yet
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.count} until {self.expires_at:%H:%M}"
