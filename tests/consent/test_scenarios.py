"""Consent and provenance, scenario by scenario. Each is one thing that may happen to Chika and what must come of it."""

from __future__ import annotations

import ast
import datetime as dt
import json
from pathlib import Path

import pytest
from django.http import QueryDict
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tests.receivers import Answer, receiving

import regulars
from regulars.base.jobs.lanes import open_lane
from regulars.base.jobs.models import Job
from regulars.base.jobs.run import run_due
from regulars.base.kit import clock
from regulars.base.kit.errors import Refused
from regulars.consent.ages import is_too_young
from regulars.consent.fold import last_word
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.purposes import Wording
from regulars.consent.record import Decision, first_broken_link, record, record_all
from regulars.consent.standing import closed_to_questions
from regulars.consent.view import may, view
from regulars.destinations.disclose import told_about
from regulars.destinations.save import save_destination
from regulars.events.models import Event
from regulars.flows import deliver  # noqa: F401 - registers its handlers
from regulars.flows.about import stands_of
from regulars.flows.answer import answer
from regulars.flows.arrive import Arrival, Choice, Told, arrive
from regulars.flows.correct import correct
from regulars.flows.decide import change_purpose, decide, expire_consents, honour_gpc
from regulars.flows.export import access, portable
from regulars.flows.merge import merge, split
from regulars.flows.refresh import after_learning
from regulars.profiles.learn import NewFact, learn, retract
from regulars.profiles.models import Attribute, Fact
from regulars.profiles.resolve import TIERS, KnownFact, resolve
from regulars.questions.ask import ask_next
from regulars.questions.declare import Option
from regulars.questions.save import Draft, save_question
from regulars.segments.models import Membership
from regulars.segments.save import save_segment

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("house", "lake")]


def says(profile, attribute, value, kind="declared", source="app:shop", **more):
    facts = learn(profile, [NewFact(attribute, value, kind, source, **more)])
    after_learning(profile)
    return facts


def gives(profile, purpose, **more):
    return decide(profile, Decision(purpose, "given", "profile", **more))


def withdraws(profile, purpose):
    return decide(profile, Decision(purpose, "withdrawn", "profile"))


def is_in(profile, slug):
    return Membership.objects.filter(profile=profile, segment__slug=slug, state="in").exists()


def events_of(profile):
    return sorted(Event.objects.filter(profile_id=profile.pk).values_list("name", flat=True))


@pytest.fixture
def later(monkeypatch):
    """Let the business's clock run ahead."""

    def move(**ahead):
        real = dt.datetime.now
        monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(**ahead))
        assert clock.now() > real(dt.UTC)

    return move


@pytest.fixture
def french(house):
    return save_segment("French", "country:FR", "message")


def arrives(gender_box: bool):
    """Chika comes by Google, which lets everything out; our page before it had a box for her gender."""
    told = [Told("email", "chika@example.com", "verified"), Told("gender", "female", "social", "gender")]
    box = [Choice("gender", "personalise", "Your gender. So that we show you things in your cut first.")]
    scopes = ["openid", "email", "gender.read"]
    said = {"sub": "1001", "email": "chika@example.com", "gender": "female"}
    return arrive(
        Arrival(
            strategy="google-oauth2",
            provider_user_id="1001",
            connection="google-oauth2",
            raw={"userinfo": said},
            asked=scopes,
            granted=scopes,
            told=told,
            choices=box if gender_box else [],
        )
    ).profile


def test_01_she_comes_in_though_she_ticked_nothing_and_nothing_more_than_her_address_is_learned():
    """An empty box is kept with the login. It is no word in her ledger: a box left empty takes back no earlier yes."""
    profile = arrives(gender_box=False)

    assert sorted(profile.facts.values_list("attribute", flat=True)) == ["email"]
    assert all("gender" not in view(profile, purpose.key) for purpose in Purpose.objects.all())
    assert not profile.consent_events.exists()

    again = arrives(gender_box=True)

    assert again == profile
    assert view(again, "personalise")["gender"].value == "female"


def test_02_an_answer_is_a_fact_and_a_yes_with_the_words_she_saw_in_one_transaction(chika, monkeypatch):
    options = (Option("jackets", "Jackets"), Option("shoes", "Shoes"))
    words = ("looking_for", "What are you looking for?", "So that we show you that first.", "single_choice")
    save_question(Draft(*words, "looking_for", "personalise", options, enabled=True))
    ask = ask_next(chika)
    with monkeypatch.context() as broken, pytest.raises(RuntimeError):
        broken.setattr("regulars.flows.answer.after_learning", lambda *_: (_ for _ in ()).throw(RuntimeError))
        answer(ask, QueryDict("answer=jackets"))
    assert not chika.facts.exists()
    assert not chika.consent_events.exists()

    answer(ask, QueryDict("answer=jackets"))

    fact, yes = chika.facts.get(attribute="looking_for"), chika.consent_events.get()
    assert (fact.value, fact.source_kind, fact.consents) == ("jackets", "declared", [yes.pk])
    assert TIERS[fact.source_kind] == (5, 0.95)
    assert (yes.action, yes.purpose_id, yes.notice.body) == ("given", "personalise", ask.words)


def test_03_an_answer_for_one_purpose_does_not_bring_her_into_a_segment_of_another(chika, french):
    gives(chika, "personalise")
    says(chika, "country", "FR")

    assert not is_in(chika, "french")


def test_04_and_05_she_enters_with_her_yes_and_leaves_with_her_withdrawal_at_once(chika, french):
    says(chika, "country", "FR")
    gives(chika, "personalise")
    gives(chika, "message")
    assert is_in(chika, "french")

    withdraws(chika, "message")

    assert not is_in(chika, "french")
    assert may(chika, "personalise")


def test_05_what_was_given_under_the_withdrawn_yes_leaves_the_claims_of_her_tokens(chika):
    yes = gives(chika, "personalise")
    says(chika, "gender", "female", "social", "google-oauth2", consents=[yes.pk])
    chika.refresh_from_db()
    assert chika.document["gender"] == "female"

    withdraws(chika, "personalise")

    chika.refresh_from_db()
    assert "gender" not in chika.document
    gives(chika, "personalise")
    chika.refresh_from_db()
    assert chika.document["gender"] == "female"


def test_07_her_word_wins_over_a_look_up_and_the_dispute_is_marked(chika):
    says(chika, "age_band", "35-44", "enriched", "source:fullcontact")
    says(chika, "age_band", "25-34")

    value = view(chika, "serve")["age_band"]
    assert (value.value, value.disputed) == ("25-34", True)


def test_08_when_her_word_has_run_out_the_look_up_counts(chika):
    says(chika, "age_band", "35-44", "enriched", "source:fullcontact")
    says(chika, "age_band", "25-34", expires_at=clock.now() + dt.timedelta(days=1))

    value = view(chika, "serve", at=clock.now() + dt.timedelta(days=2))["age_band"]

    assert (value.value, value.source_kind) == ("35-44", "enriched")


def test_09_a_withdrawn_answer_is_not_replaced_by_a_look_up_without_a_yes_to_looking_up(chika):
    yes, lookup = gives(chika, "personalise"), gives(chika, "enrich")
    says(chika, "age_band", "25-34", consents=[yes.pk])
    says(chika, "age_band", "35-44", "enriched", "source:fullcontact", consents=[lookup.pk])
    withdraws(chika, "personalise")
    assert view(chika, "serve")["age_band"].value == "35-44"

    withdraws(chika, "enrich")

    assert "age_band" not in view(chika, "serve")


def test_10_what_was_concluded_from_a_fact_goes_with_it(chika):
    facts = says(chika, "country", "FR")
    assert view(chika, "serve")["continent"].value == "Europe"

    retract([facts[0]], "test")

    assert "continent" not in view(chika, "serve")


@pytest.mark.parametrize("how", [{"kind": "inferred"}, {"kind": "declared", "derived_from": [1]}])
def test_11_a_special_category_is_never_inferred_not_even_by_a_proxy_marked_as_such(chika, how):
    Attribute.objects.create(
        key="halal_orders", label="Orders of halal food", sensitivity="special", purposes=["serve", "personalise"]
    )

    assert says(chika, "halal_orders", 7, **how) == []
    assert not Fact.objects.filter(attribute="halal_orders").exists()


def test_12_a_special_category_is_used_with_an_explicit_yes_only(chika):
    Attribute.objects.create(key="diet", label="Diet", sensitivity="special", purposes=["personalise"])
    gives(chika, "personalise")
    says(chika, "diet", "kosher")
    assert "diet" not in view(chika, "personalise")

    gives(chika, "personalise", explicit=True)

    assert view(chika, "personalise")["diet"].value == "kosher"


def test_13_do_not_share_is_written_once_and_closes_sharing_everywhere(chika):
    gives(chika, "share")
    gives(chika, "personalise")

    assert honour_gpc(chika)
    assert not honour_gpc(chika)
    assert not may(chika, "share")
    assert may(chika, "personalise")


def test_14_after_do_not_share_she_is_asked_again_after_twelve_months_or_when_she_starts(chika, later):
    honour_gpc(chika)
    later(days=90)
    assert "share" in closed_to_questions(chika)

    later(days=366)

    assert "share" not in closed_to_questions(chika)
    gives(chika, "share")
    assert not honour_gpc(chika)
    assert may(chika, "share")


def test_15_and_16_an_objection_wins_over_a_yes_and_lifting_it_does_not_revive_the_yes(chika):
    gives(chika, "message")
    decide(chika, Decision("message", "objected", "profile"))
    assert not may(chika, "message")

    decide(chika, Decision("message", "objection_lifted", "profile"))

    assert not may(chika, "message")
    gives(chika, "message")
    assert may(chika, "message")


def test_17_edited_words_are_another_version_and_an_old_yes_keeps_the_words_it_was_given_to(chika):
    yes = gives(chika, "message")

    purpose = change_purpose("message", Wording("News", "We write to you now and then."), widened=False)

    assert purpose.version == 2
    assert may(chika, "message")
    assert yes.notice.body == "To write to you about things you may like."


def test_18_a_widened_purpose_needs_a_new_yes_and_says_so(chika, french):
    says(chika, "country", "FR")
    gives(chika, "message")
    change_purpose("message", Wording("News", "We and our partners write to you."), widened=True)
    run_due()

    assert not may(chika, "message")
    assert not is_in(chika, "french")
    assert next(stand for stand in stands_of(chika) if stand.key == "message").outdated
    gives(chika, "message")
    assert is_in(chika, "french")


def test_21_an_imported_list_without_evidence_opens_nothing(somebody):
    people = [somebody(yes=()) for _ in range(20)]
    record_all([(each, [Decision("message", "imported", "import")]) for each in people])
    for each in people:
        learn(each, [NewFact("country", "FR", "imported", "import:list", basis="consent")])

    assert not any(may(each, "message") for each in people)
    assert all(view(each, "serve") == {} for each in people)


def test_21_an_imported_yes_with_evidence_opens_and_never_takes_back_her_no(chika):
    record(chika, Decision("message", "imported", "import", evidence={"form": "2024-05-01"}))
    assert may(chika, "message")
    withdraws(chika, "message")

    record(chika, Decision("message", "imported", "import", evidence={"form": "2024-05-01"}))

    assert not may(chika, "message")


def test_22_a_yes_that_runs_out_is_written_down_and_she_leaves(chika, french, later):
    Purpose.objects.filter(key="message").update(expires_days=730)
    says(chika, "country", "FR")
    gives(chika, "message")
    assert expire_consents() == 0
    later(days=731)

    assert expire_consents() == 1
    assert expire_consents() == 0
    assert not is_in(chika, "french")
    assert chika.consent_events.filter(action="expired").count() == 1


@pytest.mark.parametrize(
    ("born", "country", "young"),
    [
        ("2011-06-01", "DE", True),
        ("2011-06-01", "PT", False),
        ("2011-06-01", "", True),
        ("2010", "DE", True),
        ("x", "DE", False),
        ("1990-13-40", "DE", False),
    ],
)
def test_23_how_old_she_must_be_depends_on_the_country(born, country, young):
    assert is_too_young(born, country, dt.datetime(2026, 11, 25, tzinfo=dt.UTC)) is young


def test_23_a_child_is_not_profiled_whatever_was_said(chika):
    gives(chika, "personalise")
    says(chika, "country", "DE")
    says(chika, "birthdate", f"{clock.today().year - 15}-01-01")

    assert [purpose for purpose in ("personalise", "measure", "message") if may(chika, purpose)] == []
    assert view(chika, "serve")["country"].value == "DE"
    assert "personalise" in closed_to_questions(chika)


def test_24_and_25_the_access_export_has_guesses_and_the_portable_one_has_none(chika, somebody):
    somebody(city="Dovtown")
    says(chika, "city", "Porto", "enriched", "source:fullcontact")
    says(chika, "city", "Lisboa")
    says(chika, "nickname", "Chi", "inferred", "rule:nick")

    whole, mine = json.dumps(access(chika)), {row["attribute"]: row["value"] for row in portable(chika)["facts"]}
    assert "Porto" in whole
    assert "Chi" in whole
    assert "Dovtown" not in whole
    assert mine == {"city": "Lisboa"}


def test_28_an_old_decision_sent_again_is_refused(chika):
    decide(chika, Decision("message", "given", "profile"), seen=0)

    with pytest.raises(Refused) as refusal:
        decide(chika, Decision("message", "given", "profile"), seen=0)

    assert refusal.value.name == "decided_meanwhile"


def test_29_a_row_changed_in_the_ledger_is_found_from_there_on(chika):
    gives(chika, "message")
    second = withdraws(chika, "message")
    ConsentEvent.objects.filter(pk=second.pk).update(action="given")

    assert first_broken_link(chika) == second


def test_30_a_destination_without_a_purpose_cannot_be_saved():
    with pytest.raises(Refused) as refusal:
        save_destination("Nowhere", "csv", {"file": "a.csv"}, purpose="", segment_slugs=[])

    assert refusal.value.name == "unknown_purpose"


def test_06_a_destination_that_is_down_for_three_hours_is_asked_until_it_lets_go_and_she_sees_that_it_waits(
    chika, french
):
    down = [Answer(503)] * 30
    with receiving(Answer(), *down, Answer()) as receiver:
        settings = {"url": receiver.url, "secret": SECRET}
        hook = save_destination("Hook", "webhook", settings, purpose="message", segment_slugs=["french"])
        says(chika, "country", "FR")
        gives(chika, "message")
        run_due()
        withdraws(chika, "message")
        began, moved = timezone.now(), dt.timedelta()
        while moved < dt.timedelta(hours=3):  # the house's own distances between tries, without the waiting
            run_due()
            assert [line.state for line in told_about(chika)] == ["removing"]
            job = Job.objects.get(kind="let_go", state="waiting")
            moved += job.due_at - timezone.now()
            Job.objects.filter(pk=job.pk).update(due_at=timezone.now())
            open_lane(hook.lane)
        receiver.answers[:] = [Answer()]
        run_due()

    assert began + moved > timezone.now() + dt.timedelta(hours=2)
    assert json.loads(receiver.received[-1].body)["type"] == "customer.removed"
    assert [line.state for line in told_about(chika)] == ["removed"]


def test_19_of_two_accounts_that_become_one_the_stricter_word_counts_and_both_histories_stay(somebody):
    allowed, refused = somebody(yes=["personalise", "message"], city="Lagos"), somebody(yes=["share"])
    record(refused, Decision("personalise", "refused", "question"))
    merge(refused, allowed, "customer")

    assert not may(allowed, "personalise")
    assert may(allowed, "message")
    assert may(allowed, "share")
    assert allowed.consent_events.filter(action="given", purpose="personalise").exists()
    assert refused.consent_events.filter(action="refused", purpose="personalise").exists()
    assert first_broken_link(allowed) is first_broken_link(refused) is None


def test_20_a_wrong_merge_comes_apart_and_each_has_her_facts_and_events_again(somebody):
    ana = somebody(("Order Completed", {"total": 12}), city="Lagos")
    dov = somebody(("Page Viewed", {}), city="Berlin", country="DE")
    had = [(who, sorted(who.facts.values_list("attribute", "value")), events_of(who)) for who in (ana, dov)]
    merge(dov, ana, "staff")
    assert events_of(ana) == ["Order Completed", "Page Viewed"]
    split(ana.identities.get(origin=dov.pk), "staff")

    for who, facts, events in had:
        assert sorted(who.facts.values_list("attribute", "value")) == facts
        assert events_of(who) == events
    assert view(dov, "personalise")["city"].value == "Berlin"
    assert view(ana, "personalise")["city"].value == "Lagos"


def test_06_and_32_what_waits_is_not_sent_after_a_withdrawal(chika, french):
    with receiving() as receiver:
        hook = {"url": receiver.url, "secret": SECRET}
        save_destination("Hook", "webhook", hook, purpose="message", segment_slugs=["french"])
        says(chika, "country", "FR")
        gives(chika, "message")
        withdraws(chika, "message")
        run_due()

    assert [json.loads(got.body)["type"] for got in receiver.received if b"segment.entered" in got.body] == []
    assert [line for line in told_about(chika) if line.attributes] == []


def test_33_two_devices_at_the_same_instant_end_in_a_no_and_otherwise_the_later_wins(chika):
    now = clock.now()
    record(chika, Decision("message", "withdrawn", "profile", at=now))
    record(chika, Decision("message", "given", "profile", at=now))
    assert not may(chika, "message")

    record(chika, Decision("message", "given", "profile", at=now + dt.timedelta(milliseconds=300)))

    assert may(chika, "message")


def test_34_staff_need_a_reason_to_correct_and_she_reads_it(chika):
    with pytest.raises(Refused) as refusal:
        correct(chika, "city", "Lisboa", staff="bruno")
    assert refusal.value.name == "reason_needed"

    correct(chika, "city", "Lisboa", reason="She called us.", staff="bruno")

    fact = chika.facts.get(attribute="city")
    assert (fact.source_kind, fact.source, fact.reason) == ("corrected", "staff:bruno", "She called us.")
    assert "She called us." in json.dumps(access(chika))


def test_35_an_areas_income_is_never_her_income(chika):
    save_segment("Rich", "income:[100000 TO *]", "measure")
    says(chika, "area_median_income", 150_000, "enriched", "source:us-census-acs")

    assert "income" not in view(chika, "measure")
    assert not is_in(chika, "rich")


few = examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
moments = st.integers(0, 5)
actions = st.sampled_from(
    ["given", "refused", "withdrawn", "objected", "objection_lifted", "gpc", "imported", "expired"]
)


class Word:
    def __init__(self, number, action, at):
        self.id, self.action, self.at = number, action, at


@few
@given(st.lists(st.tuples(actions, moments), max_size=8), st.randoms())
def test_where_she_stands_does_not_depend_on_the_order_in_which_decisions_arrive(history, dice):
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    words = [Word(number, action, start + dt.timedelta(days=day)) for number, (action, day) in enumerate(history)]
    shuffled = dice.sample(words, len(words))

    assert last_word(words) == last_word(shuffled)


@few
@given(
    st.lists(st.tuples(st.sampled_from(["declared", "social", "enriched"]), moments), min_size=1, max_size=6),
    st.randoms(),
)
def test_p4_which_fact_wins_does_not_depend_on_the_order_in_which_they_came(told, dice):
    now = dt.datetime(2026, 1, 9, tzinfo=dt.UTC)
    facts = [
        KnownFact(number, "city", f"city {number}", kind, f"app:{number % 3}", now - dt.timedelta(days=days))
        for number, (kind, days) in enumerate(told)
    ]

    assert resolve(facts, now) == resolve(dice.sample(facts, len(facts)), now)


# Who may read facts as they are: the rooms below the gate, the gate, her own account of herself, and the stories that
# write them. Everybody else asks the gate.
READERS = {
    "profiles",
    "consent",
    "flows/about.py",
    "flows/export.py",
    "flows/retain.py",
    "flows/correct.py",
    "flows/link.py",  # facts move with the identity that told them
    "flows/merge.py",
    "flows/traces.py",  # whose a name is, before it is struck out everywhere
    "flows/share.py",  # which facts a shared piece gave, to take them back
    "doors/console/views/customer.py",
    "enrichment/look_up.py",  # what the same source said before, to tell what is new
    "enrichment/reliability.py",  # whether sources agree: counts, never values of one customer
}


def test_no_room_but_the_allowed_ones_reads_the_table_of_facts():
    source = Path(regulars.__file__).parent
    wrong = []
    for path in source.rglob("*.py"):
        place = path.relative_to(source).as_posix()
        if place in READERS or place.split("/")[0] in READERS or "/migrations/" in place:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr == "objects" and ast.unparse(node.value) == "Fact":
                wrong.append(f"{place}:{node.lineno}")

    assert wrong == []
