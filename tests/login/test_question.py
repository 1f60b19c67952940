from __future__ import annotations

from dataclasses import replace

import pytest
from django.urls import path

from regulars.accounts.models import Account
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
def ask(chika, client):
    save_question(LOOKING_FOR)
    sign_in(client, chika)
    return next_question(chika)


def address(ask, onward="/authorize/resume%3Fstate%3Ds"):
    return f"/question?impression={ask.pk}&next={onward}"


def test_the_page_says_what_why_and_what_for_with_three_equal_buttons_and_no_script(client, ask):
    response = client.get(address(ask))
    page = response.content.decode()

    for words in ("What do you look for?", "Why we ask:", "To show it first.", "To show you things that fit you."):
        assert words in page
    for button in ("Save and continue", "Pass", "Don’t ask me again"):
        assert f">{button}</button>" in page
    assert "<script" not in page
    assert " checked" not in page
    assert "default-src 'none'" in response["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("form", "outcome"),
    [({"do": "answer", "answer": "shoes"}, "answered"), ({"do": "pass"}, "passed"), ({"do": "never"}, "never")],
)
def test_each_button_closes_the_ask_and_goes_on(client, ask, form, outcome):
    response = client.post(address(ask), form)

    ask.refresh_from_db()
    assert (response.status_code, response["Location"]) == (302, "/authorize/resume?state=s")
    assert ask.outcome == outcome


def test_saving_nothing_says_what_to_do_and_keeps_the_question_open(client, ask):
    response = client.post(address(ask), {"do": "answer"})

    ask.refresh_from_db()
    assert response.status_code == 422
    assert "<title>Error: One question</title>" in response.content.decode()
    assert "Choose an answer, or pass." in response.content.decode()
    assert ask.outcome == "shown"


def test_what_she_wrote_is_kept_and_escaped_when_it_was_refused(client, chika):
    save_question(
        QuestionDraft(
            "code", "Your postal code?", "For the nearest shop.", "postal_code", "postal_code", "serve", enabled=True
        )
    )
    sign_in(client, chika)

    page = client.post(address(next_question(chika)), {"do": "answer", "answer": '"><b>'}).content.decode()

    assert 'value="&quot;&gt;&lt;b&gt;"' in page


def test_dov_cannot_see_or_answer_chikas_question(client, ask):
    dov, _ = get_or_create_by_identity("google-oauth2", "2002")
    sign_in(client, dov)

    for response in (client.get(address(ask)), client.post(address(ask), {"do": "never"})):
        assert response.status_code == 404
        assert "This question is not yours" in response.content.decode()
        assert "What do you look for?" not in response.content.decode()
    ask.refresh_from_db()
    assert ask.outcome == "shown"


@pytest.mark.parametrize("number", ["", "abc", "-1", "9" * 30, "%00", "²"])
def test_a_number_that_is_no_ask_is_a_page_with_words(client, ask, number):
    assert client.get(f"/question?impression={number}").status_code == 404


def test_a_question_answered_in_another_tab_is_not_shown_again(client, ask):
    client.post(address(ask), {"do": "pass"})

    assert client.get(address(ask))["Location"] == "/authorize/resume?state=s"
    assert client.post(address(ask), {"do": "answer", "answer": "shoes"})["Location"] == "/authorize/resume?state=s"
    ask.refresh_from_db()
    assert ask.outcome == "passed"


def test_a_question_reworded_meanwhile_is_not_shown_in_other_words_than_were_written_down(client, ask):
    save_question(replace(LOOKING_FOR, why="For another reason."))

    assert client.get(address(ask))["Location"] == "/authorize/resume?state=s"
    assert client.post(address(ask), {"do": "answer", "answer": "boats"})["Location"] == "/authorize/resume?state=s"
    assert client.post(address(ask), {"do": "pass"}).status_code == 302
    ask.refresh_from_db()
    assert ask.outcome == "passed"


def test_nobody_signed_in_is_sent_to_the_login_and_back(client, ask):
    client.logout()

    response = client.get(address(ask, "/x"))

    assert response["Location"] == f"/login?next=%2Fquestion%3Fimpression%3D{ask.pk}%26next%3D%2Fx"


def test_a_form_without_the_pages_token_is_refused(ask, client):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies

    assert strict.post(address(ask), {"do": "never"}).status_code == 403
    ask.refresh_from_db()
    assert ask.outcome == "shown"


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
def test_the_page_goes_on_only_to_paths_of_this_house(wanted, onward):
    assert local_path(wanted) == onward


@pytest.mark.parametrize("kind", list(TYPES))
def test_every_type_is_drawn_with_a_label_and_the_input_called_answer(kind, chika, client):
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


def test_a_consent_is_a_plain_statement_with_two_equal_buttons_that_each_write_the_ledger(client, chika):
    draft = QuestionDraft(
        "news", "May we write to you?", "To tell you of new jackets.", "consent", "news", "message", enabled=True
    )
    save_question(draft)
    sign_in(client, chika)
    ask = next_question(chika)

    page = client.get(address(ask)).content.decode()
    client.post(address(ask), {"answer": "no"})

    assert '<button name="answer" value="yes">Yes, I agree</button>' in page
    assert '<button name="answer" value="no">No, I do not agree</button>' in page
    state = chika.consent_states.get(purpose="message")
    assert (state.status, state.event.explicit) == ("refused", True)
    assert not chika.facts.exists()


def test_what_we_think_is_shown_and_another_word_corrects_it(client, chika):
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
    ask = next_question(chika)

    page = client.get(address(ask)).content.decode()
    refused = client.post(address(ask), {"do": "answer", "answer": "__no", "other": ""})
    client.post(address(ask), {"do": "answer", "answer": "__no", "other": "Braga"})

    assert "We think you live in &lt;Porto&gt;. Right?" in page
    assert refused.status_code == 422
    assert (view(chika, "serve")["city"].value, view(chika, "serve")["city"].source_kind) == ("Braga", "corrected")


@pytest.mark.parametrize(("choice", "outcome"), [("__declined", "declined"), ("__dont_know", "dont_know")])
def test_prefer_not_to_say_and_dont_know_are_answers_of_their_own(client, chika, choice, outcome):
    save_question(replace(LOOKING_FOR, may_decline=True, may_not_know=True))
    sign_in(client, chika)
    ask = next_question(chika)

    assert choice in client.get(address(ask)).content.decode()
    client.post(address(ask), {"do": "answer", "answer": choice})

    ask.refresh_from_db()
    assert ask.outcome == outcome
    assert not chika.facts.exists()


def test_nobody_can_decline_in_a_way_the_question_does_not_offer(client, ask):
    assert client.post(address(ask), {"do": "answer", "answer": "__declined"}).status_code == 422


IN_THEIR_WORDS = {
    "de": ("Vier Ziffern: 1988.", "Geben Sie das Jahr vierstellig ein, etwa 1988.", "Überspringen"),
    "ar-EG": ("أربعة أرقام: 1988.", "اكتب السنة بأربعة أرقام، مثل 1988.", "تخطٍّ"),
}


@pytest.mark.parametrize("locale", IN_THEIR_WORDS)
def test_hint_and_refusal_are_in_the_language_of_the_question(client, chika, locale):
    own = {"text": "Geburtsjahr?", "why": "x"}
    year = QuestionDraft("born", "Born in?", "To greet you.", "year", "birth_year", "serve", enabled=True)
    save_question(replace(year, translations={locale.partition("-")[0]: own}))
    sign_in(client, chika)
    ask = next_question(chika, locale=locale)
    page = client.post(address(ask), {"answer": "88"}, headers={"Accept-Language": "en"}).content.decode()

    assert all(words in page for words in IN_THEIR_WORDS[locale])
    assert "Write" not in page


def test_yes_and_no_come_from_the_house_where_it_speaks_the_language_and_else_from_the_translation(client, chika):
    words = {"text": "Mag je jassen?", "why": "Daarom."}
    likes = QuestionDraft(
        "likes", "Do you like jackets?", "To show them.", "yes_no", "likes_jackets", "serve", enabled=True
    )
    save_question(replace(likes, translations={"de": {"text": "Magst du Jacken?", "why": "Darum."}, "nl": words}))
    sign_in(client, chika)
    page = client.get(address(next_question(chika, locale="de"))).content.decode()

    assert "> Ja</label>" in page
    assert "> Nein</label>" in page
    assert choose_wording(Question.objects.get(), "nl", chika.pk).locale == "en", (
        "no Dutch question with English answers"
    )


@pytest.fixture
def more(ask):
    """Another question waits, and the owner lets customers have it."""
    save_question(
        QuestionDraft("code", "Your postal code?", "For the shop.", "postal_code", "postal_code", "serve", enabled=True)
    )
    save_settings(one_more=1)


def test_after_an_answer_she_is_thanked_and_may_have_one_more_or_go_on(client, ask, more):
    offer = client.post(address(ask), {"do": "answer", "answer": "jackets"})["Location"]
    page = client.get(offer).content.decode()
    further = client.post(offer, {"do": "more"})["Location"]
    asked = client.get(further).content.decode()
    end = client.post(further, {"do": "answer", "answer": "10115"})["Location"]

    assert offer.startswith(f"/question/more?impression={ask.pk}&next=")
    assert "<h1>Thank you.</h1>" in page
    assert "<script" not in page
    assert "Your postal code?" in asked
    assert end == "/authorize/resume?state=s"


def test_no_goes_on_and_asks_nothing(client, ask, more):
    offer = client.post(address(ask), {"do": "answer", "answer": "jackets"})["Location"]

    assert client.post(offer, {"do": "no"})["Location"] == "/authorize/resume?state=s"
    assert Impression.objects.count() == 1


def test_going_back_to_the_offer_after_it_was_taken_asks_nothing_twice(client, ask, more):
    offer = client.post(address(ask), {"do": "answer", "answer": "jackets"})["Location"]
    first, again = (client.post(offer, {"do": "more"})["Location"] for _ in range(2))

    assert first == again
    client.post(first, {"do": "pass"})
    assert client.post(offer, {"do": "more"})["Location"] == "/authorize/resume?state=s"
    assert client.get(offer)["Location"] == "/authorize/resume?state=s"


def test_whoever_passes_is_offered_nothing_more(client, ask, more):
    assert client.post(address(ask), {"do": "pass"})["Location"] == "/authorize/resume?state=s"


def test_the_offer_is_hers_alone(client, ask, more):
    offer = client.post(address(ask), {"do": "answer", "answer": "jackets"})["Location"]
    dov, _ = get_or_create_by_identity("google-oauth2", "2", connection="google-oauth2", is_social=True)
    sign_in(client, dov)

    assert client.post(offer, {"do": "more"})["Location"] == "/authorize/resume?state=s"
    client.logout()
    assert client.get(offer)["Location"] == "/authorize/resume?state=s"
    assert Impression.objects.count() == 1
