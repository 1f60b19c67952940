"""Internals of allauth that the product relies on. If one fails after an upgrade, review `interfaces/login/oauth.py`."""

from __future__ import annotations

import inspect
from importlib.metadata import version

from allauth.account import authentication
from allauth.account.adapter import get_adapter as account_adapter
from allauth.account.internal.flows import login as account_login
from allauth.account.utils import perform_login
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.recovery_codes.internal import auth as recovery
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.webauthn.internal import auth as webauthn
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import AnonymousUser

from regulars.accounts.factors.adapter import FactorAdapter


def names(function) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_allauth_is_the_version_that_was_read():
    assert version("django-allauth") == "65.21.1"


def test_authentication_records_have_the_expected_shape():
    assert names(account_login.record_authentication) == ["request", "user", "method", "extra_data"]
    assert names(account_login.clear_authentication_records) == ["request"]
    assert authentication.AUTHENTICATION_METHODS_SESSION_KEY == "account_authentication_methods"
    assert authentication.get_authentication_records is account_login.get_authentication_records
    assert {"request", "user", "email_verification", "redirect_url"} <= set(names(perform_login))


def test_no_message_is_shown_after_a_sign_in(rf):
    request = rf.get("/")
    request.user = AnonymousUser()

    assert account_adapter().add_message(request, 20, "account/messages/logged_in.txt") is None


def test_second_factors_use_allauths_rows_and_protocols():
    assert names(totp.TOTP.activate) == ["user", "secret"]
    assert names(totp.hotp_value) == ["secret", "counter"]
    assert len(list(totp.yield_hotp_counters_from_time())) == 3
    assert names(recovery.RecoveryCodes.activate) == ["user"]
    assert names(webauthn.begin_registration) == ["user", "passwordless"]
    assert names(webauthn.complete_registration) == ["credential"]
    assert names(webauthn.begin_authentication) == ["user"]
    assert names(webauthn.complete_authentication) == ["user", "response"]
    assert names(webauthn.extract_user_from_response) == ["response"]
    assert isinstance(get_mfa_adapter(), FactorAdapter)


def test_allauth_adds_no_login_stage():
    """The pages of allauth are not served, so `entry.enter` handles every stage of a login."""
    assert account_adapter().get_login_stages() == []


def test_sessions_are_listed_from_allauths_rows():
    assert {"user", "session_key", "ip", "user_agent", "created_at"} <= {
        each.name for each in UserSession._meta.get_fields()
    }
    assert names(UserSession.end) == ["self"]
