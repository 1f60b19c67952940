"""Two dialects of answers, one for each kind of client: Auth0's SDKs, and libraries for OAuth and OpenID Connect."""

from __future__ import annotations

import base64
import datetime as dt

import pytest

from regulars.base.tokens.jwt import verify
from regulars.clients.models import Client
from regulars.oauth.models import AuthorizationCode, RefreshFamily
from regulars.profiles.models import Profile
from regulars.rules.save import save_rule
from tests.notices import send_device_code
from tests.oidc.app import SECRET, App, fragment_of, id_claims, make_client, sign_in

OFFLINE = "openid profile offline_access"
TELEMETRY = base64.b64encode(b'{"name":"auth0.js","version":"9.32.0"}').decode()
HEADER = {"Auth0-Client": TELEMETRY}
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def sdk(signed_in) -> App:
    """The shop as an SDK of Auth0 would run it: telemetry in the address and in the body."""
    return App(signed_in.browser, standard={"auth0Client": TELEMETRY})


def set_to(answers, client_id="shop"):
    Client.objects.filter(pk=client_id).update(answers=answers)


def seconds(customer) -> int:
    return int(Profile.objects.get(pk=customer.pk).updated_at.timestamp())


def post(app, path, *, header=False, **body):
    body = {"client_id": app.client_id, "client_secret": SECRET, **body}
    return app.browser.post(path, body, headers=HEADER if header else {})


def userinfo(app, tokens):
    return app.browser.get("/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()


def form_of_times(app, tokens) -> set[type]:
    """Return the types of updated_at in the ID token and at /userinfo."""
    return {type(id_claims(tokens)["updated_at"]), type(userinfo(app, tokens)["updated_at"])}


def test_a_library_of_openid_connect_reads_a_number(signed_in, customer):
    tokens = signed_in.tokens(scope=OFFLINE)

    assert id_claims(tokens)["updated_at"] == userinfo(signed_in, tokens)["updated_at"] == seconds(customer)


def test_an_sdk_of_auth0_reads_a_text(sdk, customer):
    tokens = sdk.tokens(scope=OFFLINE)
    text = id_claims(tokens)["updated_at"]

    assert text == userinfo(sdk, tokens)["updated_at"]
    assert int(dt.datetime.fromisoformat(text).timestamp()) == seconds(customer)
    assert text.endswith("Z")


@pytest.mark.parametrize("at_authorize", [True, False], ids=["asked by an SDK", "redeemed by an SDK"])
def test_telemetry_of_either_request_decides_once_for_the_grant(signed_in, at_authorize):
    """A script asks for the code and a server redeems it: one of them is Auth0's. Later requests change nothing."""
    code = signed_in.code(scope=OFFLINE, **({"auth0Client": TELEMETRY} if at_authorize else {}))
    first = signed_in.exchange(code, **({} if at_authorize else {"auth0Client": TELEMETRY})).json()
    second = signed_in.refresh(first["refresh_token"]).json()
    third = signed_in.refresh(second["refresh_token"]).json()

    assert [form_of_times(signed_in, tokens) for tokens in (first, second, third)] == [{str}] * 3


def test_a_grant_of_openid_connect_stays_that_when_an_sdk_refreshes_it(signed_in):
    first = signed_in.tokens(scope=OFFLINE)
    second = signed_in.refresh(first["refresh_token"], auth0Client=TELEMETRY)

    assert form_of_times(signed_in, second.json()) == {int}

    again = signed_in.refresh(first["refresh_token"], auth0Client=TELEMETRY)

    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_the_header_counts_as_the_parameter_does(signed_in):
    code = signed_in.code(scope=OFFLINE)
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": "https://shop.example/callback"}
    tokens = post(signed_in, "/oauth/token", header=True, **body, code_verifier="v" * 43).json()

    assert form_of_times(signed_in, tokens) == {str}


@pytest.mark.parametrize(("answers", "kind", "status"), [("openid", int, 400), ("auth0", str, 403)])
def test_an_application_may_be_set_to_one_dialect_for_all(signed_in, sdk, answers, kind, status):
    set_to(answers)

    for app in (signed_in, sdk):
        tokens = app.tokens(scope=OFFLINE)
        assert form_of_times(app, tokens) == {kind}
        assert app.exchange("made up").status_code == status
        assert post(app, "/oauth/token", header=True, grant_type="pigeon").status_code == status


def test_a_changed_setting_does_not_change_a_grant(signed_in):
    first = signed_in.tokens(scope=OFFLINE)
    set_to("auth0")
    second = signed_in.refresh(first["refresh_token"]).json()

    assert form_of_times(signed_in, second) == {int}


def test_grants_from_before_there_were_dialects_go_on_in_auth0s(signed_in):
    token = signed_in.tokens(scope=OFFLINE)["refresh_token"]
    family = RefreshFamily.objects.get()
    del family.grant["answers"]
    family.save(update_fields=["grant"])
    tokens = signed_in.refresh(token).json()

    assert form_of_times(signed_in, tokens) == {str}
    assert signed_in.refresh(token).status_code == 403


def test_a_code_from_before_there_were_dialects_is_redeemed_in_auth0s(signed_in):
    code = signed_in.code()
    row = AuthorizationCode.objects.get()
    del row.grant["answers"]
    row.save(update_fields=["grant"])

    assert form_of_times(signed_in, signed_in.exchange(code).json()) == {str}


@pytest.mark.parametrize(("telemetry", "kind"), [({}, int), ({"auth0Client": TELEMETRY}, str)])
def test_tokens_straight_from_the_browser_are_decided_by_their_request_alone(client, customer, telemetry, kind):
    make_client("lock", grant_types=["implicit", "authorization_code"])
    sign_in(client, customer)
    lock = App(client, "lock")
    response = lock.authorize(response_type="code id_token token", scope="openid profile", **telemetry)
    answer = fragment_of(response["Location"])
    redeemed = lock.exchange(answer["code"], auth0Client=TELEMETRY).json()

    assert form_of_times(lock, answer) == form_of_times(lock, redeemed) == {kind}


@pytest.mark.parametrize(("header", "kind"), [(False, int), (True, str)])
def test_a_pushed_request_with_the_header_is_an_sdks(signed_in, header, kind):
    pushed = {"response_type": "code", "scope": "openid profile", "redirect_uri": "https://shop.example/callback"}
    reference = post(signed_in, "/oauth/par", header=header, **pushed).json()["request_uri"]
    response = signed_in.browser.get("/authorize", {"client_id": "shop", "request_uri": reference})
    code = response["Location"].partition("code=")[2].partition("&")[0]

    assert form_of_times(signed_in, signed_in.exchange(code, code_verifier=None).json()) == {kind}


@pytest.mark.parametrize("header", [False, True])
def test_a_device_is_answered_as_its_request_or_its_poll(client, customer, header):
    make_client("tv", grant_types=[DEVICE_CODE, "refresh_token"])
    tv = App(client, "tv")
    codes = post(tv, "/oauth/device/code", header=header, scope=OFFLINE).json()
    before = post(tv, "/oauth/token", grant_type=DEVICE_CODE, device_code=codes["device_code"])
    too_soon = post(tv, "/oauth/token", grant_type=DEVICE_CODE, device_code=codes["device_code"])
    sign_in(client, customer)
    send_device_code(client, codes["user_code"])
    tokens = post(tv, "/oauth/token", grant_type=DEVICE_CODE, device_code=codes["device_code"]).json()

    assert (before.status_code, before.json()["error"]) == (403 if header else 400, "authorization_pending")
    assert (too_soon.status_code, too_soon.json()["error"]) == (429 if header else 400, "slow_down")
    assert form_of_times(tv, tokens) == {str if header else int}


BAD_REQUESTS = [
    ({"grant_type": "authorization_code", "code": "made up"}, "invalid_grant"),
    ({"grant_type": "refresh_token", "refresh_token": "made up"}, "invalid_grant"),
    ({"grant_type": "client_credentials", "audience": "https://nowhere.example/"}, "unauthorized_client"),
    ({"grant_type": "pigeon"}, "unsupported_grant_type"),
]


@pytest.mark.parametrize(("body", "error"), BAD_REQUESTS)
def test_refused_token_requests_have_the_status_of_their_dialect(app, body, error):
    """RFC 6749 5.2: 400. Auth0: 403."""
    plain, of_sdk = post(app, "/oauth/token", **body), post(app, "/oauth/token", header=True, **body)

    assert (plain.status_code, plain.json()["error"]) == (400, error)
    assert (of_sdk.status_code, of_sdk.json()["error"]) == (403, error)


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/par"])
def test_failed_client_authentication_has_the_code_of_its_dialect(app, path):
    """RFC 6749 5.2 has `invalid_client`, Auth0 `access_denied`; a request that names two clients is no question of dialect."""
    body = {"client_secret": "wrong", "token": "x", "grant_type": "refresh_token"}
    plain, of_sdk = post(app, path, **body), post(app, path, header=True, **body)
    of_two = app.browser.post(
        path, {**body, "client_id": "other"}, headers={**HEADER, "Authorization": "Basic c2hvcDp4"}
    )
    set_to("auth0")
    by_setting = post(app, path, **body)

    assert {each.status_code for each in (plain, of_sdk, by_setting, of_two)} == {401}
    assert [each.json()["error"] for each in (plain, of_sdk, by_setting, of_two)] == [
        "invalid_client",
        "access_denied",
        "access_denied",
        "invalid_client",
    ]


def test_a_refused_use_of_a_known_grant_has_the_dialect_of_the_grant(signed_in, sdk):
    """The code was an SDK's; every refused use of it has Auth0's form."""
    wrong_verifier = signed_in.exchange(sdk.code(), code_verifier="w" * 43)
    code = sdk.code(scope=OFFLINE)
    token = signed_in.exchange(code).json()["refresh_token"]
    replayed = signed_in.exchange(code)
    ended = signed_in.refresh(token)

    assert [each.status_code for each in (wrong_verifier, replayed, ended)] == [403, 403, 403]


def test_a_denied_refresh_has_the_dialect_of_the_grant(signed_in, sdk):
    plain, of_sdk = (app.tokens(scope=OFFLINE)["refresh_token"] for app in (signed_in, sdk))
    save_rule("strict", script="(user, context, cb) => cb(new UnauthorizedError('no'))")

    answers = [signed_in.refresh(token) for token in (plain, of_sdk)]

    assert [(each.status_code, each.json()["error"]) for each in answers] == [
        (400, "unauthorized"),
        (401, "unauthorized"),
    ]


def test_a_time_that_a_rule_writes_has_the_form_of_the_grant(signed_in, sdk, customer):
    """A rule that copies `user.updated_at` copies a text; another text stays as the rule wrote it."""
    save_rule(
        "copies",
        script="(user, context, cb) => { context.idToken.updated_at = user.updated_at; cb(null, user, context); }",
    )

    assert form_of_times(signed_in, signed_in.tokens(scope="openid")) == {int}
    assert form_of_times(sdk, sdk.tokens(scope="openid")) == {str}

    save_rule(
        "copies", script="(user, context, cb) => { context.idToken.updated_at = 'today'; cb(null, user, context); }"
    )

    assert id_claims(signed_in.tokens(scope="openid"))["updated_at"] == "today"


@pytest.mark.parametrize("answers", ["auto", "openid", "auth0"])
def test_a_dialect_changes_nothing_of_what_is_accepted(signed_in, sdk, answers):
    set_to(answers)

    for app in (signed_in, sdk):
        assert app.exchange(app.code(), client_secret="wrong").status_code == 401
        assert app.exchange(app.code(), code_verifier="w" * 43).json()["error"] == "invalid_grant"
        assert verify(app.tokens()["access_token"])["sub"]
        assert "error" in app.answer(max_age="yesterday")


@pytest.mark.parametrize("body", [b"{", b'{"client_id": "shop", "grant_type": ["x"]}'])
def test_an_unreadable_request_is_still_answered(app, body):
    for headers in ({}, HEADER, {"Auth0-Client": "x" * 5000}, {"Auth0-Client": "\xff"}):
        answer = app.browser.post("/oauth/token", body, content_type="application/json", headers=headers)

        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_long_header_of_telemetry_refuses_no_request(signed_in):
    pushed = {"response_type": "code", "scope": "openid profile", "redirect_uri": "https://shop.example/callback"}
    body = {"client_id": "shop", "client_secret": SECRET, **pushed}

    assert signed_in.browser.post("/oauth/par", body, headers={"Auth0-Client": "x" * 7000}).status_code == 201
