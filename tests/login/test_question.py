from __future__ import annotations

import re
from dataclasses import replace

import pytest
from django.urls import path
from tests.notices import carried, hidden_fields, send_page

from regulars.accounts.models import Account
from regulars.consent.purposes import WHOLE
from regulars.consent.view import view
from regulars.interfaces.login.question import one_more, question
from regulars.interfaces.pages.navigation import local_path
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.questions.models import Impression, Question
from regulars.questions.next_question import next_question
from regulars.questions.question_type import TYPES, AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.questions.settings import save_settings
from regulars.questions.wording import choose_wording

urlpatterns = [path("question", question), path("question/more", one_more)]
pytestmark = pytest.mark.urls(__name__)
# Disables buttons while a form is being sent; pages work without it.
FORMS = '<script src="/static/pages/forms.js" defer>'

OPTIONS = (AnswerOption("jackets", "Jackets"), AnswerOption("shoes", "Shoes"))
LOOKING_FOR = QuestionDraft(
    "looking_for", "What do you look for?", "To show it first.", "single_choice", "looking_for", "personalise",
    OPTIONS, enabled=True,
)  # fmt: skip


def sign_in(client, profile):
    profile.account = Account.objects.create_user()
    profile.save()
    client.force_login(profile.account, backend="django.contrib.auth.backends.ModelBackend")


@pytest.fixture(autouse=True)
def _plain_sessions(settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]


@pytest.fixture
def impression(chika, client):
    save_question(LOOKING_FOR)
    sign_in(client, chika)
    return next_question(chika)


def address(impression, onward="/authorize/resume%3Fstate%3Ds"):
    return f"/question?impression={impression.pk}&next={onward}"


def test_page_shows_question_reason_and_purpose_with_equal_buttons_and_no_script_of_its_own(client, impression):
    response = client.get(address(impression))
    page = response.content.decode()

    for words in ("What do you look for?", "Why we ask:", "To show it first.", "To show you things that fit you."):
        assert words in page
    for button in ("Save and continue", "Not now", "Don’t ask again"):
        assert f">{button}</button>" in page
    assert re.findall("<script[^>]*>", page) == [FORMS]
    assert " checked" not in page
    assert "default-src 'none'" in response["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("form", "outcome"),
    [({"do": "answer", "answer": "shoes"}, "answered"), ({"do": "pass"}, "passed"), ({"do": "never"}, "never")],
)
def test_each_button_closes_the_impression_and_continues(client, impression, form, outcome):
    response = client.post(address(impression), {**carried(impression), **form})

    impression.refresh_from_db()
    assert (response.status_code, response["Location"]) == (302, "/authorize/resume?state=s")
    assert impression.outcome == outcome


def test_empty_answer_shows_an_error_and_keeps_the_question_open(client, impression):
    response = client.post(address(impression), {**carried(impression), "do": "answer"})

    impression.refresh_from_db()
    assert response.status_code == 422
    assert "<title>Error: One question</title>" in response.content.decode()
    assert "Choose an answer, or choose “Not now”." in response.content.decode()
    assert impression.outcome == "shown"


def test_refused_input_is_shown_again_and_escaped(client, chika):
    save_question(
        QuestionDraft(
            "code", "Your postal code?", "For the nearest shop.", "postal_code", "postal_code", "serve", enabled=True
        )
    )
    sign_in(client, chika)

    page = client.post(
        address(next_question(chika)), {**carried(next_question(chika)), "do": "answer", "answer": '"><b>'}
    ).content.decode()

    assert 'value="&quot;&gt;&lt;b&gt;"' in page


def test_dov_cannot_see_or_answer_chikas_question(client, impression):
    dov, _ = get_or_create_by_identity("google-oauth2", "2002")
    sign_in(client, dov)

    for response in (client.get(address(impression)), client.post(address(impression), {"do": "never"})):
        assert response.status_code == 404
        assert "This question is not yours" in response.content.decode()
        assert "What do you look for?" not in response.content.decode()
    impression.refresh_from_db()
    assert impression.outcome == "shown"


@pytest.mark.parametrize("number", ["", "abc", "-1", "9" * 30, "%00", "²"])
def test_unknown_impression_shows_an_error_page(client, impression, number):
    assert client.get(f"/question?impression={number}").status_code == 404


def test_question_answered_in_another_tab_is_not_shown_again(client, impression):
    client.post(address(impression), {"do": "pass"})

    assert client.get(address(impression))["Location"] == "/authorize/resume?state=s"
    assert (
        client.post(address(impression), {**carried(impression), "do": "answer", "answer": "shoes"})["Location"]
        == "/authorize/resume?state=s"
    )
    impression.refresh_from_db()
    assert impression.outcome == "passed"


def test_question_reworded_meanwhile_is_not_shown(client, impression):
    save_question(replace(LOOKING_FOR, why="For another reason."))

    assert client.get(address(impression))["Location"] == "/authorize/resume?state=s"
    assert client.post(address(impression), {"do": "pass"}).status_code == 302
    impression.refresh_from_db()
    assert impression.outcome == "passed"


def test_answer_to_a_question_reworded_meanwhile_shows_the_new_words_and_keeps_the_answer(client, chika, impression):
    form = {"do": "answer", "answer": "shoes", **carried(impression)}
    save_question(replace(LOOKING_FOR, why="For another reason."))

    again = client.post(address(impression), form)

    page = again.content.decode()
    assert (again.status_code, chika.facts.count(), chika.consent_events.count()) == (409, 0, 0)
    assert "This changed since you opened the page. Please read it again." in page
    assert "For another reason." in page
    assert re.search(r'value="shoes"[^>]* checked', page)
    client.post(address(impression), {**form, **hidden_fields(page)})
    assert chika.consent_events.get().notice.body.splitlines()[1] == "For another reason."


def test_answer_to_a_question_that_is_switched_off_meanwhile_goes_on_without_an_answer(client, chika, impression):
    form = {"do": "answer", "answer": "shoes", **carried(impression)}
    save_question(replace(LOOKING_FOR, why="For another reason.", enabled=False))

    assert client.post(address(impression), form)["Location"] == "/authorize/resume?state=s"
    assert not chika.facts.exists()


def test_page_without_a_session_redirects_to_the_login_and_back(client, impression):
    client.logout()

    response = client.get(address(impression, "/x"))

    assert response["Location"] == f"/login?next=%2Fquestion%3Fimpression%3D{impression.pk}%26next%3D%2Fx"


def test_form_without_a_csrf_token_is_refused(impression, client):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies

    assert strict.post(address(impression), {"do": "never"}).status_code == 403
    impression.refresh_from_db()
    assert impression.outcome == "shown"


@pytest.mark.parametrize(
    ("wanted", "onward"),
    [
        ("/authorize/resume?state=s", "/authorize/resume?state=s"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("relative", "/"),
        ("", "/"),
    ],
)
def test_page_continues_only_to_paths_of_this_server(wanted, onward):
    assert local_path(wanted) == onward


@pytest.mark.parametrize("kind", list(TYPES))
def test_every_type_is_rendered_with_a_label_and_an_input_named_answer(kind, chika, client):
    options = OPTIONS if TYPES[kind].takes_options else ()
    if kind == "band":
        options = (AnswerOption("18-24", "18 to 24"), AnswerOption("55+", "55 or older"))
    purpose = "personalise" if kind == "consent" else "serve"
    learn(chika, [NewFact(f"drawn_{kind}", "Porto", "social", "google-oauth2")])
    text = "Is it {value}?" if kind == "confirm" else "What?"
    if kind != "confirm":
        chika.facts.all().delete()
    save_question(QuestionDraft(kind, text, "Because.", kind, f"drawn_{kind}", purpose, options, enabled=True))
    sign_in(client, chika)

    page = client.get(address(next_question(chika))).content.decode()

    assert 'id="answer-1"' in page
    assert 'name="answer"' in page
    assert "<legend>" in page or '<label for="answer-1">' in page or kind == "consent"


def test_consent_has_two_equal_buttons_that_each_write_the_ledger(client, chika):
    draft = QuestionDraft(
        "news", "May we write to you?", "To tell you of new jackets.", "consent", "news", "message", enabled=True
    )
    save_question(draft)
    sign_in(client, chika)
    impression = next_question(chika)

    page = client.get(address(impression)).content.decode()
    client.post(address(impression), {**carried(impression), "answer": "no"})

    assert '<button name="answer" value="yes">Yes, I agree</button>' in page
    assert '<button name="answer" value="no">No, I do not agree</button>' in page
    assert WHOLE in page
    assert impression.words.endswith(WHOLE)
    state = chika.consent_states.get(purpose="message")
    assert (state.status, state.event.explicit) == ("refused", True)
    assert not chika.facts.exists()


def test_inferred_value_is_shown_and_corrected_by_another_answer(client, chika):
    draft = QuestionDraft(
        "city",
        "We think you live in {value}. Right?",
        "To name the nearest shop.",
        "confirm",
        "city",
        "serve",
        enabled=True,
    )
    save_question(draft)
    learn(chika, [NewFact("city", "<Porto>", "social", "google-oauth2")])
    sign_in(client, chika)
    impression = next_question(chika)

    page = client.get(address(impression)).content.decode()
    refused = client.post(address(impression), {**carried(impression), "do": "answer", "answer": "__no", "other": ""})
    client.post(address(impression), {**carried(impression), "do": "answer", "answer": "__no", "other": "Braga"})

    assert "We think you live in &lt;Porto&gt;. Right?" in page
    assert refused.status_code == 422
    assert (view(chika, "serve")["city"].value, view(chika, "serve")["city"].source_kind) == ("Braga", "corrected")


@pytest.mark.parametrize(("choice", "outcome"), [("__declined", "declined"), ("__dont_know", "dont_know")])
def test_prefer_not_to_say_and_dont_know_are_separate_outcomes(client, chika, choice, outcome):
    save_question(replace(LOOKING_FOR, may_decline=True, may_not_know=True))
    sign_in(client, chika)
    impression = next_question(chika)

    assert choice in client.get(address(impression)).content.decode()
    client.post(address(impression), {**carried(impression), "do": "answer", "answer": choice})

    impression.refresh_from_db()
    assert impression.outcome == outcome
    assert not chika.facts.exists()


def test_skip_option_that_the_question_does_not_offer_is_refused(client, impression):
    assert (
        client.post(address(impression), {**carried(impression), "do": "answer", "answer": "__declined"}).status_code
        == 422
    )


IN_THEIR_WORDS = {
    "de": ("Vier Ziffern: 1988.", "Geben Sie das Jahr vierstellig ein, etwa 1988.", "Jetzt nicht"),
    "ar-EG": ("أربعة أرقام: 1988.", "اكتب السنة بأربعة أرقام، مثل 1988.", "ليس الآن"),
}


@pytest.mark.parametrize("locale", IN_THEIR_WORDS)
def test_hint_and_refusal_are_in_the_language_of_the_question(client, chika, locale):
    own = {"text": "Geburtsjahr?", "why": "x"}
    year = QuestionDraft("born", "Born in?", "To greet you.", "year", "birth_year", "serve", enabled=True)
    save_question(replace(year, translations={locale.partition("-")[0]: own}))
    sign_in(client, chika)
    impression = next_question(chika, locale=locale)
    page = client.post(
        address(impression), {**carried(impression), "answer": "88"}, headers={"Accept-Language": "en"}
    ).content.decode()

    assert all(words in page for words in IN_THEIR_WORDS[locale])
    assert "Write" not in page


def test_yes_and_no_use_built_in_words_or_else_the_translation(client, chika):
    words = {"text": "Mag je jassen?", "why": "Daarom."}
    likes = QuestionDraft(
        "likes", "Do you like jackets?", "To show them.", "yes_no", "likes_jackets", "serve", enabled=True
    )
    save_question(replace(likes, translations={"de": {"text": "Magst du Jacken?", "why": "Darum."}, "nl": words}))
    sign_in(client, chika)
    page = client.get(address(next_question(chika)) + "&language=de").content.decode()

    assert "> Ja</label>" in page
    assert "> Nein</label>" in page
    assert choose_wording(Question.objects.get(), "nl", chika.pk).locale == "en", (
        "no Dutch question with English answers"
    )


@pytest.fixture
def more(impression):
    """A second enabled question, and settings that offer one more."""
    save_question(
        QuestionDraft("code", "Your postal code?", "For the shop.", "postal_code", "postal_code", "serve", enabled=True)
    )
    save_settings(one_more=1)


def test_after_an_answer_the_page_offers_one_more_question(client, impression, more):
    offer = client.post(address(impression), {**carried(impression), "do": "answer", "answer": "jackets"})["Location"]
    page = client.get(offer).content.decode()
    further = client.post(offer, {"do": "more"})["Location"]
    asked = client.get(further).content.decode()
    end = send_page(client, further, {"do": "answer", "answer": "10115"})["Location"]

    assert offer.startswith(f"/question/more?impression={impression.pk}&next=")
    assert "<h1>Thank you.</h1>" in page
    assert re.findall("<script[^>]*>", page) == [FORMS]
    assert "Your postal code?" in asked
    assert end == "/authorize/resume?state=s"


def test_declining_the_offer_continues_without_a_question(client, impression, more):
    offer = client.post(address(impression), {**carried(impression), "do": "answer", "answer": "jackets"})["Location"]

    assert client.post(offer, {"do": "no"})["Location"] == "/authorize/resume?state=s"
    assert Impression.objects.count() == 1


def test_accepting_the_offer_twice_asks_one_question(client, impression, more):
    offer = client.post(address(impression), {**carried(impression), "do": "answer", "answer": "jackets"})["Location"]
    first, again = (client.post(offer, {"do": "more"})["Location"] for _ in range(2))

    assert first == again
    client.post(first, {"do": "pass"})
    assert client.post(offer, {"do": "more"})["Location"] == "/authorize/resume?state=s"
    assert client.get(offer)["Location"] == "/authorize/resume?state=s"


def test_skipping_a_question_offers_no_more(client, impression, more):
    assert client.post(address(impression), {"do": "pass"})["Location"] == "/authorize/resume?state=s"


def test_offer_is_not_visible_to_another_customer(client, impression, more):
    offer = client.post(address(impression), {**carried(impression), "do": "answer", "answer": "jackets"})["Location"]
    dov, _ = get_or_create_by_identity("google-oauth2", "2", connection="google-oauth2", is_social=True)
    sign_in(client, dov)

    assert client.post(offer, {"do": "more"})["Location"] == "/authorize/resume?state=s"
    client.logout()
    assert client.get(offer)["Location"] == "/authorize/resume?state=s"
    assert Impression.objects.count() == 1
