"""What each scope can read, by itself: a new operation without a row here fails, and so does one that reads more than its row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from regulars.clients.models import Client
from regulars.connections.models import Connection
from regulars.consent.record import Decision
from regulars.interfaces.http_api.access import Bearer
from regulars.interfaces.management_api.users import TOKENS
from regulars.oauth.models import AppGrant
from regulars.operations.setup import GRANTED_BY_STAFF, MANAGEMENT_SCOPES
from regulars.segments.save import save_segment
from regulars.serving.api_urls import api
from regulars.usecases.decide_consent import decide
from regulars.usecases.lake import fill_lake
from regulars.usecases.save_segment import evaluate_saved
from tests.management_api.conftest import make_token

DOCUMENT = Path(__file__).parents[2] / "docs/operator/roles-and-scopes.md"
# What an answer can name. `customers`: their data and ids; `ids`: their ids; `numbers`: tens of customers; `settings`: none.
CUSTOMERS, IDS, NUMBERS, SETTINGS, NOTHING = "customers", "ids", "numbers", "settings", "nothing"
# (method, path) → (any of these scopes, and this one, what the answer names).
OPERATIONS = {
    ("GET", "/v2/users"): ({"read:users"}, "", CUSTOMERS),
    ("POST", "/v2/users"): ({"create:users"}, "", CUSTOMERS),
    ("GET", "/v2/users-by-email"): ({"read:users"}, "", CUSTOMERS),
    ("GET", "/v2/users/{user_id}"): ({"read:users"}, "", CUSTOMERS),
    ("PATCH", "/v2/users/{user_id}"): (
        {"update:users", "update:users_app_metadata", "update:current_user_metadata"},
        "",
        CUSTOMERS,
    ),
    ("DELETE", "/v2/users/{user_id}"): ({"delete:users"}, "", NOTHING),
    ("POST", "/v2/users/{user_id}/identities"): ({"update:users", "update:current_user_identities"}, "", CUSTOMERS),
    ("DELETE", "/v2/users/{user_id}/identities/{provider}/{secondary}"): (
        {"update:users", "update:current_user_identities"},
        "",
        CUSTOMERS,
    ),
    ("GET", "/v2/clients"): ({"read:clients"}, "", SETTINGS),
    ("POST", "/v2/clients"): ({"create:clients"}, "", SETTINGS),
    ("GET", "/v2/clients/{client_id}"): ({"read:clients"}, "", SETTINGS),
    ("PATCH", "/v2/clients/{client_id}"): ({"update:clients"}, "", SETTINGS),
    ("DELETE", "/v2/clients/{client_id}"): ({"delete:clients"}, "", NOTHING),
    ("POST", "/v2/clients/{client_id}/rotate-secret"): ({"update:client_keys", "update:clients"}, "", SETTINGS),
    ("GET", "/v2/resource-servers"): ({"read:resource_servers"}, "", SETTINGS),
    ("POST", "/v2/resource-servers"): ({"create:resource_servers"}, "", SETTINGS),
    ("GET", "/v2/resource-servers/{id}"): ({"read:resource_servers"}, "", SETTINGS),
    ("PATCH", "/v2/resource-servers/{id}"): ({"update:resource_servers"}, "", SETTINGS),
    ("DELETE", "/v2/resource-servers/{id}"): ({"delete:resource_servers"}, "", NOTHING),
    ("GET", "/v2/client-grants"): ({"read:client_grants"}, "", SETTINGS),
    ("POST", "/v2/client-grants"): ({"create:client_grants"}, "", SETTINGS),
    ("GET", "/v2/client-grants/{grant_id}"): ({"read:client_grants"}, "", SETTINGS),
    ("PATCH", "/v2/client-grants/{grant_id}"): ({"update:client_grants"}, "", SETTINGS),
    ("DELETE", "/v2/client-grants/{grant_id}"): ({"delete:client_grants"}, "", NOTHING),
    ("GET", "/v2/grants"): ({"read:grants"}, "", IDS),
    ("DELETE", "/v2/grants"): ({"delete:grants"}, "", NOTHING),
    ("DELETE", "/v2/grants/{grant_id}"): ({"delete:grants"}, "", NOTHING),
    ("GET", "/v2/connections"): ({"read:connections"}, "", SETTINGS),
    ("POST", "/v2/connections"): ({"create:connections"}, "", SETTINGS),
    ("GET", "/v2/connections/{connection_id}"): ({"read:connections"}, "", SETTINGS),
    ("PATCH", "/v2/connections/{connection_id}"): ({"update:connections"}, "", SETTINGS),
    ("DELETE", "/v2/connections/{connection_id}"): ({"delete:connections"}, "", NOTHING),
    ("GET", "/regulars/v1/segments"): ({"read:segments"}, "", NUMBERS),
    ("POST", "/regulars/v1/segments"): ({"create:segments", "update:segments"}, "", NUMBERS),
    ("POST", "/regulars/v1/segments/count"): ({"read:segments"}, "", NUMBERS),
    ("GET", "/regulars/v1/segments/{slug}"): ({"read:segments"}, "", SETTINGS),
    ("GET", "/regulars/v1/segments/{slug}/members"): ({"read:segments"}, "read:users", CUSTOMERS),
    ("POST", "/regulars/v1/consents/import"): ({"update:users"}, "", NUMBERS),
    ("GET", "/regulars/v1/profiles/{user_id}/facts"): ({"read:users"}, "", CUSTOMERS),
    ("GET", "/regulars/v1/profiles/{user_id}/timeline"): ({"read:users"}, "", CUSTOMERS),
    ("POST", "/regulars/v1/profiles/{user_id}/refusals"): ({"create:refusals"}, "", NOTHING),
    ("PUT", "/regulars/v1/profiles/{user_id}/restriction"): ({"update:restrictions"}, "", NOTHING),
    ("POST", "/regulars/v1/profiles/{user_id}/restriction/lifting"): ({"update:restrictions"}, "", NOTHING),
}
SCOPES = sorted(set().union(*(scopes for scopes, _, _ in OPERATIONS.values())))
# Operations that answer to the customer's own token, not to a scope.
OWN_TOKEN = "/me/"
COUNT = "/regulars/v1/segments/count"
EMAIL, SECRET = "marked@person.example", "the-secret-of-a-connection"


def operations():
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                for method in operation.methods:
                    yield (method, (prefix + path).replace("{path:", "{")), operation


@pytest.fixture
def person(make_customer, standard_setup, lake):
    found = make_customer(yes=("personalise", "message"), email=EMAIL, gender="female", city="Porto")
    for number in range(11):
        make_customer(gender="female", city="Porto" if number else "Braga")
    AppGrant.objects.create(profile=found, client=Client.objects.create(client_id="third", name="Third"), scopes=["x"])
    Connection.objects.create(name="shop-oidc", strategy="oidc", display_name="Shop", secret=SECRET)
    evaluate_saved(save_segment("Women", "gender:female", "personalise"))
    fill_lake({})
    return found


def call(api_client, scope, key, person, **body):
    method, path = key
    values = {
        "user_id": person.user_id,
        "slug": "women",
        "client_id": "third",
        "connection_id": "con_0",
        "grant_id": "0",
    }
    path = re.sub(r"\{(?:path:)?(\w+)\}", lambda found: values.get(found[1], "x"), path)
    return api_client.call(method, path, body or None, token=make_token(scope))


def test_every_operation_has_a_row_and_asks_for_its_scopes():
    found = dict(operations())
    own = {key for key in found if key[1].startswith(OWN_TOKEN)}
    guards = {key: found[key].auth_callbacks for key in found.keys() - own}

    assert found.keys() - own == OPERATIONS.keys()
    assert all(len(each) == 1 and isinstance(each[0], Bearer) for each in guards.values())
    assert {key: (set(each[0].scopes), each[0].also) for key, each in guards.items()} == {
        key: (scopes, also) for key, (scopes, also, _) in OPERATIONS.items()
    }


def test_document_lists_every_scope():
    assert [scope for scope in SCOPES if f"`{scope}`" not in DOCUMENT.read_text()] == []


@pytest.mark.any_database
@pytest.mark.parametrize("scope", SCOPES)
def test_scope_alone_reads_what_its_rows_say_and_nothing_else(api_client, person, scope):
    may_name = set()
    for key, (scopes, also, names) in OPERATIONS.items():
        if key[0] != "GET":
            continue
        answer = call(api_client, scope, key, person)
        text = answer.content.decode()
        assert (answer.status_code == 403) == (scope not in scopes or bool(also)), key
        assert SECRET not in text
        if answer.status_code == 200:
            may_name.add(names)
            assert (EMAIL in text) <= (names == CUSTOMERS), key
            assert (person.user_id in text) <= (names in (CUSTOMERS, IDS)), key

    rows = [row for (method, _), row in OPERATIONS.items() if method == "GET" and scope in row[0] and not row[1]]
    assert may_name == {names for _, _, names in rows}


def test_read_segments_alone_reads_no_condition_that_names_a_customer(api_client, person):
    save_segment("Lena", "email:lena@example.com", "personalise")
    save_segment("Women", "gender:female", "personalise")

    def texts(scope: str) -> list[str | None]:
        listed = call(api_client, scope, ("GET", "/regulars/v1/segments"), person).json()
        return [each["text"] for each in listed if each["slug"] in ("lena", "women")]

    assert texts("read:segments") == [None, "gender:female"]
    assert texts("read:segments read:users") == ["email:lena@example.com", "gender:female"]


@pytest.mark.parametrize(
    "text",
    [
        f'email:"{EMAIL}"',
        "email:marked*",
        "gender:female OR email:m*",
        'NOT name:"Marked"',
        "_exists_:phone_number",
        "user_id:*",
        "user_metadata.vip:true",
        "marked",
        'did("Order Completed" where email:m*)',
        'did("Order Completed" where customer.first_name.email:m*)',
    ],
)
def test_read_segments_alone_cannot_count_by_what_names_a_customer(api_client, person, text):
    body = {"text": text, "purpose": "personalise"}
    answer = call(api_client, "read:segments", ("POST", COUNT), person, **body)

    assert (answer.status_code, answer.json()["errorCode"]) == (403, "needs_to_see_customers")
    assert call(api_client, "read:segments read:users", ("POST", COUNT), person, **body).status_code == 200
    saved = call(api_client, "create:segments", ("POST", "/regulars/v1/segments"), person, name="Probe", **body)
    assert (saved.status_code, saved.json()["errorCode"]) == (403, "needs_to_see_customers")


def test_numbers_are_rounded_and_small_ones_left_out_without_read_users(api_client, person):
    def count(scope, text):
        return call(api_client, scope, ("POST", COUNT), person, text=text, purpose="personalise").json()

    everything = count("read:segments read:users", "gender:female")
    assert (everything["in"], everything["exact"], len(everything["sample"])) == (12, True, 5)
    rounded = count("read:segments", "gender:female")
    assert rounded == {"exact": False, "in": 10, "unknown": 0, "out": 0, "drops": [], "sample": []}
    assert count("read:segments", "city:Braga")["in"] == count("read:segments", "city:Nowhere")["in"] == 0
    listed = call(api_client, "read:segments", ("GET", "/regulars/v1/segments"), person).json()
    assert listed[0]["members"] == {"in": 10}
    saved = {"name": "All", "text": "gender:female", "purpose": "personalise"}
    assert call(api_client, "create:segments", ("POST", "/regulars/v1/segments"), person, **saved).json()["moved"] == 10


@pytest.mark.parametrize(
    "text",
    [
        "gender:female AND NOT city:Braga",
        "gender:female AND (city:Porto OR city:Lisboa)",
        "city:Porto OR city:Lisboa OR city:Braga",
        "NOT (NOT city:Porto AND NOT city:Lisboa AND NOT city:Braga)",
        "gender:female AND NOT (city:Braga AND gender:female)",
    ],
)
def test_difference_of_two_counts_names_no_customer(api_client, person, text):
    body = {"text": text, "purpose": "personalise"}
    answer = call(api_client, "read:segments", ("POST", COUNT), person, **body)
    saved = call(api_client, "create:segments", ("POST", "/regulars/v1/segments"), person, name="Probe", **body)

    assert (answer.status_code, answer.json()["errorCode"]) == (400, "small_difference")
    assert (saved.status_code, saved.json()["errorCode"]) == (400, "small_difference")


def test_every_scope_that_a_call_needs_can_be_granted():
    needed = {scope for anyone_of, also, _ in OPERATIONS.values() for scope in {*anyone_of, also} - {""}} | {TOKENS}
    of_customers = {scope for scope in needed if ":current_user" in scope}
    assert needed - of_customers - {*MANAGEMENT_SCOPES, *GRANTED_BY_STAFF} == set()


def test_members_need_both_scopes(api_client, person):
    key = ("GET", "/regulars/v1/segments/{slug}/members")

    assert call(api_client, "read:segments", key, person).status_code == 403
    assert call(api_client, "read:users", key, person).status_code == 403
    assert len(call(api_client, "read:segments read:users", key, person).json()["members"]) == 12


def test_special_category_needs_read_users(api_client, person):
    decide(person, Decision("personalise", "withdrawn", "profile"))
    answer = call(api_client, "read:segments", ("POST", COUNT), person, text="religion:*", purpose="personalise")

    assert answer.status_code == 403
