"""The Management API reads, finds and sorts by what may be used for the purpose of the machine's grant, and nothing else."""

from __future__ import annotations

import pytest

from regulars.clients.models import Client, ClientGrant, ResourceServer, management_audience
from regulars.consent.record import Decision
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute, Profile
from regulars.usecases.decide_consent import decide
from regulars.usecases.unit_of_work import changes

from .conftest import make_token


def customer(number: str, yes: tuple[str, ...] = (), **facts: object) -> Profile:
    """Return a customer whose facts rest on the purposes that they allowed."""
    profile, _ = get_or_create_by_identity("auth0", number, connection="test")
    with changes(profile, "test") as c:
        consents = [c.decide(Decision(purpose, "given", "login")).pk for purpose in yes]
        c.learn(
            NewFact(
                key.replace("__", "."),
                value,
                "declared",
                "question:q@1",
                basis="consent" if consents else "contract",
                consents=consents,
            )
            for key, value in facts.items()
        )
    return profile


@pytest.fixture
def people(standard_setup):
    """One who serves as a comparison, one with a closed diet, one who withdrew everything, one who never said a thing."""
    Attribute.objects.create(key="diet", label="Diet", sensitivity="special", purposes=["serve", "message"], options=[])
    Attribute.objects.create(key="hobby", label="Hobby", purposes=["personalise"])
    Attribute.objects.create(key="shoe", label="Shoe", purposes=["message"], metadata_path="user_metadata.shoe")
    customer("open", ("message",), gender="female", email="open@example.com", user_metadata__shoe="44")
    customer("diet", (), diet="halal", hobby="chess", name="Dov", user_metadata__shoe="41")
    gone = customer("gone", ("personalise",), gender="female", email="gone@example.com", city="Porto")
    decide(gone, Decision("personalise", "withdrawn", "profile"))
    customer("none")


def found(api_client, q: str, **query: str) -> list[str]:
    users = api_client.get("/v2/users", q=q, sort="user_id:1", **query)
    return [user["user_id"].partition("|")[2] for user in users]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("diet:halal", []),
        ("diet:h*", []),
        ("_exists_:diet", []),
        ("NOT diet:halal", ["diet", "gone", "none", "open"]),
        ("hobby:chess", []),
        ("NOT _exists_:hobby", ["diet", "gone", "none", "open"]),
        ("gender:female", ["open"]),
        ("city:Porto", []),
        ("email:gone@example.com", []),
        ("gone@example.com", []),
        ("NOT _exists_:email", ["diet", "gone", "none"]),
        ("user_metadata.shoe:41", []),
        ("shoe:41", []),
        ("name:Dov OR gender:female", ["diet", "open"]),
    ],
)
def test_closed_value_finds_no_one_and_is_like_one_that_is_not_known(api_client, people, q, expected):
    assert found(api_client, q) == expected


def test_closed_values_are_read_on_no_road(api_client, people):
    everything = api_client.get("/v2/users", include_totals="true")
    one = api_client.get("/v2/users/auth0|diet")
    chosen = api_client.get("/v2/users/auth0|diet", fields="diet,hobby,user_metadata,user_id")
    changed = api_client.call("PATCH", "/v2/users/auth0|diet", {"user_metadata": {"plan": "gold"}}).json()

    for each in (*everything["users"], one, chosen, changed):
        assert not {"diet", "hobby", "city"} & each.keys()
        assert "shoe" not in each.get("user_metadata", {})
    assert (one["name"], chosen, changed["user_metadata"]) == ("Dov", {"user_id": "auth0|diet"}, {"plan": "gold"})
    assert "gender" not in api_client.get("/v2/users/auth0|gone")
    assert api_client.get("/v2/users-by-email", email="gone@example.com") == []
    assert [each["user_id"] for each in api_client.get("/v2/users-by-email", email="open@example.com")] == [
        "auth0|open"
    ]


@pytest.mark.parametrize("field", ["diet", "hobby", "city", "gender", "shoe"])
def test_order_by_a_closed_value_is_the_order_of_those_without_it(api_client, people, field):
    open_first = ["open"] if field == "gender" else []
    ascending = [user["user_id"].partition("|")[2] for user in api_client.get("/v2/users", sort=f"{field}:1")]
    descending = [user["user_id"].partition("|")[2] for user in api_client.get("/v2/users", sort=f"{field}:-1")]

    by_age = [each for each in ("open", "diet", "gone", "none") if each not in open_first]
    assert ascending == descending == open_first + by_age


@pytest.fixture
def grant(standard_setup):
    make_token()  # makes the client "bot"
    api = ResourceServer.objects.create(identifier=management_audience(), name="Management", scopes=["read:users"])
    return ClientGrant.objects.create(client=Client.objects.get(pk="bot"), resource_server=api, scopes=["read:users"])


def set_purpose(api_client, grant: ClientGrant, purpose: str):
    token = make_token("update:client_grants")
    return api_client.call("PATCH", f"/v2/client-grants/cgr_{grant.pk:016d}", {"purpose": purpose}, token=token)


def test_grant_with_a_purpose_reads_and_finds_for_that_purpose(api_client, people, grant):
    """`message` is open of one customer only, and the shoe size is meant for it."""
    answer = set_purpose(api_client, grant, "message")
    assert (answer.status_code, answer.json()["purpose"], answer.json()["scope"]) == (200, "message", ["read:users"])

    assert found(api_client, "user_metadata.shoe:44") == ["open"]
    assert found(api_client, "_exists_:user_metadata.shoe") == ["open"]
    assert api_client.get("/v2/users/auth0|open")["user_metadata"] == {"shoe": "44"}
    assert "name" not in api_client.get("/v2/users/auth0|diet")
    decide(Profile.objects.get(user_id="auth0|open"), Decision("message", "withdrawn", "profile"))
    assert found(api_client, "user_metadata.shoe:44") == []
    assert "user_metadata" not in api_client.get("/v2/users/auth0|open")
    assert set_purpose(api_client, grant, "").json()["purpose"] == "serve"
    assert api_client.get("/v2/users/auth0|diet")["name"] == "Dov"


@pytest.mark.parametrize(("purpose", "code"), [("curiosity", "unknown_purpose"), ("measure", "purpose_is_for_groups")])
def test_grant_refuses_what_is_no_purpose_about_one_person(api_client, grant, purpose, code):
    answer = set_purpose(api_client, grant, purpose)

    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    grant.refresh_from_db()
    assert grant.purpose == ""


def test_explicit_yes_opens_a_special_category_to_reading_and_searching(api_client, people):
    """Of a purpose that rests on consent: the account's own needs none and so opens no special category."""
    profile = Profile.objects.get(user_id="auth0|diet")
    with changes(profile, "test") as c:
        yes = c.decide(Decision("message", "given", "question", explicit=True))
        c.learn([NewFact("diet", "vegan", "declared", "question:diet@2", basis="consent", consents=[yes.pk])])

    assert found(api_client, "diet:vegan") == []
    assert "diet" not in api_client.get(f"/v2/users/{profile.user_id}")
