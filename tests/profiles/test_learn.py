"""Facts are appended with their source, and derived facts follow them."""

from __future__ import annotations

import datetime as dt

from regulars.base import clock
from regulars.profiles.derive import conclusions
from regulars.profiles.document import user
from regulars.profiles.learn import NewFact, is_known, known_among, learn, retract
from regulars.profiles.models import Attribute


def test_a_correction_beats_an_answer_beats_a_social_claim(chika):
    learn(chika, [NewFact("city", "Porto", "declared", "question:city@1")])
    learn(chika, [NewFact("city", "Lisboa", "social", "google-oauth2")])
    assert chika.document["city"] == "Porto"

    learn(chika, [NewFact("city", "Braga", "corrected", "profile")])

    assert chika.document["city"] == "Braga"
    assert chika.facts.count() == 3


def test_a_source_that_repeats_itself_adds_nothing(chika):
    repeated = NewFact("city", "Porto", "social", "google-oauth2")

    assert len(learn(chika, [repeated])) == 1
    assert learn(chika, [repeated]) == []


def test_a_country_lies_on_a_continent_until_it_is_retracted(chika):
    country, continent = learn(chika, [NewFact("country", "PT", "social", "google-oauth2")])
    assert continent.value == "Europe"
    assert continent.derived_from == [country.pk]

    retract(chika, [country], "withdrawn")

    assert "continent" not in chika.document


def test_metadata_of_a_declared_attribute_is_that_attribute(chika):
    Attribute.objects.create(key="looking_for", label="Looking for", metadata_path="user_metadata.looking_for")

    learn(chika, [NewFact("user_metadata.looking_for", "jackets", "declared", "app:shop")])

    assert is_known(chika, "looking_for")
    assert user(chika)["user_metadata"] == {"looking_for": "jackets"}


def test_attribute_retracted_by_its_only_source_is_unknown(chika):
    learn(chika, [NewFact("user_metadata.shoe", 38, "declared", "app:shop")])
    learn(chika, [NewFact("user_metadata.shoe", None, "declared", "app:shop")])

    assert not is_known(chika, "user_metadata.shoe")


def test_a_birthday_ends_an_age_band():
    now = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)

    [band] = conclusions("birthdate", "1992-03-01", now)

    assert band.value == "25-34"
    assert band.expires_at == dt.datetime(2027, 3, 1, tzinfo=dt.UTC)


def test_the_clock_can_be_moved_only_by_its_file():
    assert abs(clock.now() - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)


def test_attribute_retracted_by_one_source_is_known_from_another(chika):
    learn(chika, [NewFact("city", "Porto", "social", "google-oauth2")])
    learn(chika, [NewFact("city", "Braga", "declared", "app:shop")])
    learn(chika, [NewFact("city", None, "declared", "app:shop")])

    assert is_known(chika, "city")
    assert chika.document["city"] == "Porto"


def test_twenty_facts_cost_few_queries(chika, django_assert_max_num_queries):
    news = [NewFact(f"user_metadata.k{number}", number, "declared", "app:shop") for number in range(20)]

    with django_assert_max_num_queries(32):  # one insert per fact, and twelve for everything else
        learn(chika, news)


def test_a_value_no_database_could_store_does_not_stop_a_login(chika):
    [fact] = learn(chika, [NewFact("city", "Por\x00to", "social", "google-oauth2")])

    assert fact.value == "Por�to"


def test_attributes_are_found_by_key_and_by_path_in_two_queries(chika, django_assert_num_queries):
    Attribute.objects.create(key="looking_for", label="Looking for", metadata_path="user_metadata.looking_for")
    learn(chika, [NewFact("looking_for", "shoes", "declared", "app:shop"), NewFact("city", "Berlin", "declared", "x")])

    with django_assert_num_queries(2):
        known = known_among(chika, {"user_metadata.looking_for", "city", "country"})

    assert known == {"user_metadata.looking_for", "city"}


def test_a_fact_written_before_its_path_was_declared_is_known_afterwards(chika):
    learn(chika, [NewFact("user_metadata.looking_for", "shoes", "declared", "app:shop")])
    Attribute.objects.create(key="looking_for", label="Looking for", metadata_path="user_metadata.looking_for")

    assert is_known(chika, "looking_for")
