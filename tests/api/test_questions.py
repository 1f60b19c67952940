"""The shop's app asks Chika on its own page, with an access token of Chika, by the rules of the login."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings

from regulars.accounts.models import Account
from regulars.base.tokens.jwt import sign
from regulars.clients.models import Client
from regulars.consent.models import ConsentEvent
from regulars.destinations.save import save_destination
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.questions.models import Impression, SelectionDecision
from regulars.questions.next_question import next_question
from regulars.questions.policy import SENTENCES
from regulars.questions.save import save_question
from regulars.questions.settings import save_settings
from regulars.usecases.answer_question import pass_over
from regulars.usecases.erase import erase_customer
from regulars.usecases.unit_of_work import changes
from tests.login.test_question import sign_in
from tests.notices import answer_page, carried
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


def fetch_question(call, token: str, **body: Any) -> dict[str, Any]:
    response = call("/question", body, token=token)
    assert response.status_code == 200, response.content
    return response.json()


def test_answer_in_the_app_names_app_and_question_as_source(call, chika, looking_for):
    token = token_of(chika)
    question = fetch_question(call, token)["question"]

    response = call(
        f"/question/{question['id']}/answer",
        {"answer": ["shoes"], **carried(Impression.objects.latest("pk"))},
        token=token,
    )

    fact, consent = chika.facts.get(attribute="looking_for"), ConsentEvent.objects.get(profile=chika)
    assert (response.status_code, response.json()) == (200, {"outcome": "answered", "thanks": "Thank you."})
    assert (fact.value, fact.source_kind, fact.source) == ("shoes", "declared", "app:shop:looking_for@1")
    assert (fact.basis, fact.consents) == ("consent", [consent.pk])
    assert (consent.evidence["app"], consent.evidence["question"]) == ("shop", "looking_for@1")
    assert consent.notice.body == Impression.objects.get().words


def test_question_has_everything_a_page_needs(call, chika, looking_for):
    question = fetch_question(call, token_of(chika))["question"]

    assert (question["text"], question["why"]) == (LOOKING_FOR.text, LOOKING_FOR.why)
    assert question["field"]["widget"] == "radio"
    assert [each["key"] for each in question["field"]["options"]] == ["jackets", "shoes"]
    assert question["use"]["text"] == looking_for.purpose.text
    assert question["use"]["label"] == "By answering you allow this use of your answer:"
    assert (question["locale"], question["direction"]) == ("en", "ltr")


def test_question_and_buttons_are_translated(call, chika):
    words = {"text": "عمّ تبحث؟", "why": "لنعرضه أولاً.", "options": {"jackets": "سترات", "shoes": "أحذية"}}
    save_question(replace(LOOKING_FOR, translations={"ar": words}))

    question = fetch_question(call, token_of(chika), locale="ar-EG")["question"]

    assert (question["locale"], question["direction"], question["text"]) == ("ar", "rtl", "عمّ تبحث؟")
    assert question["words"]["pass"] not in ("Pass", "")


@pytest.mark.parametrize(
    ("verb", "outcome", "reason"), [("pass", "passed", "asked_recently"), ("never", "never", "opted_out")]
)
def test_pass_and_never_close_the_question(call, chika, looking_for, verb, outcome, reason):
    token = token_of(chika)
    number = fetch_question(call, token)["question"]["id"]

    assert call(f"/question/{number}/{verb}", token=token).json()["outcome"] == outcome
    assert fetch_question(call, token) == {"question": None, "reason": reason, "sentence": SENTENCES[reason]}


def test_frequency_caps_hold_across_login_and_apps(call, chika, looking_for):
    save_question(POSTAL_CODE)
    pass_over(next_question(chika, client_id="phone"))

    assert fetch_question(call, token_of(chika))["reason"] == "asked_recently"
    assert Impression.objects.count() == 1


def test_question_left_open_at_login_is_shown_in_the_app(call, chika, looking_for):
    ask = next_question(chika, client_id="phone")
    token = token_of(chika)

    assert fetch_question(call, token)["question"]["id"] == ask.pk
    call(f"/question/{ask.pk}/answer", {"answer": ["jackets"], **carried(Impression.objects.latest("pk"))}, token=token)
    assert chika.facts.get(attribute="looking_for").source == "app:shop:looking_for@1"


def test_repeated_refusal_is_recorded_once_a_day(call, chika, looking_for):
    token = token_of(chika)
    call(f"/question/{fetch_question(call, token)['question']['id']}/pass", token=token)
    for _ in range(3):
        fetch_question(call, token)

    decisions = SelectionDecision.objects.filter(profile=chika).order_by("id")
    assert [(each.reason, each.client_id) for each in decisions] == [("asked", "shop"), ("asked_recently", "shop")]


def test_switched_off_questions_are_a_named_reason(call, chika, looking_for):
    save_settings(asking=False)

    assert fetch_question(call, token_of(chika))["reason"] == "switched_off"


def test_wrong_answer_is_refused_and_the_question_stays_open(call, chika, looking_for):
    token = token_of(chika)
    number = fetch_question(call, token)["question"]["id"]

    nothing = call(
        f"/question/{number}/answer", {"answer": [], **carried(Impression.objects.latest("pk"))}, token=token
    )
    other = call(
        f"/question/{number}/answer", {"answer": ["hats"], **carried(Impression.objects.latest("pk"))}, token=token
    )

    assert (nothing.status_code, nothing.json()["errorCode"]) == (422, "no_answer")
    assert (other.status_code, other.json()["errorCode"]) == (422, "not_an_option")
    assert fetch_question(call, token)["question"]["id"] == number


def test_second_answer_is_refused_by_name(call, chika, looking_for):
    token = token_of(chika)
    number = fetch_question(call, token)["question"]["id"]
    call(f"/question/{number}/answer", {"answer": ["shoes"], **carried(Impression.objects.latest("pk"))}, token=token)

    again = call(
        f"/question/{number}/answer", {"answer": ["jackets"], **carried(Impression.objects.latest("pk"))}, token=token
    )

    assert (again.status_code, again.json()["errorCode"]) == (409, "closed")
    assert [fact.value for fact in chika.facts.filter(attribute="looking_for")] == ["shoes"]


def test_reworded_question_cannot_be_answered(call, chika, looking_for):
    token = token_of(chika)
    number = fetch_question(call, token)["question"]["id"]
    save_question(replace(LOOKING_FOR, text="What do you seek?"))

    response = call(
        f"/question/{number}/answer", {"answer": ["shoes"], **carried(Impression.objects.latest("pk"))}, token=token
    )

    assert (response.status_code, response.json()["errorCode"]) == (409, "reworded")


def test_dov_cannot_answer_chikas_question(call, chika, looking_for):
    dov, _ = get_or_create_by_identity("google-oauth2", "2002", connection="google-oauth2", is_social=True)
    number = fetch_question(call, token_of(chika))["question"]["id"]

    response = call(
        f"/question/{number}/answer",
        {"answer": ["shoes"], **carried(Impression.objects.latest("pk"))},
        token=token_of(dov),
    )

    assert (response.status_code, response.json()["errorCode"]) == (404, "inexistent_question")
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
        ({"client_id": "gone"}, 401, "invalid_token"),
    ],
)
def test_unsuitable_token_is_refused_by_name(call, chika, looking_for, claims, status, code):
    Client.objects.create(client_id="partner", name="Bikes & Co", first_party=False, web_origins=[SHOP])

    refused = call("/question", token=token_of(chika, **claims))

    assert (refused.status_code, refused.json()["errorCode"]) == (status, code)
    assert not Impression.objects.exists()


def test_blocked_or_erased_customer_gets_no_question(call, chika, looking_for):
    token = token_of(chika)
    chika.account = Account.objects.create_user(is_active=False)
    chika.save()
    blocked = call("/question", token=token)
    erase_customer(chika)

    assert (blocked.status_code, call("/question", token=token).status_code) == (401, 401)


def test_token_works_from_the_apps_origin_or_no_origin(call, chika, looking_for, client):
    token = token_of(chika)
    Client.objects.create(client_id="blog", name="Blog", web_origins=["https://blog.example"])

    own, none = call("/question", token=token), call("/question", token=token, origin="")
    other, foreign = (call("/question", token=token, origin=f"https://{name}.example") for name in ("blog", "evil"))

    assert (own.status_code, own["Access-Control-Allow-Origin"], none.status_code) == (200, SHOP, 200)
    assert (other.status_code, other.json()["errorCode"]) == (403, "origin_not_allowed")
    assert (foreign.status_code, foreign.headers.get("Access-Control-Allow-Origin")) == (403, None)
    assert "Access-Control-Allow-Credentials" not in own.headers


def test_preflight_allows_registered_origins_only(client, shop):
    def preflight(origin: str) -> Any:
        return client.options("/api/me/question", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})

    ours, foreign = preflight(SHOP), preflight("https://evil.example")
    assert (ours.status_code, ours["Access-Control-Allow-Origin"]) == (204, SHOP)
    assert "Authorization" in ours["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in foreign.headers


@pytest.mark.parametrize(
    "body", [{"answer": "shoes"}, {"answer": ["x" * 2001]}, {"answer": ["shoes"], "value": 1}, {"answer": ["a\0"]}]
)
def test_malformed_answer_is_refused_and_not_saved(call, chika, looking_for, body):
    token = token_of(chika)
    number = fetch_question(call, token)["question"]["id"]

    assert call(f"/question/{number}/answer", body, token=token).status_code == 400
    assert Impression.objects.get().outcome == "shown"


def test_confirmation_shows_the_guess_and_takes_a_correction(call, chika):
    save_question(replace(POSTAL_CODE, confirm="We think it is {value}. Is it?"))
    learn(chika, [NewFact("postal_code", "10115", "enriched", "source:somewhere")])
    token = token_of(chika)
    question = fetch_question(call, token)["question"]

    call(
        f"/question/{question['id']}/answer",
        {"answer": ["__no"], "other": ["10437"], **carried(Impression.objects.latest("pk"))},
        token=token,
    )

    assert (question["offered"], question["text"]) == ("10115", "We think it is 10115. Is it?")
    fact = chika.facts.get(source__startswith="app:")
    assert (fact.value, fact.source_kind) == ("10437", "corrected")


@pytest.mark.parametrize("kind", ["postal_code", "confirm"])
def test_open_question_no_longer_offers_a_value_that_was_closed(call, client, chika, kind, settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    draft = replace(POSTAL_CODE, confirm="We think it is {value}. Is it?")
    if kind == "confirm":
        draft = replace(POSTAL_CODE, type="confirm", text="Is it {value}?")
    save_question(draft)
    with changes(chika, "test") as c:
        facts = c.learn([NewFact("postal_code", "10115", "enriched", "source:somewhere")])
    token = token_of(chika)
    first = fetch_question(call, token)["question"]
    assert "10115" in first["text"]
    address = f"/question?impression={first['id']}&next=/me"
    sign_in(client, chika)
    assert "10115" in client.get(address).content.decode()
    with changes(chika, "customer_deleted") as c:
        c.retract(facts)
    again = fetch_question(call, token)["question"]
    page = client.get(address)

    assert "10115" not in json.dumps(again)
    assert again is None if kind == "confirm" else (again["id"], again["offered"]) == (first["id"], "")
    assert "10115" not in page.content.decode()
    assert page.status_code == (302 if kind == "confirm" else 200)


def test_answer_at_login_keeps_its_source(chika, looking_for):
    answer_page(next_question(chika), "answer=shoes")

    assert chika.facts.get(attribute="looking_for").source == "question:looking_for@1"


def test_question_in_an_app_names_who_may_be_sent_the_answer(call, chika, looking_for):
    settings_of_partner = {"url": "https://partner.example", "secret": "whsec_" + "QUFB" * 10}
    save_destination("Partner", "webhook", settings_of_partner, purpose="personalise", segment_slugs=[])
    question = fetch_question(call, token_of(chika))["question"]

    assert question["use"]["recipients"] == "May be sent to: Partner (partner.example)."
