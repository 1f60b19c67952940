"""Guarantees to a customer who is asked, one per test; through the page where it is about the page."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from django.db import DatabaseError
from django.urls import path
from hypothesis import given
from hypothesis import strategies as st

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.consent.models import Purpose
from regulars.consent.purposes import words_in
from regulars.consent.record import Decision, record
from regulars.interfaces.login.question import question
from regulars.profiles.attributes import GENDERS
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute
from regulars.questions.customer_context import CustomerContext
from regulars.questions.models import Impression, SelectionDecision
from regulars.questions.next_question import NotShown, next_question
from regulars.questions.policy import Candidate, Caps, Policy, QuestionExposure, RandomDraw, eligible, select
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.questions.settings import save_settings
from regulars.questions.wording import languages
from regulars.usecases.answer_question import never_again, pass_over
from tests.notices import answer_page, carried

from .conftest import LOOKING_FOR

urlpatterns = [path("question", question)]
GENDER = QuestionDraft(
    "gender", "How do you describe yourself?", "So that sizes fit.", "single_choice", "gender", "personalise",
    tuple(AnswerOption(key, label) for key, label in GENDERS), enabled=True,
)  # fmt: skip


def last_decision(profile) -> SelectionDecision:
    return SelectionDecision.objects.filter(profile=profile).latest("id")


@pytest.fixture
def browser(client, chika, settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    chika.account = Account.objects.create_user()
    chika.save()
    client.force_login(chika.account, backend="django.contrib.auth.backends.ModelBackend")
    return client


def address(impression: Impression) -> str:
    return f"/question?impression={impression.pk}&next=/on"


def test_01_a_gender_known_from_google_with_consent_is_never_asked(chika):
    save_question(GENDER)
    consent = record(chika, Decision("personalise", "given", "login"))
    learn(chika, [NewFact("gender", "female", "social", "google-oauth2", basis="consent", consents=[consent.pk])])

    assert next_question(chika) == NotShown("all_known")
    assert last_decision(chika).rejections == {"gender": "known"}


def test_02_a_passed_question_rests_thirty_days_and_sixty_after_the_second_pass(chika, looking_for, days_later):
    save_settings(quiet_after_passes=0)
    pass_over(next_question(chika))
    days_later(29)
    assert next_question(chika) == NotShown("resting")
    days_later(30)
    pass_over(next_question(chika))
    days_later(89)
    assert next_question(chika) == NotShown("resting")
    days_later(90)
    assert next_question(chika).question == looking_for


def test_03_never_means_nothing_ever(chika, looking_for, postal_code, days_later):
    never_again(next_question(chika))

    for days in (0, 1, 400, 4000):
        days_later(days)
        assert next_question(chika) == NotShown("opted_out")


def test_04_two_logins_within_an_hour_bring_one_question_at_most(chika, looking_for, postal_code):
    first = next_question(chika, client_id="phone")
    answer_page(first, "answer=shoes")

    assert next_question(chika, client_id="laptop") == NotShown("asked_recently")
    assert Impression.objects.count() == 1


def test_05_no_question_where_no_page_may_be_shown(chika, looking_for):
    assert next_question(chika, interactive=False) == NotShown("not_interactive")
    assert not Impression.objects.exists()


def test_06_when_the_questions_cannot_be_read_the_login_goes_on_without_one(chika, looking_for, monkeypatch, caplog):
    def broken(profile):
        raise DatabaseError("the table of questions is missing")

    monkeypatch.setattr(CustomerContext, "load", broken)

    assert next_question(chika) == NotShown("unavailable")
    assert "no question could be selected" in caplog.text


@pytest.mark.urls(__name__)
def test_07_empty_answer_focuses_the_error_and_keeps_the_input(browser, chika, postal_code):
    impression = next_question(chika)

    response = browser.post(address(impression), {**carried(impression), "do": "answer", "answer": "somewhere"})
    page = response.content.decode()

    assert response.status_code == 422
    assert "<title>Error: One question</title>" in page
    assert '<p class="problem" role="alert" id="problem" tabindex="-1" autofocus><a href="#answer-1">' in page
    assert 'value="somewhere"' in page
    assert browser.post(address(impression), {**carried(impression), "do": "answer"}).status_code == 422


@pytest.mark.urls(__name__)
def test_08_a_form_sent_again_is_no_second_answer(browser, chika, looking_for):
    impression = next_question(chika)

    first = browser.post(address(impression), {**carried(impression), "do": "answer", "answer": "shoes"})
    again = browser.post(address(impression), {**carried(impression), "do": "answer", "answer": "jackets"})

    assert (first["Location"], again["Location"]) == ("/on", "/on")
    assert [fact.value for fact in chika.facts.filter(attribute="looking_for")] == ["shoes"]


@pytest.mark.urls(__name__)
def test_09_an_arabic_reader_gets_the_whole_question_in_arabic_from_right_to_left(browser, chika):
    words = {"text": "عمّ تبحث؟", "why": "لنعرضه أولاً.", "options": {"jackets": "سترات", "shoes": "أحذية"}}
    save_question(replace(LOOKING_FOR, translations={"ar": words}))
    impression = next_question(chika, locale="ar-EG")

    page = browser.get(address(impression), headers={"Accept-Language": "ar"}).content.decode()

    assert '<html lang="ar" dir="rtl">' in page
    assert all(word in page for word in ("عمّ تبحث؟", "لنعرضه أولاً.", "سترات"))
    assert "What are you looking for?" not in page
    use = words_in(impression.question.purpose, "ar")[2]
    assert use != impression.question.purpose.text
    assert use in page
    assert impression.words.splitlines()[-1] == use
    assert impression.locale == "ar"


def test_09_a_half_translated_question_is_asked_whole_in_its_own_language(chika):
    save_question(replace(LOOKING_FOR, translations={"de": {"text": "Was suchst du?", "why": "Wegen dir.", "options": {"shoes": "Schuhe"}}}))  # fmt: skip

    impression = next_question(chika, locale="de")

    assert languages(impression.question) == ["en"]
    assert (impression.locale, impression.words.splitlines()[0]) == ("en", "What are you looking for?")


def test_10_an_answer_stays_readable_after_its_option_was_taken_away(chika, looking_for):
    answer_page(next_question(chika), "answer=shoes")
    save_question(replace(LOOKING_FOR, options=(AnswerOption("jackets", "Jackets"), AnswerOption("hats", "Hats"))))
    looking_for.refresh_from_db()

    assert looking_for.version == 2
    assert looking_for.label_of(chika.facts.get(attribute="looking_for").value) == "Shoes"


def test_11_a_question_switched_off_leaves_its_answers_with_their_source(chika, looking_for):
    answer_page(next_question(chika), "answer=shoes")
    save_question(replace(LOOKING_FOR, enabled=False))

    fact = chika.facts.get(attribute="looking_for")
    assert (fact.value, fact.source, fact.retracted_at) == ("shoes", "question:looking_for@1", None)


def test_12_an_answer_that_ran_out_is_asked_again_for_confirming(chika, days_later):
    save_question(replace(LOOKING_FOR, confirm="You look for {value}. Is that still right?"))
    Attribute.objects.filter(key="looking_for").update(expires_days=365)
    answer_page(next_question(chika), "answer=shoes")

    days_later(364)
    assert next_question(chika) == NotShown("all_known")
    days_later(366)
    impression = next_question(chika)
    assert (impression.to_confirm, impression.words.splitlines()[0]) == (
        "shoes",
        "You look for Shoes. Is that still right?",
    )
    answer_page(impression, "answer=__yes")
    assert chika.facts.latest("id").source_kind == "declared"
    assert chika.facts.latest("id").expires_at > clock.now()


@pytest.fixture
def religion(standard_setup):
    Purpose.objects.create(key="faith", label="Faith", text="To show feasts.", basis="consent", kind="special")
    Attribute.objects.create(key="religion", label="Religion", sensitivity="special", purposes=["faith"])
    options = (AnswerOption("a", "A"), AnswerOption("b", "B"))
    return save_question(
        QuestionDraft(
            "religion", "Which feasts?", "To show them.", "single_choice", "religion", "faith", options, enabled=True
        )
    )


def test_13_a_special_question_waits_for_an_explicit_yes(chika, religion):
    assert next_question(chika) == NotShown("nothing_to_ask")
    assert last_decision(chika).rejections == {"religion": "needs_explicit_consent"}
    record(chika, Decision("faith", "given", "profile"))
    assert next_question(chika) == NotShown("nothing_to_ask")
    record(chika, Decision("faith", "given", "profile", explicit=True))
    assert next_question(chika).question == religion


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.1, 9)), min_size=1, max_size=8),
    st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.999),
)  # fmt: skip
def test_13_no_policy_ever_asks_a_special_question_without_an_explicit_yes(drawn, explore, chance, pick):
    candidates = [QuestionExposure(str(n), "x", may_be_asked=yes, may_explore=yes) for n, (yes, _) in enumerate(drawn)]
    free, _ = eligible(candidates, dt.date(2026, 3, 2), Caps())
    options = [Candidate(each.key, 1, 0.5, drawn[int(each.key)][1], each.may_explore) for each in free]
    choice = select(options, Policy(explore=explore), RandomDraw(1, chance, pick))

    assert isinstance(choice, NotShown) or drawn[int(choice.key)][0]


def test_14_child_is_not_asked_again_after_an_answer_with_their_age(chika, looking_for, days_later):
    save_question(
        QuestionDraft(
            "born", "When were you born?", "For a present.", "year", "birth_year", "serve", weight=9, enabled=True
        )
    )
    young = clock.today().year - 14
    answer_page(next_question(chika), f"answer={young}")

    days_later(1)
    assert next_question(chika) == NotShown("under_age")
    days_later(366 * 4)
    assert isinstance(next_question(chika), Impression)


def test_15_every_login_keeps_the_name_of_the_rule_that_stopped_it(chika, looking_for, postal_code):
    impression = next_question(chika, client_id="shop")
    asked = last_decision(chika)
    pass_over(impression)
    next_question(chika)

    assert (asked.reason, asked.impression, asked.client_id) == ("asked", impression, "shop")
    assert set(asked.candidates) == {"looking_for", "postal_code"}
    assert last_decision(chika).reason == "asked_recently"


@pytest.mark.urls(__name__)
def test_16_answer_pass_and_never_are_reached_by_keyboard_in_this_order(browser, chika, looking_for):
    page = browser.get(address(next_question(chika))).content.decode()
    stops = ['value="jackets"', 'value="shoes"', ">Save and continue<", ">Not now<", ">Don’t ask again<"]

    assert [page.index(stop) for stop in stops] == sorted(page.index(stop) for stop in stops)
    own = page.replace('<script src="/static/pages/forms.js" defer></script>', "")  # disables buttons while sending
    assert not any(word in own for word in ('tabindex="1"', "onclick", "<script", "disabled"))
