"""What every login and every read of /userinfo asks the database for the user that it serves."""

from __future__ import annotations

import pytest

from regulars.consent.view import served_user
from regulars.profiles.assertions import Place
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute, Profile
from regulars.usecases.unit_of_work import changes


@pytest.mark.django_db(transaction=True)
def test_served_user_takes_one_query_and_follows_attributes_at_once(standard_setup, django_assert_num_queries):
    chika = Profile.objects.create(user_id="auth0|chika")
    Attribute.objects.create(key="shoe", label="Shoe", purposes=["serve"])
    with changes(chika, "test") as c:
        c.learn([NewFact("shoe", "42", "declared", "customer", basis="contract", purpose="serve")])
    served_user(chika, Place.TOKEN)

    with django_assert_num_queries(1):  # the permitted view; where attributes are kept is cached
        assert served_user(chika, Place.TOKEN)["shoe"] == "42"
    Attribute.objects.filter(key="shoe").update(metadata_path="user_metadata.shoe")
    assert served_user(chika, Place.TOKEN)["user_metadata"] == {"shoe": "42"}
