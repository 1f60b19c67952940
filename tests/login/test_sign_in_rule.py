"""Every login method accepts an active customer and refuses a blocked customer or a closed account."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings as django_settings
from django.core import mail
from django.test import Client as Browser
from tests.oidc import test_device, test_otp
from tests.oidc.app import App, make_client

from regulars.accounts.factors import authenticator_codes as factors
from regulars.accounts.models import Account
from regulars.base.jobs.run_jobs import run_due
from regulars.base.tokens.jwt import sign
from regulars.clients.models import Client
from regulars.clients.register import ClientSpec, register
from regulars.connections.models import Connection
from regulars.oauth.grant import DEVICE_CODE, PASSWORDLESS_OTP
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import SignInBlock, sign_in_block

from . import test_codes, test_embedded, test_social
from .conftest import PASSWORD, Upstream
from .device import code_of
from .test_second_factor import add_passkey
from .test_second_factor import sign_in as post_password

pytestmark = pytest.mark.any_database

Attempt = Callable[[], bool]


@dataclass
class Entrances:
    """Each method prepares a login method while Dina may sign in, and returns the attempt to use it."""

    dina: Account
    browser: Browser
    upstream: Upstream

    @property
    def profile(self) -> Profile:
        return Profile.objects.get(account=self.dina)

    @property
    def is_signed_in(self) -> bool:
        return "_auth_user_id" in self.browser.session

    def password(self) -> Attempt:
        return lambda: post_password(self.browser).status_code == 302 and self.is_signed_in

    def code_by_mail(self) -> Attempt:
        page, digits, _ = test_codes.ask(self.browser)
        return lambda: self.browser.post(page, {"digits": digits}).status_code == 302 and self.is_signed_in

    def link_by_mail(self) -> Attempt:
        link = test_codes.ask(self.browser)[2]
        return lambda: self.browser.post(link).status_code == 302 and self.is_signed_in

    def passkey(self) -> Attempt:
        phone = add_passkey(self.dina)
        options = self.browser.post("/passkey/options").json()
        return lambda: self.browser.post("/passkey", {"credential": phone.sign(options)}).status_code == 302

    def second_factor(self) -> Attempt:
        secret = factors.new_secret()
        factors.add_app(self.dina, secret, code_of(secret, -1))
        post_password(self.browser)
        assert not self.is_signed_in
        return lambda: (self.browser.post("/second-factor", {"code": code_of(secret)}), self.is_signed_in)[1]

    def mail_of_reset(self) -> Attempt:
        def attempt() -> bool:
            self.browser.post("/password/reset", {"email": self.dina.email})
            run_due()
            return any("/password/reset/" in each.body for each in mail.outbox)

        return attempt

    def link_of_reset(self) -> Attempt:
        self.browser.post("/password/reset", {"email": self.dina.email})
        run_due()
        link = re.search(r"https?://[^/\s]+(/password/reset/\S+)", mail.outbox[-1].body)[1]
        return lambda: self.browser.post(link, {"password": "another row of words"}).status_code == 302

    def social_login(self) -> Attempt:
        self.browser.get(self.upstream.decide(test_social.begin(self.browser), person=test_social.LENA))
        lena = Profile.objects.get(user_id__startswith="google-oauth2|")
        self.dina = lena.account
        self.browser.post("/logout")

        def attempt() -> bool:
            self.browser.get(self.upstream.decide(test_social.begin(self.browser), person=test_social.LENA))
            return self.is_signed_in

        return attempt

    def page_of_the_account(self) -> Attempt:
        post_password(self.browser)
        return lambda: self.browser.get("/me").status_code == 200

    def security_page(self) -> Attempt:
        post_password(self.browser)
        return lambda: self.browser.get("/me/security").status_code == 200

    def linked_accounts_page(self) -> Attempt:
        post_password(self.browser)
        return lambda: self.browser.get("/me/accounts").status_code == 200

    def browser_session(self) -> Attempt:
        app = self._shop()
        return lambda: "code=" in app.authorize()["Location"]

    def authorization_code(self) -> Attempt:
        app = self._shop()
        code = app.code()
        return lambda: app.exchange(code).status_code == 200

    def refresh_token(self) -> Attempt:
        app = self._shop()
        token = app.tokens(scope="openid offline_access")["refresh_token"]
        return lambda: app.refresh(token).status_code == 200

    def userinfo(self) -> Attempt:
        header = f"Bearer {self._shop().tokens()['access_token']}"
        return lambda: Browser().get("/userinfo", headers={"Authorization": header}).status_code == 200

    def device_code(self) -> Attempt:
        app = make_client("tv", auth_method="none", secret_hash="", grant_types=[DEVICE_CODE, "refresh_token"])
        tv = App(Browser(), app.pk, secret="")
        asked = test_device.begin(tv)
        post_password(self.browser)
        assert test_device.answer(self.browser, asked).status_code == 200
        return lambda: test_device.poll(tv, asked).status_code == 200

    def code_of_an_app(self) -> Attempt:
        spec = ClientSpec("Phone", "none", grant_types=["refresh_token", PASSWORDLESS_OTP], embeds_login=True)
        app = register(spec)[0]
        digits = test_otp.start(Browser(), app)
        return lambda: test_otp.redeem(Browser(), app, digits).status_code == 200

    def form_of_an_app(self) -> Attempt:
        app, _ = register(
            ClientSpec("Shop", "none", redirect_uris=[], web_origins=[test_embedded.SHOP], embeds_login=True)
        )
        return lambda: test_embedded.authenticate(self.browser, app).status_code == 200

    def token_at_our_api(self) -> Attempt:
        Client.objects.create(client_id="shop", name="Shop")
        claims = {
            "aud": f"{django_settings.ISSUER}api/me/",
            "sub": self.profile.user_id,
            "client_id": "shop",
            "scope": "openid answer:questions",
            "exp": int(time.time()) + 600,
        }
        headers = {"Authorization": f"Bearer {sign(claims, 'at+jwt')}"}

        def attempt() -> bool:
            return (
                Browser().post("/api/me/question", {}, content_type="application/json", headers=headers).status_code
                < 400
            )

        return attempt

    def _shop(self) -> App:
        make_client()
        post_password(self.browser)
        return App(self.browser)


ENTRANCES = [name for name, value in vars(Entrances).items() if not name.startswith("_") and callable(value)]
BLOCKS = {
    SignInBlock.BLOCKED: lambda dina: Profile.objects.filter(account=dina).update(blocked=True),
    SignInBlock.CLOSED: lambda dina: Account.objects.filter(pk=dina.pk).update(is_active=False),
}


@pytest.fixture
def entrances(dina, client, google, upstream, lake) -> Entrances:
    Connection.objects.create(name="email", strategy="email", display_name="E-mail code")
    return Entrances(dina, client, upstream)


@pytest.mark.parametrize("name", ENTRANCES)
def test_entrance_opens_for_a_customer_who_may_sign_in(entrances, name):
    assert getattr(entrances, name)()()


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("name", ENTRANCES)
def test_entrance_is_closed_to_a_blocked_customer(entrances, name, block):
    attempt = getattr(entrances, name)()
    BLOCKS[block](entrances.dina)

    assert sign_in_block(entrances.profile) is block
    assert not attempt()


def test_session_of_a_merged_profile_is_no_session(entrances):
    attempt = entrances.page_of_the_account()
    other = Profile.objects.create(user_id="auth0|other", account=Account.objects.create_user())
    Profile.objects.filter(account=entrances.dina).update(merged_into=other)

    assert sign_in_block(entrances.profile) is SignInBlock.MERGED
    assert not attempt()


@pytest.mark.parametrize("path", ["/me/erase", "/me/data", "/me/data.json", "/me/portable.json", "/me/portable.csv"])
def test_erasure_and_export_ask_for_the_second_factor(dina, client, path):
    """The session began before the factor was set up on another device."""
    post_password(client)
    before = client.get(path)
    secret = factors.new_secret()
    factors.add_app(dina, secret, code_of(secret, -1))
    asked = client.get(path)
    client.get(asked["Location"])
    client.post(asked["Location"], {"email": dina.email, "password": PASSWORD})
    client.post("/second-factor", {"code": code_of(secret)})

    assert Authenticator.objects.filter(user=dina).exists()
    assert (before.status_code, asked.status_code) == (200, 302)
    assert asked["Location"].endswith("&prompt=login")
    assert client.get(path).status_code == 200
