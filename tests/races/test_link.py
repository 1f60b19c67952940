"""What is said of a customer at any moment of a link holds afterwards: a no, a block, an erasure, metadata."""

from __future__ import annotations

from itertools import cycle

import pytest
from tests.races.conftest import Customer, Pair

pytestmark = pytest.mark.server
BARRED = {404, 409}


def linking(pair: Pair, first: Customer, second: Customer):
    return pair.api("POST", f"{first.path}/identities", second.identity)


def assert_no_fault(pair: Pair, answers) -> None:
    faults = [each.text for each in answers if each.status_code >= 500]
    assert not faults, (faults, (pair.live.home / "log").read_text()[-6000:])


@pytest.mark.parametrize("road", ["api", "own page"])
def test_withdrawal_beside_a_link_holds(pair, rounds, road):
    lost = []
    for late, of_second in zip(rounds, cycle([True, True, False]), strict=False):
        first, second = pair.customers(2)
        who = second if of_second else first
        if road == "api":
            send = pair.api("POST", who.refusals, {"purpose": "message", "action": "withdrawn"})
        else:
            send = pair.page(who, "/me/advertising", {})
        linked, refused = answers = pair.at_once(linking(pair, first, second), send, late=late)
        assert_no_fault(pair, answers)
        assert linked.status_code == 201, linked.text
        if refused.status_code in (200, 302, 303) and "/login" not in refused.headers.get("location", ""):
            sql = "SELECT status FROM consent_consentstate WHERE profile_id = ? AND purpose_id = 'message'"
            status = pair.live.rows(sql, pair.number_of(first))
            if status not in ([("withdrawn",)], [("objected",)]):
                lost.append((late, of_second, status))
    assert not lost


def test_erasure_beside_a_link_holds_for_both(pair, rounds):
    for late, of_second in zip(rounds, cycle([True, False]), strict=False):
        first, second = pair.customers(2)
        gone = second if of_second else first
        linked, erased = answers = pair.at_once(linking(pair, first, second), pair.api("DELETE", gone.path), late=late)
        assert_no_fault(pair, answers)
        assert erased.status_code == 204
        assert linked.status_code in (201, 400, 404, 409), linked.text
        assert pair.number_of(gone) is None
        if linked.status_code == 201 and pair.number_of(first) is not None:
            named = pair.ask(pair.api("GET", first.path)).json()["identities"]
            assert gone.identity["user_id"] not in [each["user_id"] for each in named]
        for word in [gone.identity["user_id"]]:
            assert not pair.live.rows("SELECT id FROM profiles_identity WHERE provider_user_id = ?", word)


def test_block_beside_a_link_holds(pair, rounds):
    lost = []
    for late, of_second in zip(rounds, cycle([True, False]), strict=False):
        first, second = pair.customers(2)
        who = second if of_second else first
        answers = pair.at_once(linking(pair, first, second), pair.api("PATCH", who.path, {"blocked": True}), late=late)
        assert_no_fault(pair, answers)
        linked, blocked = answers
        assert linked.status_code in (201, 400, 404, 409), linked.text
        if blocked.status_code == 200:
            reads = pair.ask(pair.api("GET", who.path)).json()
            if reads.get("blocked") is not True:
                lost.append((late, of_second, linked.status_code))
    assert not lost


def test_metadata_written_beside_a_link_is_there(pair, rounds):
    lost = []
    for late in rounds:
        first, second = pair.customers(2)
        writes = [
            pair.api("PATCH", who.path, {"user_metadata": {f"key_{number}": number}})
            for number, who in enumerate([first, second, second])
        ]
        linked, *written = answers = pair.at_once(linking(pair, first, second), *writes, late=late)
        assert_no_fault(pair, answers)
        assert linked.status_code == 201
        assert {each.status_code for each in written} <= {200} | BARRED
        bag = pair.ask(pair.api("GET", first.path)).json().get("user_metadata", {})
        for number, answer in enumerate(written):
            if answer.status_code == 200 and f"key_{number}" not in bag:
                lost.append((late, number, bag))
    assert not lost


def test_crossed_links_make_one_customer_and_say_so(pair, rounds):
    for late in rounds:
        first, second = pair.customers(2)
        answers = pair.at_once(linking(pair, first, second), linking(pair, second, first), late=late)
        assert_no_fault(pair, answers)
        assert sorted(each.status_code for each in answers) == [201, 409], [each.text for each in answers]
        assert all(len(each.json()) == 2 for each in answers if each.status_code == 201)
        assert pair.number_of(first) == pair.number_of(second)


def test_ring_of_links_makes_one_customer_and_says_so(pair, rounds):
    for late in rounds:
        ring = pair.customers(3)
        answers = pair.at_once(
            *(linking(pair, each, after) for each, after in zip(ring, ring[1:] + ring[:1], strict=True)), late=late
        )
        assert_no_fault(pair, answers)
        assert sorted(each.status_code for each in answers) == [201, 201, 409], [each.text for each in answers]
        assert sorted(len(each.json()) for each in answers if each.status_code == 201) == [2, 3]
        assert len({pair.number_of(each) for each in ring}) == 1


def test_one_of_two_unlinks_keeps_the_last_login_method(pair, rounds):
    for late in rounds:
        first, second = pair.customers(2)
        assert pair.ask(linking(pair, first, second)).status_code == 201
        gone = pair.api("DELETE", f"{first.path}/identities/auth0/{second.identity['user_id']}")
        answers = pair.at_once(gone, gone, late=late)
        assert_no_fault(pair, answers)
        assert sorted(each.status_code for each in answers) == [200, 400], [each.text for each in answers]
        assert pair.number_of(first) != pair.number_of(second)
