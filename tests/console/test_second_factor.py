"""Staff and their second factor: required, set up at the first sign-in, replaced when the phone is lost."""

from __future__ import annotations

import pytest
from django.test import Client
from tests.login.device import Phone, code_of

from regulars.accounts.factors import authenticator_codes
from regulars.interfaces.console.models import AuditEntry
from regulars.serving.console_sessions import STAFF_COOKIE

pytestmark = pytest.mark.django_db
PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def in_earnest(settings, lake):
    """Not the demonstration."""
    settings.DEMO, settings.PUBLIC_URL = False, "http://localhost:8000"


def sign_in(client, email="ana@shop.example", password=PASSWORD):
    return client.post("/console/login", {"email": email, "password": password, "next": "/console/segments"})


def is_in(client) -> bool:
    return client.get("/console/").status_code == 200


def secret_on(page) -> str:
    text = page.content.decode()
    return text.partition("or type: <code>")[2].partition("</code>")[0].replace(" ", "")


@pytest.fixture
def app(ana) -> str:
    secret = authenticator_codes.new_secret()
    authenticator_codes.add_app(ana, secret, code_of(secret, -1))
    return secret


def test_the_first_sign_in_requires_setting_up_an_app(ana, client):
    step = sign_in(client)["Location"]

    assert step == "/console/login/setup?next=%2Fconsole%2Fsegments"
    assert not is_in(client)

    secret = secret_on(client.get(step))
    wrong = client.post(step, {"code": "000000"})
    right = client.post(step, {"code": code_of(secret)})

    assert (wrong.status_code, right.status_code) == (422, 302)
    assert is_in(client)
    shown = client.get(right["Location"]).content.decode()
    assert all(code in shown for code in authenticator_codes.recovery_codes(ana))
    assert 'href="/console/segments"' in shown
    assert set(AuditEntry.objects.values_list("what", flat=True)) == {"login.succeeded", "second_factor.added"}


def test_a_passkey_serves_as_well(ana, client):
    step, phone = sign_in(client)["Location"], Phone()
    made = client.post(step, {"credential": phone.make(client.post("/console/login/passkey").json()), "name": "Laptop"})
    other = Client()
    asked = sign_in(other)["Location"]
    answer = other.post(asked, {"credential": phone.sign(other.post("/console/login/passkey").json())})

    assert made.status_code == 302
    assert (asked, answer["Location"]) == ("/console/login/second?next=%2Fconsole%2Fsegments", "/console/segments")
    assert is_in(other)


def test_a_password_alone_does_not_sign_in(app, client):
    step = sign_in(client)["Location"]

    assert not is_in(client)
    assert client.get("/console/login/codes").status_code == 302
    assert client.get("/console/login/setup")["Location"] == "/console/"
    assert client.post(step, {"code": "12345"}).status_code == 401
    assert client.post(step, {"credential": "{}"}).status_code == 401
    assert not is_in(client)
    assert client.post(step, {"code": code_of(app)})["Location"] == "/console/segments"
    assert is_in(client)


def test_guessing_codes_ends_with_a_pause(app, client):
    step = sign_in(client)["Location"]
    guesses = [client.post(step, {"code": f"{n:06}"}).status_code for n in range(5)]

    assert guesses == [401] * 5
    assert client.post(step, {"code": code_of(app)}).status_code == 429
    assert AuditEntry.objects.filter(what="login.failed").count() == 5


def test_guesses_of_attackers_lock_no_staff_out(app, client):
    """Wrong passwords and codes from elsewhere close neither another IP address nor a browser known from before."""
    client.post(sign_in(client)["Location"], {"code": code_of(app)})
    client.post("/console/logout")
    attacker = Client(REMOTE_ADDR="203.0.113.7")
    guesses = [sign_in(attacker, password="wrong wrong wrong").status_code for _ in range(6)]

    assert guesses == [401] * 5 + [429]
    assert sign_in(Client()).status_code == 302

    for number in range(12):
        each = Client(REMOTE_ADDR=f"203.0.113.{number + 8}")
        for _ in range(5):
            sign_in(each, password="wrong wrong wrong")

    assert sign_in(Client()).status_code == 429  # the limit per address, ten times that of a pair
    assert sign_in(client).status_code == 302
    assert client.post("/console/login/second", {"code": code_of(app, 1)}).status_code == 302


def test_a_recovery_code_signs_in_and_codes_can_be_renewed(app, ana, client):
    client.post(sign_in(client)["Location"], {"code": authenticator_codes.recovery_codes(ana)[0]})
    old = authenticator_codes.recovery_codes(ana)
    client.post("/console/login/codes")

    assert is_in(client)
    assert len(old) == 9
    assert not set(old) & set(authenticator_codes.recovery_codes(ana))


def test_a_session_of_the_demonstration_opens_nothing_afterwards(ana, client, settings):
    settings.DEMO = True
    assert sign_in(client)["Location"] == "/console/segments"
    assert is_in(client)
    settings.DEMO = False

    assert not is_in(client)


def test_in_the_demonstration_who_has_a_second_factor_is_asked_for_it(app, client, settings):
    settings.DEMO = True

    assert sign_in(client)["Location"].startswith("/console/login/second")
    assert not is_in(client)


def test_without_a_login_there_are_neither_pages_nor_options(ana, client):
    for path in ("second", "setup", "codes"):
        assert client.get(f"/console/login/{path}").status_code == 302
    assert client.post("/console/login/passkey").status_code == 403
    assert STAFF_COOKIE not in client.cookies
