"""A television shows a code, Chika types it on a phone, the television gets its tokens."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client as Browser
from django.utils import timezone

from regulars.base.tokens.jwt import verify
from regulars.clients.models import Client
from regulars.events.read import timeline
from regulars.oauth.consents import withdraw_consents
from regulars.oauth.grant import DEVICE_CODE
from regulars.oauth.models import AppGrant, DeviceRequest
from regulars.questions.models import Impression
from regulars.questions.save import save_question
from regulars.rules.save import save_rule
from regulars.usecases import authorize as use_case
from tests.notices import send_device_code
from tests.oidc.app import App, make_client, query_of, sign_in
from tests.oidc.test_interactions import LOOKING_FOR

REFUSE = "(user, context, cb) => cb(new UnauthorizedError('Not on ' + context.protocol))"
TO_A_PAGE = "(user, context, cb) => { context.redirect = {url: 'https://shop.example/'}; cb(null, user, context); }"


@pytest.fixture
def tv(client, standard_setup) -> App:
    make_client("tv", name="Shop TV", auth_method="none", secret_hash="", grant_types=[DEVICE_CODE, "refresh_token"])
    return App(Browser(), "tv", secret="")


@pytest.fixture
def phone(client, customer) -> Browser:
    sign_in(client, customer)
    return client


@pytest.fixture
def codes(tv):
    return begin(tv)


def begin(tv, **more):
    body = {"client_id": "tv", "scope": "openid profile offline_access", **more}
    answer = tv.browser.post("/oauth/device/code", body)
    assert answer.status_code == 200, answer.content
    return answer.json()


def poll(tv, codes, patient=True, **more):
    if patient:
        DeviceRequest.objects.update(asked_at=None)
    return tv.token(grant_type=DEVICE_CODE, device_code=codes["device_code"], **more)


def answer(phone, codes, do="allow"):
    return send_device_code(phone, codes["user_code"], do)


def error(response):
    return response.status_code, response.json()["error"]


def test_a_device_gets_tokens_after_its_code_was_allowed(tv, phone, codes, customer):
    before = poll(tv, codes)
    question = phone.post("/activate", {"user_code": codes["user_code"].lower().replace("-", " ")})
    done = answer(phone, codes)
    tokens = poll(tv, codes).json()

    assert error(before) == (400, "authorization_pending")
    assert "Connect Shop TV?" in question.content.decode()
    assert "Your device is connected" in done.content.decode()
    assert verify(tokens["id_token"], "tv")["sub"] == customer.user_id
    assert tv.refresh(tokens["refresh_token"]).status_code == 200


def test_yes_to_a_third_party_device_is_kept_with_its_words_and_ends_with_its_withdrawal(tv, phone, codes, customer):
    Client.objects.filter(pk="tv").update(first_party=False)
    answer(phone, codes)
    tokens = poll(tv, codes).json()

    kept = AppGrant.objects.get(client="tv")
    asked = ["offline_access", "openid", "profile"]
    assert (kept.profile, kept.audience, kept.scopes, kept.locale) == (customer, "", asked, "en")
    assert "stay connected when you are away" in kept.words
    withdraw_consents(AppGrant.objects.all())
    assert error(tv.refresh(tokens["refresh_token"])) == (400, "invalid_grant")


def test_device_of_our_own_company_and_a_refused_one_keep_no_consent(tv, phone, codes):
    answer(phone, codes)
    Client.objects.filter(pk="tv").update(first_party=False)
    answer(phone, begin(tv), "refuse")
    assert not AppGrant.objects.exists()


def test_third_party_device_keeps_the_consent_after_a_question(tv, phone, codes, customer):
    Client.objects.filter(pk="tv").update(first_party=False)
    save_question(LOOKING_FOR)
    away = answer(phone, codes)
    assert not AppGrant.objects.exists()
    back = phone.post(away["Location"], {"do": "pass"})
    phone.get(back["Location"])
    assert AppGrant.objects.filter(client="tv").exists()


def test_the_codes_are_as_the_standard_has_them(codes):
    assert len(codes["user_code"]) == 9
    assert codes["user_code"][4] == "-"
    assert codes["verification_uri_complete"] == f"{codes['verification_uri']}?user_code={codes['user_code']}"
    assert (codes["expires_in"], codes["interval"]) == (900, 5)


def test_a_device_that_polls_too_often_gets_slow_down(tv, codes):
    poll(tv, codes)
    first, second = poll(tv, codes, patient=False), poll(tv, codes, patient=False)

    assert error(first) == error(second) == (400, "slow_down")
    assert DeviceRequest.objects.get().interval == 15


def test_a_denied_device_gets_no_tokens(tv, phone, codes):
    page = answer(phone, codes, do="refuse")

    assert "Your device is not connected" in page.content.decode()
    assert error(poll(tv, codes)) == (400, "access_denied")


def test_device_code_and_user_code_are_good_once(tv, phone, codes):
    answer(phone, codes)
    poll(tv, codes)

    assert error(poll(tv, codes)) == (400, "invalid_grant")
    assert answer(phone, codes).status_code == 400


def test_a_code_runs_out(tv, phone, codes):
    DeviceRequest.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))

    assert error(poll(tv, codes)) == (400, "expired_token")
    assert answer(phone, codes).status_code == 400


def test_a_code_of_one_device_is_nothing_to_another_app(tv, phone, codes):
    make_client("radio", auth_method="none", secret_hash="", grant_types=[DEVICE_CODE])
    answer(phone, codes)

    assert error(poll(tv, codes, client_id="radio")) == (400, "invalid_grant")
    assert poll(tv, codes).status_code == 200


def test_without_a_session_sign_in_comes_first_and_keeps_the_code(phone, codes):
    away = Browser().get("/activate", {"user_code": codes["user_code"]})
    page = phone.get("/activate", {"user_code": codes["user_code"]})

    assert away["Location"].startswith("/login?next=%2Factivate%3Fuser_code%3D")
    assert f'value="{codes["user_code"]}"' in page.content.decode()
    assert DeviceRequest.objects.get().state == "waiting"


def test_a_page_of_another_site_cannot_allow_a_device(phone, codes, tv):
    strict = Browser(enforce_csrf_checks=True)
    strict.cookies = phone.cookies

    assert answer(strict, codes).status_code == 403
    assert error(poll(tv, codes))[1] == "authorization_pending"


def test_guessing_codes_ends_soon(phone, codes):
    wrong = [phone.post("/activate", {"user_code": "BBBB-BBBB"}).status_code for _ in range(10)]

    assert set(wrong) == {400}
    assert answer(phone, codes).status_code == 429


@pytest.mark.parametrize(
    ("script", "words"), [(REFUSE, "Not on oauth2-device-code"), (TO_A_PAGE, "must show you a page")]
)
def test_rules_decide_here_too(tv, phone, codes, script, words):
    save_rule("strict", script=script)
    page = answer(phone, codes)

    assert words in page.content.decode()
    assert error(poll(tv, codes)) == (400, "access_denied")


def logins(customer):
    customer.refresh_from_db()
    return customer.logins_count, [event.name for event in timeline(customer.pk)].count("Signed In")


def test_it_is_a_login_like_every_other_and_counts_once(tv, phone, codes, customer):
    for _ in range(2):
        answer(phone, codes)
    poll(tv, codes)

    assert logins(customer) == (1, 1)


def test_of_two_answers_at_once_the_second_leaves_nothing_behind(tv, phone, codes, customer, monkeypatch):
    """The device was answered between finding it and deciding."""
    allow = use_case.allow_device
    monkeypatch.setattr(use_case, "allow_device", lambda *more: allow(*more) and allow(*more))
    second = answer(phone, codes)

    assert second.status_code == 400
    assert logins(customer) == (0, 0)


def test_a_question_is_asked_and_the_device_continues_afterwards(tv, phone, codes, customer):
    save_question(LOOKING_FOR)
    away = answer(phone, codes)
    before = poll(tv, codes)
    page = phone.get(away["Location"])
    back = phone.post(away["Location"], {"do": "pass"})
    done = phone.get(back["Location"])
    after = poll(tv, codes)

    assert away["Location"].startswith("/question?impression=")
    assert error(before) == (400, "authorization_pending")
    assert "What do you look for?" in page.content.decode()
    assert "Your device is connected" in done.content.decode()
    assert after.status_code == 200
    assert logins(customer) == (1, 1)
    assert Impression.objects.count() == 1


def test_only_the_session_that_allowed_it_resumes_after_the_question(tv, phone, codes, customer):
    """The address alone connects nothing: not in a session that allowed nothing, not twice."""
    save_question(LOOKING_FOR)
    back = query_of(answer(phone, codes)["Location"])["next"]
    other = Browser()
    sign_in(other, customer)
    page = other.get(back)
    first, again = phone.get(back), phone.get(back)

    assert "The code on your device" in page.content.decode()
    assert "Your device is connected" in first.content.decode()
    assert "The code on your device" in again.content.decode()
    assert logins(customer) == (1, 1)


def test_a_customer_blocked_meanwhile_gets_nothing(tv, phone, codes, customer):
    answer(phone, codes)
    customer.blocked = True
    customer.save(update_fields=["blocked"])

    assert error(poll(tv, codes)) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"client_id": "unknown"}, (401, "invalid_client")),
        ({"client_id": "shop"}, (401, "invalid_client")),
        ({"audience": "https://nowhere.example/"}, (400, "access_denied")),
    ],
)
def test_not_every_app_is_a_device(tv, app, change, wanted):
    assert error(tv.browser.post("/oauth/device/code", {"client_id": "tv", **change})) == wanted


def test_an_app_for_browsers_is_no_device(signed_in):
    body = {"client_id": "shop", "client_secret": signed_in.secret}

    assert error(signed_in.browser.post("/oauth/device/code", body)) == (400, "unauthorized_client")
    assert error(signed_in.token(grant_type=DEVICE_CODE, device_code="x")) == (400, "unauthorized_client")


def test_codes_are_stored_as_hashes_only(codes):
    kept = str(DeviceRequest.objects.values())

    assert codes["device_code"] not in kept
    assert codes["user_code"] not in kept
