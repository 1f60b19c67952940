"""No value from outside is a server error, however long or large: PostgreSQL refuses what is longer than its column."""

from __future__ import annotations

import json
import logging
from urllib.parse import urlencode

import pytest
from django.core.cache import cache as counters
from django.db import models, transaction
from django.test import Client as Browser

from regulars.clients.models import ResourceServer
from regulars.connections.save import ensure_own_connections
from regulars.oauth.grant import DEVICE_CODE, PASSWORDLESS_OTP
from tests.management_api.conftest import ApiClient, make_token
from tests.oidc.app import CALLBACK, CHALLENGE, SECRET, make_client, sign_in

# One more than the lengths of columns, and far more; an address of each kind; numbers that no column holds.
LONG = ["x" * 65, "x" * 256, "x" * 5000, f"https://{'x' * 3000}.example/", f"{'a' * 300}@example.com", "9" * 30]
JSON_ONLY = [10**12, 10**290, {"x" * 300: "x" * 5000}]

AUTHORIZE = {
    "client_id": "shop", "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid offline_access", "state": "s",
    "nonce": "n", "code_challenge": CHALLENGE, "code_challenge_method": "S256", "audience": "https://orders.example/",
    "login_hint": "a", "ui_locales": "sv", "max_age": "5", "acr_values": "mfa", "connection": "c", "screen_hint": "signup",
    "ask": "0", "prompt": "none", "response_mode": "query", "request_uri": "",
}  # fmt: skip
CLIENT = {"client_id": "shop", "client_secret": SECRET}
FORMS = {
    "/oauth/token": [
        {**CLIENT, "grant_type": "authorization_code", "code": "c", "redirect_uri": CALLBACK, "code_verifier": "v"},
        {**CLIENT, "grant_type": "refresh_token", "refresh_token": "t", "scope": "openid"},
        {**CLIENT, "grant_type": "client_credentials", "audience": "https://orders.example/", "scope": "read:orders"},
        {**CLIENT, "grant_type": DEVICE_CODE, "device_code": "d"},
        {**CLIENT, "grant_type": PASSWORDLESS_OTP, "username": "a@b.example", "otp": "123456", "realm": "email",
         "audience": "https://orders.example/", "scope": "openid"},
        {"grant_type": "client_credentials", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
         "client_assertion": "a.b.c"},
    ],
    "/oauth/par": [{**AUTHORIZE, **CLIENT}],
    "/oauth/device/code": [{**CLIENT, "scope": "openid", "audience": "https://orders.example/"}],
    "/oauth/revoke": [{**CLIENT, "token": "t"}],
    "/oauth/introspect": [{**CLIENT, "token": "t"}],
    "/activate": [{"user_code": "AAAA-BBBB", "do": "allow"}],
    "/login": [{"email": "dina@example.com", "password": "a few words"}],
    "/signup": [{"email": "dina@example.com", "password": "a few words in a row"}],
    "/code": [{"email": "dina@example.com"}],
    "/password/reset": [{"email": "dina@example.com"}],
    "/passkey": [{"credential": "{}"}],
    "/second-factor": [{"code": "123456", "credential": ""}],
    "/question": [{"impression": "1", "answer": "x"}],
    "/me/facts/correct": [{"attribute": "given_name", "value": "x", "reason": "r"}],
    "/me/facts/remove": [{"attribute": "given_name"}],
    "/me/purposes/personalise": [{"do": "give"}],
    "/me/security/password": [{"password": "a few words in a row", "repeat": "a few words in a row"}],
    "/me/security/app": [{"code": "123456"}],
    "/me/security/passkeys": [{"credential": "{}", "name": "n"}],
    "/me/security/remove": [{"factor": "1"}],
    "/me/security/sessions/end": [{"session": "1"}],
    "/continue": [{"state": "s", "x": "y"}],
}  # fmt: skip
REALM = "Username-Password-Authentication"
BODIES = {
    "/dbconnections/signup": {"client_id": "shop", "connection": REALM, "email": "a@b.example", "password": "a few words in a row",
                              "given_name": "n", "picture": "https://p.example/", "user_metadata": {"a": "b"}},
    "/dbconnections/change_password": {"client_id": "shop", "connection": REALM, "email": "a@b.example"},
    "/passwordless/start": {"client_id": "shop", "connection": "email", "email": "a@b.example", "send": "link",
                            "authParams": {"state": "s", "nonce": "n"}},
    "/passwordless/verify": {"client_id": "shop", "connection": "email", "email": "a@b.example", "verification_code": "1"},
    "/co/authenticate": {"client_id": "shop", "credential_type": "password", "username": "a@b.example", "password": "p",
                         "realm": REALM, "otp": "1", "auth_session": "a", "authn_response": {}},
    "/oidc/register": {"client_name": "n", "redirect_uris": ["https://a.example/"], "grant_types": ["authorization_code"],
                       "backchannel_logout_uri": "https://a.example/out", "token_endpoint_auth_method": "none", "scope": "openid",
                       "logo_uri": "https://a.example/l", "contacts": ["a@b.example"], "jwks": {"keys": []},
                       "application_type": "web", "post_logout_redirect_uris": ["https://a.example/"]},
}  # fmt: skip
HEADERS = ["User-Agent", "Accept-Language", "Referer", "Origin", "Authorization", "DPoP", "X-Forwarded-For", "Cookie"]
MANAGEMENT = {
    ("POST", "/v2/users"): {"connection": REALM, "email": "m@b.example", "password": "a few words in a row", "user_id": "u",
                            "name": "n", "given_name": "n", "family_name": "n", "nickname": "n", "picture": "https://p.example/",
                            "phone_number": "+4670", "username": "u", "user_metadata": {"a": 1}, "app_metadata": {"a": 1}},
    ("PATCH", "/v2/users/{customer}"): {"name": "n", "nickname": "n", "phone_number": "+4670", "picture": "p",
                                        "user_metadata": {"a": 1}, "app_metadata": {"a": 1}},
    ("GET", "/v2/users/{long}"): {},
    ("POST", "/v2/users/{customer}/identities"): {"provider": "auth0", "user_id": "u", "connection_id": "c", "link_with": "t"},
    ("POST", "/v2/connections"): {"name": "club", "strategy": "oidc", "display_name": "C", "options": {
        "client_id": "c", "client_secret": "s", "issuer": "https://i.example", "scope": "openid"}},
    ("POST", "/v2/clients"): {"name": "n", "description": "d", "logo_uri": "https://l.example/", "callbacks": ["https://a.example/"],
                              "app_type": "spa", "client_metadata": {"a": "b"}, "web_origins": ["https://a.example"],
                              "allowed_logout_urls": ["https://a.example/"], "grant_types": ["refresh_token"],
                              "refresh_token": {"rotation_type": "rotating", "expiration_type": "expiring", "leeway": 1,
                                                "token_lifetime": 100, "idle_token_lifetime": 50},
                              "token_endpoint_auth_method": "none", "oidc_logout": {"backchannel_logout_urls": ["https://a.example/"]}},
    ("POST", "/v2/resource-servers"): {"identifier": "https://i.example/", "name": "n", "scopes": [{"value": "a", "description": "d"}],
                                       "token_lifetime": 10, "token_lifetime_for_web": 10},
    ("POST", "/v2/client-grants"): {"client_id": "shop", "audience": "https://orders.example/", "scope": ["read:orders"]},
    ("POST", "/regulars/v1/segments"): {"name": "n", "slug": "s", "text": "country:PT", "purpose": "message", "description": "d"},
}  # fmt: skip
ALL_SCOPES = " ".join(
    f"{verb}:{noun}"
    for verb in ("read", "create", "update", "delete")
    for noun in ("users", "clients", "connections", "resource_servers", "client_grants", "grants", "segments")
)


@pytest.fixture(autouse=True)
def _columns_have_lengths(monkeypatch):
    """Make SQLite as strict as PostgreSQL about what the ORM writes."""
    write = models.CharField.get_db_prep_save

    def checked(self, value, connection):
        if isinstance(value, str) and self.max_length and len(value) > self.max_length:
            raise AssertionError(
                f"{self.model._meta.label}.{self.name} takes {self.max_length} characters, not {len(value)}"
            )
        return write(self, value, connection)

    monkeypatch.setattr(models.CharField, "get_db_prep_save", checked)


@pytest.fixture
def browser(chika, settings, caplog) -> Browser:
    """The browser of Chika, who is signed in at a shop that may do everything."""
    caplog.set_level(logging.CRITICAL)
    settings.DYNAMIC_REGISTRATION, settings.DEMO = True, True
    ensure_own_connections(mail_codes=True)
    everything = [
        "authorization_code",
        "implicit",
        "refresh_token",
        "client_credentials",
        DEVICE_CODE,
        PASSWORDLESS_OTP,
    ]
    make_client(grant_types=everything, embeds_login=True, web_origins=["https://shop.example"])
    ResourceServer.objects.create(identifier="https://orders.example/", name="Orders", scopes=["read:orders"])
    made = Browser(raise_request_exception=False)
    sign_in(made, chika)
    return made


def variants(values: dict, also=()):
    """Yield the values with each one replaced in turn by everything that is too long or too large, inside objects too."""
    for name, value in values.items():
        for long in [*LONG, *also]:
            yield {**values, name: long}
            if isinstance(value, list):
                yield {**values, name: [long]}
        if isinstance(value, dict):
            for inner in variants(value, also):
                yield {**values, name: inner}


def faults(calls) -> list[str]:
    """Return what ended in a server error. `calls` yields a description and a function that makes the request."""
    found, tried = [], 0
    for what, call in calls:
        with transaction.atomic():
            counters.clear()
            answer = call()
            tried += 1
            if answer.status_code >= 500 and answer.status_code != 503:
                found.append(f"{answer.status_code} {what[:300]}")
            transaction.set_rollback(True)
    assert tried
    return found


@pytest.mark.parametrize("path", FORMS)
def test_form_with_a_long_value_is_no_fault(browser, path):
    def calls():
        for form in FORMS[path]:
            for values in variants(form):
                yield f"{path} {values}", lambda values=values: browser.post(path, values)

    assert faults(calls()) == []


def test_authorization_request_with_a_long_value_is_no_fault(browser):
    signed_out = Browser(raise_request_exception=False)

    def calls():
        for values in variants(AUTHORIZE):
            address = "/authorize?" + urlencode({name: value for name, value in values.items() if value})
            yield address, lambda address=address: browser.get(address)
            yield address, lambda address=address: signed_out.get(address)
            onward = "/login?" + urlencode({"next": address, "login_hint": values["login_hint"]})
            yield onward, lambda onward=onward: signed_out.get(onward)

    assert faults(calls()) == []


@pytest.mark.parametrize("path", BODIES)
def test_json_of_an_app_with_a_long_value_is_no_fault(browser, path):
    def calls():
        for values in variants(BODIES[path], JSON_ONLY):
            body = json.dumps(values)
            yield f"{path} {body}", lambda body=body: browser.post(path, body, content_type="application/json")

    assert faults(calls()) == []


@pytest.mark.parametrize("name", HEADERS)
def test_long_header_is_no_fault(browser, name):
    form = {"email": "dina@example.com", "password": "a few words in a row"}

    def calls():
        for value in LONG:
            for path in ("/authorize?" + urlencode({**AUTHORIZE, "prompt": ""}), "/login", "/me", "/code", "/userinfo"):
                yield f"{name} {path}", lambda value=value, path=path: browser.get(path, headers={name: value})
            for path in ("/login", "/signup", "/code", "/passkey/options"):
                yield f"{name} {path}", lambda value=value, path=path: browser.post(path, form, headers={name: value})

    assert faults(calls()) == []


@pytest.mark.parametrize(("method", "path"), MANAGEMENT)
def test_call_of_the_api_with_a_long_value_is_no_fault(browser, chika, method, path):
    api, token = ApiClient(browser), make_token(ALL_SCOPES)

    def calls():
        for long in LONG:
            where = path.format(
                customer=chika.user_id.replace("|", "%7C"), long=f"auth0%7C{long.replace('/', '')[:4000]}"
            )
            for values in variants(MANAGEMENT[method, path], JSON_ONLY) if "{long}" not in path else [None]:
                yield (
                    f"{method} {where} {values}",
                    lambda values=values, where=where: api.call(method, where, values, token=token),
                )
            if "{long}" not in path:
                return

    assert faults(calls()) == []
