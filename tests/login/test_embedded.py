"""Sign-in forms inside apps: who may have one, and what a login ticket is worth to whom."""

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
from regulars.base.jobs.run import run_due
from regulars.clients import cache
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
    """The shop, which draws its own form."""
    cache.clear()
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
    """Where /authorize leads in the end: the app's callback, or a page of ours."""
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


def test_a_ticket_makes_a_session_once_and_tokens_will_know_how(app, dina, client):
    ticket = ticket_of(client, app)
    first = authorize(client, app, ticket)
    record = client.session["account_authentication_methods"][-1]
    client.post("/logout")
    second = authorize(client, app, ticket)

    assert "code" in query_of(first["Location"])
    assert (record["method"], record["connection"]) == ("password", REALM)
    assert second.status_code == 200  # our own page asks
    assert "Sign in" in second.content.decode()


def test_a_ticket_silently_shown_makes_a_session_too_and_a_bad_one_is_login_required(app, dina, client):
    good = authorize(client, app, ticket_of(client, app), prompt="none")
    bad = authorize(Browser(), app, "made-up", prompt="none")

    assert "code" in query_of(good["Location"])
    assert query_of(bad["Location"])["error"] == "login_required"


def test_a_ticket_counts_as_one_login_and_the_silent_requests_after_it_as_none(app, dina, client):
    authorize(client, app, ticket_of(client, app), prompt="none")
    authorize(client, app, "", prompt="none")
    profile = Profile.objects.get(account=dina)

    assert (profile.logins_count, profile.last_ip) == (1, "127.0.0.1")
    assert [event.name for event in timeline(profile.pk)].count("Signed In") == 1


def test_a_ticket_is_worth_nothing_in_another_browser_for_another_app_or_from_another_origin(app, dina, client):
    other, _ = register(ClientSpec("Other", "none", redirect_uris=[CALLBACK], web_origins=[SHOP], embeds_login=True))
    stranger = Browser()
    stranger.post("/co/authenticate")
    elsewhere = authorize(stranger, app, ticket_of(client, app))
    other_app = authorize(client, other, ticket_of(client, app))
    other_origin = authorize(client, app, ticket_of(client, app), referer="https://evil.example/")

    assert [each.status_code for each in (elsewhere, other_app, other_origin)] == [200, 200, 200]
    assert not client.session.get("_auth_user_id")


def test_a_ticket_runs_out(app, dina, client):
    ticket = ticket_of(client, app)
    LoginTicket.objects.update(expires_at="2020-01-01T00:00:00Z")

    assert authorize(client, app, ticket).status_code == 200


def test_a_ticket_ends_the_session_of_whoever_was_there_before(app, dina, client):
    before = Account.objects.create_user(email="mila@example.com")
    Profile.objects.create(user_id="auth0|mila", account=before)
    client.force_login(before, backend="allauth.account.auth_backends.AuthenticationBackend")
    answer = authorize(client, app, ticket_of(client, app))

    assert "code" in query_of(answer["Location"])
    assert client.session["_auth_user_id"] == str(dina.pk)


def test_only_an_app_that_opted_in_may_from_its_own_origins(app, dina, client):
    foreign = authenticate(client, app, origin="https://evil.example")
    nowhere = authenticate(client, app, origin="")
    stranger = call(client, "/co/authenticate", {"client_id": "nobody", "username": "a", "password": "b"})
    app.embeds_login = False
    app.save()
    left = authenticate(client, app)

    for answer in (foreign, nowhere, stranger, left):
        assert (answer.status_code, answer.json()["code"]) == (403, "unauthorized_client")
    assert "Access-Control-Allow-Origin" not in foreign
    assert not LoginTicket.objects.exists()


def test_scripts_of_the_app_may_read_the_answer_and_nobody_elses(app, dina, client):
    asked = client.options("/co/authenticate", headers={"Origin": SHOP})
    foreign = client.options("/co/authenticate", headers={"Origin": "https://evil.example"})
    answer = authenticate(client, app)

    for each in (asked, answer):
        assert each["Access-Control-Allow-Origin"] == SHOP
        assert each["Access-Control-Allow-Credentials"] == "true"
    assert "Access-Control-Allow-Origin" not in foreign


def test_wrong_passwords_are_said_in_auth0s_words_and_slowed_down_as_on_our_page(app, dina, client):
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


def test_sign_up_answers_alike_and_the_mail_tells_the_difference(app, dina, client):
    body = {"client_id": app.pk, "connection": REALM, "password": PASSWORD}
    known = call(client, "/dbconnections/signup", {**body, "email": "dina@example.com"})
    new = call(client, "/dbconnections/signup", {**body, "email": "mila@example.com"})
    run_due()

    assert known.status_code == new.status_code == 200
    assert set(known.json()) == set(new.json()) == {"_id", "email", "email_verified"}
    assert re.fullmatch("[0-9a-f]{24}", new.json()["_id"])
    assert [message.subject for message in mail.outbox[-2:]] == ["You already have an account", "Finish your sign-up"]


def test_what_the_app_asked_at_sign_up_is_known_when_she_finishes(app, passwords, client, last_link):
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
def test_a_bad_sign_up_has_a_name(app, passwords, client, more, code):
    body = {"client_id": app.pk, "connection": REALM, "email": "mila@example.com", "password": PASSWORD}
    answer = call(client, "/dbconnections/signup", {**body, **more})

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not mail.outbox


def test_a_forgotten_password_answers_alike(app, dina, client):
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
def test_nonsense_is_answered_with_a_name(standard_setup, client, path, body):
    answer = client.post(path, body, content_type="application/json", headers={"Origin": SHOP})

    assert answer.status_code in (400, 403)
    assert answer.json()["code"]


def test_a_form_of_a_foreign_page_is_not_read(app, dina, client):
    body = json.dumps({"client_id": app.pk, "username": "dina@example.com", "password": PASSWORD})
    answer = client.post("/co/authenticate", body, content_type="text/plain", headers={"Origin": SHOP})

    assert answer.status_code == 415


def test_a_code_by_mail_gives_a_ticket(app, by_mail, client):
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


def test_a_link_by_mail_leads_back_to_the_app(app, by_mail, client):
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
def test_a_bad_start_has_a_name(app, by_mail, client, more, code):
    body = {"client_id": app.pk, "connection": "email", "email": "dina@example.com", "send": "code"}
    answer = call(client, "/passwordless/start", {**body, **more})

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_lock_reads_the_ways_in_of_an_app_that_opted_in(app, passwords, by_mail, google, client):
    answer = client.get(f"/client/{app.pk}.js")
    told = json.loads(re.fullmatch(r"Auth0\.setClient\((.*)\);", answer.content.decode())[1])

    assert told["id"] == app.pk
    assert [each["name"] for each in told["strategies"]] == ["auth0", "email", "google-oauth2"]
    assert client.get("/client/nobody.js").status_code == 404
    assert "stand-in-secret" not in answer.content.decode()


def test_small_questions_of_the_sdks_are_answered(dina, client):
    for name in ("usernamepassword", "dbconnections/signup", "dbconnections/change_password", "passwordless"):
        assert client.post(f"/{name}/challenge").json() == {"required": False}
    place = client.get("/user/geoloc/country", headers={"Accept-Language": "*, xx-!!, pt-PT;q=0.8"}).json()
    nobody = client.get("/user/ssodata").json()
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    make_customer = client.get("/user/ssodata")

    assert place == {"country_code": "PT", "country_name": "Portugal"}
    assert nobody == {"sso": False}
    assert make_customer.json()["lastUsedConnection"] == {"name": REALM, "strategy": "auth0"}
    assert "Access-Control-Allow-Origin" not in make_customer
