"""Login forms inside apps: which apps may have one, and where a login ticket is valid."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode

import pytest
from django.core import mail
from django.test import Client as Browser
from tests.oidc.app import CALLBACK, CHALLENGE, query_of

from regulars.accounts.models import Account
from regulars.accounts.proofs.models import LoginTicket
from regulars.base.jobs.run_jobs import run_due
from regulars.clients.models import Client
from regulars.clients.register import ClientSpec, register
from regulars.connections.models import Connection
from regulars.events.read import timeline
from regulars.profiles.models import Profile

from .conftest import PASSWORD

SHOP = "https://shop.example"
REALM = "Username-Password-Authentication"


@pytest.fixture
def app(standard_setup) -> Client:
    """The shop, which shows its own login form."""
    client, _ = register(
        ClientSpec("Shop", "none", redirect_uris=[CALLBACK], web_origins=[SHOP], embeds_login=True),
    )
    return client


@pytest.fixture
def by_mail(standard_setup) -> Connection:
    return Connection.objects.create(name="email", strategy="email", display_name="E-mail code")


def call(browser: Browser, path: str, body: object, origin: str = SHOP):
    headers = {"Origin": origin} if origin else {}
    return browser.post(path, json.dumps(body), content_type="application/json", headers=headers)


def authenticate(browser: Browser, app: Client, password: str = PASSWORD, origin: str = SHOP, **more: object):
    body = {
        "client_id": app.pk,
        "username": "dina@example.com",
        "password": password,
        "realm": REALM,
        "credential_type": "http://auth0.com/oauth/grant-type/password-realm",
    }
    return call(browser, "/co/authenticate", {**body, **more}, origin)


def ticket_of(browser: Browser, app: Client) -> str:
    answer = authenticate(browser, app)
    assert answer.status_code == 200, answer.content
    return answer.json()["login_ticket"]


def authorize(browser: Browser, app: Client, ticket: str, referer: str = f"{SHOP}/", **more: str):
    """Follow /authorize to its end: the app's callback, or a hosted page."""
    params = {
        "client_id": app.pk,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid email",
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "login_ticket": ticket,
        **more,
    }
    answer = browser.get(f"/authorize?{urlencode(params)}", headers={"Referer": referer})
    while answer.status_code == 302 and answer["Location"].startswith("/"):
        answer = browser.get(answer["Location"], headers={"Referer": referer})
    return answer


def test_ticket_starts_a_session_once_and_records_the_method(app, dina, client):
    ticket = ticket_of(client, app)
    first = authorize(client, app, ticket)
    record = client.session["account_authentication_methods"][-1]
    client.post("/logout")
    second = authorize(client, app, ticket)

    assert "code" in query_of(first["Location"])
    assert (record["method"], record["connection"]) == ("password", REALM)
    assert second.status_code == 200  # the login page is shown
    assert "Sign in" in second.content.decode()


def test_silent_request_accepts_a_ticket_and_answers_login_required_to_a_bad_one(app, dina, client):
    good = authorize(client, app, ticket_of(client, app), prompt="none")
    bad = authorize(Browser(), app, "made-up", prompt="none")

    assert "code" in query_of(good["Location"])
    assert query_of(bad["Location"])["error"] == "login_required"


def test_ticket_counts_as_one_login_and_later_silent_requests_as_none(app, dina, client):
    authorize(client, app, ticket_of(client, app), prompt="none")
    authorize(client, app, "", prompt="none")
    profile = Profile.objects.get(account=dina)

    assert (profile.logins_count, profile.last_ip) == (1, "127.0.0.1")
    assert [event.name for event in timeline(profile.pk)].count("Signed In") == 1


def test_ticket_is_refused_for_another_browser_app_or_origin(app, dina, client):
    other, _ = register(ClientSpec("Other", "none", redirect_uris=[CALLBACK], web_origins=[SHOP], embeds_login=True))
    other_browser = Browser()
    other_browser.post("/co/authenticate")
    elsewhere = authorize(other_browser, app, ticket_of(client, app))
    other_app = authorize(client, other, ticket_of(client, app))
    other_origin = authorize(client, app, ticket_of(client, app), referer="https://evil.example/")

    assert [each.status_code for each in (elsewhere, other_app, other_origin)] == [200, 200, 200]
    assert not client.session.get("_auth_user_id")


@pytest.mark.parametrize(("onward", "referer"), [("/authorize", "http://[/"), ("http://[/", f"{SHOP}/")])
def test_ticket_with_an_address_that_is_none_is_refused(app, dina, client, onward, referer):
    query = urlencode({"login_ticket": ticket_of(client, app), "next": f"{onward}?client_id={app.pk}"})
    answer = client.get(f"/login?{query}", headers={"Referer": referer})

    assert answer.status_code == 200
    assert not client.session.get("_auth_user_id")


def test_expired_ticket_is_refused(app, dina, client):
    ticket = ticket_of(client, app)
    LoginTicket.objects.update(expires_at="2020-01-01T00:00:00Z")

    assert authorize(client, app, ticket).status_code == 200


def test_ticket_ends_the_session_of_another_customer(app, dina, client):
    before = Account.objects.create_user(email="mila@example.com")
    Profile.objects.create(user_id="auth0|mila", account=before)
    client.force_login(before, backend="allauth.account.auth_backends.AuthenticationBackend")
    answer = authorize(client, app, ticket_of(client, app))

    assert "code" in query_of(answer["Location"])
    assert client.session["_auth_user_id"] == str(dina.pk)


def test_embedded_login_needs_an_app_that_opted_in_and_one_of_its_origins(app, dina, client):
    foreign = authenticate(client, app, origin="https://evil.example")
    without_origin = authenticate(client, app, origin="")
    unknown = call(client, "/co/authenticate", {"client_id": "unknown", "username": "a", "password": "b"})
    app.embeds_login = False
    app.save()
    opted_out = authenticate(client, app)

    for answer in (foreign, without_origin, unknown, opted_out):
        assert (answer.status_code, answer.json()["code"]) == (403, "unauthorized_client")
    assert "Access-Control-Allow-Origin" not in foreign
    assert not LoginTicket.objects.exists()


def test_only_scripts_of_the_app_may_read_the_answer(app, dina, client):
    asked = client.options("/co/authenticate", headers={"Origin": SHOP})
    foreign = client.options("/co/authenticate", headers={"Origin": "https://evil.example"})
    answer = authenticate(client, app)

    for each in (asked, answer):
        assert each["Access-Control-Allow-Origin"] == SHOP
        assert each["Access-Control-Allow-Credentials"] == "true"
    assert "Access-Control-Allow-Origin" not in foreign


def test_wrong_passwords_get_auth0s_error_and_the_limit_of_the_login_page(app, dina, client):
    known = authenticate(client, app, "wrong")
    unknown = authenticate(client, app, "wrong", username="nobody@example.com")
    for _ in range(9):
        authenticate(client, app, "wrong")
    slowed = authenticate(client, app)
    hosted = client.post("/login", {"email": "dina@example.com", "password": PASSWORD})

    assert known.status_code == unknown.status_code == 403
    assert known.json() == unknown.json()
    assert (known.json()["error"], known.json()["code"]) == ("access_denied", "invalid_user_password")
    assert (slowed.status_code, slowed.json()["code"]) == (429, "too_many_attempts")
    assert hosted.status_code == 429


def test_sign_up_answers_alike_for_a_known_address_and_only_the_mail_differs(app, dina, client):
    body = {"client_id": app.pk, "connection": REALM, "password": PASSWORD}
    known = call(client, "/dbconnections/signup", {**body, "email": "dina@example.com"})
    new = call(client, "/dbconnections/signup", {**body, "email": "mila@example.com"})
    run_due()

    assert known.status_code == new.status_code == 200
    assert set(known.json()) == set(new.json()) == {"_id", "email", "email_verified"}
    assert re.fullmatch("[0-9a-f]{24}", new.json()["_id"])
    assert [message.subject for message in mail.outbox[-2:]] == ["You already have an account", "Finish your sign-up"]


def test_fields_of_the_sign_up_form_are_stored_when_the_sign_up_is_finished(app, passwords, client, last_link):
    fields = {"given_name": "Mila", "user_metadata": {"shoe_size": "39"}}
    body = {"client_id": app.pk, "connection": REALM, "email": "mila@example.com", "password": PASSWORD, **fields}
    call(client, "/dbconnections/signup", body)
    client.post(last_link(), {"password": PASSWORD})
    profile = Profile.objects.get()

    assert profile.document["given_name"] == "Mila"
    assert profile.document["user_metadata"] == {"shoe_size": "39"}
    assert profile.facts.get(attribute="user_metadata.shoe_size").source == f"app:{app.pk}"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"password": "short"}, "invalid_password"),
        ({"email": "nonsense"}, "invalid_signup"),
        ({"connection": "elsewhere"}, "bad.connection"),
        ({"user_metadata": {"a.b": "1"}}, "invalid_body"),
        ({"user_metadata": {"a": 1}}, "invalid_body"),
        ({"user_metadata": {f"a{number}": "1" for number in range(11)}}, "invalid_body"),
        ({"email": ["dina@example.com"]}, "invalid_request"),
        ({"email": "a\0@example.com"}, "invalid_request"),
    ],
)
def test_invalid_sign_up_gets_an_error_code(app, passwords, client, more, code):
    body = {"client_id": app.pk, "connection": REALM, "email": "mila@example.com", "password": PASSWORD}
    answer = call(client, "/dbconnections/signup", {**body, **more})

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not mail.outbox


def test_password_reset_answers_alike_for_a_known_address(app, dina, client):
    body = {"client_id": app.pk, "connection": REALM}
    answers = [
        call(client, "/dbconnections/change_password", {**body, "email": email})
        for email in ("dina@example.com", "nobody@example.com")
    ]
    run_due()

    assert [each.status_code for each in answers] == [200, 200]
    assert len({each.content for each in answers}) == 1
    assert answers[0]["Content-Type"].startswith("text/html")
    assert [message.to for message in mail.outbox if message.subject == "Choose a new password"] == [
        ["dina@example.com"]
    ]


@pytest.mark.parametrize("path", ["/co/authenticate", "/dbconnections/signup", "/passwordless/start"])
@pytest.mark.parametrize("body", ["[]", "{", "null", '{"client_id": 1}', '{"client_id": "\\u0000"}', "[" * 9000])
def test_malformed_body_gets_an_error_code(standard_setup, client, path, body):
    answer = client.post(path, body, content_type="application/json", headers={"Origin": SHOP})

    assert answer.status_code in (400, 403)
    assert answer.json()["code"]


def test_plain_form_of_another_site_is_refused(app, dina, client):
    body = json.dumps({"client_id": app.pk, "username": "dina@example.com", "password": PASSWORD})
    answer = client.post("/co/authenticate", body, content_type="text/plain", headers={"Origin": SHOP})

    assert answer.status_code == 415


def test_code_by_mail_gives_a_ticket(app, by_mail, client):
    start = {"client_id": app.pk, "connection": "email", "email": "Dina@example.com", "send": "code"}
    started = call(client, "/passwordless/start", start)
    run_due()
    digits = re.search(r"(?m)^\d{6}$", mail.outbox[-1].body)[0]
    checked = {"client_id": app.pk, "connection": "email", "email": "dina@example.com", "verification_code": digits}
    wrong = call(client, "/passwordless/verify", {**checked, "verification_code": "x"})
    right = call(client, "/passwordless/verify", checked)
    otp = {
        "credential_type": "http://auth0.com/oauth/grant-type/passwordless/otp",
        "realm": "email",
        "otp": digits,
    }
    ticket = authenticate(client, app, **otp).json()["login_ticket"]
    done = authorize(client, app, ticket)

    assert started.json()["email"] == "dina@example.com"
    assert (wrong.status_code, right.status_code) == (403, 200)
    assert "code" in query_of(done["Location"])
    assert client.session["account_authentication_methods"][-1]["method"] == "code"
    assert authenticate(client, app, **otp).status_code == 403


def test_link_by_mail_leads_back_to_the_app(app, by_mail, client):
    params = {
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid",
        "state": "s9",
        "code_challenge": CHALLENGE,
    }
    start = {"client_id": app.pk, "connection": "email", "email": "dina@example.com", "send": "link"}
    call(client, "/passwordless/start", {**start, "authParams": {**params, "code_challenge_method": "S256"}})
    run_due()
    link = re.search(r"https?://[^/\s]+(/code/\S+)", mail.outbox[-1].body)[1]
    answer = client.post(link)
    back = client.get(answer["Location"])

    assert not re.search(r"(?m)^\d{6}$", mail.outbox[-1].body)
    assert query_of(back["Location"])["state"] == "s9"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"connection": "sms"}, "bad.connection"),
        ({"email": "nonsense"}, "bad.email"),
        ({"send": "pigeon"}, "invalid_request"),
        ({"send": "link", "authParams": "x"}, "invalid_request"),
    ],
)
def test_invalid_passwordless_start_gets_an_error_code(app, by_mail, client, more, code):
    body = {"client_id": app.pk, "connection": "email", "email": "dina@example.com", "send": "code"}
    answer = call(client, "/passwordless/start", {**body, **more})

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_lock_reads_the_connections_of_an_app_that_opted_in(app, passwords, by_mail, google, client):
    answer = client.get(f"/client/{app.pk}.js")
    settings = json.loads(re.fullmatch(r"Auth0\.setClient\((.*)\);", answer.content.decode())[1])

    assert settings["id"] == app.pk
    assert [each["name"] for each in settings["strategies"]] == ["auth0", "email", "google-oauth2"]
    assert client.get("/client/unknown.js").status_code == 404
    assert "mock-secret" not in answer.content.decode()


def test_small_endpoints_of_the_sdks_are_answered(dina, client):
    for name in ("usernamepassword", "dbconnections/signup", "dbconnections/change_password", "passwordless"):
        assert client.post(f"/{name}/challenge").json() == {"required": False}
    country = client.get("/user/geoloc/country", headers={"Accept-Language": "*, xx-!!, pt-PT;q=0.8"}).json()
    signed_out = client.get("/user/ssodata").json()
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    signed_in = client.get("/user/ssodata")

    assert country == {"country_code": "PT", "country_name": "Portugal"}
    assert signed_out == {"sso": False}
    assert signed_in.json()["lastUsedConnection"] == {"name": REALM, "strategy": "auth0"}
    assert "Access-Control-Allow-Origin" not in signed_in
