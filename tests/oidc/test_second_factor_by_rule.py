"""A rule's demand for a second factor holds on every way to tokens, and one factor never passes it."""

from __future__ import annotations

import pytest

from regulars.accounts.factors import authenticator_codes
from regulars.accounts.models import Account
from regulars.clients.models import Client
from regulars.connections.models import Connection
from regulars.interfaces.account.security import SECRET
from regulars.oauth.grant import DEVICE_CODE, PASSWORDLESS_OTP
from regulars.oauth.models import DeviceRequest, PendingLogin
from regulars.profiles.find import get_or_create_by_identity
from regulars.questions.models import Impression
from regulars.questions.save import save_question
from regulars.rules.models import Rule, RuleRun
from regulars.rules.save import save_rule
from tests.login.device import code_of
from tests.notices import send_device_code, send_page
from tests.oidc.app import App, came_back, id_claims, make_client, query_of, sign_in
from tests.oidc.test_interactions import LOOKING_FOR
from tests.oidc.test_otp import redeem, start
from tests.oidc.test_rules_see_answer import MARKED
from tests.oidc.test_step_up import MULTI_FACTOR, follow, links_of, with_second_factor

ANY = "{ provider: 'any', allowRememberBrowser: false }"
DENIED = "unmet_authentication_requirements"


def rule(value: str = ANY) -> str:
    return f"""function (user, context, callback) {{
  context.idToken['https://shop.example/tier'] = 'gold';
  context.multifactor = {value};
  callback(null, user, context);
}}"""


def action(calls: str) -> str:
    return f"exports.onExecutePostLogin = async (event, api) => {{ {calls} }};"


@pytest.fixture
def demanding(signed_in, customer) -> App:
    """The shop in Chika's browser, who showed one factor; a rule demands two."""
    save_rule("two factors", script=rule())
    return signed_in


@pytest.mark.parametrize(
    "script",
    [
        rule(),
        rule("{ provider: 'guardian', allowRememberBrowser: true }"),
        rule("true"),
        action("api.multifactor.enable('any', { allowRememberBrowser: false });"),
        action("api.authentication.challengeWith({ type: 'otp' });"),
        action("api.authentication.challengeWithAny([{ type: 'otp' }, { type: 'phone' }]);"),
        action("if (!event.user.enrolledFactors.length) api.authentication.enrollWith({ type: 'otp' });"),
    ],
)
def test_demand_stops_one_factor_and_lets_two_through(signed_in, customer, script):
    save_rule("two factors", script=script)
    away = signed_in.authorize()["Location"]
    with_second_factor(signed_in, customer)

    assert away.startswith("/second-factor?demanded=1&next=%2Fauthorize")
    assert id_claims(signed_in.tokens())["acr"] == MULTI_FACTOR


@pytest.mark.parametrize(
    "value", ["false", "undefined", "null", "''", "{}", "{ provider: undefined }", "{ provider: 'none' }"]
)
def test_empty_value_demands_nothing(signed_in, value):
    save_rule("two factors", script=rule(value))

    assert "mfa" not in id_claims(signed_in.tokens())["amr"]


def test_customer_sets_one_up_and_the_login_goes_on_as_rules_decided(demanding, customer):
    page, url = follow(demanding.browser, demanding.address())
    back, _ = follow(
        demanding.browser, demanding.browser.post(url, {"code": code_of(demanding.browser.session[SECRET])})["Location"]
    )
    claims = id_claims(
        demanding.exchange(came_back(demanding.browser.get(links_of(back)["I have kept them"]))["code"]).json()
    )
    customer.refresh_from_db()

    assert url.startswith("/me/security/app?")
    assert "Not now" not in page.content.decode()
    assert (claims["acr"], claims["https://shop.example/tier"]) == (MULTI_FACTOR, "gold")
    assert (customer.logins_count, RuleRun.objects.count()) == (1, 1)
    assert RuleRun.objects.get().effects["second_factor"] is True
    assert not PendingLogin.objects.exists()


def test_customer_who_has_an_authenticator_app_types_its_code(demanding, customer):
    authenticator_codes.add_app(customer.account, secret := authenticator_codes.new_secret(), code_of(secret))
    page, url = follow(demanding.browser, demanding.address())
    back = demanding.browser.post(url, {"code": code_of(secret, 1)})
    claims = id_claims(demanding.exchange(came_back(demanding.browser.get(back["Location"]))["code"]).json())

    assert "Not now" not in links_of(page)
    assert {"fed", "mfa", "otp"} <= set(claims["amr"])


def test_customer_who_comes_back_without_gets_no_code(demanding, customer):
    page, _ = follow(demanding.browser, demanding.address())
    answer = came_back(demanding.browser.get(links_of(page)["Back to the app"]))
    customer.refresh_from_db()

    assert (answer["error"], answer["state"]) == (DENIED, "s1")
    assert customer.logins_count == 0
    assert not PendingLogin.objects.exists()


@pytest.mark.parametrize("more", [{}, {"prompt": "login"}, {"max_age": "60"}, {"acr_values": "mfa"}])
def test_customer_who_signs_in_first_is_asked_afterwards(app, customer, more):
    save_rule("two factors", script=rule())
    login = query_of(app.authorize(**more)["Location"])["next"]
    sign_in(app.browser, customer)
    away = app.browser.get(login)["Location"]
    refused = came_back(app.browser.get(query_of(away)["next"]))

    assert away.startswith("/second-factor?demanded=1&next=")
    assert refused["error"] == DENIED


def test_another_customer_who_comes_back_is_asked_for_their_own(demanding):
    next_ = query_of(demanding.authorize()["Location"])["next"]
    dov, _ = get_or_create_by_identity("auth0", "dov")
    dov.account = Account.objects.create_user(email="dov@example.com")
    dov.save(update_fields=["account"])
    sign_in(demanding.browser, dov)
    away = demanding.browser.get(next_)["Location"]
    refused = came_back(demanding.browser.get(query_of(away)["next"]))

    assert away.startswith("/second-factor?demanded=1&next=")
    assert refused["error"] == DENIED
    assert RuleRun.objects.count() == 2


def test_silent_login_needs_interaction(demanding, customer):
    answer = demanding.answer(prompt="none")
    with_second_factor(demanding, customer)

    assert answer["error"] == "interaction_required"
    assert answer["error_description"] == "Multifactor authentication required"
    assert "code" in demanding.answer(prompt="none")


@pytest.mark.parametrize("response_type", ["id_token", "code id_token"])
def test_tokens_of_the_front_channel_wait_as_well(demanding, response_type):
    Client.objects.update(grant_types=["authorization_code", "implicit"])

    assert demanding.authorize(response_type=response_type)["Location"].startswith("/second-factor?")


def test_refresh_token_of_one_factor_is_refused_and_stays(client, customer, standard_setup):
    make_client()
    app = App(client, standard={"scope": "openid offline_access"})
    sign_in(client, customer)
    weak = app.tokens()["refresh_token"]
    with_second_factor(app, customer)
    strong = app.tokens()["refresh_token"]
    save_rule("two factors", script=rule())
    refused = app.refresh(weak)
    passed = app.refresh(strong)
    Rule.objects.update(enabled=False)

    assert (refused.status_code, refused.json()["error"]) == (400, "mfa_required")
    assert passed.status_code == 200
    assert app.refresh(weak).status_code == 200


def test_device_gets_tokens_after_two_factors_only(client, customer, standard_setup):
    make_client(grant_types=[DEVICE_CODE])
    app = App(client)
    sign_in(client, customer)
    save_rule("two factors", script=rule())
    codes = client.post("/oauth/device/code", {"client_id": "shop", "client_secret": app.secret}).json()
    away = [send_device_code(client, codes["user_code"])["Location"] for _ in range(2)]
    early = app.token(grant_type=DEVICE_CODE, device_code=codes["device_code"]).json()
    with_second_factor(app, customer)
    send_device_code(client, codes["user_code"])
    DeviceRequest.objects.update(asked_at=None)
    customer.refresh_from_db()

    for each in away:
        assert each.startswith("/second-factor?demanded=1&next=%2Factivate%3Fuser_code")
    assert early["error"] == "authorization_pending"
    assert "access_token" in app.token(grant_type=DEVICE_CODE, device_code=codes["device_code"]).json()
    assert customer.logins_count == 1


def test_mailed_code_alone_is_no_two_factors(client, standard_setup):
    Connection.objects.create(name="email", strategy="email", display_name="Code by e-mail")
    phone = make_client("phone", grant_types=[PASSWORDLESS_OTP], auth_method="none", embeds_login=True)
    save_rule("two factors", script=rule())
    answer = redeem(client, phone, start(client, phone))

    assert (answer.status_code, answer.json()["error"]) == (400, "mfa_required")


# With other pages of one login

TERMS = """function (user, context, callback) {
  if (context.protocol !== 'redirect-callback') context.redirect = { url: 'https://shop.example/terms' };
  callback(null, user, context);
}"""
TERMS_ACTION = """exports.onExecutePostLogin = async (event, api) => { api.redirect.sendUserTo('https://shop.example/terms'); };
exports.onContinuePostLogin = async () => {};"""


@pytest.mark.parametrize("terms", [TERMS, TERMS_ACTION])
@pytest.mark.parametrize("first", [rule(), action("api.multifactor.enable('any');")])
def test_demand_of_before_a_rules_page_holds_after_it(signed_in, customer, first, terms):
    save_rule("two factors", script=first)
    save_rule("terms", script=terms)
    away = signed_in.authorize()["Location"]
    demanded = signed_in.browser.get("/continue", {"state": query_of(away)["state"]})["Location"]
    with_second_factor(signed_in, customer)

    assert away.startswith("https://shop.example/terms")
    assert demanded.startswith("/second-factor?demanded=1&next=")
    assert "code" in came_back(signed_in.browser.get(query_of(demanded)["next"]))


def test_question_comes_after_the_second_factor(demanding, customer):
    save_question(LOOKING_FOR)
    away = demanding.authorize()["Location"]
    asked = Impression.objects.count()
    with_second_factor(demanding, customer)
    question = demanding.browser.get(query_of(away)["next"])["Location"]

    assert asked == 0
    assert question.startswith("/question?")


def test_rule_that_demands_after_an_answer_holds(signed_in, customer):
    save_question(MARKED)
    after_answer = "(user.user_metadata || {}).looking_for === 'shoes' && { provider: 'any' }"
    save_rule("two factors", script=rule(after_answer))
    question = signed_in.authorize()["Location"]
    back = send_page(signed_in.browser, question, {"answer": "shoes"})["Location"]
    away = signed_in.browser.get(back)["Location"]
    refused = came_back(signed_in.browser.get(query_of(away)["next"]))

    assert away.startswith("/second-factor?demanded=1&next=")
    assert refused["error"] == DENIED


def test_denial_of_a_rule_comes_before_any_page(demanding):
    save_rule("no", script="function (u, c, cb) { cb(new UnauthorizedError('Members only.')); }")

    assert demanding.answer()["error"] == "unauthorized"
