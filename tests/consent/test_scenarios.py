"""Consent and provenance, scenario by scenario. Each is one thing that may happen to Chika and what must come of it.

Number 31 is in `test_properties.py`; 26 and 27 are where erasing is (`tests/usecases/test_erase.py`, `tests/serving`).
"""

from __future__ import annotations

import ast
import datetime as dt
import json
from pathlib import Path

import pytest
from django.db import DatabaseError
from django.db.models import F
from django.utils.html import strip_tags
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.notices import agreed, answer_page, send_page
from tests.receivers import Answer, receiving

import regulars
from regulars.accounts.models import Account
from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.jobs.models import Job, Queue
from regulars.base.jobs.run_jobs import run_due
from regulars.clients.models import Client
from regulars.connections.provider import ProviderClaim
from regulars.consent.ages import is_too_young
from regulars.consent.fold import fold
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.purposes import PurposeText
from regulars.consent.record import Decision, first_broken_link, record, record_all
from regulars.consent.status import purposes_closed_to_questions
from regulars.consent.view import may, view
from regulars.destinations.disclosures import disclosures_of
from regulars.destinations.save import save_destination
from regulars.enrichment.save import save_source
from regulars.events.models import Event
from regulars.events.record import record as happened
from regulars.profiles.find import find_by_user_id
from regulars.profiles.learn import NewFact, learn, retract
from regulars.profiles.models import Attribute, Fact, ProviderAnswer, RefusedGuess
from regulars.profiles.resolve import TIERS
from regulars.questions.next_question import next_question
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.rules.save import save_rule
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases import deliver  # noqa: F401 - registers its handlers
from regulars.usecases.complete_social_login import ProviderLogin, complete_social_login
from regulars.usecases.correct_facts import correct
from regulars.usecases.customer_data import decisions_of, purposes_of
from regulars.usecases.decide_consent import apply_gpc, change_purpose, decide, expire_consents
from regulars.usecases.enrich import queue_enrichment
from regulars.usecases.export import access, portable
from regulars.usecases.login import Login, LoginContext, log_in
from regulars.usecases.unit_of_work import changes
from regulars.usecases.users import link, unlink

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VISIT = LoginContext(
    protocol="oidc-basic-profile",
    ip="198.51.100.7",
    user_agent="Firefox",
    hostname="login.shop.example",
    query={},
    session_id="sid1",
    methods=[],
    connection="google-oauth2",
    strategy="google-oauth2",
    other_clients=list,
)
YUKI = "110248495921238986404"
# The question of our own pages.
MAY_WE = QuestionDraft(
    "may_we",
    "May we fit the shop to you?",
    "To show your size first.",
    "consent",
    "may_we",
    "personalise",
    enabled=True,
)
LOOKING_FOR = QuestionDraft(
    "looking_for", "What are you looking for?", "So that we show you that first.", "single_choice", "looking_for",
    "personalise", (AnswerOption("jackets", "Jackets"), AnswerOption("shoes", "Shoes")), enabled=True,
)  # fmt: skip
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup", "lake")]


def learns(profile, attribute, value, kind="declared", source="app:shop", **more):
    with changes(profile, "test") as c:
        return c.learn([NewFact(attribute, value, kind, source, **more)])


def gives(profile, purpose, **more):
    return decide(profile, Decision(purpose, "given", "profile", **more))


def withdraws(profile, purpose):
    return decide(profile, Decision(purpose, "withdrawn", "profile"))


def is_in(profile, slug):
    return Membership.objects.filter(profile=profile, segment__slug=slug, state="in").exists()


@pytest.fixture
def later(monkeypatch):
    """Let the business's clock run ahead."""

    def move(**ahead):
        real = dt.datetime.now
        monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(**ahead))
        assert clock.now() > real(dt.UTC)

    return move


@pytest.fixture
def french(standard_setup):
    return save_segment("French", "country:FR", "message")


GOOGLES_OWN = {"email", "email_verified", "name", "given_name", "family_name", "picture", "locale"}


def test_01_refused_consent_leaves_the_login_data_only(client, google, upstream):
    """Consent on Google's own page is no consent to our purposes."""
    away = client.post("/login/google-oauth2", {"claim": []})["Location"]
    home = client.get(upstream.decide(away, person=YUKI))
    yuki = find_by_user_id(f"google-oauth2|{YUKI}")
    save_question(MAY_WE)
    ask = next_question(yuki)
    page = strip_tags(client.get(f"/question?impression={ask.pk}&next=/on").content.decode())

    onward = send_page(client, f"/question?impression={ask.pk}&next=/on", {"do": "answer", "answer": "no"})

    assert (home.status_code, onward["Location"]) == (302, "/on")
    assert client.session["_auth_user_id"] == str(yuki.account.pk)
    assert set(yuki.facts.values_list("attribute", flat=True)) <= GOOGLES_OWN
    assert set(ProviderAnswer.objects.get().scopes_granted) == {"openid", "email", "profile"}
    (no,) = yuki.consent_events.all()
    assert (no.action, no.purpose_id, no.explicit) == ("refused", "personalise", True)
    assert all(line in page for line in no.notice.body.splitlines())
    assert view(yuki, "personalise") == {}


@pytest.fixture
def asked(client, chika):
    """Chika, signed in, with the page of a question open, and its text."""
    save_question(LOOKING_FOR)
    chika.account = Account.objects.create_user()
    chika.save()
    client.force_login(chika.account, backend="allauth.account.auth_backends.AuthenticationBackend")
    ask = next_question(chika)
    address = f"/question?impression={ask.pk}&next=/on"
    return ask, address, strip_tags(client.get(address).content.decode())


def test_02_answer_is_a_fact_and_consent_to_the_notice_above_it(client, chika, asked):
    _, address, page = asked

    send_page(client, address, {"do": "answer", "answer": "shoes"})

    fact, yes = chika.facts.get(), chika.consent_events.get()
    assert (fact.attribute, fact.value, fact.source_kind) == ("looking_for", "shoes", "declared")
    assert (fact.source, fact.basis, fact.consents) == ("question:looking_for@1", "consent", [yes.pk])
    assert TIERS[fact.source_kind][1] * fact.confidence == 0.95
    assert (yes.action, yes.purpose_id, yes.method) == ("given", "personalise", "question")
    assert all(line in page for line in yes.notice.body.splitlines())
    assert (yes.notice.locale, yes.notice.version) == ("en", yes.purpose_version)
    assert view(chika, "personalise")["looking_for"].value == "shoes"


def test_02_failed_answer_keeps_no_consent_and_the_question_open(chika, asked, monkeypatch):
    ask, _, _ = asked

    def broken(facts, decisions):
        raise DatabaseError("the table of facts is gone")

    monkeypatch.setattr("regulars.usecases.unit_of_work.learn_all", broken)
    with pytest.raises(DatabaseError):
        answer_page(ask, "answer=shoes")

    ask.refresh_from_db()
    assert (ask.outcome, chika.facts.count(), chika.consent_events.count()) == ("shown", 0, 0)
    assert view(chika, "personalise") == {}


def test_03_answer_for_one_purpose_enters_no_segment_of_another(chika, french):
    gives(chika, "personalise")
    learns(chika, "country", "FR")

    assert not is_in(chika, "french")


def test_04_and_05_consent_enters_and_withdrawal_leaves_at_once(chika, french):
    learns(chika, "country", "FR")
    gives(chika, "personalise")
    gives(chika, "message")
    assert is_in(chika, "french")

    withdraws(chika, "message")

    assert not is_in(chika, "french")
    assert may(chika, "personalise")


def test_05_facts_under_withdrawn_consent_leave_the_token_claims(chika):
    yes = gives(chika, "personalise")
    learns(chika, "gender", "female", "social", "google-oauth2", consents=[yes.pk])
    chika.refresh_from_db()
    assert chika.document["gender"] == "female"

    withdraws(chika, "personalise")

    chika.refresh_from_db()
    assert "gender" not in chika.document
    gives(chika, "personalise")
    chika.refresh_from_db()
    assert "gender" not in chika.document, "the new yes was not asked for with it"


def test_07_customers_answer_wins_over_a_look_up_and_is_disputed(chika):
    learns(chika, "city", "Porto", "enriched", "source:fullcontact")
    learns(chika, "city", "Lisboa")

    value = view(chika, "serve")["city"]
    assert (value.value, value.disputed) == ("Lisboa", True)


def test_08_look_up_counts_after_the_answer_expired(chika):
    learns(chika, "city", "Porto", "enriched", "source:fullcontact")
    learns(chika, "city", "Lisboa", expires_at=clock.now() + dt.timedelta(days=1))

    value = view(chika, "serve", at=clock.now() + dt.timedelta(days=2))["city"]

    assert (value.value, value.source_kind) == ("Porto", "enriched")


def test_09_withdrawn_answer_is_not_looked_up_without_consent(chika):
    yes, lookup = gives(chika, "personalise"), gives(chika, "enrich")
    learns(chika, "city", "Lisboa", consents=[yes.pk])
    learns(chika, "city", "Porto", "enriched", "source:fullcontact", consents=[lookup.pk])
    withdraws(chika, "personalise")
    assert view(chika, "serve")["city"].value == "Porto"

    withdraws(chika, "enrich")

    assert "city" not in view(chika, "serve")


def test_10_what_was_concluded_from_a_fact_goes_with_it(chika):
    facts = learns(chika, "country", "FR")
    assert view(chika, "serve")["continent"].value == "Europe"

    retract(chika, [facts[0]], "test")

    assert "continent" not in view(chika, "serve")


NOT_THE_CUSTOMERS = [
    {"kind": "inferred"},
    {"kind": "declared", "derived_from": [1]},
    {"kind": "declared", "source": "rule:who-orders-what"},
    *[{"kind": kind} for kind in ("enriched", "observed", "social", "verified", "imported")],
]


@pytest.mark.parametrize("how", NOT_THE_CUSTOMERS)
def test_11_a_special_category_is_never_inferred_not_even_by_a_proxy_marked_as_such(chika, how):
    Attribute.objects.create(
        key="halal_orders", label="Orders of halal food", sensitivity="special", purposes=["serve", "personalise"]
    )

    assert learns(chika, "halal_orders", 7, **how) == []
    assert not Fact.objects.filter(attribute="halal_orders").exists()
    assert RefusedGuess.objects.get().attribute == "halal_orders"


@pytest.fixture
def belief(standard_setup):
    return Attribute.objects.create(
        key="belief", label="Belief", sensitivity="special", purposes=["serve"], metadata_path="user_metadata.belief"
    )


@pytest.mark.parametrize("written", ['"kosher"', '{kind: "kosher"}'])
def test_11_rule_concluding_a_belief_is_refused_and_reported(chika, belief, written):
    code = f"""function (user, context, callback) {{
      auth0.users.updateUserMetadata(user.user_id, {{belief: {written}, colour: "red"}})
        .then(() => callback(null, user, context)).catch(callback);
    }}"""
    save_rule("Who orders what", script=code)
    shop = Client.objects.create(client_id="shop", name="Harbour & Pine")
    login = Login(chika, shop, VISIT, ["openid"])

    decided = log_in(login, lambda decision: decision)

    assert decided.scopes == ["openid"]
    assert set(chika.facts.values_list("attribute", flat=True)) == {"user_metadata.colour"}
    assert RefusedGuess.objects.get().source == "rule:who-orders-what@1"


def test_11_source_of_a_special_category_is_refused(chika, standard_setup):
    learns(chika, "email", "chika@firma.example")
    save_source("email", {}, enabled=True)
    Attribute.objects.filter(key="email_domain").update(sensitivity="special")
    queue_enrichment(chika, "email")
    run_due()

    with pytest.raises(DomainError) as refusal:
        save_source("email", {}, enabled=True)

    assert refusal.value.code == "special_category"
    assert not chika.facts.filter(attribute="email_domain").exists()
    assert RefusedGuess.objects.get().source == "source:email"


def test_11_own_answer_of_a_special_category_needs_explicit_consent(chika, belief):
    learns(chika, "belief", "kosher", source="question:belief@1")

    assert chika.facts.get().value == "kosher"
    assert not RefusedGuess.objects.exists()


def test_12_a_special_category_is_used_with_an_explicit_yes_only(chika):
    Attribute.objects.create(key="diet", label="Diet", sensitivity="special", purposes=["personalise"])
    gives(chika, "personalise")
    learns(chika, "diet", "kosher")
    assert "diet" not in view(chika, "personalise")

    gives(chika, "personalise", explicit=True)

    assert view(chika, "personalise")["diet"].value == "kosher"


def test_13_do_not_share_is_written_once_and_closes_sharing_everywhere(chika):
    gives(chika, "share")
    gives(chika, "personalise")

    assert apply_gpc(chika)
    assert not apply_gpc(chika)
    assert not may(chika, "share")
    assert may(chika, "personalise")


def test_14_after_gpc_questions_rest_twelve_months_or_until_consent(chika, later):
    apply_gpc(chika)
    later(days=90)
    assert "share" in purposes_closed_to_questions(chika)

    later(days=366)

    assert "share" not in purposes_closed_to_questions(chika)
    gives(chika, "share")
    assert not apply_gpc(chika)
    assert may(chika, "share")


def test_15_and_16_objection_wins_and_lifting_it_is_no_consent(chika):
    gives(chika, "message")
    decide(chika, Decision("message", "objected", "profile"))
    assert not may(chika, "message")

    decide(chika, Decision("message", "objection_lifted", "profile"))

    assert not may(chika, "message")
    gives(chika, "message")
    assert may(chika, "message")


def test_17_edited_text_is_a_new_version_and_consent_keeps_its_notice(chika):
    yes = gives(chika, "message")

    purpose = change_purpose("message", PurposeText("News", "We write to you now and then."), widened=False)

    assert purpose.version == 2
    assert may(chika, "message")
    assert yes.notice.body == "To write to you about things you may like."


def test_18_widened_purpose_needs_new_consent(chika, french):
    learns(chika, "country", "FR")
    gives(chika, "message")
    change_purpose("message", PurposeText("News", "We and our partners write to you."), widened=True)
    run_due()

    assert not may(chika, "message")
    assert not is_in(chika, "french")
    assert next(stand for stand in purposes_of(chika) if stand.key == "message").outdated
    gives(chika, "message")
    assert is_in(chika, "french")


def arrives(strategy, number, **claims):
    """A first login at a provider with these claims, and consent to them."""
    choices = [agreed("gender", strategy)] if claims else []
    news = [ProviderClaim(key, value, "social", "gender") for key, value in claims.items()]
    complete_social_login(ProviderLogin(strategy, number, strategy, {}, [], [], news, choices))
    return find_by_user_id(f"{strategy}|{number}")


@pytest.fixture
def two_accounts(standard_setup):
    """Chika at Google, with consent, and Chika at Facebook, with consent refused."""
    google, facebook = arrives("google-oauth2", "1", gender="female"), arrives("facebook", "2")
    gives(google, "message")
    learns(facebook, "city", "Lagos", source="app:there")
    happened(facebook.pk, "Order Completed", {}, message_id="there")
    save_question(MAY_WE)
    answer_page(next_question(facebook), "answer=no")
    return google, facebook


def test_19_merge_keeps_the_stricter_decision_and_both_histories(two_accounts):
    google, facebook = two_accounts

    link(google, facebook, "customer")

    assert not may(google, "personalise")
    assert view(google, "personalise") == {}
    assert "gender" not in view(google, "serve")  # it was claims under that yes
    assert may(google, "message")  # the other account was never asked
    history = [(each.action, each.method) for each in decisions_of(google) if each.purpose_id == "personalise"]
    assert history == [("refused", "question"), ("given", "login")]
    assert [each.action for each in google.consent_events.order_by("id")] == ["given", "given"]
    assert [each.action for each in facebook.consent_events.all()] == ["refused"]
    assert first_broken_link(google) is first_broken_link(facebook) is None


def test_20_split_returns_facts_events_and_decisions_by_origin(two_accounts):
    google, facebook = two_accounts
    before = [everything_of(each) for each in two_accounts]
    link(google, facebook, "customer")
    assert "city" in view(google, "serve")
    assert everything_of(facebook)[:2] == ([], [])

    unlink(google, google.identities.get(provider="facebook"), "not_the_same_person")

    assert [everything_of(each) for each in two_accounts] == before
    assert view(google, "personalise")["gender"].value == "female"
    assert not may(facebook, "personalise")
    assert [(each.into, each.undone_why) for each in facebook.merges_away.all()] == [(google, "not_the_same_person")]


def everything_of(profile):
    facts = sorted(profile.facts.filter(retracted_at=None).values_list("attribute", "source"))
    events = sorted(Event.objects.filter(profile_id=profile.pk).values_list("name", flat=True))
    open_to = sorted(purpose.key for purpose in Purpose.objects.all() if may(profile, purpose.key))
    return facts, events, open_to


def test_21_an_imported_list_without_evidence_opens_nothing(make_customer):
    people = [make_customer(yes=()) for _ in range(20)]
    record_all([(each, [Decision("message", "imported", "import")]) for each in people])
    for each in people:
        learn(each, [NewFact("country", "FR", "imported", "import:list", basis="consent")])

    assert not any(may(each, "message") for each in people)
    assert all(view(each, "serve") == {} for each in people)


def test_21_imported_consent_with_evidence_never_reverses_a_no(chika):
    record(chika, Decision("message", "imported", "import", evidence={"form": "2024-05-01"}))
    assert may(chika, "message")
    withdraws(chika, "message")

    record(chika, Decision("message", "imported", "import", evidence={"form": "2024-05-01"}))

    assert not may(chika, "message")


def test_22_expired_consent_is_recorded_and_leaves_segments(chika, french, later):
    Purpose.objects.filter(key="message").update(expires_days=730)
    learns(chika, "country", "FR")
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
def test_23_age_of_consent_depends_on_the_country(born, country, young):
    assert is_too_young(born, [country], dt.datetime(2026, 11, 25, tzinfo=dt.UTC)) is young


def test_23_child_is_not_profiled_in_spite_of_consent(chika):
    gives(chika, "personalise")
    learns(chika, "country", "DE")
    learns(chika, "birthdate", f"{clock.today().year - 15}-01-01")

    assert [purpose for purpose in ("personalise", "measure", "message") if may(chika, purpose)] == []
    assert view(chika, "serve")["country"].value == "DE"
    assert "personalise" in purposes_closed_to_questions(chika)


def test_24_and_25_the_access_export_has_guesses_and_the_portable_one_has_none(chika, make_customer):
    make_customer(city="Dovtown")
    learns(chika, "city", "Porto", "enriched", "source:fullcontact")
    learns(chika, "city", "Lisboa")
    learns(chika, "nickname", "Chi", "inferred", "source:hints")

    whole, mine = json.dumps(access(chika)), {row["attribute"]: row["value"] for row in portable(chika)["facts"]}
    assert "Porto" in whole
    assert "Chi" in whole
    assert "Dovtown" not in whole
    assert mine == {"city": "Lisboa"}


def test_28_an_old_decision_sent_again_is_refused(chika):
    decide(chika, Decision("message", "given", "profile"), seen=0)

    with pytest.raises(DomainError) as refusal:
        decide(chika, Decision("message", "given", "profile"), seen=0)

    assert refusal.value.code == "decided_meanwhile"


def test_29_a_row_changed_in_the_ledger_is_found_from_there_on(chika):
    gives(chika, "message")
    second = withdraws(chika, "message")
    ConsentEvent.objects.filter(pk=second.pk).update(action="given")

    assert first_broken_link(chika) == second


def test_30_a_destination_without_a_purpose_cannot_be_saved():
    with pytest.raises(DomainError) as refusal:
        save_destination("Nowhere", "csv", {"file": "a.csv"}, purpose="", segment_slugs=[])

    assert refusal.value.code == "unknown_purpose"


def test_06_and_32_what_waits_is_not_sent_after_a_withdrawal(chika, french):
    with receiving() as receiver:
        hook = {"url": receiver.url, "secret": SECRET}
        save_destination("Hook", "webhook", hook, purpose="message", segment_slugs=["french"])
        learns(chika, "country", "FR")
        gives(chika, "message")
        withdraws(chika, "message")
        run_due()

    assert [json.loads(got.body)["type"] for got in receiver.received if b"segment.entered" in got.body] == []
    assert [line for line in disclosures_of(chika) if line.attributes] == []


HALF_AN_HOUR = dt.timedelta(minutes=30)


def test_06_deletion_is_retried_through_three_hours_of_outage(client, chika, french):
    chika.account = Account.objects.create_user()
    chika.save()
    client.force_login(chika.account, backend="allauth.account.auth_backends.AuthenticationBackend")
    with receiving() as receiver:
        hook = {"url": receiver.url, "secret": SECRET}
        save_destination("Hook", "webhook", hook, purpose="message", segment_slugs=["french"])
        learns(chika, "country", "FR")
        gives(chika, "message")
        run_due()
        receiver.answers = [Answer(503)]
        withdraws(chika, "message")
        run_due()
        seen_while_down = [half_an_hour_later(client) for _ in range(6)]
        receiver.answers = [Answer()]
        seen_after = [half_an_hour_later(client) for _ in range(4)]

    first, *removals = [json.loads(got.body) for got in receiver.received]
    assert (first["type"], {each["type"] for each in removals}) == ("segment.entered", {"customer.removed"})
    assert len({got.headers["webhook-id"] for got in receiver.received[1:]}) == 1, "always the same removal"
    assert len(removals) > 3
    assert all("Asked to delete it; not confirmed yet" in page for page in seen_while_down)
    assert "Has confirmed that it does not use it any more" in seen_after[-1]
    assert [line.state for line in disclosures_of(chika)] == ["removed"]


def half_an_hour_later(client):
    """Advance the worker's clock, run what is due, and return the customer's page."""
    Job.objects.filter(state="waiting").update(due_at=F("due_at") - HALF_AN_HOUR)
    Queue.objects.exclude(paused_until=None).update(paused_until=F("paused_until") - HALF_AN_HOUR)
    run_due()
    return strip_tags(client.get("/me").content.decode())


def test_33_two_devices_at_the_same_instant_end_in_a_no_and_otherwise_the_later_wins(chika):
    now = clock.now()
    record(chika, Decision("message", "withdrawn", "profile", at=now))
    record(chika, Decision("message", "given", "profile", at=now))
    assert not may(chika, "message")

    record(chika, Decision("message", "given", "profile", at=now + dt.timedelta(milliseconds=300)))

    assert may(chika, "message")


def test_34_staff_corrections_need_a_reason_that_the_customer_reads(chika):
    with pytest.raises(DomainError) as refusal:
        correct(chika, "city", "Lisboa", staff="bruno")
    assert refusal.value.code == "reason_needed"

    correct(chika, "city", "Lisboa", reason="Corrected by phone.", staff="bruno")

    fact = chika.facts.get(attribute="city")
    assert (fact.source_kind, fact.source, fact.reason) == ("corrected", "staff:bruno", "Corrected by phone.")
    assert "Corrected by phone." in json.dumps(access(chika))


def test_35_area_income_is_never_the_customers_income(chika):
    save_segment("Rich", "income:[100000 TO *]", "measure")
    learns(chika, "area_median_income", 150_000, "enriched", "source:us-census-acs")

    assert "income" not in view(chika, "measure")
    assert not is_in(chika, "rich")


few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
moments = st.integers(0, 5)
actions = st.sampled_from(
    ["given", "refused", "withdrawn", "objected", "objection_lifted", "gpc", "imported", "expired"]
)


class Word:
    purpose_version, notice_id, explicit, method, evidence, expires_at = 1, None, False, "profile", {"form": "1"}, None

    def __init__(self, number, action, at):
        self.id, self.action, self.at = number, action, at


@few
@given(st.lists(st.tuples(actions, moments), max_size=8), st.randoms())
def test_effective_decision_does_not_depend_on_arrival_order(history, rng):
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    words = [Word(number, action, start + dt.timedelta(days=day)) for number, (action, day) in enumerate(history)]
    shuffled = rng.sample(words, len(words))

    assert fold(words) == fold(shuffled)


# Modules that may read facts directly: packages below consent, consent, the customer's own export, and the use cases
# that write facts. All other modules read permitted views.
READERS = {
    "profiles",
    "consent",
    "usecases/customer_data.py",
    "usecases/export.py",
    "usecases/retention.py",
    "usecases/correct_facts.py",
    "usecases/link_accounts.py",  # facts move with the identity that claims them
    "usecases/join_repeated_facts.py",  # rows that say the same, to keep the first
    "usecases/lower_public_keys.py",  # of whom a public key spoke, never what it said
    "usecases/merge.py",
    "usecases/relabel_writes.py",  # the kind of what rules and apps wrote
    "usecases/personal_data.py",  # whose a name is, before it is struck out everywhere
    "usecases/stop_sharing.py",  # which facts a shared claim gave, to take them back
    "interfaces/console/views/customers.py",
    "enrichment/look_up.py",  # earlier values of the same source, to find new ones
    "enrichment/reliability.py",  # whether sources agree: counts, never values of one customer
}


def test_only_allowed_modules_read_the_table_of_facts():
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
