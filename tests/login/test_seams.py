"""What we lean on inside allauth. When one of these fails after an upgrade, read `interfaces/login/oauth.py` again."""

from __future__ import annotations

import inspect
from importlib.metadata import version

import pytest
from allauth.account import authentication
from allauth.account.adapter import get_adapter as account_adapter
from allauth.account.internal.flows import login as account_login
from allauth.account.utils import perform_login
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.recovery_codes.internal import auth as recovery
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.webauthn.internal import auth as webauthn
from allauth.socialaccount.adapter import get_adapter as social_adapter
from allauth.socialaccount.internal import statekit
from allauth.socialaccount.models import SocialAccount, SocialApp
from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter, OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import AnonymousUser

from regulars.accounts.factors.adapter import FactorAdapter
from regulars.connections.models import Connection
from regulars.interfaces.login import oauth


def names(function) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_allauth_is_the_version_these_were_read_in():
    assert version("django-allauth") == "65.21.1"


def test_the_records_that_the_provider_reads_are_the_ones_we_write():
    assert names(account_login.record_authentication) == ["request", "user", "method", "extra_data"]
    assert names(account_login.clear_authentication_records) == ["request"]
    assert authentication.AUTHENTICATION_METHODS_SESSION_KEY == "account_authentication_methods"
    assert authentication.get_authentication_records is account_login.get_authentication_records
    assert {"request", "user", "email_verification", "redirect_url"} <= set(names(perform_login))


def test_the_provider_asks_our_methods_for_scopes_and_parameters():
    source = inspect.getsource(OAuth2Provider.get_redirect_from_request_kwargs)
    assert "self.get_scope_from_request(request)" in source
    assert "self.get_auth_params_from_request(request" in source
    assert names(OAuth2Provider.redirect) == ["self", "request", "process", "next_url", "data", "kwargs"]


def test_the_callback_asks_our_adapter_for_each_step():
    source = inspect.getsource(OAuth2CallbackView.dispatch)
    for step in ("adapter.get_provider()", "adapter.get_client(", "adapter.parse_token(", "adapter.complete_login("):
        assert step in source
    assert "login.state = state" in source
    assert inspect.isfunction(OAuth2Adapter.parse_token)
    for name in ("_fetch_user_info", "get_callback_url", "complete_login"):
        assert callable(getattr(OpenIDConnectOAuth2Adapter, name))
    assert isinstance(inspect.getattr_static(OpenIDConnectOAuth2Adapter, "openid_config"), property)


def test_a_state_lives_ten_minutes_in_the_session_under_the_connections_name():
    assert statekit.STATE_TTL == 600
    assert statekit.STATES_SESSION_KEY == "socialaccount_states"
    assert "get_adapter().generate_state_param(state)" in inspect.getsource(statekit.stash_state)


@pytest.fixture
def two(standard_setup):
    for name, enabled in (("one", True), ("two", True), ("shut", False)):
        Connection.objects.create(
            name=name,
            strategy="oidc",
            display_name=name,
            client_id=f"id-{name}",
            secret="s3cret",
            urls={"issuer": "https://id.example/"},
            enabled=enabled,
        )


def test_allauth_hears_of_our_enabled_connections_only_and_saves_nothing(two, rf):
    adapter = social_adapter()
    request = rf.get("/")

    assert [app.provider_id for app in adapter.list_apps(request)] == ["one", "two"]
    assert [app.secret for app in adapter.list_apps(request, provider="two")] == ["s3cret"]
    assert [app.name for app in adapter.list_apps(request, client_id="id-one")] == ["one"]
    with pytest.raises(SocialApp.DoesNotExist):
        adapter.get_provider(request, "shut")
    provider = adapter.get_provider(request, "two")
    assert isinstance(provider, oauth.ConnectionProvider)
    assert provider.sub_id == "two"
    assert provider.server_url == "https://id.example/.well-known/openid-configuration"
    assert provider.get_pkce_params()["code_challenge_method"] == "S256"
    assert not SocialApp.objects.exists()
    assert not SocialAccount.objects.exists()


def test_what_goes_out_obeys_the_houses_rules(settings):
    settings.DEMO, settings.ALLOW_HOSTS = False, []
    import requests

    for address in ("http://127.0.0.1:1/", "http://169.254.169.254/", "http://10.0.0.1/"):
        with pytest.raises(requests.ConnectionError, match="not on the public web"):
            social_adapter().get_requests_session().get(address)
    with pytest.raises(requests.exceptions.InvalidSchema):
        social_adapter().get_requests_session().get("file:///etc/passwd")


def test_nobody_is_told_that_she_signed_in(rf):
    request = rf.get("/")
    request.user = AnonymousUser()

    assert account_adapter().add_message(request, 20, "account/messages/logged_in.txt") is None


def test_second_factors_are_allauths_rows_and_protocols():
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


def test_no_login_stage_of_allauths_stands_between_our_checks_and_the_session():
    """Its pages are not here: whoever brings a stage back asks for it in `door.enter`."""
    assert account_adapter().get_login_stages() == []


def test_sessions_are_listed_by_allauths_rows():
    assert {"user", "session_key", "ip", "user_agent", "created_at"} <= {
        each.name for each in UserSession._meta.get_fields()
    }
    assert names(UserSession.end) == ["self"]
