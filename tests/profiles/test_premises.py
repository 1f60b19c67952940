"""A conclusion, or what was looked up, counts only while the facts that it follows from win, at every exit."""

from __future__ import annotations

import datetime as dt

import pytest

from regulars.base import clock
from regulars.base.jobs.run_jobs import run_due
from regulars.connections.save import ensure_own_connections
from regulars.consent.record import Decision
from regulars.consent.view import view
from regulars.profiles.learn import NewFact, is_known, learn, retract
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.change_due_profiles import queue_due_profiles
from regulars.usecases.correct_facts import correct, remove
from regulars.usecases.customer_data import facts_of
from regulars.usecases.decide_consent import decide
from regulars.usecases.merge import merge
from regulars.usecases.unit_of_work import changes
from regulars.usecases.users import NewDatabaseUser, UserPatch, create_user, update_user
from regulars.usecases.write_values import by_app

INCOME = "area_median_income"


def income_of_area(chika, **more):
    """A postal code that Google shared, and the income that was looked up for it."""
    said = [
        NewFact("postal_code", "98101", "social", "google-oauth2"),
        NewFact("country", "US", "social", "google-oauth2"),
    ]
    with changes(chika, "test") as c:
        about = c.learn(said)
    about = [fact for fact in about if fact.attribute != "continent"]
    looked_up(chika, 52000, about, **more)
    return about


def looked_up(chika, value, about, attribute=INCOME, source="source:us-census-acs"):
    fact = NewFact(
        attribute, value, "enriched", source, "legitimate_interest", derived_from=[fact.pk for fact in about]
    )
    with changes(chika, "test") as c:
        c.learn([fact])


def test_income_of_an_area_falls_with_the_postal_code_it_was_looked_up_for(chika):
    income_of_area(chika)
    assert chika.permitted_views.get(purpose="measure").traits[INCOME] == 52000

    correct(chika, "postal_code", "10001")

    chika.refresh_from_db()
    assert INCOME not in view(chika, "measure")
    assert INCOME not in chika.permitted_views.get(purpose="measure").traits
    assert INCOME not in chika.document
    assert INCOME not in str(chika.terms)
    assert not is_known(chika, INCOME)
    (fact,) = [each for each in facts_of(chika) if each.attribute == INCOME]
    assert fact.why_not == "fallen"


def is_in_segment(profile) -> bool:
    return Membership.objects.filter(profile=profile, segment__slug="modest-areas", state="in").exists()


@pytest.fixture
def modest(standard_setup):
    return save_segment("Modest areas", f"{INCOME}:[0 TO 60000]", "measure")


@pytest.mark.parametrize("how", ["corrected", "deleted", "withdrawn", "merged", "run_out"])
def test_segment_follows_a_premise_that_no_longer_wins(chika, modest, monkeypatch, make_customer, how):
    yes = decide(chika, Decision("personalise", "given", "login"))
    more = {"expires_at": clock.now() + dt.timedelta(days=5)} if how == "run_out" else {}
    with changes(chika, "test") as c:
        (code,) = c.learn(
            [NewFact("postal_code", "98101", "social", "google-oauth2", "consent", consents=[yes.pk], **more)]
        )
    looked_up(chika, 52000, [code])
    assert is_in_segment(chika)

    match how:
        case "corrected":
            correct(chika, "postal_code", "10001")
        case "deleted":
            remove(chika, "postal_code")
        case "withdrawn":
            decide(chika, Decision("personalise", "withdrawn", "profile"))
        case "merged":
            twin = make_customer(yes=())
            correct(twin, "postal_code", "10001")
            merge(twin, chika)
        case "run_out":
            later = clock.now() + dt.timedelta(days=6)
            monkeypatch.setattr(clock, "now", lambda: later)
            queue_due_profiles()
            run_due()

    assert not is_in_segment(chika)
    assert INCOME not in chika.permitted_views.get(purpose="measure").traits


def test_a_second_source_with_the_same_value_keeps_the_conclusion(chika):
    income_of_area(chika)

    correct(chika, "postal_code", "98101")

    assert view(chika, "measure")[INCOME].value == 52000


def test_a_premise_that_ran_out_takes_its_conclusion_with_it(chika, monkeypatch):
    expires = clock.now() + dt.timedelta(days=5)
    (code,) = learn(chika, [NewFact("postal_code", "98101", "social", "google-oauth2", expires_at=expires)])
    looked_up(chika, 52000, [code])
    assert INCOME in view(chika, "measure")

    in_six_days = clock.now() + dt.timedelta(days=6)
    monkeypatch.setattr(clock, "now", lambda: in_six_days)

    assert INCOME not in view(chika, "measure")


def test_a_corrected_birthdate_without_an_age_band_leaves_none(chika):
    learn(chika, [NewFact("birthdate", "1990-01-01", "social", "google-oauth2")])
    assert "age_band" in view(chika, "serve")

    learn(chika, [NewFact("birthdate", "2020-01-01", "corrected", "customer")])

    assert "age_band" not in view(chika, "serve")
    assert "age_band" not in chika.document


def test_a_chain_of_conclusions_falls_as_a_whole(chika):
    about = income_of_area(chika)
    looked_up(chika, "Seattle", about, "city", "source:postal-places")
    city = chika.facts.get(attribute="city")
    looked_up(chika, "Acme", [city], "employer", "source:http")
    assert {"city", "employer"} <= set(view(chika, "serve")) | set(chika.document)

    correct(chika, "country", "CA")

    assert not {"city", "employer"} & set(chika.document)


def test_two_conclusions_that_follow_from_each_other_prove_nothing(chika):
    looked_up(chika, "Seattle", [], "city", "source:a")
    city = chika.facts.get(attribute="city")
    looked_up(chika, "Washington", [city], "region", "source:b")
    region = chika.facts.get(attribute="region")
    chika.facts.filter(pk=city.pk).update(derived_from=[region.pk])

    with changes(chika, "test") as c:
        c.refresh()

    chika.refresh_from_db()
    assert not {"city", "region"} & set(chika.document)


def test_a_conclusion_of_a_deleted_fact_does_not_count(chika):
    code, _ = income_of_area(chika)
    chika.facts.filter(pk=code.pk).delete()

    assert INCOME not in view(chika, "measure")


def test_a_retracted_premise_retracts_its_conclusion(chika):
    code, _ = income_of_area(chika)

    retract(chika, [code], "test")

    assert chika.facts.get(attribute=INCOME).retracted_at is not None


def test_names_guessed_from_an_address_follow_it(standard_setup):
    ensure_own_connections(mail_codes=False)
    made = create_user(
        NewDatabaseUser(
            "Username-Password-Authentication", "ana@example.com", UserPatch(password="a long enough secret 1")
        ),
        by_app("shop"),
    )
    assert made.document["name"] == "ana@example.com"

    moved = update_user(made, UserPatch({"email": "ruiz@example.com"}), by_app("shop")).profile

    assert (moved.document["name"], moved.document["nickname"]) == ("ruiz@example.com", "ruiz")
