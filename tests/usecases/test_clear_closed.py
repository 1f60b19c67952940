"""What is closed leaves the raw answers, look-up answers, messages as received, rule inputs and console lines too."""

from __future__ import annotations

import json
import re

import pytest
from tests.usecases.test_complete_social_login import YES, provider_login
from tests.usecases.test_process_event import send

from regulars.base import clock
from regulars.base.jobs.run_jobs import run_due
from regulars.base.lake.query import query
from regulars.consent.record import Decision
from regulars.enrichment.models import Lookup
from regulars.enrichment.save import save_source
from regulars.events.models import Event, InboxItem, Source
from regulars.events.record import record as happened
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute, ProviderAnswer, RefusedGuess
from regulars.questions.models import Impression, Question
from regulars.rules.models import RuleRun
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.complete_social_login import complete_social_login
from regulars.usecases.correct_facts import correct, remove
from regulars.usecases.decide_consent import decide
from regulars.usecases.stop_sharing import stop_sharing
from regulars.usecases.unit_of_work import changes

WITHDRAWN = Decision("personalise", "withdrawn", "profile")
USERINFO = {"sub": "1001", "email": "chika@example.com", "given_name": "Chika"}
PEOPLE = {"genders": [{"value": "female"}]}
STEP = {"rule": "print", "how": "done", "message": "seen female", "console": ["gender is female"], "requests": []}

__all__ = ["send"]  # a fixture
pytestmark = pytest.mark.usefixtures("standard_setup")


@pytest.fixture
def shared():
    """A customer who shared their gender, and a run of rules that saw and printed it."""
    profile = complete_social_login(provider_login(raw={"userinfo": USERINFO, "people": PEOPLE}, shared=[YES])).profile
    run_of(profile)
    run_due()
    return profile


def run_of(profile) -> RuleRun:
    inputs = {"user": {"gender": "female"}, "context": {}, "answers": []}
    return RuleRun.objects.create(moment="login", profile=profile, milliseconds=1, steps=[STEP], inputs=inputs)


def raw() -> dict:
    return ProviderAnswer.objects.get().raw


def nothing_of_runs() -> bool:
    run = RuleRun.objects.get()
    return run.inputs is None and "female" not in str(run.steps) and run.steps[0]["how"] == "done"


def test_a_withdrawn_purpose_leaves_the_raw_answer_and_the_rules(shared):
    assert raw()["people"] == PEOPLE

    decide(shared, WITHDRAWN)
    run_due()

    assert raw() == {"userinfo": {"sub": "1001", "email": "chika@example.com"}}
    assert nothing_of_runs()


def test_a_piece_no_longer_shared_leaves_them_too(shared):
    stop_sharing(shared, shared.identities.get(), "gender")
    run_due()

    assert "people" not in raw()
    assert nothing_of_runs()


def test_what_the_customer_deleted_leaves_them_too(shared):
    remove(shared, "gender")
    run_due()

    assert "people" not in raw()
    assert nothing_of_runs()


def test_correction_clears_what_rules_saw_and_keeps_the_answer_of_the_provider(shared):
    """The answer is what the provider said and may still be used; a replay would use the value that is wrong."""
    correct(shared, "gender", "other")
    run_due()

    assert raw()["people"] == PEOPLE
    assert nothing_of_runs()


def test_a_decision_on_something_else_clears_nothing(shared):
    decide(shared, Decision("message", "refused", "profile"))
    run_due()

    assert raw()["people"] == PEOPLE
    assert RuleRun.objects.get().inputs is not None


def test_others_keep_theirs(shared, make_customer):
    other = make_customer()
    kept = run_of(other)

    decide(shared, WITHDRAWN)
    run_due()

    kept.refresh_from_db()
    assert kept.inputs is not None


def test_look_up_answers_about_the_person_go_with_their_purpose(chika):
    save_source("hints", {}, enabled=True)
    yes = decide(chika, Decision("enrich", "given", "profile"))
    Lookup.objects.create(source_key="fullcontact", profile=chika, question="q", answer={"gender": "female"})
    fact = NewFact("gender", "female", "enriched", "source:fullcontact", "consent", consents=[yes.pk])
    with changes(chika, "test") as c:
        c.learn([fact])
    Lookup.objects.create(source_key="us-census-acs", question="area", answer={"area_median_income": 1})

    decide(chika, Decision("enrich", "withdrawn", "profile"))
    run_due()

    assert list(Lookup.objects.values_list("source_key", flat=True)) == ["us-census-acs"]  # about an area, of no person


def test_messages_as_received_go_too(shared):
    source = Source.objects.create(slug="shop", name="Shop")
    event = happened(shared.pk, "Identified", {})
    body = '{"traits": {"gender": "female"}}'
    InboxItem.objects.create(
        source=source,
        message_id=event.message_id,
        type="identify",
        body=body,
        received_at=clock.now(),
        processed_at=clock.now(),
    )

    decide(shared, WITHDRAWN)
    run_due()

    assert not InboxItem.objects.exists()


IDENTIFY = {
    "type": "identify",
    "traits": {"gender": "female", "address": {"city": "Porto", "lift": True}, "plan": "gold"},
    "context": {"traits": {"gender": "female", "city": "Porto"}, "locale": "pt"},
}


def stored(profile) -> str:
    rows = Event.objects.filter(profile_id=profile.pk).values("properties", "terms", "context", "message")
    lake = query(f"SELECT properties FROM events WHERE profile_id = {profile.pk} AND name = 'Identified'")
    return json.dumps([list(rows), lake])


@pytest.mark.usefixtures("lake")
def test_traits_of_deleted_facts_leave_events_the_lake_and_segments(send, shared):
    segment = save_segment("Identified", 'did("Identified" where gender:female):>=1', "measure")
    send({**IDENTIFY, "userId": shared.user_id})
    run_due()
    assert Membership.objects.get(segment=segment, profile=shared).state == "in"
    assert "female" in stored(shared)

    remove(shared, "gender")
    run_due()

    assert "female" not in stored(shared)
    assert Membership.objects.get(segment=segment, profile=shared).state == "out"
    event = Event.objects.get(profile_id=shared.pk, name="Identified")
    assert event.properties == {"address": {"city": "Porto", "lift": True}, "plan": "gold"}
    assert event.context == {"traits": {"city": "Porto"}, "locale": "pt"}


@pytest.mark.usefixtures("lake")
def test_traits_collected_for_an_interest_leave_with_an_objection(send, shared, make_customer):
    other = make_customer()
    for each in (shared, other):
        send({**IDENTIFY, "userId": each.user_id})
    run_due()

    decide(shared, Decision("measure", "objected", "profile"))
    run_due()

    assert not {"female", "Porto"} & set(re.findall(r"\w+", stored(shared)))
    assert "gold" in stored(shared), "what is no attribute stays on the event"
    assert {"female", "Porto"} <= set(re.findall(r"\w+", stored(other)))


def test_traits_stay_while_a_fact_of_them_stands(send, shared):
    send({**IDENTIFY, "userId": shared.user_id})

    correct(shared, "city", "Lisboa")
    decide(shared, Decision("message", "refused", "profile"))
    run_due()

    assert Event.objects.get(name="Identified").properties == IDENTIFY["traits"]


def test_special_category_of_an_event_is_stored_nowhere(send, chika):
    Attribute.objects.create(key="diet", label="Diet", sensitivity="special", purposes=["message"], options=[])
    traits = {"diet": "halal", "plan": "gold"}

    send({"type": "identify", "userId": chika.user_id, "traits": traits, "context": {"traits": {"diet": "halal"}}})

    event = Event.objects.get()
    assert (event.properties, event.context) == ({"plan": "gold"}, {"traits": {}})
    assert "halal" not in str(event.terms)
    assert RefusedGuess.objects.get().attribute == "diet"
    assert not chika.facts.exists()


def test_value_that_a_question_offered_leaves_with_its_fact(shared):
    question = Question.objects.create(
        key="gender", text="Are you {value}?", why="w", type="confirm", attribute="gender", purpose_id="personalise"
    )
    common = {"question": question, "version": 1, "profile": shared, "to_confirm": "female"}
    closed = Impression.objects.create(
        **common, day=clock.today(), words="Are you female? w", outcome=Impression.Outcome.PASSED
    )
    decide(shared, Decision("message", "refused", "profile"))
    run_due()
    closed.refresh_from_db()
    assert closed.to_confirm == "female"

    decide(shared, WITHDRAWN)
    run_due()

    closed.refresh_from_db()
    assert (closed.to_confirm, closed.words) == (None, "Are you …? w")
