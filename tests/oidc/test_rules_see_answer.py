"""An answer is visible to rules in the same sign-in where its question is marked so, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.test import Client as Browser

from regulars.oauth.grant import DEVICE_CODE
from regulars.questions.models import Impression, Question
from regulars.questions.save import save_question
from regulars.rules import run as rules_run
from regulars.rules.models import RuleRun
from regulars.rules.save import save_rule
from regulars.usecases import login
from tests.notices import send_device_code, send_page
from tests.oidc.app import App, came_back, id_claims, make_client, query_of, sign_in
from tests.oidc.test_interactions import LOOKING_FOR

MARKED = replace(LOOKING_FOR, rules_see_answer=True)
SEES = """function (user, context, callback) {
  context.idToken['https://shop.example/sees'] = [context.protocol, (user.user_metadata || {}).looking_for || ''];
  callback(null, user, context);
}"""
PAGE = """function (user, context, callback) {
  if (context.protocol !== 'redirect-callback') context.redirect = { url: 'https://shop.example/terms' };
  else context.idToken['https://shop.example/page'] = [context.request.query.accepted, context.request.body.also];
  callback(null, user, context);
}"""


def answered(app: App, away, answer: str | None = "shoes", do: str = "") -> dict[str, object]:
    """The claims of the ID token, after the question at `away`."""
    assert away["Location"].startswith("/question?")
    form = {"do": do} if do else {"answer": answer}
    back = send_page(app.browser, away["Location"], form)
    return id_claims(app.exchange(came_back(app.browser.get(back["Location"]))["code"]).json())


def test_answer_to_a_marked_question_is_in_the_tokens(signed_in, customer):
    save_question(MARKED)
    save_rule("sees", script=SEES)
    claims = answered(signed_in, signed_in.authorize())

    assert claims["https://shop.example/sees"] == ["redirect-callback", "shoes"]
    assert RuleRun.objects.count() == 2
    customer.refresh_from_db()
    assert customer.logins_count == 1


def test_answer_to_another_question_is_seen_at_the_next_sign_in(signed_in):
    save_question(replace(MARKED, rules_see_answer=False))
    save_rule("sees", script=SEES)
    claims = answered(signed_in, signed_in.authorize())

    assert claims["https://shop.example/sees"] == ["oidc-basic-profile", ""]
    assert RuleRun.objects.count() == 1
    assert id_claims(signed_in.tokens())["https://shop.example/sees"] == ["oidc-basic-profile", "shoes"]


@pytest.mark.parametrize("how", ["pass", "never", "ignored"])
def test_question_without_an_answer_runs_rules_once(signed_in, how):
    save_question(MARKED)
    save_rule("sees", script=SEES)
    away = signed_in.authorize()
    if how == "ignored":
        came_back(signed_in.browser.get(query_of(away["Location"])["next"]))
    else:
        answered(signed_in, away, do=how)

    assert RuleRun.objects.count() == 1


def test_no_second_question_and_no_redirect_follow_the_answer(signed_in):
    save_question(MARKED)
    save_question(replace(MARKED, key="size", attribute="size", text="Which size?"))
    save_rule(
        "away",
        script="function (u, c, cb) { if ((u.user_metadata || {}).looking_for) c.redirect = {url: 'https://shop.example/x'}; cb(null, u, c); }",
    )
    answered(signed_in, signed_in.authorize())

    assert Impression.objects.count() == 1
    assert [run.effects["redirect"] for run in RuleRun.objects.order_by("pk")] == [False, False]


def test_second_run_may_deny_the_sign_in_and_replaces_the_first(signed_in):
    save_question(MARKED)
    save_rule(
        "no",
        script="function (u, c, cb) { cb((u.user_metadata || {}).looking_for ? new UnauthorizedError('no shoes') : null); }",
    )
    back = send_page(signed_in.browser, signed_in.authorize()["Location"], {"answer": "shoes"})

    answer = came_back(signed_in.browser.get(back["Location"]))
    assert (answer["error"], answer["error_description"]) == ("unauthorized", "no shoes")


def test_rules_with_a_page_get_what_it_brought_once_more(signed_in):
    """What the page returned is checked by its rule in each run."""
    save_question(MARKED)
    save_rule("page", script=PAGE)
    save_rule("sees", script=SEES)
    state = query_of(signed_in.authorize()["Location"])["state"]
    posted = Browser().post(f"/continue?state={state}&accepted=v2", {"also": "news"})
    claims = answered(signed_in, signed_in.browser.get(posted["Location"]))

    assert claims["https://shop.example/page"] == ["v2", "news"]
    assert claims["https://shop.example/sees"] == ["redirect-callback", "shoes"]
    assert RuleRun.objects.count() == 3


@pytest.mark.parametrize("redirects", ["always", "where it can"])
def test_actions_run_once_more_too_and_a_redirect_does_not_end_the_run(signed_in, redirects):
    save_question(MARKED)
    condition = (
        "event.user.user_metadata.looking_for"
        if redirects == "always"
        else "event.user.user_metadata.looking_for && api.redirect.canRedirect()"
    )
    save_rule("act", order=1, script=f"""exports.onExecutePostLogin = async (event, api) => {{
      if ({condition}) api.redirect.sendUserTo('https://shop.example/x');
      api.idToken.setCustomClaim('https://shop.example/acts', event.user.user_metadata.looking_for || '');
    }};""")  # fmt: skip
    save_rule("sees", order=2, script=SEES)
    claims = answered(signed_in, signed_in.authorize())

    assert claims["https://shop.example/acts"] == "shoes"
    assert claims["https://shop.example/sees"] == ["redirect-callback", "shoes"]


def test_action_with_a_page_continues_once_more(signed_in):
    save_question(MARKED)
    save_rule("page", script="""
      exports.onExecutePostLogin = async (event, api) => { api.redirect.sendUserTo('https://shop.example/size'); };
      exports.onContinuePostLogin = async (event, api) => {
        api.idToken.setCustomClaim('https://shop.example/size', [event.request.query.size, event.user.user_metadata.looking_for || '']);
      };""")  # fmt: skip
    state = query_of(signed_in.authorize()["Location"])["state"]
    claims = answered(signed_in, signed_in.browser.get("/continue", {"state": state, "size": "M"}))

    assert claims["https://shop.example/size"] == ["M", "shoes"]


def test_answer_to_one_more_question_counts_as_well(signed_in):
    save_question(replace(MARKED, rules_see_answer=False))
    save_question(replace(MARKED, key="size", attribute="size", text="Which size?", weight=0.5))
    save_rule("sees", script=SEES)
    away = signed_in.authorize()
    first = Impression.objects.get()
    send_page(signed_in.browser, away["Location"], {"answer": "shoes"})
    other = Question.objects.exclude(pk=first.question_id).get()
    Question.objects.update(rules_see_answer=False)
    Question.objects.filter(pk=other.pk).update(rules_see_answer=True)
    fields = {name: getattr(first, name) for name in ("version", "profile_id", "day", "words")}
    Impression.objects.create(question=other, follows=first, outcome=Impression.Outcome.ANSWERED, **fields)
    back = came_back(signed_in.browser.get(query_of(away["Location"])["next"]))

    sees = id_claims(signed_in.exchange(back["code"]).json())["https://shop.example/sees"]
    assert sees[0] == "redirect-callback"


def test_second_run_has_what_the_first_left_of_the_time(signed_in, monkeypatch):
    save_question(MARKED)
    save_rule("sees", script=SEES)
    given: list[float] = []
    run_all = rules_run.run_all
    monkeypatch.setattr(rules_run, "run_all", lambda *all_: given.append(all_[-1]) or run_all(*all_))
    answered(signed_in, signed_in.authorize())

    assert given[0] == rules_run.MAX_SECONDS
    assert given[1] < rules_run.MAX_SECONDS


def test_without_time_the_first_run_stands(signed_in, monkeypatch, caplog):
    save_question(MARKED)
    save_rule("sees", script=SEES)
    monkeypatch.setattr(login, "SHORTEST_RERUN", login.MAX_SECONDS + 1)
    claims = answered(signed_in, signed_in.authorize())

    assert claims["https://shop.example/sees"] == ["oidc-basic-profile", ""]
    assert "their time is used up" in caplog.text


def test_device_gets_the_answer_too(client, customer):
    save_question(MARKED)
    save_rule("sees", script=SEES)
    make_client("tv", name="Shop TV", auth_method="none", secret_hash="", grant_types=[DEVICE_CODE, "refresh_token"])
    tv = App(Browser(), "tv", secret="")
    sign_in(client, customer)
    codes = tv.browser.post("/oauth/device/code", {"client_id": "tv", "scope": "openid profile"}).json()
    away = send_device_code(client, codes["user_code"])
    back = send_page(client, away["Location"], {"answer": "shoes"})
    client.get(back["Location"])
    tokens = tv.token(grant_type=DEVICE_CODE, device_code=codes["device_code"]).json()

    assert id_claims(tokens)["https://shop.example/sees"] == ["redirect-callback", "shoes"]


def test_setting_is_off_by_default():
    assert not Question().rules_see_answer
    assert not LOOKING_FOR.rules_see_answer
