"""The shop's app asks on a page of its own, with Chika's token; the rules are those of the login."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.http import QueryDict

from regulars.accounts.models import Account
from regulars.base.tokens.jwt import sign
from regulars.clients.models import Client
from regulars.consent.models import ConsentEvent
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.questions.models import Impression, SelectionDecision
from regulars.questions.next_question import next_question
from regulars.questions.policy import SENTENCES
from regulars.questions.save import save_question
from regulars.questions.settings import save_settings
from regulars.usecases.answer_question import answer, pass_over
from regulars.usecases.erase import erase_customer
from tests.questions.conftest import LOOKING_FOR, POSTAL_CODE

SHOP = "https://shop.example"


@pytest.fixture
def shop(standard_setup) -> Client:
    return Client.objects.create(client_id="shop", name="Shop", web_origins=[SHOP])


@pytest.fixture
def looking_for(standard_setup):
    return save_question(LOOKING_FOR)


def token_of(profile: Any, **claims: Any) -> str:
    standard = {
        "aud": f"{settings.ISSUER}api/me/",
        "sub": profile.user_id,
        "client_id": "shop",
        "scope": "openid answer:questions",
        "exp": int(time.time()) + 600,
    }
    typ = claims.pop("typ", "at+jwt")
    return sign({**standard, **claims}, typ)


@pytest.fixture
def call(client, shop):
    """POST as a script of the app does."""

    def post(path: str, body: Any = None, *, token: str, origin: str = SHOP) -> Any:
        headers = {"Authorization": f"Bearer {token}", **({"Origin": origin} if origin else {})}
        data = json.dumps(body or {}).encode()
        return client.generic("POST", f"/api/me{path}", data, content_type="application/json", headers=headers)

    return post


def asked(call, token: str, **body: Any) -> dict[str, Any]:
    response = call("/question", body, token=token)
    assert response.status_code == 200, response.content
    return response.json()


def test_chika_answers_inside_the_app_and_the_fact_names_app_and_question(call, chika, looking_for):
    token = token_of(chika)
    question = asked(call, token)["question"]

    said = call(f"/question/{question['id']}/answer", {"answer": ["shoes"]}, token=token)

    fact, consent = chika.facts.get(attribute="looking_for"), ConsentEvent.objects.get(profile=chika)
    assert (said.status_code, said.json()) == (200, {"outcome": "answered", "thanks": "Thank you."})
    assert (fact.value, fact.source_kind, fact.source) == ("shoes", "declared", "app:shop:looking_for@1")
    assert (fact.basis, fact.consents) == ("consent", [consent.pk])
    assert (consent.evidence["app"], consent.evidence["question"]) == ("shop", "looking_for@1")
    assert consent.notice.body == Impression.objects.get().words


def test_the_question_comes_with_everything_a_page_needs_to_draw_it(call, chika, looking_for):
    question = asked(call, token_of(chika))["question"]

    assert (question["text"], question["why"]) == (LOOKING_FOR.text, LOOKING_FOR.why)
    assert question["field"]["widget"] == "radio"
    assert [each["key"] for each in question["field"]["options"]] == ["jackets", "shoes"]
    assert question["use"]["text"] == looking_for.purpose.text
    assert question["use"]["label"] == "By answering you allow this use of your answer:"
    assert (question["locale"], question["direction"]) == ("en", "ltr")


def test_a_page_in_arabic_gets_the_question_and_the_houses_words_in_arabic(call, chika):
    words = {"text": "عمّ تبحث؟", "why": "لنعرضه أولاً.", "options": {"jackets": "سترات", "shoes": "أحذية"}}
    save_question(replace(LOOKING_FOR, translations={"ar": words}))

    question = asked(call, token_of(chika), locale="ar-EG")["question"]

    assert (question["locale"], question["direction"], question["text"]) == ("ar", "rtl", "عمّ تبحث؟")
    assert question["words"]["pass"] not in ("Pass", "")


@pytest.mark.parametrize(
    ("verb", "outcome", "reason"), [("pass", "passed", "asked_recently"), ("never", "never", "opted_out")]
)
def test_not_now_and_never_again_are_as_near_as_an_answer(call, chika, looking_for, verb, outcome, reason):
    token = token_of(chika)
    number = asked(call, token)["question"]["id"]

    assert call(f"/question/{number}/{verb}", token=token).json()["outcome"] == outcome
    assert asked(call, token) == {"question": None, "reason": reason, "sentence": SENTENCES[reason]}


def test_the_caps_hold_between_the_login_and_every_app(call, chika, looking_for):
    save_question(POSTAL_CODE)
    pass_over(next_question(chika, client_id="phone"))

    assert asked(call, token_of(chika))["reason"] == "asked_recently"
    assert Impression.objects.count() == 1


def test_what_was_shown_at_the_login_and_left_open_is_the_question_inside_the_app(call, chika, looking_for):
    ask = next_question(chika, client_id="phone")
    token = token_of(chika)

    assert asked(call, token)["question"]["id"] == ask.pk
    call(f"/question/{ask.pk}/answer", {"answer": ["jackets"]}, token=token)
    assert chika.facts.get(attribute="looking_for").source == "app:shop:looking_for@1"


def test_the_decision_is_in_the_book_and_the_same_no_only_once_a_day(call, chika, looking_for):
    token = token_of(chika)
    call(f"/question/{asked(call, token)['question']['id']}/pass", token=token)
    for _ in range(3):
        asked(call, token)

    decisions = SelectionDecision.objects.filter(profile=chika).order_by("id")
    assert [(each.reason, each.client_id) for each in decisions] == [("asked", "shop"), ("asked_recently", "shop")]


def test_switched_off_for_everybody_is_a_no_with_a_name(call, chika, looking_for):
    save_settings(asking=False)

    assert asked(call, token_of(chika))["reason"] == "switched_off"


def test_an_answer_that_is_none_is_told_and_the_question_stays(call, chika, looking_for):
    token = token_of(chika)
    number = asked(call, token)["question"]["id"]

    nothing = call(f"/question/{number}/answer", {"answer": []}, token=token)
    other = call(f"/question/{number}/answer", {"answer": ["hats"]}, token=token)

    assert (nothing.status_code, nothing.json()["errorCode"]) == (422, "no_answer")
    assert (other.status_code, other.json()["errorCode"]) == (422, "not_an_option")
    assert asked(call, token)["question"]["id"] == number


def test_a_second_answer_is_refused_by_name(call, chika, looking_for):
    token = token_of(chika)
    number = asked(call, token)["question"]["id"]
    call(f"/question/{number}/answer", {"answer": ["shoes"]}, token=token)

    again = call(f"/question/{number}/answer", {"answer": ["jackets"]}, token=token)

    assert (again.status_code, again.json()["errorCode"]) == (409, "closed")
    assert [fact.value for fact in chika.facts.filter(attribute="looking_for")] == ["shoes"]


def test_a_question_reworded_meanwhile_is_not_answered_in_words_she_did_not_read(call, chika, looking_for):
    token = token_of(chika)
    number = asked(call, token)["question"]["id"]
    save_question(replace(LOOKING_FOR, text="What do you seek?"))

    said = call(f"/question/{number}/answer", {"answer": ["shoes"]}, token=token)

    assert (said.status_code, said.json()["errorCode"]) == (409, "reworded")


def test_dov_cannot_answer_chikas_question(call, chika, looking_for):
    dov, _ = get_or_create_by_identity("google-oauth2", "2002", connection="google-oauth2", is_social=True)
    number = asked(call, token_of(chika))["question"]["id"]

    said = call(f"/question/{number}/answer", {"answer": ["shoes"]}, token=token_of(dov))

    assert (said.status_code, said.json()["errorCode"]) == (404, "inexistent_question")
    assert not dov.facts.filter(attribute="looking_for").exists()


@pytest.mark.parametrize(
    ("claims", "status", "code"),
    [
        ({"aud": "https://other.example/"}, 401, "invalid_token"),
        ({"exp": 1}, 401, "invalid_token"),
        ({"typ": "JWT"}, 401, "invalid_token"),
        ({"cnf": {"jkt": "x"}}, 401, "invalid_token"),
        ({"sub": "bot@clients"}, 401, "not_a_customer"),
        ({"scope": "openid"}, 403, "insufficient_scope"),
        ({"client_id": "partner"}, 403, "not_our_app"),
        ({"client_id": "gone"}, 403, "not_our_app"),
    ],
)
def test_a_token_that_may_not_is_refused_by_name(call, chika, looking_for, claims, status, code):
    Client.objects.create(client_id="partner", name="Bikes & Co", first_party=False, web_origins=[SHOP])

    refused = call("/question", token=token_of(chika, **claims))

    assert (refused.status_code, refused.json()["errorCode"]) == (status, code)
    assert not Impression.objects.exists()


def test_who_was_blocked_or_erased_is_asked_nothing(call, chika, looking_for):
    token = token_of(chika)
    chika.account = Account.objects.create_user(is_active=False)
    chika.save()
    blocked = call("/question", token=token)
    erase_customer(chika)

    assert (blocked.status_code, call("/question", token=token).status_code) == (401, 401)


def test_the_token_works_from_the_apps_own_origin_and_without_a_browser(call, chika, looking_for, client):
    token = token_of(chika)
    Client.objects.create(client_id="blog", name="Blog", web_origins=["https://blog.example"])

    own, none = call("/question", token=token), call("/question", token=token, origin="")
    other, foreign = (call("/question", token=token, origin=f"https://{name}.example") for name in ("blog", "evil"))

    assert (own.status_code, own["Access-Control-Allow-Origin"], none.status_code) == (200, SHOP, 200)
    assert (other.status_code, other.json()["errorCode"]) == (403, "origin_not_allowed")
    assert (foreign.status_code, foreign.headers.get("Access-Control-Allow-Origin")) == (403, None)
    assert "Access-Control-Allow-Credentials" not in own.headers


def test_a_browser_may_ask_first_whether_it_may_ask(client, shop):
    def preflight(origin: str) -> Any:
        return client.options("/api/me/question", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})

    ours, foreign = preflight(SHOP), preflight("https://evil.example")
    assert (ours.status_code, ours["Access-Control-Allow-Origin"]) == (204, SHOP)
    assert "Authorization" in ours["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in foreign.headers


@pytest.mark.parametrize(
    "body", [{"answer": "shoes"}, {"answer": ["x" * 2001]}, {"answer": ["shoes"], "value": 1}, {"answer": ["a\0"]}]
)
def test_a_body_of_another_shape_is_refused_and_nothing_is_kept(call, chika, looking_for, body):
    token = token_of(chika)
    number = asked(call, token)["question"]["id"]

    assert call(f"/question/{number}/answer", body, token=token).status_code == 400
    assert Impression.objects.get().outcome == "shown"


def test_something_to_confirm_is_shown_with_what_we_think_and_may_be_corrected(call, chika):
    save_question(replace(POSTAL_CODE, confirm="We think it is {value}. Is it?"))
    learn(chika, [NewFact("postal_code", "10115", "enriched", "source:somewhere")])
    token = token_of(chika)
    question = asked(call, token)["question"]

    call(f"/question/{question['id']}/answer", {"answer": ["__no"], "other": ["10437"]}, token=token)

    assert (question["offered"], question["text"]) == ("10115", "We think it is 10115. Is it?")
    fact = chika.facts.get(source__startswith="app:")
    assert (fact.value, fact.source_kind) == ("10437", "corrected")


def test_an_answer_given_at_the_login_keeps_its_source(chika, looking_for):
    answer(next_question(chika), QueryDict("answer=shoes"))

    assert chika.facts.get(attribute="looking_for").source == "question:looking_for@1"
