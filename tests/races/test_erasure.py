"""Whatever is asked beside an erasure: it is answered as of a customer that exists, or as of one that does not."""

from __future__ import annotations

import pytest
from tests.races.conftest import CONNECTION, PASSWORD, Pair

pytestmark = pytest.mark.server


def assert_answered(pair: Pair, answer) -> None:
    assert answer.status_code < 500, (answer.text, (pair.live.home / "log").read_text()[-6000:])


CALLS = {
    "read": lambda who, other: ("GET", who.path, None),
    "facts": lambda who, other: ("GET", who.refusals.replace("refusals", "facts"), None),
    "timeline": lambda who, other: ("GET", who.refusals.replace("refusals", "timeline"), None),
    "metadata": lambda who, other: (
        "PATCH",
        who.path,
        {"user_metadata": {"shoe": 42}, "app_metadata": {"a": {"b": 1}}},
    ),
    "block": lambda who, other: ("PATCH", who.path, {"blocked": True}),
    "address": lambda who, other: ("PATCH", who.path, {"email": f"new-{who.user_id[-8:]}@example.com"}),
    "password": lambda who, other: ("PATCH", who.path, {"password": PASSWORD + "!", "connection": CONNECTION}),
    "refusal": lambda who, other: ("POST", who.refusals, {"purpose": "message", "action": "withdrawn"}),
    "restriction": lambda who, other: ("PUT", who.refusals.replace("refusals", "restriction"), {"reason": "x"}),
    "link": lambda who, other: ("POST", f"{other.path}/identities", who.identity),
    "link of another": lambda who, other: ("POST", f"{who.path}/identities", other.identity),
    "erasure": lambda who, other: ("DELETE", who.path, None),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_call_of_the_api_beside_an_erasure_is_answered_in_json(pair, rounds, call):
    for late in rounds:
        who, other = pair.customers(2)
        method, path, body = call(who, other)
        erased, answer = pair.at_once(pair.api("DELETE", who.path), pair.api(method, path, body), late=late)
        assert_answered(pair, erased)
        assert_answered(pair, answer)
        assert erased.status_code == 204
        if answer.status_code >= 400:
            assert answer.json()["errorCode"] in ("inexistent_user", "erased_identifier"), answer.text
        assert pair.number_of(who) is None
        assert not pair.live.rows(
            "SELECT id FROM profiles_identity WHERE provider_user_id = ?", who.identity["user_id"]
        )


PAGES = {
    "overview": ("/me", None),
    "advertising": ("/me/advertising", {}),
    "restriction": ("/me/restriction", {"action": "restrict"}),
    "correction": ("/me/facts/correct?attribute=name", {"value": "Dov", "reason": ""}),
    "removal": ("/me/facts/remove", {"attribute": "name"}),
    "erasure": ("/me/erase", {"understood": "yes"}),
    "file": ("/me/data.json", None),
    "login methods": ("/me/accounts", None),
    "sessions": ("/me/security/sessions/end", {}),
}


@pytest.mark.parametrize(("path", "form"), PAGES.values(), ids=PAGES.keys())
def test_page_beside_an_erasure_leads_to_the_sign_in_page(pair, rounds, path, form):
    for late in rounds:
        (who,) = pair.customers(1)
        erased, answer = pair.at_once(pair.api("DELETE", who.path), pair.page(who, path, form), late=late)
        assert_answered(pair, erased)
        assert_answered(pair, answer)
        assert erased.status_code == 204
        assert answer.status_code in (200, 302, 303), answer.text
        assert pair.number_of(who) is None
