"""Requests left at /oauth/par: used once, by the app that left them, and never shown in an address."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from regulars.oauth.models import PushedRequest
from tests.oidc.app import CALLBACK, SECRET, App, came_back, make_client, query_of, sign_in


def push(app, **more):
    body = {**query_of(app.address()), "client_secret": app.secret, **more}
    return app.browser.post("/oauth/par", {name: value for name, value in body.items() if value is not None})


def reference(app, **more):
    answer = push(app, **more)
    assert answer.status_code == 201, answer.content
    return answer.json()["request_uri"]


def go(app, request_uri, **more):
    return app.browser.get("/authorize", {"client_id": app.client_id, "request_uri": request_uri, **more})


def test_a_request_left_with_us_leads_to_a_code(signed_in):
    answer = push(signed_in)
    back = came_back(go(signed_in, answer.json()["request_uri"]))

    assert answer.json()["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert (answer.status_code, answer.json()["expires_in"], back["state"]) == (201, 30, "s1")
    assert signed_in.exchange(back["code"]).status_code == 200


def test_what_stands_in_the_address_beside_it_does_not_count(signed_in):
    back = came_back(go(signed_in, reference(signed_in), state="forged", scope="openid everything"))

    assert back["state"] == "s1"


def test_a_reference_is_good_once(signed_in):
    request_uri = reference(signed_in)
    go(signed_in, request_uri)

    assert go(signed_in, request_uri).status_code == 400


def test_a_reference_runs_out(signed_in):
    request_uri = reference(signed_in)
    PushedRequest.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))

    assert go(signed_in, request_uri).status_code == 400


def test_a_reference_of_another_app_opens_nothing_and_stays_good(signed_in):
    make_client("other")
    request_uri = reference(signed_in)

    assert go(App(signed_in.browser, "other"), request_uri).status_code == 400
    assert "code" in came_back(go(signed_in, request_uri))


def test_on_the_way_over_the_sign_in_page_the_request_shows_nowhere(app, customer):
    away = go(app, reference(app, login_hint="chika@example.com"))
    sent = query_of(away["Location"])
    sign_in(app.browser, customer)
    back = came_back(app.browser.get(sent["next"]))

    assert sent["login_hint"] == "chika@example.com"
    assert set(query_of(sent["next"])) == {"client_id", "_resume"}
    assert (back["state"], "code" in back) == ("s1", True)


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"redirect_uri": "https://evil.example/"}, 400, "invalid_request"),
        ({"response_type": "token"}, 400, "unauthorized_client"),
        ({"audience": "https://nowhere.example/"}, 400, "access_denied"),
        ({"request_uri": "urn:x"}, 400, "request_uri_not_supported"),
        ({"code_challenge_method": "plain"}, 400, "invalid_request"),
    ],
)
def test_errors_of_a_pushed_request_reach_the_app_at_once(signed_in, change, status, error):
    answer = push(signed_in, **change)

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert not PushedRequest.objects.exists()


def test_secrets_are_not_kept_with_the_request(signed_in):
    push(signed_in)

    assert SECRET not in str(PushedRequest.objects.values())


def test_an_app_that_must_push_gets_nothing_by_an_ordinary_address(client, customer):
    make_client("strict", requires_par=True)
    sign_in(client, customer)
    strict = App(client, "strict")

    assert strict.answer()["error"] == "invalid_request"
    assert "code" in came_back(go(strict, reference(strict)))


def test_an_app_without_a_secret_may_push_too(client, customer):
    make_client("spa", auth_method="none", secret_hash="", redirect_uris=[CALLBACK])
    sign_in(client, customer)
    spa = App(client, "spa", secret="")

    assert "code" in came_back(go(spa, reference(spa, client_secret=None)))
