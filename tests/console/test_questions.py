"""Questions in the console."""

from __future__ import annotations

import re

import pytest

from regulars.accounts.models import Account
from regulars.consent.models import Purpose
from regulars.interfaces.console.models import AuditEntry
from regulars.profiles.find import create_database_profile
from regulars.questions.models import Impression, Question
from regulars.questions.next_question import next_question
from regulars.questions.save import AnswerOption, QuestionDraft, save_question
from regulars.segments.save import save_segment
from regulars.usecases.save_segment import evaluate_saved

NASTY = "<script>alert(1)</script>"
LOOKING = {
    "text": "What are you looking for?",
    "why": "We show you that first.",
    "type": "single_choice",
    "options": "jackets = Warm jackets\nBoots",
    "attribute": "looking_for",
    "purpose": "personalise",
    "weight": "2,5",
    "key": "looking_for",
    "enabled": "on",
}


def _saved(number: int = 1, **more) -> Question:
    words = {"text": f"Question {number}?", "why": "So that it fits.", "type": "yes_no", "purpose": "personalise"}
    return save_question(QuestionDraft(**{"key": f"q{number}", "attribute": f"answer_{number}", **words, **more}))


def test_ana_writes_a_question_and_is_sent_on_to_it(console):
    response = console.post("/console/questions/new", LOOKING)

    question = Question.objects.get()
    assert (response.status_code, response["Location"]) == (302, "/console/questions/looking_for")
    assert question.options == [{"key": "jackets", "label": "Warm jackets"}, {"key": "boots", "label": "Boots"}]
    assert (question.weight, question.enabled, question.purpose_id) == (2.5, True, "personalise")
    assert AuditEntry.objects.get(what="question.saved").subject == "looking_for"


def test_without_a_key_the_question_names_itself(console):
    console.post("/console/questions/new", {**LOOKING, "key": ""})

    assert Question.objects.get().key == "what-are-you-looking-for"


def test_bruno_neither_reads_nor_writes(bruno_console):
    _saved()

    assert bruno_console.get("/console/questions").status_code == 403
    assert bruno_console.post("/console/questions/new", LOOKING).status_code == 403
    assert bruno_console.post("/console/questions/q1/switch", {"on": "1"}).status_code == 403
    assert not Question.objects.get().enabled


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"text": ""}, "text"),
        ({"why": "x" * 141}, "why"),
        ({"options": "only one"}, "options"),
        ({"type": "telepathy"}, "type"),
        ({"purpose": "world domination"}, "purpose"),
        ({"purpose": "share"}, "purpose"),
        ({"attribute": "no spaces please"}, "attribute"),
        ({"weight": "heavy"}, "weight"),
        ({"weight": "nan"}, "weight"),
        ({"weight": "-1"}, "weight"),
        ({"key": "new"}, "key"),
        ({"key": "no good"}, "key"),
        ({"key": "q1"}, "key"),
    ],
)
def test_an_error_is_shown_beside_its_field_and_nothing_is_saved(console, change, about):
    _saved(attribute="looking_for")

    response = console.post("/console/questions/new", {**LOOKING, **change})

    page = response.content.decode()
    assert response.status_code == (409 if change == {"key": "q1"} else 400)
    assert response.context["problem"].field == about
    assert f'id="in-{about}-problem"' in page
    assert "<title>Error: " in page
    assert Question.objects.count() == 1


def test_other_words_make_another_version_and_the_switch_does_not(console):
    console.post("/console/questions/new", LOOKING)
    console.post("/console/questions/looking_for/switch", {"on": "0"})
    assert (Question.objects.get().version, Question.objects.get().enabled) == (1, False)

    console.post("/console/questions/looking_for", {**LOOKING, "why": "You see it first."})

    assert Question.objects.get().version == 2
    assert "Version 2" in console.get("/console/questions/looking_for").content.decode()


def test_the_preview_shows_what_is_written_and_saves_nothing(console):
    whole = console.post("/console/questions/new", {**LOOKING, "do": "preview"})
    part = console.post("/console/questions/new", {**LOOKING, "do": "preview"}, HTTP_HX_REQUEST="true")

    assert Purpose.objects.get(key=LOOKING["purpose"]).text in part.content.decode()
    assert "Warm jackets" in whole.content.decode()
    assert "By answering you allow" in part.content.decode()
    assert "<html" not in part.content.decode()
    assert not Question.objects.exists()


def test_words_are_words_and_never_markup(console):
    console.post("/console/questions/new", {**LOOKING, "text": NASTY, "why": NASTY, "options": f"a = {NASTY}\nb"})

    for address in ("/console/questions", "/console/questions/looking_for"):
        page = console.get(address).content.decode()
        assert NASTY not in page
        assert "&lt;script&gt;" in page


def test_the_list_shows_statistics_of_each_question(console, chika):
    question = _saved()
    Impression.objects.create(
        question=question, version=1, profile=chika, day="2026-11-24", outcome="answered", words="x"
    )
    Impression.objects.create(
        question=question, version=1, profile=chika, day="2026-11-25", outcome="passed", words="x"
    )

    ((_, fared, _),) = console.get("/console/questions").context["rows"]

    assert (fared.shown, fared.answered, fared.passed, fared.never) == (2, 1, 1, 0)


def test_many_questions_cost_as_many_queries_as_one(console, django_assert_max_num_queries):
    for number in range(15):
        _saved(number)

    with django_assert_max_num_queries(8):
        console.get("/console/questions")
    with django_assert_max_num_queries(12):
        console.get("/console/questions/q1")


def test_an_empty_list_explains_what_will_be_here(console):
    page = console.get("/console/questions").content.decode()

    assert "Your questions will be here" in page
    assert "Write the first question" in page


def test_an_unknown_question_is_not_found(console):
    assert console.get("/console/questions/nothing").status_code == 404
    assert console.post("/console/questions/nothing/switch", {"on": "1"}).status_code == 400


def test_options_of_a_choice_reach_the_form_as_they_were_written(console):
    _saved(type="multi_choice", options=[AnswerOption("a", "Hats"), AnswerOption("b", "Gloves")])

    assert "a = Hats\nb = Gloves" in console.get("/console/questions/q1").content.decode()


def test_the_table_tells_the_interval_the_bits_and_who_uses_the_answers(console, chika):
    question = _saved(attribute="gender", type="yes_no")
    evaluate_saved(save_segment("Women", "gender:female", "personalise"))
    Impression.objects.create(
        question=question, version=1, profile=chika, day="2026-11-24", outcome="answered", words="x", bits=0.5
    )

    page = console.get("/console/questions").content.decode()

    assert "21 % to 100 %" in page
    assert "0.50" in page
    assert "1 segment<" in page


def test_a_question_hardly_anybody_answers_is_proposed_for_retiring(console, make_customer):
    question = _saved()
    people = [make_customer() for _ in range(3)]
    Impression.objects.bulk_create(
        Impression(
            question=question, version=1, profile=people[n % 3], day=f"{1500 + n}-01-01", outcome="passed", words="x"
        )
        for n in range(501)
    )

    page = console.get("/console/questions").content.decode()

    assert "Retire?" in page
    assert "fewer than 15 in 100 answer" in page
    assert Question.objects.get().key == "q1"


WHOLE = {
    **LOOKING,
    "confirm": "You look for {value}. Still so?",
    "audience": "gender:female",
    "not_before_logins": "2",
    "not_before_days": "3",
    "quota": "500",
    "may_decline": "on",
    "may_not_know": "on",
    "rules_see_answer": "on",
    "locale": "en",
    "translation.0.locale": "he",
    "translation.0.text": "מה מחפשים?",
    "translation.0.why": "נראה לך קודם.",
    "translation.0.options": "jackets = מעילים\nboots = מגפיים",
    "variant.0.key": "b",
    "variant.0.text": "What brings you here?",
    "variant.0.why": "We show it first.",
}


def test_every_field_of_a_question_survives_a_round_trip_through_its_form(console):
    response = console.post("/console/questions/new", WHOLE)

    question = Question.objects.get()
    assert response.status_code == 302
    assert (question.audience, question.quota) == ("gender:female", 500)
    assert (question.not_before_logins, question.not_before_days) == (2, 3)
    assert (question.may_decline, question.may_not_know, question.rules_see_answer) == (True, True, True)
    assert question.translations["he"]["options"] == {"jackets": "מעילים", "boots": "מגפיים"}
    assert question.variants == [{"key": "b", "text": "What brings you here?", "why": "We show it first."}]
    given = console.get("/console/questions/looking_for").context["given"]
    console.post("/console/questions/looking_for", given)
    assert Question.objects.get().version == 1
    assert Question.objects.get().rules_see_answer
    del given["rules_see_answer"]
    console.post("/console/questions/looking_for", given)
    assert (Question.objects.get().rules_see_answer, Question.objects.get().version) == (False, 1)


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"audience": "gender:"}, "audience"),
        ({"audience": 'segment:"missing"'}, "audience"),
        ({"quota": "many"}, "quota"),
        ({"not_before_days": "-1"}, "not_before_days"),
        ({"translation.0.locale": ""}, "translations"),
        ({"translation.0.why": ""}, "translations"),
        ({"variant.0.key": ""}, "variants"),
        ({"variant.0.text": ""}, "variants"),
        ({"type": "band"}, "options"),
        ({"type": "pick", "options": "a = A | http://elsewhere.example/a.png\nb = B"}, "options"),
        ({"type": "confirm", "attribute": "own"}, "text"),
        ({"type": "consent", "purpose": "serve", "attribute": "own"}, "purpose"),
        ({"options": "__yes = Yes\nb = B"}, "options"),
    ],
)
def test_errors_of_other_question_fields_are_shown_beside_them(console, change, about):
    response = console.post("/console/questions/new", {**WHOLE, **change})

    assert (response.status_code, response.context["problem"].field) == (400, about)
    assert f'id="in-{about.replace("_", "-")}-problem"' in response.content.decode()
    assert not Question.objects.exists()


def test_the_preview_has_the_buttons_and_the_stylesheet_of_the_page_after_a_login(console, client):
    console.post("/console/questions/new", LOOKING)
    chika = create_database_profile("Username-Password-Authentication")
    chika.account = Account.objects.create_user(email="chika@example.com")
    chika.save()
    client.force_login(chika.account, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(f"/question?impression={next_question(chika).pk}&next=/me").content.decode()
    preview = console.post("/console/questions/new", {**LOOKING, "key": "other", "do": "preview"}).content.decode()

    def block(html: str) -> str:
        return " ".join(re.search(r'<div class="answer-buttons">.*?class="never".*?</div>', html, re.DOTALL)[0].split())

    assert block(page) == block(preview)
    assert re.findall(r"<button[^>]*>(.*?)</button>", block(page)) == [
        "Save and continue",
        "Not now",
        "Don’t ask again",
    ]
    stylesheet = '<link rel="stylesheet" href="/static/questions/question.css">'
    assert stylesheet in page
    assert stylesheet in preview


def test_the_preview_shows_another_language_in_its_direction_and_the_ways_out(console):
    page = console.post("/console/questions/new", {**WHOLE, "do": "preview", "seen": "he"}).content.decode()
    own = console.post("/console/questions/new", {**WHOLE, "do": "preview", "seen": "wording b"}).content.decode()

    assert 'lang="he" dir="rtl"' in page
    assert "מעילים</label>" in page
    assert "I prefer not to say</label>" in page
    assert "<strong>What brings you here?</strong>" in own


def test_the_preview_uses_the_language_of_the_translation_where_supported(console):
    asked = {**WHOLE, "translation.0.locale": "de", "do": "preview", "seen": "de"}
    page = console.post("/console/questions/new", asked).content.decode()
    nonsense = console.post("/console/questions/new", {**asked, "translation.0.locale": "\0../x", "seen": "\0../x"})

    assert "Jetzt nicht</button>" in page
    assert "Speichern und weiter" in page
    assert nonsense.status_code in (200, 400)


@pytest.mark.parametrize("kind", ["band", "confirm", "consent", "country", "phone", "pick", "scale", "year"])
def test_every_kind_is_drawn_in_the_preview(console, kind):
    page = console.post("/console/questions/new", {**LOOKING, "type": kind, "do": "preview"}).content.decode()

    assert "What are you looking for?" in page
    assert "Not now</button>" in page


BEGUN = {
    **WHOLE,
    "translation.0.locale": "fr",
    "translation.0.text": "Que cherchez-vous ?",
    "translation.0.why": "Nous vous le montrons d’abord.",
    "translation.0.options": "jackets = Vestes",
    "translation.1.locale": "de",
    "translation.1.text": "Wonach suchst du?",
    "translation.1.why": "Das zeigen wir dir zuerst.",
    "translation.1.confirm": "Du suchst {value}?",
    "translation.1.options": "jackets = Jacken\nboots = Stiefel",
}


def test_an_incomplete_translation_is_shown_in_list_and_form(console):
    console.post("/console/questions/new", BEGUN)

    missing = "; not in Spanish, Japanese, Portuguese (Brazil) or Arabic."
    for address, more in (("/console/questions", "."), ("/console/questions/looking_for", missing)):
        page = console.get(address).content.decode()
        assert f"Asked in English and German{more}" in page
        assert "French is incomplete" in page
        assert "confirmation text, the answer boots" in page


def test_a_new_question_shows_what_each_language_lacks_before_saving(console):
    page = console.post("/console/questions/new", {**BEGUN, "do": "preview"}).content.decode()

    assert page.count("Not used yet.") == 1
    assert "Missing: confirmation text, the answer boots." in page
    assert not Question.objects.exists()


def test_removing_a_language_also_saves_the_rest_of_the_form(console):
    console.post("/console/questions/new", BEGUN)
    given = {**BEGUN, "why": "You see it first.", "remove": "1"}

    response = console.post("/console/questions/looking_for", given, follow=True)

    question = Question.objects.get()
    assert (list(question.translations), question.why, question.version) == (["fr"], "You see it first.", 2)
    assert "Saved as version 2, without German." in response.content.decode()
    assert AuditEntry.objects.filter(what="question.saved").count() == 2


def test_a_language_that_was_to_go_stays_away_when_something_else_is_wrong(console):
    console.post("/console/questions/new", BEGUN)

    response = console.post("/console/questions/looking_for", {**BEGUN, "why": "", "remove": "1"})

    assert response.status_code == 400
    assert [block["locale"] for _, block, _ in response.context["translations"]] == ["fr", ""]
    assert sorted(Question.objects.get().translations) == ["de", "fr"]


def test_every_language_has_its_button_and_the_enter_key_saves(console):
    console.post("/console/questions/new", BEGUN)

    page = console.get("/console/questions/looking_for").content.decode()

    form = page[page.index('<form method="post" id="question"') :].partition("</form>")[0]
    assert form.count('name="remove"') == 2
    assert form.index('<button class="visually-hidden" name="do" value="save"') < form.index('name="remove"')


def test_bruno_takes_no_language_away(bruno_console):
    _saved(translations={"de": {"text": "?", "why": "!"}})

    assert bruno_console.post("/console/questions/q1", {"remove": "0"}).status_code == 403
    assert list(Question.objects.get().translations) == ["de"]


@pytest.mark.parametrize("second", ["fr", "FR", " fr "])
def test_two_translations_into_one_language_are_refused_beside_the_second(console, second):
    response = console.post("/console/questions/new", {**BEGUN, "translation.1.locale": second})

    page = response.content.decode()
    assert (response.status_code, response.context["problem"].field) == (400, "translation.1.locale")
    assert 'id="in-translation-1-locale-problem">There are two translations into French.' in page
    assert '<details id="in-translations" open>' in page
    assert "Que cherchez-vous ?" in page
    assert "Wonach suchst du?" in page
    assert not Question.objects.exists()


def test_a_translation_into_the_language_of_the_question_itself_is_refused(console):
    response = console.post("/console/questions/new", {**BEGUN, "locale": "de"})

    assert (response.status_code, response.context["problem"].field) == (400, "translation.1.locale")


GERMAN_AS_WELL = {"translation.48.locale": "de", "translation.48.text": "Frage?", "translation.48.why": "Darum."}


def _drawn(page: str) -> list[str]:
    form = page[page.index('<form method="post" id="question"') :].partition("</form>")[0]
    return re.findall(r'<(?:input|textarea|select)[^>]* name="([^"]+)"', form)


def test_saving_the_form_keeps_every_language_and_wording_of_the_api(console):
    words = {"text": "?", "why": "!", "confirm": "{value}?"}
    codes = [f"x{first}{second}" for first in "abcdef" for second in "abcdefgh"]
    _saved(translations=dict.fromkeys(codes, words), variants=[{"key": code, **words} for code in codes], enabled=True)
    page = console.get("/console/questions/q1")
    given = {name: page.context["given"].get(name, "") for name in _drawn(page.content.decode()) if "." in name}
    given |= {name: value for name, value in page.context["given"].items() if "." not in name}

    response = console.post("/console/questions/q1", {**given, **GERMAN_AS_WELL})

    question = Question.objects.get()
    assert response.status_code == 302
    assert sorted(question.translations) == ["de", *codes]
    assert question.translations["xaa"] == words
    assert [each["key"] for each in question.variants] == codes
    assert question.variants[0]["confirm"] == "{value}?"
