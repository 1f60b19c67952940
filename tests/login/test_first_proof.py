"""Pre-hijacking: the first proof of an address ends what could open the account before, on every road to a proof."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client as Browser
from django.utils import timezone
from tests.management_api.conftest import ApiClient
from tests.oidc.app import App, make_client

from regulars.accounts.factors import authenticator_codes
from regulars.accounts.models import Account
from regulars.accounts.proofs import tickets
from regulars.accounts.proofs.addresses import EarlierAccess, is_proved
from regulars.base.jobs.run_jobs import run_due
from regulars.clients.models import Client
from regulars.connections.models import Connection
from regulars.events.models import Event
from regulars.oauth.models import AppGrant, DeviceRequest
from regulars.profiles.find import add_identity, get_or_create_by_identity
from regulars.profiles.models import Profile
from regulars.usecases.first_proof import record_proof
from regulars.usecases.users import link

from .conftest import PASSWORD, Upstream
from .device import code_of
from .test_second_factor import add_passkey

VICTIM = "lena.vogt@example.com"  # Google vouches for it: see the people of the mock service
LENA = "110248495921238986401"
NEW_PASSWORD = "other words in a row"
DATABASE = "Username-Password-Authentication"


@pytest.fixture
def shop(passwords) -> Client:
    Connection.objects.create(name="email", strategy="email", display_name="Code by e-mail")
    return make_client(embeds_login=True)


@pytest.fixture
def api(client, shop) -> ApiClient:
    return ApiClient(client)


@pytest.fixture
def hijacked(api) -> Account:
    """An account with the victim's address and an attacker's password, made by the API and never proved."""
    body = {"connection": DATABASE, "email": VICTIM, "password": PASSWORD}
    assert api.call("POST", "/v2/users", body).status_code == 201
    return Account.objects.get(email=VICTIM)


@pytest.fixture
def attacker(hijacked) -> Browser:
    """The attacker's browser, signed in, with offline access of an app."""
    browser = Browser()
    browser.post("/login", {"email": VICTIM, "password": PASSWORD})
    assert signed_in_as(browser) == str(hijacked.pk)
    browser.app = App(browser)
    browser.held = browser.app.tokens(scope="openid offline_access")
    return browser


def signed_in_as(browser: Browser) -> str:
    return browser.session.get("_auth_user_id", "")


def may_sign_in(password: str = PASSWORD) -> bool:
    browser = Browser()
    browser.post("/login", {"email": VICTIM, "password": password})
    return bool(signed_in_as(browser))


def mailed(pattern: str) -> str:
    run_due()
    return re.search(pattern, mail.outbox[-1].body, re.M)[1]


# --- the roads to a proof. Each returns the browser of the owner, or None where there is none.


def by_code(browser: Browser, api: ApiClient, account: Account) -> Browser:
    asked = browser.post("/code?next=/me", {"email": VICTIM})
    browser.answer = browser.post(asked["Location"], {"digits": mailed(r"^(\d{6})$")})
    return browser


def by_link(browser: Browser, api: ApiClient, account: Account) -> Browser:
    browser.post("/code?next=/me", {"email": VICTIM})
    browser.answer = browser.post(mailed(r"https?://[^/\s]+(/code/\S+)"))
    return browser


def by_reset(browser: Browser, api: ApiClient, account: Account) -> Browser:
    browser.post("/password/reset?next=/me", {"email": VICTIM})
    browser.answer = browser.post(mailed(r"https?://[^/\s]+(/password/\S+)"), {"password": NEW_PASSWORD})
    return browser


def by_app_code(browser: Browser, api: ApiClient, account: Account) -> None:
    Client.objects.filter(pk="shop").update(
        grant_types=["http://auth0.com/oauth/grant-type/passwordless/otp"], web_origins=["https://shop.example"]
    )
    start = {"client_id": "shop", "client_secret": "a secret of the shop", "connection": "email", "email": VICTIM}
    sent = browser.post("/passwordless/start", {**start, "send": "code"}, content_type="application/json")
    assert sent.status_code == 200, sent.content
    grant = {"grant_type": "http://auth0.com/oauth/grant-type/passwordless/otp", "realm": "email"}
    answer = App(browser).token(**grant, username=VICTIM, otp=mailed(r"(\d{6})"))
    assert answer.status_code == 200, answer.content


def by_api(browser: Browser, api: ApiClient, account: Account) -> None:
    user_id = account.profile.user_id.replace("|", "%7C")
    assert api.call("PATCH", f"/v2/users/{user_id}", {"email_verified": True}).status_code == 200


ROADS = [by_code, by_link, by_reset, by_app_code, by_api]
Road = Callable[[Browser, ApiClient, Account], Browser | None]


@pytest.mark.parametrize("road", ROADS)
def test_first_proof_ends_the_password_sessions_and_offline_access_of_the_maker(road: Road, attacker, hijacked, api):
    road(Browser(), api, hijacked)

    hijacked.refresh_from_db()
    assert is_proved(hijacked)
    assert not may_sign_in()
    assert attacker.get("/me")["Location"].startswith("/login?")
    assert attacker.app.refresh(attacker.held["refresh_token"]).status_code == 400
    assert Profile.objects.get(account=hijacked).document["email_verified"] is True


@pytest.mark.parametrize("road", ROADS)
def test_first_proof_ends_every_factor_and_linked_login_method(road: Road, attacker, hijacked, api, settings):
    settings.PUBLIC_URL = "http://localhost:8000"
    add_passkey(hijacked)
    authenticator_codes.add_app(hijacked, secret := authenticator_codes.new_secret(), code_of(secret))
    own = hijacked.profile
    add_identity(own, "x", "9", connection="x", is_social=True)  # linked without an account of its own
    theirs, _ = get_or_create_by_identity("facebook", "2", connection="facebook", is_social=True)
    theirs.account = Account.objects.create_user()
    theirs.save()
    link(own, theirs, "customer")

    browser = road(Browser(), api, hijacked)

    own.refresh_from_db()
    assert not Authenticator.objects.filter(user=hijacked).exists()
    assert [each.provider for each in own.identities.all()] == ["auth0"]
    assert not Profile.objects.filter(merged_into=own).exists()
    assert Profile.objects.get(user_id="x|9").identities.get().provider == "x"
    if browser:
        assert signed_in_as(browser) == str(hijacked.pk)


@pytest.mark.parametrize("road", ROADS)
def test_first_proof_takes_the_account_away_from_the_customer_it_was_linked_to(road: Road, hijacked, api):
    """The attacker linked the account they made to their own account at a network, which still opened both."""
    theirs, _ = get_or_create_by_identity("facebook", "2", connection="facebook", is_social=True)
    theirs.account = Account.objects.create_user()
    theirs.save()
    own = hijacked.profile
    link(theirs, own, "customer")

    browser = road(Browser(), api, hijacked)

    own.refresh_from_db()
    assert not may_sign_in()
    if browser:
        assert (own.merged_into, signed_in_as(browser)) == (None, str(hijacked.pk))
        assert [each.provider for each in theirs.identities.all()] == ["facebook"]


def test_first_proof_ends_grants_device_codes_and_login_tickets(shop, hijacked, api):
    own = hijacked.profile
    AppGrant.objects.create(profile=own, client=shop, audience="", scopes=["openid"])
    soon = timezone.now() + dt.timedelta(minutes=5)
    DeviceRequest.objects.create(
        hash="a", user_code_hash="b", client=shop, params={}, state="allowed", profile=own, expires_at=soon
    )
    ticket = tickets.give(tickets.Proof(hijacked, "password"), shop, "https://shop.example", "browser")

    by_code(Browser(), api, hijacked)

    assert not AppGrant.objects.exists()
    assert not DeviceRequest.objects.exists()
    assert tickets.take(ticket, "shop", "browser") is None


@pytest.mark.parametrize("road", [by_code, by_link, by_reset])
def test_owner_reads_on_the_page_and_in_a_mail_what_was_ended(road: Road, attacker, hijacked, api):
    browser = road(Browser(), api, hijacked)
    page = browser.get(browser.answer["Location"])
    run_due()
    notices = [each for each in mail.outbox if each.subject == "Your address was confirmed"]

    assert browser.answer["Location"] == "/address-proved?next=%2Fme"
    assert "<li>the password</li>" in page.content.decode()
    assert 'href="/me"' in page.content.decode()
    assert browser.get(browser.answer["Location"]).status_code == 302  # once
    assert [each.to for each in notices] == [[VICTIM]]
    assert "the password, what apps were allowed, signed-in devices" in notices[0].body
    assert Event.objects.get(name="Earlier Access Ended").properties == {
        "ended": [EarlierAccess.PASSWORD, EarlierAccess.APP_ACCESS, EarlierAccess.SESSIONS],
        "by": "mail",
        "notified_by": "",
    }


def test_owner_is_notified_when_an_application_asserts_the_proof(attacker, hijacked, api):
    by_api(Browser(), api, hijacked)
    run_due()

    assert [(each.to, each.subject) for each in mail.outbox] == [([VICTIM], "Your address was confirmed")]


def test_new_password_of_a_reset_and_of_the_same_patch_stays(hijacked, api):
    by_reset(Browser(), api, hijacked)
    assert (may_sign_in(), may_sign_in(NEW_PASSWORD)) == (False, True)


def test_password_that_comes_with_the_asserted_proof_stays(hijacked, api):
    user_id = hijacked.profile.user_id.replace("|", "%7C")
    api.call("PATCH", f"/v2/users/{user_id}", {"email_verified": True, "password": NEW_PASSWORD})

    assert (may_sign_in(), may_sign_in(NEW_PASSWORD)) == (False, True)


def test_later_proofs_end_nothing(hijacked, api):
    by_reset(Browser(), api, hijacked)
    run_due()
    mail.outbox.clear()
    browser = by_code(Browser(), api, hijacked)
    by_api(Browser(), api, hijacked)
    run_due()

    assert browser.answer["Location"] == "/me"
    assert may_sign_in(NEW_PASSWORD)
    assert "Your address was confirmed" not in [each.subject for each in mail.outbox]


def test_withdrawn_claim_is_not_a_withdrawn_proof(hijacked, api):
    by_reset(Browser(), api, hijacked)
    user_id = hijacked.profile.user_id.replace("|", "%7C")
    api.call("PATCH", f"/v2/users/{user_id}", {"email_verified": False})
    by_code(Browser(), api, hijacked)

    assert may_sign_in(NEW_PASSWORD)


def test_sign_up_with_a_password_and_its_link_keeps_the_password(dina, client):
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})

    assert signed_in_as(client) == str(dina.pk)
    assert is_proved(dina)


def test_password_and_passkey_of_the_same_session_stay(hijacked, api, settings):
    """A shop's own form made the account; its customer signs in by password, and proves the address in the same browser."""
    settings.PUBLIC_URL = "http://localhost:8000"
    browser, elsewhere = Browser(), Browser()
    for each in (browser, elsewhere):
        each.post("/login", {"email": VICTIM, "password": PASSWORD})
    app = App(browser)
    held = app.tokens(scope="openid offline_access")
    by_code(browser, api, hijacked)

    assert may_sign_in()
    assert signed_in_as(browser) == str(hijacked.pk)
    assert app.refresh(held["refresh_token"]).status_code == 200
    assert elsewhere.get("/me")["Location"].startswith("/login?")


def test_passkey_that_the_session_did_not_show_ends_and_the_shown_one_stays(hijacked, api, settings):
    settings.PUBLIC_URL = "http://localhost:8000"
    add_passkey(hijacked, id=b"the attacker's passkey  ")
    mine = authenticator_codes.new_secret()
    authenticator_codes.add_app(hijacked, mine, code_of(mine, -1))
    browser = Browser()
    browser.post("/login", {"email": VICTIM, "password": PASSWORD})
    browser.post("/second-factor", {"code": code_of(mine)})
    assert signed_in_as(browser) == str(hijacked.pk)
    by_code(browser, api, hijacked)

    kinds = [each.type for each in Authenticator.objects.filter(user=hijacked)]
    assert kinds == [Authenticator.Type.TOTP]


def test_address_that_an_application_changed_has_to_be_proved_anew(dina, api):
    """An attacker with a proved account of their own moves it to the victim's address and waits."""
    user_id = dina.profile.user_id.replace("|", "%7C")
    assert api.call("PATCH", f"/v2/users/{user_id}", {"email": VICTIM}).status_code == 200
    assert may_sign_in()
    by_code(Browser(), api, dina)

    assert not may_sign_in()


def test_application_that_verified_a_new_address_itself_moves_a_proved_customer(dina, api):
    user_id = dina.profile.user_id.replace("|", "%7C")
    api.call("PATCH", f"/v2/users/{user_id}", {"email": VICTIM, "email_verified": True})
    browser = by_code(Browser(), api, dina)

    assert browser.answer["Location"] == "/me"
    assert may_sign_in()


def test_application_that_asserts_a_new_address_of_an_unproved_account_ends_its_password(hijacked, api):
    user_id = hijacked.profile.user_id.replace("|", "%7C")
    api.call("PATCH", f"/v2/users/{user_id}", {"email": "other@example.com", "email_verified": True})
    hijacked.refresh_from_db()

    assert hijacked.email == "other@example.com"
    assert not hijacked.has_usable_password()


def test_proof_of_a_phone_ends_what_came_before_where_no_address_is_proved(hijacked, dina, api):
    for account in (hijacked, dina):
        user_id = account.profile.user_id.replace("|", "%7C")
        body = {"phone_number": "+15550100", "phone_verified": True}
        assert api.call("PATCH", f"/v2/users/{user_id}", body).status_code == 200
        account.refresh_from_db()

    assert not hijacked.has_usable_password()
    assert dina.has_usable_password()


def test_address_written_to_an_account_of_a_network_does_not_sign_in(api, shop):
    """The attacker's account at a network gets the victim's address, and a password account of theirs is linked to it."""
    theirs, _ = get_or_create_by_identity("facebook", "2", connection="facebook", is_social=True)
    theirs.account = Account.objects.create_user()
    theirs.save()
    api.call("POST", "/v2/users", {"connection": DATABASE, "email": "attacker@example.com", "password": PASSWORD})
    link(theirs, Account.objects.get(email="attacker@example.com").profile, "customer")
    assert api.call("PATCH", "/v2/users/facebook%7C2", {"email": VICTIM}).status_code == 200
    browser = by_code(Browser(), api, theirs.account)

    assert signed_in_as(browser) not in ("", str(theirs.account.pk))


def test_signing_out_everywhere_ends_what_is_about_to_become_access(shop, dina):
    own, soon = dina.profile, timezone.now() + dt.timedelta(minutes=5)
    DeviceRequest.objects.create(
        hash="a", user_code_hash="b", client=shop, params={}, state="allowed", profile=own, expires_at=soon
    )
    ticket = tickets.give(tickets.Proof(dina, "password"), shop, "https://shop.example", "browser")
    browser = Browser()
    browser.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    browser.post("/me/security/sessions/end", {"session": "others"})

    assert not DeviceRequest.objects.exists()
    assert tickets.take(ticket, "shop", "browser") is None


def test_login_that_waits_for_the_second_factor_does_not_survive_a_new_password(dina, api):
    secret = authenticator_codes.new_secret()
    authenticator_codes.add_app(dina, secret, code_of(secret, -1))
    browser = Browser()
    browser.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    api.call("PATCH", f"/v2/users/{dina.profile.user_id.replace('|', '%7C')}", {"password": NEW_PASSWORD})
    browser.post("/second-factor", {"code": code_of(secret)})

    assert signed_in_as(browser) == ""


# --- a provider that vouches


def test_provider_that_vouches_for_the_address_ends_the_makers_access(
    google, upstream: Upstream, attacker, hijacked, api
):
    """The owner signs in at Google, which a support tool linked to the account before."""
    add_identity(hijacked.profile, "google-oauth2", LENA, connection="google-oauth2", is_social=True)
    add_identity(hijacked.profile, "x", "9", connection="x", is_social=True)
    browser = Browser()
    away = browser.post("/login/google-oauth2?next=/me", {"claim": []})
    browser.get(upstream.decide(away["Location"], person=LENA))

    assert signed_in_as(browser) == str(hijacked.pk)
    assert not may_sign_in()
    assert {each.provider for each in hijacked.profile.identities.all()} == {"auth0", "google-oauth2"}
    assert attacker.get("/me")["Location"].startswith("/login?")


def test_linking_by_the_api_to_a_customer_with_the_address_proved_ends_the_makers_access(
    google, upstream: Upstream, attacker, hijacked, api
):
    """Tools link accounts with the same address; only one of the two has proved it."""
    browser = Browser()
    away = browser.post("/login/google-oauth2?next=/me", {"claim": []})
    browser.get(upstream.decide(away["Location"], person=LENA))
    key = hijacked.profile.user_id.partition("|")[2]
    body = {"provider": "auth0", "user_id": key}
    assert api.call("POST", f"/v2/users/google-oauth2%7C{LENA}/identities", body).status_code == 201

    assert not may_sign_in()
    assert attacker.get("/me")["Location"].startswith("/login?")
    assert browser.get("/me").status_code == 200


def test_customer_who_adds_a_vouching_network_keeps_what_they_have_just_shown(
    google, upstream: Upstream, attacker, hijacked
):
    browser = Browser()
    browser.post("/login", {"email": VICTIM, "password": PASSWORD})
    away = browser.post("/login/google-oauth2?link=1&next=/me", {"claim": []})
    browser.get(upstream.decide(away["Location"], person=LENA))

    hijacked.refresh_from_db()
    assert is_proved(hijacked)
    assert may_sign_in()
    assert signed_in_as(browser) == str(hijacked.pk)
    assert attacker.get("/me")["Location"].startswith("/login?")


def test_upgrade_keeps_what_counted_as_verified_before(hijacked):
    """Before proofs were recorded with the account, a mailed code wrote the claim alone."""
    from importlib import import_module

    from django.apps import apps
    from django.db import connection

    own = hijacked.profile
    own.document = {**own.document, "email_verified": True}
    own.save()
    import_module("regulars.profiles.migrations.0003_proved_addresses").record_proved_addresses(
        apps, connection.schema_editor()
    )

    assert is_proved(hijacked)


def test_password_that_is_set_while_the_address_is_being_proved_ends_too(shop, hijacked):
    """Two at once: the request that proves the address read the account before the maker set the password."""
    Account.objects.filter(pk=hijacked.pk).update(password="!")
    read_before = Account.objects.get(pk=hijacked.pk)
    hijacked.set_password(PASSWORD)
    hijacked.save()

    assert EarlierAccess.PASSWORD in record_proof(read_before, "mail")
    assert not may_sign_in()
