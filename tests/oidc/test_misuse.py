"""What must not work, each by its name."""

from __future__ import annotations

import datetime as dt

import pytest
from django.conf import settings
from django.utils import timezone

from regulars.clients.models import ResourceServer
from regulars.oauth.models import AuthorizationCode, RefreshFamily, RefreshToken
from tests.oidc.app import CALLBACK, CHALLENGE, VERIFIER, App, make_client, message_of, sign_in

OFFLINE = "openid offline_access"


def refused(response):
    body = response.json()
    return response.status_code, body["error"], body["error_description"]


BAD_CODE = (400, "invalid_grant", "Invalid authorization code")
BAD_REFRESH = (400, "invalid_grant", "Unknown or invalid refresh token.")


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "unknown"},
        {"client_id": None},
        {"client_id": "nul\0"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": CALLBACK + "?extra=1"},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK.upper()},
    ],
)
def test_an_unknown_app_or_address_gets_an_error_page_and_no_redirect(signed_in, change):
    response = signed_in.authorize(**change)

    assert response.status_code == 400
    assert "Go back to the app or shop you came from" in response.content.decode()
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_the_only_registered_address_may_be_left_out_but_not_one_of_two(signed_in):
    code = signed_in.code(redirect_uri=None)
    make_client("two", redirect_uris=[CALLBACK, "https://shop.example/other"])

    assert signed_in.exchange(code, redirect_uri=None).status_code == 200
    assert signed_in.authorize(client_id="two", redirect_uri=None).status_code == 400


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unauthorized_client"),
        ({"response_type": "code token"}, "unauthorized_client"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_type": "code telepathy"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "pigeon"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"max_age": "yesterday"}, "invalid_request"),
        ({"nonce": "nul\0"}, "invalid_request"),
        ({"request": "e30."}, "request_not_supported"),
    ],
)
def test_a_request_that_does_not_hold_together_is_named_to_the_app(signed_in, change, error):
    answer = signed_in.answer(**change)

    assert (answer["error"], answer["state"]) == (error, "s1")


def test_a_repeated_parameter_is_refused(signed_in):
    answer = signed_in.browser.get(signed_in.address() + "&scope=everything")

    assert "error=invalid_request" in answer["Location"]


def test_an_app_without_a_secret_must_bring_a_challenge_already_at_authorize(client, customer):
    make_client("spa", auth_method="none", secret_hash="")
    sign_in(client, customer)

    assert App(client, "spa").answer(code_challenge=None, code_challenge_method=None)["error"] == "invalid_request"


def test_an_app_that_may_not_use_codes_gets_none(signed_in):
    make_client("machine", grant_types=["client_credentials"])

    assert signed_in.answer(client_id="machine")["error"] == "unauthorized_client"


def test_a_code_is_good_once_and_a_replay_ends_what_the_first_use_started(signed_in):
    code = signed_in.code(scope=OFFLINE)
    first = signed_in.exchange(code).json()
    replay = signed_in.exchange(code)

    assert refused(replay) == BAD_CODE
    assert refused(signed_in.refresh(first["refresh_token"])) == BAD_REFRESH
    assert RefreshFamily.objects.get().revoked_why == "code_replayed"


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"code": "made-up"}, 400, "invalid_grant"),
        ({"code": None}, 400, "invalid_request"),
        ({"redirect_uri": "https://shop.example/other"}, 400, "invalid_grant"),
        ({"code_verifier": "w" * 43}, 400, "invalid_grant"),
        ({"code_verifier": None}, 400, "invalid_request"),
        ({"code_verifier": "short"}, 400, "invalid_request"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_id": "unknown"}, 401, "invalid_client"),
        ({"grant_type": "pigeon"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, 400, "unauthorized_client"),
    ],
)
def test_a_wrong_exchange_is_refused_by_name(signed_in, change, status, error):
    code = signed_in.code()
    response = signed_in.exchange(**{"code": code, **change})

    assert refused(response)[:2] == (status, error)
    assert response["Cache-Control"] == "no-store"


def test_a_wrong_verifier_burns_the_code(signed_in):
    code = signed_in.code(scope=OFFLINE)
    signed_in.exchange(code, code_verifier="w" * 43)

    assert refused(signed_in.exchange(code)) == BAD_CODE


def test_a_verifier_without_a_challenge_is_refused(signed_in):
    code = signed_in.code(code_challenge=None, code_challenge_method=None)

    assert refused(signed_in.exchange(code))[:2] == (400, "invalid_request")


def test_a_challenge_is_not_its_own_verifier(signed_in):
    assert refused(signed_in.exchange(signed_in.code(), code_verifier=CHALLENGE))[0] == 400


def test_a_code_of_one_app_is_nothing_in_the_hands_of_another(signed_in):
    make_client("other")
    code = signed_in.code()
    stolen = signed_in.exchange(code, client_id="other")

    assert refused(stolen) == BAD_CODE
    assert signed_in.exchange(code).status_code == 200


def test_a_code_is_good_for_a_minute(signed_in):
    code = signed_in.code()
    AuthorizationCode.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))

    assert refused(signed_in.exchange(code)) == BAD_CODE


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"grant_type": ["a"]}', b'{"grant_type": {"a": 1}}', b"\xff"])
def test_a_body_that_is_no_object_of_texts_is_refused(app, body):
    response = app.browser.post("/oauth/token", body, content_type="application/json")

    assert refused(response)[:2] == (400, "invalid_request")


@pytest.mark.parametrize("header", ["Basic", "Basic ", "Bearer", "Basic é", "Basic %%%", "Basic /w==", "Basic =", ""])
def test_an_unusable_authorization_header_is_ignored(app, header):
    answer = app.browser.post("/oauth/token", {"grant_type": "refresh_token"}, headers={"Authorization": header})

    assert refused(answer)[:2] == (401, "invalid_client")


def test_a_field_sent_twice_is_refused(app):
    form = "application/x-www-form-urlencoded"
    response = app.browser.post("/oauth/token", "grant_type=a&grant_type=b", content_type=form)

    assert refused(response)[:2] == (400, "invalid_request")


def test_a_refresh_token_needs_offline_access_and_an_app_that_may_refresh(signed_in):
    make_client("online", grant_types=["authorization_code"])
    online = App(signed_in.browser, "online")

    assert "refresh_token" not in signed_in.tokens()
    assert "refresh_token" not in online.tokens(scope=OFFLINE)
    assert "refresh_token" in signed_in.tokens(scope=OFFLINE)


def test_each_refresh_token_is_used_once_and_the_next_one_works(signed_in, customer):
    first = signed_in.tokens(scope=OFFLINE)
    second = signed_in.refresh(first["refresh_token"]).json()
    third = signed_in.refresh(second["refresh_token"])

    assert second["refresh_token"] != first["refresh_token"]
    assert third.status_code == 200
    assert "id_token" in third.json()


def test_a_token_used_again_ends_its_family(signed_in):
    first = signed_in.tokens(scope=OFFLINE)["refresh_token"]
    second = signed_in.refresh(first).json()["refresh_token"]
    again = signed_in.refresh(first)

    assert refused(again) == BAD_REFRESH
    assert refused(signed_in.refresh(second)) == BAD_REFRESH
    assert RefreshFamily.objects.get().revoked_why == "token_reused"


def test_within_the_leeway_of_its_app_a_used_token_is_not_theft(client, customer):
    make_client("patient", metadata={"refresh_token_leeway": "30"})
    sign_in(client, customer)
    patient = App(client, "patient")
    first = patient.tokens(scope=OFFLINE)["refresh_token"]
    second = patient.refresh(first).json()["refresh_token"]

    assert patient.refresh(first).status_code == 200
    assert patient.refresh(second).status_code == 200

    RefreshToken.objects.exclude(used_at=None).update(used_at=timezone.now() - dt.timedelta(seconds=31))

    assert refused(patient.refresh(first)) == BAD_REFRESH


def test_a_refresh_token_of_one_app_is_nothing_to_another_and_stays_good(signed_in):
    make_client("other")
    token = signed_in.tokens(scope=OFFLINE)["refresh_token"]

    assert refused(signed_in.refresh(token, client_id="other")) == BAD_REFRESH
    assert signed_in.refresh(token).status_code == 200


def test_a_refresh_may_narrow_the_scopes_and_never_widen_them(signed_in):
    token = signed_in.tokens(scope=OFFLINE + " email")["refresh_token"]
    narrow = signed_in.refresh(token, scope="openid").json()
    wide = signed_in.refresh(narrow["refresh_token"], scope="openid profile")

    assert narrow["scope"] == "openid"
    assert refused(wide)[:2] == (400, "invalid_scope")


@pytest.mark.parametrize("which", [RefreshToken, RefreshFamily])
def test_a_refresh_token_runs_out(signed_in, which):
    token = signed_in.tokens(scope=OFFLINE)["refresh_token"]
    which.objects.update(expires_at=timezone.now())

    assert refused(signed_in.refresh(token)) == BAD_REFRESH


def test_revoking_takes_the_app_that_owns_the_token(signed_in):
    make_client("other")
    token = signed_in.tokens(scope=OFFLINE)["refresh_token"]
    by_another = revoke(signed_in, token, client_id="other")

    assert by_another.status_code == 200
    assert RefreshFamily.objects.get().revoked_at is None
    assert revoke(signed_in, token, client_secret="wrong").status_code == 401
    assert revoke(signed_in, token).status_code == 200
    assert refused(signed_in.refresh(token)) == BAD_REFRESH


def revoke(app, token, **more):
    return app.browser.post("/oauth/revoke", {"client_id": "shop", "client_secret": app.secret, "token": token, **more})


def test_a_blocked_customer_gets_no_code_no_tokens_no_refresh_and_no_claims(signed_in, customer):
    tokens = signed_in.tokens(scope=OFFLINE)
    code = signed_in.code()
    customer.blocked = True
    customer.save(update_fields=["blocked"])
    answer = signed_in.answer()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}

    assert (answer["error"], answer["error_description"]) == ("unauthorized", "user is blocked")
    assert refused(signed_in.exchange(code)) == BAD_CODE
    assert refused(signed_in.refresh(tokens["refresh_token"])) == BAD_REFRESH
    assert signed_in.browser.get("/userinfo", headers=bearer).status_code == 401


def test_an_inactive_account_gets_no_refresh(signed_in, customer):
    token = signed_in.tokens(scope=OFFLINE)["refresh_token"]
    customer.account.is_active = False
    customer.account.save(update_fields=["is_active"])

    assert refused(signed_in.refresh(token)) == BAD_REFRESH
    assert signed_in.authorize()["Location"].startswith("/login?")


def test_an_id_token_is_no_access_token(signed_in):
    bearer = {"Authorization": f"Bearer {signed_in.tokens()['id_token']}"}

    assert signed_in.browser.get("/userinfo", headers=bearer).status_code == 401


def test_a_token_for_an_api_alone_is_not_for_userinfo(signed_in, orders):
    tokens = signed_in.tokens(scope="read:orders", audience=orders.identifier)
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}

    assert "id_token" not in tokens
    assert signed_in.browser.get("/userinfo", headers=bearer).status_code == 403


def test_a_message_to_the_app_cannot_leave_its_script(signed_in):
    response = signed_in.authorize(response_mode="web_message", state="</script><script>alert(1)//")
    message, origin = message_of(response)

    assert "</script><script>" not in response.content.decode()
    assert message["response"]["state"] == "</script><script>alert(1)//"
    assert origin == "https://shop.example"


def test_secrets_codes_and_tokens_are_stored_as_hashes_only(signed_in):
    code = signed_in.code(scope=OFFLINE)
    token = signed_in.exchange(code).json()["refresh_token"]

    assert not AuthorizationCode.objects.filter(hash=code).exists()
    assert not RefreshToken.objects.filter(hash=token).exists()
    assert VERIFIER not in str(AuthorizationCode.objects.values())


def test_a_customers_token_is_no_key_to_the_management_api(signed_in, customer):
    """The company's own programs manage customers; a customer who asks for their scopes gets none of them."""
    scopes = ["read:users", "delete:users", "create:clients", "update:current_user_identities"]
    management = f"{settings.ISSUER}api/v2/"
    ResourceServer.objects.create(identifier=management, name="Management", scopes=scopes)
    tokens = signed_in.tokens(audience=management, scope=f"openid {' '.join(scopes)}")
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}

    assert tokens["scope"] == "openid update:current_user_identities"
    assert signed_in.browser.get("/api/v2/users", headers=bearer).status_code == 403
