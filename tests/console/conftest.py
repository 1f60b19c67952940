"""Fixtures of the console: Ana owns the shop, Bruno may only view."""

from __future__ import annotations

import pytest
from django.conf import settings
from tests.console.staff_browser import StaffBrowser

from regulars.accounts.models import Account
from regulars.interfaces.console.pages import PROVED
from regulars.serving.console_sessions import STAFF_COOKIE
from regulars.usecases import lake as filling


@pytest.fixture
def ana(standard_setup) -> Account:
    return Account.objects.create_staff("ana@shop.example", "a long password", role="admin")


@pytest.fixture
def bruno(standard_setup) -> Account:
    return Account.objects.create_staff("bruno@shop.example", "a long password", role="viewer")


def browser_of(account: Account) -> StaffBrowser:
    client = StaffBrowser()
    client.force_login(account, backend="allauth.account.auth_backends.AuthenticationBackend")
    session = client.session
    session[PROVED] = True
    session.save()
    client.cookies[STAFF_COOKIE] = client.cookies.pop(settings.SESSION_COOKIE_NAME).value
    return client


@pytest.fixture
def mia_console(standard_setup, lake) -> StaffBrowser:
    """Mia's browser: a marketer."""
    return browser_of(Account.objects.create_staff("mia@shop.example", "a long password", role="marketer"))


@pytest.fixture
def console(ana, lake) -> StaffBrowser:
    """Ana's browser, signed in."""
    return browser_of(ana)


@pytest.fixture
def bruno_console(bruno, lake) -> StaffBrowser:
    return browser_of(bruno)


@pytest.fixture
def fill_lake(lake):
    """The worker's job, done now."""
    return lambda: filling.fill_lake({})
