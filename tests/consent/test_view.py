"""The one gate: what may be used, for what, and what withdrawal does."""

from __future__ import annotations

import datetime as dt

import pytest

from regulars.base.errors import DomainError
from regulars.consent.record import Decision, first_broken_link, record
from regulars.consent.refresh import refresh_views
from regulars.consent.view import served_user, view
from regulars.profiles.assertions import Place
from regulars.profiles.learn import NewFact, learn


def new_fact(attribute, value, basis="consent", **kwargs):
    return NewFact(attribute, value, "social", "google-oauth2", basis=basis, **kwargs)


def test_a_fact_that_needs_a_decision_and_has_none_is_closed(chika):
    learn(chika, [new_fact("gender", "female"), new_fact("city", "Porto", "contract")])
    record(chika, Decision("personalise", "given", "profile"))

    assert list(view(chika, "serve")) == ["city"]
    assert list(view(chika, "personalise")) == ["city"]


def test_a_yes_opens_the_purpose_and_a_withdrawal_closes_it(chika):
    yes = record(chika, Decision("personalise", "given", "login"))
    learn(chika, [new_fact("gender", "female", consents=[yes.pk])])
    assert view(chika, "personalise")["gender"].source == "google-oauth2"

    record(chika, Decision("personalise", "withdrawn", "profile"))

    assert view(chika, "personalise") == {}
    assert "gender" not in view(chika, "serve")


def test_an_objection_closes_a_legitimate_interest(chika):
    learn(chika, [new_fact("gender", "female", "legitimate_interest", purpose="measure")])
    assert "gender" in view(chika, "measure")
    assert "gender" in view(chika, "serve")

    record(chika, Decision("measure", "objected", "profile"))

    assert view(chika, "measure") == view(chika, "serve") == {}


def test_an_undeclared_attribute_serves_the_account_only(chika):
    record(chika, Decision("personalise", "given", "login"))
    learn(chika, [NewFact("user_metadata.shoe", 38, "declared", "app:shop")])

    assert "user_metadata.shoe" in view(chika, "serve")
    assert view(chika, "personalise") == {}


def test_a_use_without_a_purpose_is_refused(chika):
    with pytest.raises(DomainError) as refusal:
        view(chika, "curiosity")

    assert refusal.value.code == "unknown_purpose"


def test_the_cached_views_equal_the_gate(chika):
    yes = record(chika, Decision("personalise", "given", "login"))
    learn(chika, [new_fact("gender", "female", consents=[yes.pk]), new_fact("country", "PT", "contract")])

    refresh_views(chika)

    for row in chika.permitted_views.all():
        assert row.traits == {key: value.value for key, value in view(chika, row.purpose_id).items()}
    assert chika.permitted_views.get(purpose="personalise").traits["continent"] == "Europe"


def test_withdrawn_facts_are_in_no_token_and_no_rule(chika):
    yes = record(chika, Decision("personalise", "given", "login"))
    learn(
        chika,
        [
            new_fact("gender", "female", consents=[yes.pk]),
            new_fact("name", "Chika", "contract"),
            NewFact("user_metadata.shoe", 38, "declared", "app:shop"),
        ],
    )
    refresh_views(chika)
    before = served_user(chika, Place.TOKEN)
    record(chika, Decision("personalise", "withdrawn", "profile"))
    refresh_views(chika)
    after = served_user(chika, Place.TOKEN)

    assert (before["gender"], before["name"], before["user_metadata"]) == ("female", "Chika", {"shoe": 38})
    assert "gender" not in after
    assert (after["name"], after["user_id"]) == ("Chika", chika.user_id)


def test_a_changed_ledger_row_is_found(chika):
    record(chika, Decision("personalise", "given", "login"))
    second = record(chika, Decision("message", "refused", "login"))
    assert first_broken_link(chika) is None

    type(second).objects.filter(pk=second.pk).update(action="given")

    assert first_broken_link(chika) == second


def test_a_decision_of_another_time_zone_does_not_break_the_chain(chika):
    noon_in_berlin = dt.datetime(2026, 11, 24, 12, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    record(chika, Decision("message", "imported", "import", evidence={"list": "fair"}, at=noon_in_berlin))

    assert first_broken_link(chika) is None
