"""Two web processes of one installation: what an operator changes in one holds in the other with its next request."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.live import Live, own_database, regulars

pytestmark = pytest.mark.server

REQUESTS = 24  # each on a connection of its own, so that both processes get some


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with (
        own_database() as database_url,
        regulars(
            tmp_path_factory.mktemp("home"), "--no-demo", database_url=database_url, REGULARS_WORKERS="2"
        ) as running,
    ):
        yield running


def token(live: Live, client_id: str, secret: str) -> int:
    body = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret,
        "audience": live.credentials["management"]["audience"],
    }
    return live.post("/oauth/token", data=body).status_code


def everywhere(ask) -> set[int]:
    """Return the statuses of many requests at the same time."""
    with ThreadPoolExecutor(8) as pool:
        return set(pool.map(lambda _: ask(), range(REQUESTS)))


def management(live: Live) -> dict[str, str]:
    own = live.credentials["management"]
    body = {"grant_type": "client_credentials", **{key: own[key] for key in ("client_id", "client_secret", "audience")}}
    answer = live.post("/oauth/token", data=body)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture
def app(pair):
    """A program with a secret that both processes have in their memory."""
    headers = management(pair)
    made = pair.post("/api/v2/clients", headers=headers, json={"name": "Robot", "app_type": "non_interactive"}).json()
    audience = pair.credentials["management"]["audience"]
    grant = {"client_id": made["client_id"], "audience": audience, "scope": ["read:users"]}
    assert pair.post("/api/v2/client-grants", headers=headers, json=grant).status_code == 201
    assert everywhere(lambda: token(pair, made["client_id"], made["client_secret"])) == {200}
    return made


def test_rotated_secret_holds_in_both_processes_at_once(pair, app):
    headers = management(pair)
    for _ in range(5):
        url = f"/api/v2/clients/{app['client_id']}/rotate-secret"
        new = pair.post(url, headers=headers).json()["client_secret"]

        assert everywhere(lambda: token(pair, app["client_id"], app["client_secret"])) == {401}
        assert everywhere(lambda secret=new: token(pair, app["client_id"], secret)) == {200}
        app["client_secret"] = new


def test_deleted_client_gets_no_token_from_either_process(pair, app):
    assert pair.delete(f"/api/v2/clients/{app['client_id']}", headers=management(pair)).status_code == 204

    assert everywhere(lambda: token(pair, app["client_id"], app["client_secret"])) == {401}


def test_new_callback_holds_in_both_processes_at_once(pair, app):
    headers, url = management(pair), "/authorize?response_type=code&client_id={client_id}&redirect_uri={callback}"
    for number in range(3):
        callback = f"https://app.example/{number}"
        asked = url.format(callback=callback, **app)
        assert everywhere(lambda asked=asked: pair.get(asked).status_code) == {400}

        changed = {"callbacks": [callback], "grant_types": ["authorization_code"]}
        patched = pair.patch(f"/api/v2/clients/{app['client_id']}", headers=headers, json=changed)

        assert patched.status_code == 200, patched.text
        assert everywhere(lambda asked=asked: pair.get(asked).status_code) == {302}


def test_changed_access_to_an_api_holds_in_both_processes_at_once(pair, app):
    headers = management(pair)
    grants = pair.get("/api/v2/client-grants", headers=headers).json()
    [number] = [each["id"] for each in grants if each["client_id"] == app["client_id"]]

    assert pair.delete(f"/api/v2/client-grants/{number}", headers=headers).status_code == 204

    assert everywhere(lambda: token(pair, app["client_id"], app["client_secret"])) == {400}


def test_switched_off_write_key_is_refused_in_both_processes_at_once(pair):
    key = pair.credentials["collector"]["write_key"]
    basic = {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}

    def track(number: int) -> int:
        message = {"type": "track", "event": "Seen", "anonymousId": "a", "messageId": f"m-{number}"}
        return pair.post("/v1/track", headers=basic, json=message).status_code

    def kept() -> int:
        return pair.rows("SELECT count(*) FROM events_inboxitem WHERE message_id LIKE ?", "m-%")[0][0]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(track, range(REQUESTS))) == {200}
        assert kept() == REQUESTS
        pair.execute("UPDATE events_source SET enabled = ?", False)
        assert set(pool.map(track, range(REQUESTS, 2 * REQUESTS))) == {200}

    assert kept() == REQUESTS


def test_rotated_signing_key_is_published_by_both_processes_at_once(pair):
    def kids() -> frozenset[str]:
        return frozenset(key["kid"] for key in pair.get("/.well-known/jwks.json").json()["keys"])

    [before] = everywhere(kids)
    rotated = pair.run("keys", "rotate", "--at-once")

    assert rotated.returncode == 0, rotated.stderr
    [after] = everywhere(kids)
    assert len(after) == len(before) + 1
