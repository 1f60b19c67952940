"""The demo's shop is filled once, completes what was interrupted, and its addresses follow the ports."""

from __future__ import annotations

import pytest
from examples.demo import customers, load
from examples.demo import seed as seeding
from examples.demo.seed import seed
from examples.mock_services.app import CLIENT_ID, CLIENT_SECRET
from examples.shop.products import CATEGORIES

from regulars.accounts.models import Account
from regulars.base.addresses import Addresses
from regulars.base.conditions import mentions
from regulars.clients.models import Client
from regulars.connections.models import Connection
from regulars.consent.bases import wrong_bases
from regulars.consent.models import ConsentEvent, PermittedView
from regulars.consent.record import Decision, first_broken_link
from regulars.consent.view import view
from regulars.destinations.models import Delivery, Destination
from regulars.enrichment.models import SourceSetting
from regulars.enrichment.save import save_source
from regulars.events.models import Event
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.models import Fact, Profile
from regulars.questions.models import Impression, Question
from regulars.questions.next_question import next_question
from regulars.questions.statistics import stats_by_question
from regulars.rules.models import Rule
from regulars.segments.count import count
from regulars.segments.models import Membership, Segment
from regulars.segments.save import condition_of
from regulars.usecases.decide_consent import decide

PEOPLE = 600  # enough that no segment is empty
FEW = 300  # more than one portion
HERE = Addresses("http://localhost:8000", "http://localhost:8001", "http://localhost:8002")
ELSEWHERE = Addresses("http://localhost:9000", "http://localhost:9001", "http://localhost:9002")
EVERYTHING = (
    Account,
    Impression,
    Connection,
    ConsentEvent,
    Destination,
    Event,
    Fact,
    Membership,
    PermittedView,
    Profile,
)
EVERYTHING += (Question, Rule, Segment, SourceSetting)


@pytest.fixture
def shop(standard_setup, lake) -> Client:
    """What a first start makes before the demo comes."""
    return Client.objects.create(client_id="shop", name="Shop", metadata={"made_by": "setup"})


def quietly(words: str) -> None:
    pass


def how_many() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in EVERYTHING}


def test_the_shop_is_open_and_everything_in_it_works_at_once(shop):
    seed(HERE, quietly, PEOPLE)

    assert Profile.objects.count() == PEOPLE
    assert not any(first_broken_link(profile) for profile in Profile.objects.all())
    assert {question.key for question in Question.objects.filter(enabled=True)} == set(customers.ANSWER_SHARES)
    assert [each["key"] for each in Question.objects.get(key="looking_for").options] == list(CATEGORIES)
    assert Rule.objects.filter(enabled=True).count() == 4
    assert Event.objects.filter(lake_at=None).count() == 0
    assert Delivery.objects.count() == 0
    newcomer, _ = get_or_create_by_identity("google-oauth2", "1001")
    assert next_question(newcomer).question.key == "looking_for"
    for segment in Segment.objects.all():
        stands = list(segment.memberships.values_list("state", flat=True))
        counted = count(segment.text, segment.purpose_id)
        assert (counted.inside, counted.unknown) == (stands.count("in"), stands.count("unknown"))
        assert counted.inside > 0, segment.slug
        assert (counted.unknown > 0) == bool(mentions(condition_of(segment)).fields), segment.slug


def test_questions_have_a_history_that_fits_the_answers(shop):
    seed(HERE, quietly, FEW)

    for question in Question.objects.all():
        fared = stats_by_question([question])[question.key]
        answers = Fact.objects.filter(source=f"question:{question.key}@1", attribute=question.attribute)
        assert fared.answered > fared.passed > 0
        # Two answers of one day are one impression.
        assert fared.answered <= answers.count() <= fared.answered * 1.2
        assert set(answers.values_list("value", flat=True)) <= {each["key"] for each in question.options}


def test_a_later_start_makes_nothing_again_and_leaves_what_ana_changed(shop):
    seed(HERE, quietly, FEW)
    Segment.objects.get(slug="big-baskets").delete()
    Profile.objects.first().delete()
    before = how_many()

    seed(HERE, quietly, FEW)

    assert how_many() == before


def test_a_start_that_was_killed_is_completed_by_the_next(shop, monkeypatch):
    real = load.load_customers

    def killed(count, source):
        yield next(real(count, source))
        raise KeyboardInterrupt

    monkeypatch.setattr(seeding, "load_customers", killed)
    with pytest.raises(KeyboardInterrupt):
        seed(HERE, quietly, FEW)
    part = Profile.objects.count()
    monkeypatch.setattr(seeding, "load_customers", real)
    seed(HERE, quietly, FEW)

    assert 0 < part < FEW
    assert Profile.objects.count() == FEW
    assert Segment.objects.count() == 6
    assert Membership.objects.filter(segment__slug="newsletter-only", state="in").exists()


def test_addresses_follow_the_ports(shop):
    seed(HERE, quietly, 1)
    save_source("us-census-acs", SourceSetting.objects.get().settings, enabled=False)
    before = Destination.objects.get().settings

    seed(ELSEWHERE, quietly, 1)

    urls = dict(Connection.objects.exclude(urls={}).values_list("name", "urls"))
    assert urls == {
        "google-oauth2": {"issuer": "http://localhost:9002/google"},
        "facebook": {"site": "http://localhost:9002/facebook"},
        "twitter": {"site": "http://localhost:9002/x"},
        "linkedin": {"issuer": "http://localhost:9002/linkedin"},
    }
    assert SourceSetting.objects.get().settings["base_url"] == "http://localhost:9002/census"
    assert not SourceSetting.objects.get().enabled
    assert Destination.objects.get().settings == {**before, "url": "http://localhost:9002/webhooks/"}


def test_what_ana_pointed_elsewhere_stays_there(shop):
    seed(HERE, quietly, 1)
    theirs = {"url": "https://hooks.example/webhooks/", "secret": Destination.objects.get().settings["secret"]}
    Destination.objects.update(settings=theirs)
    Connection.objects.filter(name="google-oauth2").update(client_id="1234.apps.example", urls={})
    settings = {**SourceSetting.objects.get().settings, "base_url": "https://api.census.gov/data"}
    save_source("us-census-acs", settings)

    seed(ELSEWHERE, quietly, 1)

    assert Destination.objects.get().settings == theirs
    assert Connection.objects.get(name="google-oauth2").urls == {}
    assert SourceSetting.objects.get().settings == settings


def test_the_social_mock_knows_the_shop_by_the_words_we_keep(shop):
    seed(HERE, quietly, 1)
    google = Connection.objects.get(name="google-oauth2")

    assert (google.client_id, google.secret) == (CLIENT_ID, CLIENT_SECRET)
    assert "not the real network" in google.note


def test_every_fact_has_a_basis_and_the_decision_that_it_needs(shop):
    seed(HERE, quietly, PEOPLE)

    facts = Fact.objects.filter(retracted_at=None)
    assert list(wrong_bases()) == []
    assert set(facts.values_list("basis", flat=True)) == {"contract", "consent"}
    # What was asked for, answered or looked up from it rests on consent; the rest is what the account needs.
    asked = {*customers.OPTIONAL, *customers.ANSWER_SHARES, "continent", "age_band"}
    assert not facts.filter(basis="contract", attribute__in=asked).exclude(source="import:newsletter").exists()
    income = facts.filter(attribute="area_median_income")
    assert income.exists()
    assert all(fact.consents and fact.derived_from for fact in income)


def test_a_withdrawn_purpose_closes_the_facts_of_a_demo_customer(shop):
    seed(HERE, quietly, FEW)
    fact = next(
        each
        for each in Fact.objects.filter(source="question:looking_for@1")
        if "looking_for" in view(each.profile, "personalise")
    )

    decide(fact.profile, Decision("personalise", "withdrawn", "profile"))

    fact.profile.refresh_from_db()
    assert "looking_for" not in view(fact.profile, "personalise")
    assert "looking_for" not in fact.profile.document
