"""An address belongs to one account: what an upgrade makes of older duplicates, and who takes it from whom."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from regulars.accounts.models import Account
from regulars.connections.models import Connection
from regulars.operations.doctor import run_checks
from regulars.profiles.find import get_or_create_by_identity, hold_address, is_email_taken
from regulars.usecases.passwordless import passwordless_login

pytestmark = pytest.mark.django_db
hold_addresses = importlib.import_module("regulars.profiles.migrations.0018_hold_addresses")
EMAIL = "dov@example.com"


def account(provider: str, name: str, email: str = EMAIL) -> Account:
    profile, _ = get_or_create_by_identity(provider, name, connection=provider)
    profile.account = Account.objects.create_user(email)
    profile.save()
    return profile.account


def test_an_upgrade_gives_an_address_to_the_oldest_account_that_signs_in_with_it(standard_setup, monkeypatch):
    monkeypatch.setattr(hold_addresses, "PORTION", 2)
    network, oldest, second = (
        account("google-oauth2", "1"),
        account("auth0", "a"),
        account("auth0", "b", "DOV@example.com"),
    )
    others = [account("auth0", f"other-{number}", f"Other-{number}@example.com") for number in range(5)]
    Account.objects.create_staff(EMAIL, "correct horse battery 7")

    hold_addresses.hold(apps, SimpleNamespace(connection=connection))

    kept = dict(Account.objects.exclude(address_key=None).values_list("pk", "address_key"))
    assert kept == {oldest.pk: EMAIL, **{each.pk: each.email.lower() for each in others}}
    (named,) = [each for each in run_checks() if each.code == "address_twice"]
    assert second.key in named.message
    assert oldest.key not in named.message
    assert network.key not in named.message


def test_the_database_keeps_an_address_once(standard_setup):
    hold_address(account("auth0", "a"))
    second = account("auth0", "b", "other@example.com")

    with pytest.raises(IntegrityError), transaction.atomic():
        Account.objects.filter(pk=second.pk).update(address_key=EMAIL)


def test_who_proves_an_address_takes_it_from_an_account_that_a_network_opened(standard_setup):
    Connection.objects.create(name="email", strategy="email", display_name="E-mail code")
    network = account("google-oauth2", "1")
    hold_address(network)

    made = passwordless_login(EMAIL, "email").account

    network.refresh_from_db()
    assert (network.address_key, made.address_key) == (None, EMAIL)
    assert is_email_taken(EMAIL, but=network)
