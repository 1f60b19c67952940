"""Many write about one customer at once: all values are in the document and the permitted views, and every decision in the ledger."""

from __future__ import annotations

import json

import pytest
from tests.races.conftest import Customer, Pair

pytestmark = pytest.mark.server
WRITERS = 5


def stored(pair: Pair, who: Customer) -> tuple[dict, dict]:
    """Return the document, and the traits that may be served."""

    def read(value):
        return json.loads(value) if isinstance(value, str) else value

    number = pair.number_of(who)
    [(document,)] = pair.live.rows("SELECT document FROM profiles_profile WHERE id = ?", number)
    sql = "SELECT traits FROM consent_permittedview WHERE profile_id = ? AND purpose_id = 'serve'"
    [(traits,)] = pair.live.rows(sql, number)
    return read(document), read(traits)


def test_values_of_all_writers_are_in_the_document_and_the_views(pair, rounds):
    for late in rounds:
        (who,) = pair.customers(1)
        writes = [
            pair.api("PATCH", who.path, {"user_metadata": {f"key_{number}": number}}) for number in range(WRITERS)
        ]
        correction = pair.page(who, "/me/facts/correct?attribute=name", {"value": "Dov", "reason": "typed wrong"})
        corrected, *written = pair.at_once(correction, *writes, late=late)
        assert corrected.status_code in (302, 303), corrected.text
        assert [each.status_code for each in written] == [200] * WRITERS

        document, traits = stored(pair, who)
        assert document["name"] == traits["name"] == "Dov"
        assert document["user_metadata"] == {f"key_{number}": number for number in range(WRITERS)}
        assert {f"user_metadata.key_{number}" for number in range(WRITERS)} <= traits.keys()


def test_decisions_at_once_are_each_recorded_and_the_last_one_counts(pair, rounds):
    for late in rounds:
        (who,) = pair.customers(1)
        bodies = [
            {"purpose": "message", "action": "withdrawn"},
            {"purpose": "message", "action": "withdrawn"},
            {"purpose": "message", "action": "objected"},
            {},
        ]
        answers = pair.at_once(*[pair.api("POST", who.refusals, each) for each in bodies], late=late)
        assert [each.status_code for each in answers] == [200] * 4, [each.text for each in answers]

        number = pair.number_of(who)
        sql = "SELECT status FROM consent_consentstate WHERE profile_id = ? AND purpose_id = 'message'"
        assert pair.live.rows(sql, number) == [("objected",)]
        sql = "SELECT prev_hash FROM consent_consentevent WHERE profile_id = ? ORDER BY id"
        before = [row[0] for row in pair.live.rows(sql, number)]
        assert len(before) == len(set(before))
