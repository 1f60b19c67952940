"""Logout: every app of the session is notified, whichever page or app began it."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from django.test import Client as Browser

from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.base.tokens.jwt import verify
from regulars.clients.models import Client
from regulars.oauth.backchannel_logout import EVENT, JOB
from regulars.oauth.sessions import sids_of_keys
from regulars.rules.save import save_rule
from tests.oidc.app import App, id_claims, make_client, sign_in
from tests.receivers import Answer, receiving


@pytest.fixture
def _reachable(settings):
    settings.ALLOW_HOSTS = ["127.0.0.1"]


def listens(receiver, client_id="shop"):
    Client.objects.filter(pk=client_id).update(backchannel_logout_uri=receiver.url + "/bye")


def logout_tokens(receiver):
    return [parse_qs(each.body.decode())["logout_token"][0] for each in receiver.received]


@pytest.mark.parametrize("path", ["/v2/logout", "/logout"])
@pytest.mark.usefixtures("_reachable")
def test_apps_of_a_session_are_notified_of_every_logout(signed_in, customer, path):
    with receiving() as receiver:
        listens(receiver)
        sid = id_claims(signed_in.tokens())["sid"]
        signed_in.browser.get(path) if path == "/v2/logout" else signed_in.browser.post(path)
        run_due()

    claims = verify(logout_tokens(receiver)[0], "shop", typ="logout+jwt")

    assert (claims["sub"], claims["sid"], claims["events"]) == (customer.user_id, sid, {EVENT: {}})
    assert "nonce" not in claims
    assert receiver.received[0].headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.usefixtures("_reachable")
def test_only_registered_apps_of_the_session_are_notified_and_once(signed_in, customer):
    make_client("quiet")
    make_client("elsewhere")
    with receiving() as receiver:
        for app in ("shop", "elsewhere"):
            listens(receiver, app)
        signed_in.code()
        App(signed_in.browser, "quiet").code()
        other = Browser()
        sign_in(other, customer)
        App(other, "elsewhere").code()
        signed_in.browser.get("/v2/logout")
        signed_in.browser.get("/v2/logout")
        run_due()

    assert [verify(token)["aud"] for token in logout_tokens(receiver)] == ["shop"]


@pytest.mark.usefixtures("_reachable")
@pytest.mark.parametrize(
    ("status", "state"), [(503, Job.State.WAITING), (400, Job.State.FAILED), (204, Job.State.DONE)]
)
def test_the_notification_of_an_unavailable_app_is_retried(signed_in, status, state):
    with receiving(Answer(status)) as receiver:
        listens(receiver)
        signed_in.code()
        signed_in.browser.get("/v2/logout")
        run_due()

    assert Job.objects.get(kind=JOB).state == state


def test_an_address_behind_the_wall_is_not_called(signed_in, settings):
    settings.DEMO, settings.ALLOW_HOSTS = False, []
    with receiving() as receiver:
        listens(receiver)
        signed_in.code()
        signed_in.browser.get("/v2/logout")
        run_due()

    assert receiver.received == []
    assert Job.objects.get(kind=JOB).state == Job.State.FAILED


def test_signing_in_anew_is_the_same_session_to_the_app(signed_in, customer):
    first = id_claims(signed_in.tokens())["sid"]
    sign_in(signed_in.browser, customer)

    assert id_claims(signed_in.tokens())["sid"] == first


def test_a_session_is_found_by_its_key_after_a_new_sign_in(signed_in, customer):
    sid = id_claims(signed_in.tokens())["sid"]
    sign_in(signed_in.browser, customer)

    assert sid in sids_of_keys([signed_in.browser.session.session_key])


def test_a_form_of_an_app_signs_out_too(signed_in):
    strict = Browser(enforce_csrf_checks=True)
    strict.cookies = signed_in.browser.cookies
    hint = signed_in.tokens()["id_token"]
    form = {"id_token_hint": hint, "post_logout_redirect_uri": "https://shop.example/", "state": "bye"}
    again = strict.post("/oidc/logout", form)
    done = strict.get(again["Location"])

    assert again.status_code == 303
    assert done["Location"] == "https://shop.example/?state=bye"


def test_a_forged_answer_to_the_logout_page_ends_no_session(signed_in):
    strict = Browser(enforce_csrf_checks=True)
    strict.cookies = signed_in.browser.cookies

    assert strict.post("/oidc/logout?client_id=shop", {"do": "sign-out"}).status_code == 403
    assert "code" in signed_in.answer(prompt="none")


def test_an_app_that_kept_no_id_token_names_the_session_by_its_sid(signed_in):
    asked = {"client_id": "shop", "post_logout_redirect_uri": "https://shop.example/", "state": "bye"}
    sid = id_claims(signed_in.tokens())["sid"]
    answer = signed_in.browser.get("/oidc/logout", {**asked, "logout_hint": sid})

    assert (answer.status_code, answer["Location"]) == (302, "https://shop.example/?state=bye")
    assert "_auth_user_id" not in signed_in.browser.session


@pytest.mark.parametrize("hint", ["", "chika@example.com", "another session"])
def test_a_hint_of_another_session_asks_first(signed_in, hint):
    signed_in.tokens()
    page = signed_in.browser.get("/oidc/logout", {"client_id": "shop", "logout_hint": hint})

    assert page.status_code == 200
    assert "_auth_user_id" in signed_in.browser.session


def test_a_hint_of_one_app_is_not_taken_from_another(signed_in):
    make_client("other")
    hint = signed_in.tokens()["id_token"]
    answer = signed_in.browser.get("/oidc/logout", {"id_token_hint": hint, "client_id": "other"})

    assert answer.status_code == 400
    assert "code" in signed_in.answer(prompt="none")


def test_federated_logout_ends_the_session_here_alone(signed_in):
    answer = signed_in.browser.get("/v2/logout?federated&client_id=shop&returnTo=https://shop.example/")

    assert answer["Location"] == "https://shop.example/"


def test_userinfo_has_claims_of_rules_also_after_refresh_and_logout(signed_in):
    rule = "(user, context, cb) => { context.idToken['https://shop.example/tier'] = '%s'; cb(null, user, context); }"
    save_rule("tier", script=rule % "gold")
    tokens = signed_in.tokens(scope="openid offline_access")

    def tier(access_token):
        answer = signed_in.browser.get("/userinfo", headers={"Authorization": f"Bearer {access_token}"})
        return answer.json()["https://shop.example/tier"]

    assert tier(tokens["access_token"]) == "gold"

    save_rule("tier", script=rule % "silver")
    renewed = signed_in.refresh(tokens["refresh_token"]).json()
    signed_in.browser.get("/v2/logout")

    assert tier(renewed["access_token"]) == "silver"


def test_a_logout_address_of_a_third_party_counts_for_its_own_app_only(signed_in):
    make_client("other", first_party=False, logout_uris=["https://evil.example/"])

    assert signed_in.browser.get("/v2/logout?returnTo=https://evil.example/").status_code == 400
    assert signed_in.browser.get("/v2/logout?returnTo=https://shop.example/").status_code == 302


@pytest.mark.parametrize(
    "path", ["/v2/logout", "/oidc/logout", "/v2/logout?client_id=shop", "/oidc/logout?client_id=shop"]
)
@pytest.mark.parametrize(("language", "title"), [("en", "You are signed out"), ("de", "Sie sind abgemeldet")])
def test_sign_out_without_an_address_ends_at_a_page(client, app, path, language, title):
    page = client.get(path, headers={"Accept-Language": language})

    assert page.status_code == 200
    assert f"<h1>{title}</h1>" in page.content.decode()


def test_refused_sign_out_names_the_real_reason(signed_in):
    make_client("other")
    hint = signed_in.tokens()["id_token"]
    page = signed_in.browser.get(
        "/oidc/logout", {"id_token_hint": hint, "client_id": "other"}, headers={"Accept-Language": "de"}
    ).content.decode()

    assert "<h1>Die Abmeldung hat nicht funktioniert</h1>" in page
    assert "Signing in does not work" not in page
