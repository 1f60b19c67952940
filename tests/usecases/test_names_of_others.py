"""An erasure asks by an index whether another customer has a name too, and keeps such a name."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from regulars.profiles.models import Fact, Profile
from regulars.usecases.personal_data import _names_of_others, names_of

pytestmark = pytest.mark.django_db


def customer(user_id: str, **facts: object) -> Profile:
    profile = Profile.objects.create(user_id=user_id)
    for attribute, value in facts.items():
        contact = {"email": "shared@example.com", "phone_number": "+33612345678"}.get(attribute)
        Fact.objects.create(profile=profile, attribute=attribute, value=value, contact=contact, source="app:shop")
    return profile


@pytest.mark.parametrize(
    ("attribute", "mine", "theirs"),
    [
        ("email", "shared@example.com", "Shared@Example.com"),
        ("phone_number", "+33612345678", "+33 6 12 34 56 78"),
        ("username", "chïka-20261129", "chïka-20261129"),
        ("username", "c" * 300, "c" * 300),
    ],
)
def test_name_that_another_customer_has_too_is_kept(standard_setup, attribute, mine, theirs):
    chika, dov = customer("auth0|chika", **{attribute: mine}), customer("auth0|dov", **{attribute: theirs})
    assert mine not in names_of([chika]).identifiers

    dov.delete()
    assert mine in names_of([chika]).identifiers


def test_names_that_differ_behind_their_beginning_are_two(standard_setup):
    chika, _ = customer("auth0|chika", username="c" * 300 + "1"), customer("auth0|dov", username="c" * 300 + "2")
    assert "c" * 300 + "1" in names_of([chika]).identifiers


def test_names_of_others_are_found_by_indexes(standard_setup):
    chika = customer("auth0|chika", email="shared@example.com")
    with CaptureQueriesContext(connection) as captured:
        _names_of_others({"shared@example.com", "chika-20261129"}, [chika])
    asked = [query["sql"] for query in captured if '"profiles_fact"' in query["sql"]]
    assert len(asked) == 2
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        plans = []
        for sql in asked:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
            plans.append(str(cursor.fetchall()))
    assert "facts_by_contact" in plans[0]
    assert "facts_by_name" in plans[1]
