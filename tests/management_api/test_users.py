"""Users of the Management API: created, found, changed and deleted as with Auth0."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.base.jobs.models import Job
from regulars.events.models import Event
from regulars.events.record import record
from regulars.profiles.assertions import Asserter
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, is_known, learn
from regulars.profiles.models import Attribute, Fact, Identity, Profile
from regulars.profiles.sign_in import SignInBlock, account_block
from regulars.usecases.unit_of_work import changes

from .conftest import make_token

DOV = {"connection": "Username-Password-Authentication", "email": "Dov@Example.org", "password": "correct horse 9"}


def named(provider_user_id: str, name: str, **more: object) -> Profile:
    profile, _ = get_or_create_by_identity("auth0", provider_user_id)
    with changes(profile, "test") as c:
        c.learn([NewFact(key, value, "declared", "app:test") for key, value in {"name": name, **more}.items()])
    return profile


@pytest.fixture
def three_users(standard_setup):
    named("1", "Jane Smith", email="Jane@Example.com", **{"app_metadata.score": 72.5})
    named("2", "John 100%", email="john@example.org")
    named("3", "Marie?", **{"user_metadata.plan": "gold"})


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("name:j*", ["auth0|1", "auth0|2"]),
        ('name:"JANE SMITH"', ["auth0|1"]),
        ('name:"John 100%"', ["auth0|2"]),
        ("name:*100*", ["auth0|2"]),
        ("email.domain:example.com", ["auth0|1"]),
        ("app_metadata.score:[50 TO 80]", ["auth0|1"]),
        ("user_metadata.plan:gold", ["auth0|3"]),
        ("NOT _exists_:email", ["auth0|3"]),
        ("name:j* AND NOT email.domain:example.com", ["auth0|2"]),
        ("""name:"'; DROP TABLE profiles_profile; --" """, []),
    ],
)
def test_search_finds_exactly_these(api_client, three_users, q, expected):
    assert [user["user_id"] for user in api_client.get("/v2/users", q=q, sort="user_id:1")] == expected


def test_pages_and_totals_have_auth0s_shape(api_client, three_users):
    page = api_client.get("/v2/users", q="name:j*", per_page=1, page=1, include_totals="true", fields="user_id")
    beyond = api_client.get("/v2/users", q="name:j*", per_page=1, page=2, include_totals="true")

    assert page == {"start": 1, "limit": 1, "length": 1, "total": 2, "users": [{"user_id": "auth0|2"}]}
    assert (beyond["users"], beyond["total"]) == ([], 2)


def test_users_without_the_sorted_value_come_last(api_client, three_users):
    def order(sort: str) -> list[str]:
        return [user["user_id"][-1] for user in api_client.get("/v2/users", sort=sort)]

    assert order("email:1") == ["1", "2", "3"]
    assert order("email:-1") == ["2", "1", "3"]


def test_number_of_queries_does_not_grow_with_customers(api_client, three_users):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            api_client.get("/v2/users", q="name:*", include_totals="true")
        return sum(
            "tokens_signingkey" not in query["sql"] for query in captured.captured_queries
        )  # keys are remembered

    make_token()  # makes its app
    before = queries()
    for number in range(10, 20):
        named(str(number), f"Customer {number}")

    assert queries() == before


def test_visitors_and_merged_profiles_are_not_listed(api_client, chika):
    get_or_create_by_identity("anonymous", "cookie")
    merged = named("9", "Chika")
    Profile.objects.filter(pk=merged.pk).update(merged_into=chika)

    assert [user["user_id"] for user in api_client.get("/v2/users")] == [chika.user_id]
    assert api_client.get("/v2/users/auth0%7C9")["user_id"] == chika.user_id


def test_users_by_email_match_the_whole_address(api_client, three_users):
    assert [user["name"] for user in api_client.get("/v2/users-by-email", email="Jane@Example.com")] == ["Jane Smith"]
    assert api_client.get("/v2/users-by-email", email="Example.com") == []


def test_created_user_can_sign_in_and_has_facts_of_the_app(api_client, passwords):
    answer = api_client.call("POST", "/v2/users", {**DOV, "user_id": "d0", "user_metadata": {"plan": "gold"}})

    assert answer.status_code == 201
    made = answer.json()
    assert (made["user_id"], made["email"], made["name"]) == ("auth0|d0", "dov@example.org", "dov@example.org")
    assert (made["nickname"], made["user_metadata"]) == ("dov", {"plan": "gold"})
    assert Account.objects.get(profile__user_id="auth0|d0").check_password("correct horse 9")
    assert set(Fact.objects.values_list("source", flat=True)) == {"app:bot"}


def test_user_is_not_created_twice_weakly_or_elsewhere(api_client, passwords):
    api_client.call("POST", "/v2/users", DOV)
    again = api_client.call("POST", "/v2/users", {**DOV, "email": "DOV@example.org"})
    weak = api_client.call("POST", "/v2/users", {**DOV, "email": "b@example.org", "password": "password"})
    elsewhere = api_client.call("POST", "/v2/users", {**DOV, "connection": "google-oauth2"})

    assert (again.status_code, again.json()["errorCode"]) == (409, "auth0_idp_error")
    assert (weak.status_code, weak.json()["errorCode"]) == (400, "auth0_idp_error")
    assert (elsewhere.status_code, elsewhere.json()["errorCode"]) == (400, "inexistent_connection")


def patch(api_client, profile, body):
    answer = api_client.call("PATCH", f"/v2/users/{profile.user_id.replace('|', '%7C')}", body)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_metadata_merges_on_its_first_level_only(api_client, chika):
    patch(api_client, chika, {"user_metadata": {"shoe": {"size": 38, "wide": True}, "plan": "gold", "gone": 1}})
    after = patch(api_client, chika, {"user_metadata": {"shoe": {"size": 39}, "gone": None}})

    assert after["user_metadata"] == {"shoe": {"size": 39}, "plan": "gold"}


def test_empty_object_clears_one_bag_only(api_client, chika):
    patch(api_client, chika, {"user_metadata": {"plan": "gold"}, "app_metadata": {"tier": 1}})
    after = patch(api_client, chika, {"user_metadata": {}})

    assert "user_metadata" not in after
    assert after["app_metadata"] == {"tier": 1}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("user_metadata.looking_for", {"looking_for": "jackets"}),
        ("user_metadata.wishes.looking_for", {"wishes": {"looking_for": "jackets", "size": "M"}}),
    ],
)
def test_attribute_written_at_its_path_is_known(api_client, chika, path, body):
    Attribute.objects.create(key="looking_for", label="Looking for", metadata_path=path)
    patch(api_client, chika, {"user_metadata": body})

    assert is_known(chika, "looking_for")

    patch(api_client, chika, {"user_metadata": {next(iter(body)): None}})
    assert not is_known(chika, "looking_for")


def test_written_value_replaces_that_of_another_source(api_client, chika):
    learn(chika, [NewFact("name", "Chica", "declared", "app:signin", asserter=Asserter.CUSTOMER)])
    after = patch(api_client, chika, {"name": "Chika"})

    assert after["name"] == "Chika"
    assert Fact.objects.get(value="Chica").retracted_why == "replaced_by_app"


def test_repeated_patch_adds_no_fact(api_client, chika):
    patch(api_client, chika, {"name": "Chika", "user_metadata": {"plan": "gold"}})
    before = Fact.objects.count()
    patch(api_client, chika, {"name": "Chika", "user_metadata": {"plan": "gold"}})

    assert Fact.objects.filter(retracted_at=None).count() == before == Fact.objects.count()


def test_blocked_user_cannot_sign_in_until_unblocked(api_client, passwords):
    user_id = api_client.call("POST", "/v2/users", DOV).json()["user_id"]
    dov = Profile.objects.get(user_id=user_id)

    assert patch(api_client, dov, {"blocked": True})["blocked"] is True
    assert account_block(Account.objects.get(profile=dov)) is SignInBlock.BLOCKED
    patch(api_client, dov, {"blocked": False})
    assert account_block(Account.objects.get(profile=dov)) is None


def test_new_address_and_password_reach_the_account(api_client, passwords):
    dov = Profile.objects.get(user_id=api_client.call("POST", "/v2/users", DOV).json()["user_id"])
    patch(api_client, dov, {"email": "Dov@new.example", "password": "battery staple 7"})

    account = Account.objects.get(profile=dov)
    assert account.email == "dov@new.example"
    assert account.check_password("battery staple 7")
    assert account.emailaddress_set.get().email == "dov@new.example"


def test_new_address_is_unverified_unless_the_app_verifies_it(api_client, passwords):
    made = api_client.call("POST", "/v2/users", DOV | {"email_verified": True}).json()
    dov = Profile.objects.get(user_id=made["user_id"])

    assert made["email_verified"] is True
    assert patch(api_client, dov, {"email": "dov@example.org"})["email_verified"] is True
    assert patch(api_client, dov, {"email": "dov@new.example"})["email_verified"] is False
    assert not dov.account.emailaddress_set.get().verified


def test_address_of_another_user_is_refused(api_client, passwords):
    api_client.call("POST", "/v2/users", DOV)
    chika = api_client.call("POST", "/v2/users", DOV | {"email": "chika@example.org"}).json()["user_id"]
    answer = api_client.call("PATCH", f"/v2/users/{chika}", {"email": "Dov@example.org"})

    assert (answer.status_code, answer.json()["errorCode"]) == (409, "auth0_idp_error")


def test_deleted_user_leaves_nothing_and_leaves_the_lake(api_client, passwords):
    dov = Profile.objects.get(user_id=api_client.call("POST", "/v2/users", DOV).json()["user_id"])
    record(
        dov.pk,
        "Signed In",
        {},
        at=clock.now(),
        type="track",
        message_id="m1",
        source=None,
        context={},
        received_at=clock.now(),
    )
    answer = api_client.call("DELETE", f"/v2/users/{dov.user_id}")

    assert (answer.status_code, answer.content) == (204, b"")
    for kind in (Profile, Account, Identity, Fact, Event):
        assert not kind.objects.exists()
    assert Job.objects.get(kind="lake.leave").payload == {"profiles": [dov.pk]}
    assert api_client.call("DELETE", f"/v2/users/{dov.user_id}").status_code == 204


def test_clients_and_connections_are_shown_without_secrets(api_client, passwords):
    from regulars.clients.models import Client

    Client.objects.create(client_id="shop", name="Shop", secret_hash="hidden", redirect_uris=["https://shop/cb"])
    [_, client], [passwords] = api_client.get("/v2/clients"), api_client.get("/v2/connections", strategy="auth0")

    assert client == api_client.get("/v2/clients/shop")
    assert client["callbacks"] == ["https://shop/cb"]
    assert passwords == api_client.get(f"/v2/connections/{passwords['id']}")
    assert "hidden" not in f"{client}{passwords}"


@pytest.mark.parametrize("name", ["sessions", "multifactor/guardian", "refresh-tokens", "identities/facebook"])
def test_deletion_that_does_not_exist_here_is_no_success(api_client, three_users, name):
    """Ids may have slashes. A script that ends sessions at Auth0 must not read here that they ended."""
    assert api_client.call("DELETE", f"/v2/users/auth0%7C1/{name}").status_code == 404
    assert api_client.call("DELETE", "/v2/users/auth0%7Cunknown").status_code == 204
    assert api_client.get("/v2/users/auth0%7C1")["user_id"] == "auth0|1"
