"""New sign-ins, silent logins, consent, questions and pages of rules: every login ends at the app, once."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace

import pytest
from django.test import Client as Browser
from django.utils import timezone

from regulars.accounts.models import Account
from regulars.base.tokens.jwt import sign
from regulars.clients.models import Client, ResourceServer
from regulars.oauth.models import AppGrant, PendingLogin, SessionClient
from regulars.profiles.find import get_or_create_by_identity
from regulars.questions.models import Impression
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.rules.models import RuleRun
from regulars.rules.save import save_rule
from regulars.usecases.merge import merge
from tests.notices import hidden_fields, send_page
from tests.oidc.app import App, came_back, id_claims, make_client, message_of, query_of, sign_in

LOOKING_FOR = QuestionDraft(
    "looking_for", "What do you look for?", "To show it first.", "single_choice", "looking_for", "personalise",
    (AnswerOption("jackets", "Jackets"), AnswerOption("shoes", "Shoes")), enabled=True,
)  # fmt: skip
TO_OUR_PAGE = """function (user, context, callback) {
  if (context.protocol !== 'redirect-callback') context.redirect = { url: 'https://shop.example/terms?v=2' };
  else context.idToken['https://shop.example/accepted'] = context.request.query.accepted || context.request.body.accepted;
  callback(null, user, context);
}"""


@pytest.fixture
def question(standard_setup):
    return save_question(LOOKING_FOR)


@pytest.fixture
def partner(client, customer) -> App:
    """A third-party app in Chika's browser."""
    make_client("partner", name="Bikes & Co", first_party=False)
    sign_in(client, customer)
    return App(client, "partner")


# Silent


def test_a_silent_login_never_shows_a_page(app, customer, question):
    anonymous = app.answer(prompt="none")
    sign_in(app.browser, customer)

    assert (anonymous["error"], anonymous["state"]) == ("login_required", "s1")
    assert "code" in app.answer(prompt="none")
    assert not Impression.objects.exists()


@pytest.mark.parametrize("wish", [{"ask": "0"}, {"acr_values": "mfa"}])
def test_an_app_that_asks_by_itself_and_a_step_up_bring_no_question(app, customer, question, wish):
    sign_in(app.browser, customer, method="mfa", type="totp")

    assert "code" in app.answer(**wish)
    assert not Impression.objects.exists()
    assert app.authorize()["Location"].startswith("/question?")


@pytest.mark.parametrize(
    ("asked", "browser", "locale"),
    [({}, "de-AT,de;q=0.9", "de"), ({"ui_locales": "es de"}, "de", "es"), ({}, "nl", "en"), ({}, "", "en")],
)
def test_the_question_is_in_the_language_of_the_pages_before(app, customer, standard_setup, asked, browser, locale):
    words = {"text": "?", "why": "!", "options": {"jackets": "J", "shoes": "S"}}
    save_question(replace(LOOKING_FOR, translations={"de": words, "es": words}))
    sign_in(app.browser, customer)
    app.browser.get(app.address(**asked), headers={"Accept-Language": browser})

    assert Impression.objects.get().locale == locale


def test_a_rules_own_page_between_does_not_make_an_app_that_asks_by_itself_ask(app, customer, question):
    save_rule("terms", script=TO_OUR_PAGE)
    sign_in(app.browser, customer)
    away = app.authorize(ask="0")
    back = app.browser.get("/continue", {"state": query_of(away["Location"])["state"], "accepted": "v2"})

    assert "code" in came_back(back)
    assert not Impression.objects.exists()


def test_a_silent_login_counts_as_the_same_visit(signed_in, customer):
    signed_in.code()
    signed_in.code(prompt="none")
    customer.refresh_from_db()

    assert customer.logins_count == 1


def test_a_silent_login_that_a_rule_sends_away_needs_interaction(signed_in):
    save_rule("terms", script=TO_OUR_PAGE)

    assert signed_in.answer(prompt="none")["error"] == "interaction_required"
    assert not PendingLogin.objects.exists()


# Fresh


@pytest.mark.parametrize(
    "wish", [{"prompt": "login"}, {"max_age": "0"}, {"max_age": "3600"}, {"prompt": "select_account"}]
)
def test_an_old_session_signs_in_anew_and_is_recognised_afterwards(app, customer, wish):
    sign_in(app.browser, customer, at=time.time() - 7200)
    away = app.authorize(**wish)
    sent = query_of(away["Location"])
    sign_in(app.browser, customer)
    back = came_back(app.browser.get(sent["next"]))
    claims = id_claims(app.exchange(back["code"]).json())

    assert away["Location"].startswith("/login?")
    assert sent["prompt"] == "login"
    assert claims["auth_time"] >= time.time() - 60


def test_returning_without_a_new_sign_in_causes_no_redirect_loop(app, customer):
    sign_in(app.browser, customer, at=time.time() - 7200)
    next_ = query_of(app.authorize(prompt="login")["Location"])["next"]

    assert came_back(app.browser.get(next_))["error"] == "login_required"


def test_a_session_young_enough_is_taken_as_it_is(app, customer):
    sign_in(app.browser, customer, at=time.time() - 60)

    assert "code" in app.answer(max_age="3600")
    assert app.answer(max_age="30", prompt="none")["error"] == "login_required"


@pytest.mark.parametrize("seconds", ["10000000000", "9" * 25, "0" * 30 + "3600", "9" * 4000])
def test_a_max_age_of_any_length_is_a_number(app, customer, seconds):
    sign_in(app.browser, customer, at=time.time() - 60)

    assert "code" in app.answer(max_age=seconds)


@pytest.mark.parametrize("seconds", ["-1", "+60", "1e9", "60.0", "٣", " 60", "0x1"])
def test_a_max_age_that_is_no_number_of_seconds_is_refused(signed_in, seconds):
    assert signed_in.answer(max_age=seconds)["error"] == "invalid_request"


def test_a_max_age_of_many_zeros_is_zero(app, customer):
    sign_in(app.browser, customer, at=time.time() - 60)

    assert app.answer(max_age="0" * 30, prompt="none")["error"] == "login_required"


def test_a_second_factor_is_in_the_id_token(app, customer):
    sign_in(app.browser, customer, method="mfa", type="totp")
    claims = id_claims(app.tokens())

    assert claims["amr"] == ["mfa", "otp"]
    assert claims["acr"].endswith("multi-factor")


# Consent


def test_consent_to_a_third_party_app_is_asked_once_and_remembered(partner, customer):
    page = partner.browser.get(partner.authorize()["Location"])
    where = page.request["PATH_INFO"] + "?" + page.request["QUERY_STRING"]
    allowed = send_page(partner.browser, where, {"do": "allow"})

    assert "Let Bikes &amp; Co in?" in page.content.decode()
    assert "see your e-mail address" in page.content.decode()
    assert "code" in came_back(allowed)
    assert AppGrant.objects.get().scopes == ["email", "openid", "profile"]
    assert "code" in partner.answer(prompt="none")


@pytest.mark.parametrize(
    "reworded",
    [
        lambda: Client.objects.filter(pk="partner").update(name="Bikes & Sons"),
        lambda: ResourceServer.objects.update(scope_words={"read:orders": "Read and sell your orders"}),
    ],
    ids=["app", "scope"],
)
def test_consent_to_an_app_that_reads_differently_meanwhile_is_asked_for_again(partner, orders, reworded):
    where = partner.authorize(scope="openid read:orders", audience=orders.identifier)["Location"]
    form = {**hidden_fields(partner.browser.get(where).content.decode()), "do": "allow"}
    reworded()

    again = partner.browser.post(where, form)

    page = again.content.decode()
    assert (again.status_code, AppGrant.objects.exists()) == (409, False)
    assert "This changed since you opened the page. Please read it again." in page
    assert "Bikes &amp; Sons" in page or "Read and sell your orders" in page
    assert "code" in came_back(partner.browser.post(where, {**form, **hidden_fields(page)}))
    grant = AppGrant.objects.get()
    assert (grant.locale, all(line in page for line in grant.words.splitlines())) == ("en", grant.words != "")


def test_no_means_no(partner):
    where = partner.authorize()["Location"]
    refused = came_back(partner.browser.post(where, {"do": "refuse"}))

    assert refused["error"] == "access_denied"
    assert not AppGrant.objects.exists()
    assert not PendingLogin.objects.exists()


def test_consent_cannot_be_had_silently_and_not_from_what_another_app_was_allowed(partner, customer):
    make_client("other", first_party=False)
    send_page(partner.browser, partner.authorize()["Location"], {"do": "allow"})

    assert App(partner.browser, "other").answer(prompt="none")["error"] == "consent_required"


def test_more_than_was_allowed_is_asked_for_again(partner, orders):
    send_page(partner.browser, partner.authorize(scope="openid")["Location"], {"do": "allow"})

    assert "code" in partner.answer(scope="openid", prompt="none")
    assert partner.answer(scope="openid email", prompt="none")["error"] == "consent_required"
    assert partner.answer(scope="openid", audience=orders.identifier, prompt="none")["error"] == "consent_required"


def test_prompt_consent_asks_although_it_is_remembered(partner):
    send_page(partner.browser, partner.authorize()["Location"], {"do": "allow"})
    again = partner.authorize(prompt="consent")

    assert again["Location"].startswith("/authorize/consent?")
    assert "code" in came_back(send_page(partner.browser, again["Location"], {"do": "allow"}))


def test_another_browser_cannot_answer_the_consent_page(partner, customer):
    where = partner.authorize()["Location"]
    thief = Browser()
    sign_in(thief, customer)

    assert thief.post(where, {"do": "allow"}).status_code == 400
    assert not AppGrant.objects.exists()


def test_an_answer_forged_by_a_foreign_page_does_not_count(partner):
    where = partner.authorize()["Location"]
    strict = Browser(enforce_csrf_checks=True)
    strict.cookies = partner.browser.cookies

    assert strict.post(where, {"do": "allow"}).status_code == 403
    assert not AppGrant.objects.exists()


# Questions


def test_a_live_session_is_asked_and_goes_on_to_the_app_with_its_answer(signed_in, customer, question):
    away = signed_in.authorize()
    sent = query_of(away["Location"])
    page = signed_in.browser.get(away["Location"])
    answered = send_page(signed_in.browser, away["Location"], {"answer": "shoes"})
    back = came_back(signed_in.browser.get(answered["Location"]))

    assert away["Location"].startswith("/question?impression=")
    assert sent["next"].startswith("/authorize?")
    assert "What do you look for?" in page.content.decode()
    assert (back["state"], "code" in back) == ("s1", True)
    assert "code" in signed_in.answer()


def test_an_ignored_question_does_not_stop_the_login(signed_in, question):
    sent = query_of(signed_in.authorize()["Location"])

    assert "code" in came_back(signed_in.browser.get(sent["next"]))


def test_a_way_back_is_good_once_and_then_begins_anew(signed_in, question, customer):
    sent = query_of(signed_in.authorize()["Location"])
    signed_in.browser.get(sent["next"])
    again = signed_in.browser.get(sent["next"])

    assert again["Location"].startswith("/question?")
    assert PendingLogin.objects.count() == 1


def test_decisions_for_one_customer_do_not_count_for_the_next_in_the_browser(signed_in, question):
    save_rule(
        "who", script="function (u, c, cb) { c.idToken['https://shop.example/who'] = u.user_id; cb(null, u, c); }"
    )
    sent = query_of(signed_in.authorize()["Location"])
    dov, _ = get_or_create_by_identity("auth0", "dov", connection="Username-Password-Authentication")
    dov.account = Account.objects.create_user(email="dov@example.com")
    dov.save()
    sign_in(signed_in.browser, dov)
    asked = signed_in.browser.get(sent["next"])
    back = came_back(signed_in.browser.get(query_of(asked["Location"])["next"]))
    claims = id_claims(signed_in.exchange(back["code"]).json())

    assert (claims["sub"], claims["https://shop.example/who"]) == ("auth0|dov", "auth0|dov")


# A rule's own page


def test_a_rule_redirects_to_its_page_and_rules_run_again_on_return(signed_in):
    save_rule("terms", script=TO_OUR_PAGE)
    away = signed_in.authorize()
    state = query_of(away["Location"])["state"]
    back = came_back(signed_in.browser.get("/continue", {"state": state, "accepted": "yes"}))
    claims = id_claims(signed_in.exchange(back["code"]).json())

    assert away["Location"].startswith("https://shop.example/terms?v=2&state=")
    assert claims["https://shop.example/accepted"] == "yes"
    assert RuleRun.objects.count() == 2


def test_an_action_resumes_after_its_redirect_with_the_requested_scopes(signed_in):
    save_rule(
        "form",
        script="""
exports.onExecutePostLogin = async (event, api) => { api.redirect.sendUserTo('https://shop.example/size'); };
exports.onContinuePostLogin = async (event, api) => {
  api.idToken.setCustomClaim('https://shop.example/size', event.request.query.size);
  api.accessToken.addScope('read:gold');
};""",
    )
    save_rule("late", script="function (u, c, cb) { c.idToken['https://shop.example/late'] = 1; cb(null, u, c); }")
    away = signed_in.authorize()
    state = query_of(away["Location"])["state"]
    back = came_back(signed_in.browser.get("/continue", {"state": state, "size": "M"}))
    tokens = signed_in.exchange(back["code"]).json()
    claims = id_claims(tokens)

    assert away["Location"].startswith("https://shop.example/size?state=")
    assert (claims["https://shop.example/size"], claims["https://shop.example/late"]) == ("M", 1)
    assert set(tokens["scope"].split()) == {"openid", "profile", "email", "read:gold"}
    assert [run.effects["redirect_by"] for run in RuleRun.objects.order_by("id")] == ["form", ""]


def test_what_the_page_posts_reaches_the_rules_although_its_cookies_do_not_travel(signed_in):
    save_rule("terms", script=TO_OUR_PAGE)
    state = query_of(signed_in.authorize()["Location"])["state"]
    posted = Browser().post(f"/continue?state={state}", {"accepted": "by post"})
    back = came_back(signed_in.browser.get(posted["Location"]))

    assert posted.status_code == 303
    assert id_claims(signed_in.exchange(back["code"]).json())["https://shop.example/accepted"] == "by post"


def test_what_no_database_can_store_reaches_the_rules_as_a_mark_in_its_place(signed_in):
    save_rule("terms", script=TO_OUR_PAGE)
    state = query_of(signed_in.authorize()["Location"])["state"]
    posted = Browser().post(f"/continue?state={state}", {"accepted": "by\0post", "\0": ""})
    back = came_back(signed_in.browser.get(posted["Location"]))

    assert id_claims(signed_in.exchange(back["code"]).json())["https://shop.example/accepted"] == "by\ufffdpost"


@pytest.mark.parametrize("how", ["wrong", "missing", "used", "old", "of another browser"])
def test_a_state_that_does_not_wait_here_is_refused(signed_in, how, customer):
    save_rule("terms", script=TO_OUR_PAGE)
    state = query_of(signed_in.authorize()["Location"])["state"]
    browser = signed_in.browser
    if how == "used":
        browser.get("/continue", {"state": state})
    if how == "old":
        PendingLogin.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    if how == "of another browser":
        browser = Browser()
        sign_in(browser, customer)
    answer = browser.get("/continue", {"state": {"wrong": "x", "missing": ""}.get(how, state)})

    assert answer.status_code == 400
    assert "invalid_request" in answer.content.decode()


def test_a_visit_of_a_rules_page_does_not_count_for_the_next_customer(signed_in):
    save_rule("terms", script=TO_OUR_PAGE)
    state = query_of(signed_in.authorize()["Location"])["state"]
    dov, _ = get_or_create_by_identity("auth0", "dov", connection="Username-Password-Authentication")
    dov.account = Account.objects.create_user(email="dov@example.com")
    dov.save()
    sign_in(signed_in.browser, dov)

    assert signed_in.browser.get("/continue", {"state": state})["Location"].startswith("https://shop.example/terms")


def test_signing_out_on_the_way_does_not_get_round_a_rules_page(signed_in, customer):
    save_rule("terms", script=TO_OUR_PAGE)
    state = query_of(signed_in.authorize()["Location"])["state"]
    signed_in.browser.get("/v2/logout")
    login = signed_in.browser.get("/continue", {"state": state})
    sign_in(signed_in.browser, customer)
    back = signed_in.browser.get(query_of(login["Location"])["next"])

    assert login["Location"].startswith("/login?")
    assert back["Location"].startswith("https://shop.example/terms")


def test_an_app_changed_during_the_consent_page_gets_nothing(partner):
    where = partner.authorize()["Location"]
    Client.objects.filter(pk="partner").update(redirect_uris=[])

    assert partner.browser.get(where).status_code == 400


def test_rules_run_once_although_a_question_interrupts_the_login(signed_in, question):
    save_rule(
        "count",
        script="function (u, c, cb) { c.idToken['https://shop.example/n'] = c.stats.loginsCount; cb(null, u, c); }",
    )
    sent = query_of(signed_in.authorize()["Location"])
    back = came_back(signed_in.browser.get(sent["next"]))
    claims = id_claims(signed_in.exchange(back["code"]).json())

    assert RuleRun.objects.count() == 1
    assert claims["https://shop.example/n"] == 1


def test_a_denial_of_a_rule_reaches_the_app(signed_in):
    save_rule("no", script="function (u, c, cb) { cb(new UnauthorizedError('Only friends.')); }")
    answer = signed_in.answer()

    assert (answer["error"], answer["error_description"]) == ("unauthorized", "Only friends.")


def test_a_rule_may_deny_a_refresh_and_the_token_stays_usable(signed_in):
    token = signed_in.tokens(scope="openid offline_access")["refresh_token"]
    rule = save_rule(
        "no",
        script="function (u, c, cb) { cb(c.protocol === 'oauth2-refresh-token' ? new UnauthorizedError('Not now.') : null, u, c); }",
    )
    refused = signed_in.refresh(token)
    rule.enabled = False
    rule.save()

    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized")
    assert signed_in.refresh(token).status_code == 200


# How the answer travels


def test_the_answer_travels_in_the_fragment_in_a_form_or_as_a_message(signed_in):
    fragment = signed_in.authorize(response_mode="fragment")["Location"]
    form = signed_in.authorize(response_mode="form_post")
    message, origin = message_of(signed_in.authorize(response_mode="web_message", prompt="none"))

    assert fragment.startswith("https://shop.example/callback#code=")
    assert 'action="https://shop.example/callback"' in form.content.decode()
    assert 'name="code"' in form.content.decode()
    assert message["type"] == "authorization_response"
    assert set(message["response"]) == {"code", "state", "iss"}
    assert origin == "https://shop.example"


def test_only_the_app_may_frame_the_message_and_no_other_page(signed_in):
    message = signed_in.authorize(response_mode="web_message")
    form = signed_in.authorize(response_mode="form_post")

    assert "X-Frame-Options" not in message
    assert "frame-ancestors https://shop.example" in message["Content-Security-Policy"]
    assert form["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in form["Content-Security-Policy"]


def test_a_silent_no_is_a_message_too(app):
    message, _ = message_of(app.authorize(response_mode="web_message", prompt="none"))

    assert message["response"]["error"] == "login_required"


def test_an_app_on_a_phone_gets_its_own_scheme_back(client, customer):
    make_client("phone", auth_method="none", redirect_uris=["com.example.shop://callback"])
    sign_in(client, customer)
    response = App(client, "phone").authorize(redirect_uri="com.example.shop://callback")

    assert response["Location"].startswith("com.example.shop://callback?code=")


# A hint of whom the app expects


def hint_of(customer) -> str:
    return sign({"sub": customer.user_id, "aud": "shop"})


def test_silent_request_with_a_hint_of_another_customer_is_refused(signed_in, customer):
    dov, _ = get_or_create_by_identity("google-oauth2", "2002")

    assert signed_in.answer(prompt="none", id_token_hint=hint_of(dov))["error"] == "login_required"
    assert "code" in signed_in.answer(prompt="none", id_token_hint=hint_of(customer))


def test_request_with_a_hint_of_another_customer_asks_for_a_login(signed_in):
    dov, _ = get_or_create_by_identity("google-oauth2", "2002")
    away = signed_in.authorize(id_token_hint=hint_of(dov))["Location"]

    assert away.startswith("/login?")
    assert query_of(away)["prompt"] == "login"


def test_hint_of_a_merged_customer_names_the_customer_of_today(signed_in, customer):
    old, _ = get_or_create_by_identity("google-oauth2", "2002")
    hint = hint_of(old)
    merge(old, into=customer)

    assert "code" in signed_in.answer(prompt="none", id_token_hint=hint)


@pytest.mark.parametrize("hint", ["nonsense", "a.b.c"])
def test_unreadable_hint_names_no_customer(signed_in, hint):
    assert "code" in signed_in.answer(prompt="none", id_token_hint=hint)


# Signing out


def test_the_apps_of_a_session_are_remembered_until_it_ends(signed_in):
    make_client("other")
    sid = id_claims(signed_in.tokens())["sid"]
    again = id_claims(App(signed_in.browser, "other").tokens())["sid"]

    assert sid == again
    assert sorted(SessionClient.objects.values_list("client_id", flat=True)) == ["other", "shop"]

    signed_in.browser.get("/v2/logout")

    assert not SessionClient.objects.filter(ended_at=None).exists()


def test_openid_logout_with_the_sessions_own_token_is_done_at_once(signed_in):
    hint = signed_in.tokens()["id_token"]
    where = {"id_token_hint": hint, "post_logout_redirect_uri": "https://shop.example/", "state": "bye"}
    response = signed_in.browser.get("/oidc/logout", where)

    assert response["Location"] == "https://shop.example/?state=bye"
    assert signed_in.answer(prompt="none")["error"] == "login_required"


def test_openid_logout_without_a_hint_asks_first(signed_in):
    page = signed_in.browser.get("/oidc/logout", {"client_id": "shop"})
    still_in = signed_in.answer(prompt="none")
    signed_in.browser.post("/oidc/logout?client_id=shop", {"do": "sign-out"})

    assert "Sign out?" in page.content.decode()
    assert "code" in still_in
    assert signed_in.answer(prompt="none")["error"] == "login_required"


@pytest.mark.parametrize(
    "path", ["/v2/logout?client_id=shop&returnTo=", "/oidc/logout?client_id=shop&post_logout_redirect_uri="]
)
def test_logout_redirects_to_registered_addresses_only(app, path):
    response = app.browser.get(path + "https://evil.example/")

    assert response.status_code == 400
    assert "evil.example" not in response.content.decode()


def test_without_an_app_any_apps_address_will_do(signed_in):
    response = signed_in.browser.get("/v2/logout", {"returnTo": "https://shop.example/"})

    assert response["Location"] == "https://shop.example/"


def test_field_that_a_rule_deletes_from_the_user_is_in_no_answer_to_that_app(signed_in):
    save_rule("hides", script="function (u, c, cb) { if (c.clientID === 'shop') delete u.name; cb(null, u, c); }")
    tokens = signed_in.tokens(scope="openid profile email offline_access")
    info = signed_in.browser.get("/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"}).json()
    renewed = signed_in.refresh(tokens["refresh_token"]).json()
    assert id_claims(tokens)["email"] == info["email"] == "chika@example.com"
    assert "name" not in id_claims(tokens).keys() | info.keys() | id_claims(renewed).keys()

    make_client("till")
    other = App(signed_in.browser, "till").tokens()

    assert id_claims(other)["name"] == "Chika Okafor"
