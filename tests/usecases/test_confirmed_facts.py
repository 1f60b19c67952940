"""An equal value of the same source confirms a fact: first seen, last confirmed, one row, under the decision that came first."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.notices import agreed
from tests.usecases.test_complete_social_login import YES, provider_login

from regulars.base import clock
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.base.jobs.tasks import enqueue
from regulars.connections.provider import ProviderClaim
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.purposes import get_purpose
from regulars.consent.record import Decision
from regulars.consent.view import view
from regulars.profiles.assertions import Asserter
from regulars.profiles.find import vouched_address
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute, Fact, Identity, Profile
from regulars.usecases import join_repeated_facts
from regulars.usecases.complete_social_login import ClaimConsent, complete_social_login
from regulars.usecases.customer_data import facts_of
from regulars.usecases.erase import erase_period
from regulars.usecases.export import access, portable
from regulars.usecases.unit_of_work import changes

DAY = dt.timedelta(days=1)
BIRTHDAY = agreed("birthday")
CLAIMS = [
    ProviderClaim("email", "chika@example.com", "verified"),
    ProviderClaim("gender", "female", "social", "gender"),
    ProviderClaim("birthdate", "1990-05-01", "social", "birthday"),
    ProviderClaim("country", "PT", "social", "birthday"),
]


@pytest.fixture
def later(monkeypatch):
    """Return a function that moves the clock of the business to so many days from now."""
    moved = dt.timedelta()

    def move(days: float) -> dt.datetime:
        nonlocal moved
        moved = dt.timedelta(days=days)
        return clock.now()

    monkeypatch.setattr(clock, "_offset", lambda: moved)
    return move


def log_in(*shared: ClaimConsent, **more) -> Profile:
    return complete_social_login(provider_login(claims=CLAIMS, shared=shared or (YES, BIRTHDAY), **more)).profile


def live(profile: Profile) -> list[str]:
    return sorted(profile.facts.filter(retracted_at=None).values_list("attribute", flat=True))


def test_second_login_confirms_every_fact_and_every_conclusion(standard_setup, later):
    profile = log_in()
    first = {fact.attribute: fact for fact in profile.facts.all()}
    assert {"gender", "birthdate", "age_band", "country", "continent"} <= first.keys()

    moment = later(40)
    log_in()

    assert live(profile) == sorted(first)
    for fact in profile.facts.all():
        assert (fact.pk, fact.collected_at) == (first[fact.attribute].pk, first[fact.attribute].collected_at)
        assert fact.confirmed_at >= moment
        assert fact.consents == first[fact.attribute].consents
    assert ConsentEvent.objects.count() == 4  # each decision is in the ledger all the same


def test_customer_reads_one_fact_with_both_dates_and_no_other_source(standard_setup, later):
    profile = log_in()
    later(40)
    log_in()

    facts = facts_of(profile)

    assert len(facts) == len({fact.attribute for fact in facts})
    assert {fact.why_not for fact in facts} == {""}
    assert all(fact.confirmed_at - fact.since >= 39 * DAY for fact in facts)
    assert all(each["confirmed_at"] > each["since"] for each in access(profile)["facts"])
    assert all(each["confirmed_at"] > each["since"] for each in portable(profile)["facts"])


def test_new_value_is_a_new_fact_and_the_old_one_is_history(standard_setup, later):
    profile = log_in()
    later(1)
    moved = [*CLAIMS[:3], ProviderClaim("country", "ES", "social", "birthday")]
    complete_social_login(provider_login(claims=moved, shared=[YES, BIRTHDAY]))
    later(2)
    log_in()  # and back again

    countries = profile.facts.filter(attribute="country").order_by("id")
    assert [fact.value for fact in countries] == ["PT", "ES", "PT"]
    profile.refresh_from_db()
    assert profile.document["country"] == "PT"
    shown = {(fact.value, fact.why_not) for fact in facts_of(profile) if fact.attribute == "country"}
    assert shown == {("PT", ""), ("ES", "replaced")}


def test_value_given_again_after_a_withdrawal_stands_under_the_new_decision(standard_setup, later):
    profile = log_in(YES)
    with changes(profile, "test") as c:
        c.decide(Decision("personalise", "withdrawn", "profile"))
    later(1)
    log_in(YES)

    first, second = profile.facts.filter(attribute="gender").order_by("id")
    assert first.consents != second.consents
    assert second.consents == [ConsentEvent.objects.last().pk]
    assert first.confirmed_at is None
    assert [fact.why_not for fact in facts_of(profile) if fact.attribute == "gender"] == [""]


@pytest.mark.parametrize("other", ["words", "version", "claim"])
def test_another_decision_makes_another_fact(standard_setup, later, other):
    profile = log_in(YES)
    later(1)
    wording = {"words": {"text": "Other words."}, "version": {"version": 2}, "claim": {}}[other]
    if wording:
        Purpose.objects.filter(key="personalise").update(**wording)
    again = {
        "words": agreed("gender", use="Other words."),
        "version": agreed("gender", version=2),
        "claim": BIRTHDAY,
    }[other]
    claims = [ProviderClaim("gender", "female", "social", again.claim)]
    complete_social_login(provider_login(claims=claims, shared=[again]))

    first, second = profile.facts.filter(attribute="gender").order_by("id")
    assert (first.consents, second.consents) == tuple([each.pk] for each in ConsentEvent.objects.order_by("id"))


def test_decision_that_had_run_out_is_another_one(standard_setup, later):
    Purpose.objects.filter(key="personalise").update(expires_days=100)
    profile = log_in(YES)
    later(60)
    log_in(YES)
    later(150)  # within the hundred days of the second
    log_in(YES)
    assert profile.facts.filter(attribute="gender").count() == 1

    later(251)
    log_in(YES)

    assert profile.facts.filter(attribute="gender").count() == 2


def test_withdrawal_closes_a_fact_that_was_confirmed(standard_setup, later):
    profile = log_in(YES)
    later(1)
    log_in(YES)
    assert view(profile, "personalise")["gender"].value == "female"

    with changes(profile, "test") as c:
        c.decide(Decision("personalise", "withdrawn", "profile"))

    assert "gender" not in view(profile, "personalise")
    profile.refresh_from_db()
    assert "gender" not in profile.document


def test_expiry_and_age_count_from_the_last_confirmation(standard_setup, later):
    Attribute.objects.filter(key="gender").update(expires_days=30, half_life_days=30)
    profile = log_in(YES)
    later(20)
    log_in(YES)
    fact = profile.facts.get(attribute="gender")
    assert fact.expires_at - clock.now() > 29 * DAY

    later(45)  # beyond the first expiry, before the renewed one

    assert view(profile, "personalise")["gender"].value == "female"
    assert view(profile, "personalise")["gender"].as_of == fact.confirmed_at


def test_source_that_confirms_outweighs_one_that_was_newer_once(chika, later):
    Attribute.objects.filter(key="city").update(half_life_days=30)
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])
    later(10)
    learn(chika, [NewFact("city", "Braga", "social", "facebook")])
    assert chika.document["city"] == "Braga"

    later(20)
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])

    assert chika.document["city"] == "Porto"


def test_value_that_expired_and_comes_back_is_a_new_fact(chika, later):
    Attribute.objects.filter(key="city").update(expires_days=10)
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])
    later(11)
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])

    assert chika.facts.filter(attribute="city").count() == 2
    assert [fact.why_not for fact in facts_of(chika) if fact.attribute == "city"] == [""]


def test_look_up_that_says_the_same_does_not_run_out(chika, later):
    def look_up() -> None:
        expires = clock.now() + 20 * DAY
        learn(chika, [NewFact("city", "Porto", "enriched", "source:places", expires_at=expires, derived_from=[7])])

    look_up()
    later(15)
    look_up()

    fact = chika.facts.get(attribute="city")
    assert fact.expires_at - clock.now() > 19 * DAY


def test_software_that_repeats_everything_confirms_once_a_day(chika, later):
    traits = [NewFact("city", "Porto", "observed", "app:shop", asserter=Asserter.SERVER_KEY)]
    learn(chika, traits)
    later(0.5)
    learn(chika, traits)
    assert chika.facts.get().confirmed_at is None

    later(1.5)
    learn(chika, traits)

    assert chika.facts.get().confirmed_at is not None


def test_message_that_comes_late_confirms_nothing_newer(chika, later):
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])
    old = clock.now() - 400 * DAY
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2", collected_at=old)])

    assert chika.facts.get().confirmed_at is None


def test_value_that_was_taken_back_is_not_confirmed(chika, later):
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])
    for days in (1, 2):
        later(days)
        learn(chika, [NewFact("city", None, "social", "google-oauth2")])

    assert [(fact.value, fact.confirmed_at) for fact in chika.facts.order_by("id")] == [("Porto", None), (None, None)]


def test_deletion_by_the_customer_is_not_undone_by_a_confirmation(chika, later):
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])
    learn(chika, [NewFact("city", None, "corrected", "customer")])
    later(2)
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])

    assert chika.facts.get(source="google-oauth2").confirmed_at is None


def test_two_accounts_at_one_provider_each_confirm_their_own(chika, later):
    ids = [
        Identity.objects.create(profile=chika, provider="google-oauth2", provider_user_id=number).pk
        for number in ("2", "3")
    ]
    for days in range(3):
        later(days)
        learn(chika, [NewFact("city", "Porto", "social", "google-oauth2", identity=each) for each in ids])

    facts = chika.facts.order_by("id")
    assert [fact.identity_id for fact in facts] == ids
    assert all(fact.confirmed_at for fact in facts)
    assert [fact.why_not for fact in facts_of(chika) if fact.attribute == "city"] == [""]


@pytest.mark.parametrize("value", ["Porto", "PORTO "])
def test_two_sources_that_agree_confirm_each_other(chika, value):
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])
    learn(chika, [NewFact("city", value, "social", "facebook")])
    learn(chika, [NewFact("city", "Braga", "enriched", "source:fullcontact")])

    shown = [(fact.source, fact.why_not) for fact in facts_of(chika) if fact.attribute == "city"]

    assert shown == [("facebook", ""), ("google-oauth2", "confirms"), ("source:fullcontact", "another_wins")]


def test_proof_of_another_address_is_not_lent_by_its_confirmation(chika, later):
    """The proof was given for the address before: repeating it says nothing about the one that an event brought since."""
    proof = NewFact("email_verified", True, "verified", "google-oauth2")
    learn(chika, [NewFact("email", "chika@example.com", "verified", "google-oauth2"), proof])
    later(1)
    learn(chika, [NewFact("email", "other@example.com", "corrected", "app:shop", asserter=Asserter.CUSTOMER)])
    later(2)
    learn(chika, [proof])

    assert chika.document["email"] == "other@example.com"
    assert chika.document["email_verified"] is False


def test_birthday_after_a_confirmation_still_changes_the_band(standard_setup, later):
    profile = log_in(BIRTHDAY)
    later(10)
    log_in(BIRTHDAY)
    profile.refresh_from_db()
    before = profile.document["age_band"]

    later(365 * 12)
    with changes(profile, "test") as c:
        c.conclude_again()

    profile.refresh_from_db()
    assert profile.document["age_band"] != before


@pytest.mark.parametrize("period", ["first", "last", "both"])
def test_erasure_of_a_period_keeps_what_was_said_outside_of_it(chika, later, period):
    begin = clock.now()
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])
    later(100)
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])
    since = {"first": begin - DAY, "last": begin + 90 * DAY, "both": begin - DAY}[period]
    until = {"first": begin + DAY, "last": begin + 110 * DAY, "both": begin + 110 * DAY}[period]

    erase_period(chika, since, until)

    left = [(fact.collected_at > begin + 90 * DAY, fact.confirmed_at) for fact in chika.facts.all()]
    assert left == {"first": [(True, None)], "last": [(False, None)], "both": []}[period]


# Rows of earlier versions, which stored everything again at each login.


def stored_again(profile: Profile, times: int) -> None:
    """Write the facts of `times` logins as earlier versions did: each under the decision of its own login."""
    purpose = get_purpose("personalise")
    for number in range(times):
        with changes(profile, "test") as c:
            evidence = {"connection": "google-oauth2", "claim": "birthday", "provider_answer": number}
            given = c.decide(Decision(purpose.key, "given", "login", words="Your birthday.", evidence=evidence))
        at = clock.now() + number * DAY
        common = {"profile": profile, "source_kind": "social", "source": "google-oauth2", "asserter": "provider"}
        common |= {"collected_at": at, "basis": "consent", "consents": [given.pk]}
        country = Fact.objects.create(attribute="country", value="PT", **common)
        Fact.objects.create(attribute="continent", value="Europe", derived_from=[country.pk], **common)


def values_for(profile: Profile) -> dict[tuple[str, str], object]:
    """Return what may be used, by purpose and attribute."""
    return {
        (purpose, key): value.value
        for purpose in ("personalise", "serve")
        for key, value in view(profile, purpose).items()
    }


def upgrade() -> None:
    enqueue(join_repeated_facts.JOB, {"after": 0})
    run_due(1000)
    assert {job.state for job in Job.objects.filter(kind=join_repeated_facts.JOB)} == {Job.State.DONE}


def test_upgrade_joins_what_logins_stored_again(chika):
    stored_again(chika, 3)
    learn(chika, [NewFact("country", "ES", "social", "facebook")])
    before = values_for(chika)
    rows = list(chika.facts.filter(source="google-oauth2").order_by("id"))

    upgrade()

    country, continent = chika.facts.filter(source="google-oauth2").order_by("id")
    assert (country.pk, continent.pk) == (rows[0].pk, rows[1].pk)
    assert (country.collected_at, country.confirmed_at) == (rows[0].collected_at, rows[4].collected_at)
    assert continent.derived_from == [country.pk]
    assert country.consents == rows[0].consents
    assert values_for(chika) == before
    assert ConsentEvent.objects.count() == 3


def test_upgrade_keeps_what_stands_under_another_decision_or_between_other_values(chika):
    stored_again(chika, 1)
    with changes(chika, "test") as c:
        c.decide(Decision("personalise", "withdrawn", "profile"))
    stored_again(chika, 1)
    common = {"profile": chika, "attribute": "city", "source_kind": "social", "source": "google-oauth2"}
    for number, value in enumerate(["Porto", "Braga", "Porto", None, None]):
        Fact.objects.create(value=value, collected_at=clock.now() + number * DAY, asserter="provider", **common)

    upgrade()

    assert chika.facts.filter(attribute="country").count() == 2
    assert chika.facts.filter(attribute="city").count() == 5


def test_conclusion_of_a_joined_fact_follows_from_the_one_that_stays(chika):
    stored_again(chika, 2)
    last = chika.facts.filter(attribute="country").latest("id")
    look_up = Fact.objects.create(
        profile=chika,
        attribute="currency",
        value="EUR",
        source_kind="enriched",
        source="source:x",
        derived_from=[last.pk],
    )

    upgrade()

    look_up.refresh_from_db()
    assert look_up.derived_from == [chika.facts.get(attribute="country").pk]


def test_upgrade_goes_portion_by_portion_and_may_run_twice(standard_setup, monkeypatch):
    monkeypatch.setattr(join_repeated_facts, "PORTION", 2)
    people = [Profile.objects.create(user_id=f"auth0|{number}") for number in range(5)]
    for each in people:
        stored_again(each, 2)

    upgrade()
    rows = Fact.objects.count()
    upgrade()

    assert rows == Fact.objects.count() == 10


@pytest.mark.parametrize(("kinds", "mailed"), [("verified social", ""), ("social verified", "chika@example.com")])
def test_last_word_of_a_provider_decides_whether_it_vouches(standard_setup, later, kinds, mailed):
    """Notices of a new password go to an address that the provider vouches for now, whether it is a new one or not."""
    for day, kind in enumerate(kinds.split()):
        later(day)
        email = ProviderClaim("email", "chika@example.com", kind)
        profile = complete_social_login(provider_login(claims=[email])).profile

    assert vouched_address(profile) == mailed
    assert [fact.source_kind for fact in profile.facts.filter(attribute="email").order_by("id")] == kinds.split()


def test_weaker_asserter_of_the_same_source_confirms_nothing(chika, later):
    for day, (kind, whose) in enumerate([("declared", Asserter.SERVER_KEY), ("inferred", Asserter.APP_TOKEN)]):
        later(day * 2)
        learn(chika, [NewFact("user_metadata.colour", "red", kind, "app:shop", asserter=whose)])

    first, second = chika.facts.order_by("id")
    assert (first.confirmed_at, second.source_kind, second.asserter) == (None, "inferred", Asserter.APP_TOKEN)
