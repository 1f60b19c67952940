"""A start sets up what is missing, and brings back nothing that was taken away."""

from __future__ import annotations

import json

import pytest

from regulars.accounts.models import Account
from regulars.base.addresses import Addresses
from regulars.base.crypto import hash_secret
from regulars.base.errors import DomainError
from regulars.clients.models import Client, ClientGrant
from regulars.operations import setup, staff
from regulars.operations.setup import set_up


@pytest.fixture
def start(settings, tmp_path):
    settings.HOME = tmp_path

    def set_up_again() -> dict[str, dict[str, str]]:
        set_up(Addresses.on_localhost(8000), demo=False, report=lambda line: None)
        return json.loads((tmp_path / "credentials.json").read_text())

    set_up_again()
    return set_up_again


@pytest.mark.django_db
def test_removed_first_member_of_staff_stays_removed(start):
    staff.add("ana@shop.example", "admin")
    staff.remove("owner@localhost")

    console = start()["console"]

    assert list(Account.objects.filter(is_staff=True).values_list("email", flat=True)) == ["ana@shop.example"]
    assert set(console) == {"url"}


@pytest.mark.django_db
def test_deleted_management_client_stays_deleted(start):
    Client.objects.all().delete()
    start()
    start()

    assert not Client.objects.exists()


@pytest.mark.django_db
def test_rotated_secret_of_the_management_client_stays(start):
    rotated = hash_secret("another-secret")
    Client.objects.update(secret_hash=rotated)
    start()

    assert Client.objects.get().secret_hash == rotated


@pytest.mark.django_db
def test_narrowed_grant_of_the_management_client_stays(start):
    ClientGrant.objects.update(scopes=["read:users"])
    start()
    narrowed = ClientGrant.objects.get().scopes
    ClientGrant.objects.all().delete()
    start()

    assert narrowed == ["read:users"]
    assert not ClientGrant.objects.exists()


@pytest.mark.django_db
def test_new_scope_of_the_management_api_comes_to_its_client(start, monkeypatch):
    monkeypatch.setattr(setup, "MANAGEMENT_SCOPES", [*setup.MANAGEMENT_SCOPES, "read:new_things"])
    start()

    assert "read:new_things" in ClientGrant.objects.get().scopes


@pytest.mark.django_db
def test_lost_credentials_are_written_anew_with_a_new_secret(start, settings):
    before = Client.objects.get().secret_hash
    (settings.HOME / "credentials.json").unlink()
    credentials = start()

    assert Client.objects.get().secret_hash != before
    assert credentials["management"]["client_secret"]
    assert credentials["console"]["password"]


@pytest.mark.django_db
def test_demo_is_refused_over_an_installation_whose_first_client_was_deleted(start):
    Client.objects.all().delete()

    with pytest.raises(DomainError) as raised:
        set_up(Addresses.on_localhost(8000), demo=True, report=lambda line: None)

    assert raised.value.code == "not_a_demo_home"
