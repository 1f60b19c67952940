"""The chooser put together: segments, consent, priors, the learned model and chance, for one customer at one login."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import combinations

import pytest

from regulars.consent.record import Decision, record
from regulars.consent.refresh import refresh_views
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute
from regulars.questions.answer_model import refit
from regulars.questions.models import AnswerModel, Question, SelectionDecision, Target
from regulars.questions.next_question import NotShown, next_question
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.questions.settings import save_settings
from regulars.segments.save import save_segment
from regulars.usecases.save_segment import evaluate_saved
from tests.notices import answer_page

BANDS = (("18-24", "18 to 24"), ("25-34", "25 to 34"), ("35-44", "35 to 44"))


def choice(key, options, purpose="measure", **more):
    drawn = tuple(AnswerOption(each, each.title()) for each in options)
    return save_question(
        QuestionDraft(key, f"{key}?", "Because.", "single_choice", key, purpose, drawn, enabled=True, **more)
    )


@pytest.fixture
def questions(standard_setup):
    return [
        choice("colour", ("red", "blue")),
        choice("sport", ("run", "swim", "none")),
        choice("travel", ("sea", "hills")),
    ]


def segment(text, purpose="measure"):
    saved = save_segment(text, text, purpose, slug=f"s{Target.objects.count()}")
    evaluate_saved(saved)
    return saved


def test_on_the_first_day_the_segments_alone_say_what_to_ask(chika, questions):
    refresh_views(chika)
    segment("sport:run AND travel:sea")

    impression = next_question(chika)

    assert impression.question.key == "sport"
    assert impression.explanation["segments"] == ["s0"]
    assert impression.explanation["runner_up"] == "travel"
    assert impression.explanation["policy"] == "types:1 model:0"
    assert impression.explanation["probability"] == 1


def test_what_one_answer_settles_is_written_beside_the_ask(chika, questions):
    refresh_views(chika)
    segment("sport:run AND travel:sea")
    impression = next_question(chika)

    answer_page(impression, "answer=swim")

    impression.refresh_from_db()
    assert impression.bits == pytest.approx(0.65, abs=0.01)  # a sixth: 0.65 bits of entropy, all gone


def test_an_operators_share_moves_the_choice(chika, questions):
    refresh_views(chika)
    segment("sport:run AND travel:sea")
    save_settings(priors={"sport": {"run": 0.99}})

    assert next_question(chika).question.key == "travel"


def test_unit_10_a_segment_whose_purpose_is_not_open_counts_nothing(chika, questions):
    Attribute.objects.filter(key="travel").update(purposes=["measure", "message"])
    refresh_views(chika)
    segment("travel:sea", "message")

    assert next_question(chika).explanation["segments"] == []


def test_the_same_segment_counts_once_its_purpose_is_open(chika, questions):
    Attribute.objects.filter(key="travel").update(purposes=["measure", "message"])
    record(chika, Decision("message", "given", "profile"))
    refresh_views(chika)
    segment("travel:sea", "message")

    assert next_question(chika).explanation["segments"] == ["s0"]


KEYS = ("colour", "sport", "travel")


@pytest.mark.parametrize("known", [each for n in (1, 2, 3) for each in combinations(KEYS, n)])
def test_unit_06_what_is_known_is_never_asked_however_much_a_segment_wants_it(known, questions, make_customer):
    first = {"colour": "red", "sport": "run", "travel": "sea"}
    segment("colour:red AND sport:run AND travel:sea")
    chika = make_customer(**{key: first[key] for key in known})

    impression = next_question(chika)

    unknown = set(KEYS) - set(known)
    assert (impression.question.key in unknown) if unknown else impression == NotShown("all_known")
    assert last_refusals(chika) == dict.fromkeys(known, "known")


def last_refusals(profile):
    return SelectionDecision.objects.filter(profile=profile).latest("id").rejections


def test_a_special_category_is_neither_a_column_nor_an_aim(chika, questions):
    Attribute.objects.filter(key="travel").update(sensitivity="special")
    refresh_views(chika)
    segment("travel:sea AND sport:run")

    impression = next_question(chika)

    assert impression.question.key == "colour"
    assert impression.explanation["segments"] == []


def test_what_is_known_may_only_be_used_for_the_segments_purpose(chika, questions):
    """The sport was given under a consent withdrawn since: the segment does not see it, and it is not asked again."""
    Attribute.objects.filter(key="sport").update(purposes=["measure", "personalise"])
    yes = record(chika, Decision("personalise", "given", "login"))
    learn(chika, [NewFact("sport", "none", "declared", "app:shop", basis="consent", consents=[yes.pk])])
    record(chika, Decision("personalise", "withdrawn", "profile"))
    refresh_views(chika)
    segment("sport:run AND travel:sea")

    impression = next_question(chika)

    assert impression.question.key == "travel"
    assert impression.explanation["segments"] == ["s0"]  # as if the sport were unknown


def test_a_question_that_only_costs_is_not_asked(chika, questions):
    refresh_views(chika)
    for text in ("sport:run", "sport:swim", "travel:sea", "colour:red"):
        segment(text)
    for key, known in (("sport", "run"), ("travel", "sea"), ("colour", "red")):
        learn(chika, [NewFact(key, known, "declared", "app:shop")])
    choice("idle", ("a", "b"), weight=0.1)
    save_settings(pace=0.5)

    assert next_question(chika) == NotShown("not_worth_asking")
    assert SelectionDecision.objects.latest("id").candidates["idle"]["score"] < 0


def test_switched_off_shows_no_question(chika, questions):
    save_settings(asking=False)

    assert next_question(chika) == NotShown("switched_off")


def test_an_audience_is_a_condition_and_unknown_is_no_match(chika, standard_setup):
    choice("sport", ("run", "swim"), audience="country:PT", purpose="serve")
    refresh_views(chika)
    assert next_question(chika) == NotShown("nothing_to_ask")
    assert SelectionDecision.objects.latest("id").rejections == {"sport": "not_in_audience"}

    learn(chika, [NewFact("country", "PT", "declared", "app:shop")])
    refresh_views(chika)

    assert next_question(chika).question.key == "sport"


def test_confirming_is_worth_the_more_the_less_its_source_is_to_be_trusted(chika, standard_setup):
    for key, confidence in (("birthplace", 1.0), ("hometown", 0.6)):
        save_question(QuestionDraft(key, "Is it {value}?", "Because.", "confirm", key, "measure", enabled=True))
        learn(
            chika,
            [
                NewFact(
                    key,
                    "Porto",
                    "social",
                    "google-oauth2",
                    confidence=confidence,
                    basis="legitimate_interest",
                    purpose="measure",
                )
            ],
        )
        segment(f"{key}:Porto")
    refresh_views(chika)

    impression = next_question(chika)
    scores = SelectionDecision.objects.get().candidates

    assert (impression.question.key, impression.to_confirm) == ("hometown", "Porto")
    assert 0 < scores["birthplace"]["value"] < scores["hometown"]["value"]


def test_a_quota_stops_a_question_for_a_month(chika, standard_setup, days_later):
    choice("sport", ("run", "swim"), quota=1)
    dov, _ = get_or_create_by_identity("google-oauth2", "2002")
    answer_page(next_question(dov), "answer=run")

    assert next_question(chika) == NotShown("nothing_to_ask")
    days_later(31)
    assert next_question(chika).question.key == "sport"


def test_a_question_waits_for_logins_and_days(chika, standard_setup, days_later):
    choice("sport", ("run", "swim"), not_before_logins=2, not_before_days=3)
    chika.logins_count = 2

    assert next_question(chika) == NotShown("nothing_to_ask")
    days_later(4)
    assert next_question(chika).question.key == "sport"


def test_two_passes_in_a_row_bring_two_quiet_months(chika, questions, days_later):
    from regulars.usecases.answer_question import pass_over

    for day in (0, 1):
        days_later(day)
        pass_over(next_question(chika))

    days_later(60)
    assert next_question(chika) == NotShown("quiet")
    days_later(61)
    assert next_question(chika).question.key


def test_an_operators_caps_hold(chika, questions, days_later):
    save_settings(days_between=7, min_logins=2)
    assert next_question(chika) == NotShown("too_new")
    chika.logins_count = 2
    next_question(chika)

    days_later(6)
    assert next_question(chika) == NotShown("asked_recently")


def test_chance_begins_once_enough_was_shown_and_is_the_same_all_day(chika, questions):
    save_settings(control_share=0.5, explore_share=0.5, measure_from=0)
    people = [get_or_create_by_identity("google-oauth2", str(number))[0] for number in range(40)]

    reasons = [next_question(each) for each in people]
    control = [each for each in reasons if isinstance(each, NotShown)]
    explored = [each for each in reasons if not isinstance(each, NotShown) and each.explored]

    assert {each.reason for each in control} == {"control_group"}
    assert 8 < len(control) < 32
    assert explored
    assert {round(each.probability, 4) for each in explored} <= {
        round(0.5 * 0.5 / 3, 4),
        round(0.5 * (0.5 / 3 + 0.5), 4),
    }


def test_variants_get_equal_shares_and_a_customer_keeps_theirs(questions):
    from regulars.questions.wording import choose_wording

    question = Question.objects.get(key="sport")
    question.variants = [{"key": "b", "text": "Do you move?", "why": "Because."}]
    drawn = [choose_wording(question, "en", number).variant for number in range(1000)]

    assert 430 < drawn.count("b") < 570
    assert drawn[7] == choose_wording(question, "en", 7).variant


def test_wishing_to_know_comes_first_within_the_caps(chika, questions):
    from regulars.questions.boosts import boost_question

    refresh_views(chika)
    boost_question(Question.objects.get(key="travel"), [chika.pk])

    assert next_question(chika).question.key == "travel"


@pytest.fixture
def crowd(questions):
    """A hundred and twenty customers of two types."""
    segment("sport:run AND travel:sea")
    for number in range(120):
        profile, _ = get_or_create_by_identity("google-oauth2", f"p{number}")
        kind = number % 2
        facts = {"sport": ("run", "swim")[kind], "travel": ("sea", "hills")[kind], "colour": ("red", "blue")[kind]}
        learn(
            profile,
            [
                NewFact(key, value, "declared", "app:shop", basis="legitimate_interest", purpose="measure")
                for key, value in facts.items()
            ],
        )
        refresh_views(profile)


def test_learned_model_predicts_the_other_answers_from_one(crowd):
    model = refit()

    newcomer, _ = get_or_create_by_identity("google-oauth2", "newcomer")
    refresh_views(newcomer)
    impression = next_question(newcomer)
    assert (model.in_use, model.why, model.rows) == (True, "learned", 120)
    assert model.columns == [["colour", 2], ["sport", 3], ["travel", 2]]
    assert len(model.mixture["shares"]) >= 2
    assert impression.explanation["policy"].endswith(f"model:{model.pk}")
    assert impression.value > 0.9  # whatever is asked tells the type, and the type tells the rest


def test_a_worse_model_is_written_down_and_not_used(crowd, monkeypatch):
    from regulars.questions import answer_model as module

    good = refit()
    monkeypatch.setattr(module, "fit", lambda rows, cards, types, **more: module.uniform(cards))

    worse = refit()

    assert (worse.in_use, worse.why) == (False, "worse_than_before")
    assert AnswerModel.objects.filter(in_use=True).latest("id") == good


def test_too_few_profiles_leave_the_shares_to_the_operator(chika, questions):
    assert refit().why == "too_few_profiles"
    assert isinstance(next_question(chika).pk, int)


def test_a_segment_that_is_gone_is_no_aim_any_more(chika, questions):
    from regulars.usecases.update_question_model import update_target_segments

    saved = segment("travel:sea")
    saved.delete()
    update_target_segments()

    assert not Target.objects.exists()


def test_a_login_spends_few_queries_and_little_time_on_a_question(chika, questions, django_assert_max_num_queries):
    refresh_views(chika)
    for text in ("sport:run AND travel:sea", "colour:red", "sport:swim OR colour:blue"):
        segment(text)
    dov, _ = get_or_create_by_identity("google-oauth2", "2002")
    next_question(dov)

    began = time.thread_time()
    with django_assert_max_num_queries(25):
        next_question(chika)

    assert time.thread_time() - began < 0.15


def test_a_change_of_words_makes_another_version_of_every_wording(questions):
    question = Question.objects.get(key="sport")
    draft = QuestionDraft(
        "sport", "sport?", "Because.", "single_choice", "sport", "measure", tuple(question.choices()), enabled=True
    )

    assert save_question(draft).version == 1
    assert save_question(replace(draft, variants=({"key": "b", "text": "Move?", "why": "Why not."},))).version == 2
