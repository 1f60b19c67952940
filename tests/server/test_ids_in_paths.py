"""A user id of any characters works in every path of the real server, encoded or with the slash that a proxy decoded."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from tests.server.test_configuration import management

pytestmark = pytest.mark.server

IDS = [
    "team/7",
    "patients/12/",
    "/leading",
    "two//slashes",
    "team/identities",
    "team/facts",
    "a/identities/email/b",
    "a b",
    "100%",
    "%2F",
    "a%2Fb/c",
    "a?b=c",
    "a#b",
    "a+b",
    "größe/日本",
    "../..",
    "./a/../b",
    "a;b,c=d&e",
]


@pytest.fixture(scope="module")
def headers(live):
    live.execute("UPDATE connections_connection SET enabled = ?", True)
    return management(live)


def create(live, headers, plain: str) -> str:
    """Create a user with a password. Returns the user id."""
    body = {
        "connection": "Username-Password-Authentication",
        "user_id": plain,
        "email": f"{quote(plain, safe='').replace('%', '-')}@example.com",
        "password": "correct horse battery 7",
    }
    made = live.post("/api/v2/users", headers=headers, json=body)
    assert made.status_code == 201, made.text
    assert made.json()["user_id"] == f"auth0|{plain}"
    return made.json()["user_id"]


@pytest.mark.parametrize("plain", IDS)
def test_user_is_read_changed_unlinked_and_deleted(live, headers, plain):
    user_id, second = create(live, headers, plain), create(live, headers, f"{plain}/2")
    path = "/api/v2/users/" + quote(user_id, safe="")
    profile = "/api/regulars/v1/profiles/" + quote(user_id, safe="")

    assert live.get(path, headers=headers).json()["user_id"] == user_id
    patched = live.patch(path, headers=headers, json={"user_metadata": {"seen": True}})
    assert (patched.status_code, patched.json()["user_metadata"]) == (200, {"seen": True})
    assert live.get(f"{profile}/facts", headers=headers).status_code == 200
    assert live.get(f"{profile}/timeline", headers=headers).status_code == 200

    linked = live.post(f"{path}/identities", headers=headers, json={"provider": "auth0", "user_id": second})
    assert linked.status_code == 201, linked.text
    unlinked = live.delete(f"{path}/identities/auth0/{quote(f'{plain}/2', safe='')}", headers=headers)
    assert (unlinked.status_code, len(unlinked.json())) == (200, 1), unlinked.text

    assert live.delete(path, headers=headers).status_code == 204
    assert live.get(path, headers=headers).status_code == 404


@pytest.mark.parametrize("plain", ["decoded/7", "decoded/12/", "decoded//slashes", "decoded%2Fb/c", "decoded/日本"])
def test_slash_that_a_proxy_decoded_names_the_same_user(live, headers, plain):
    user_id = create(live, headers, plain)
    path = "/api/v2/users/" + quote(user_id)  # leaves the slash

    assert live.get(path, headers=headers).json()["user_id"] == user_id
    assert live.get(f"/api/regulars/v1/profiles/{quote(user_id)}/facts", headers=headers).status_code == 200
    assert live.patch(path, headers=headers, json={"nickname": "Nick"}).json()["nickname"] == "Nick"
    assert live.delete(path, headers=headers).status_code == 204


def test_api_is_found_by_its_identifier(live, headers):
    identifier = "https://orders.example/v1/"
    made = live.post("/api/v2/resource-servers", headers=headers, json={"identifier": identifier, "name": "Orders"})
    assert made.status_code == 201, made.text

    found = live.get("/api/v2/resource-servers/" + quote(identifier, safe=""), headers=headers)

    assert found.json()["identifier"] == identifier
