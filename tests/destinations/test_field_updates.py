"""Every kind changes or removes single fields of a customer in its own contract, or says how it does without."""

from __future__ import annotations

import csv
import dataclasses
import json

import pyarrow.parquet as pq
import pytest

from regulars.base.plugins.fields import fill_settings
from regulars.destinations.kind import KINDS, FieldUpdate, SegmentMessage
from tests.receivers import receiving

from .conftest import AT, SECRET
from .test_partners import EMAIL, MD5, at, made

__all__ = ["at"]  # a fixture

UPDATE = FieldUpdate(
    "upd_1",
    AT,
    "auth0|chika",
    match={"email": EMAIL},
    new_match={"email": EMAIL},
    fields={"city": "Braga", "first_name": None},
    current={"city": "Braga", "plan": "gold"},
    segments=("jackets",),
)
CHANGED = dataclasses.replace(UPDATE, fields={"city": "Braga"})
MOVED = dataclasses.replace(CHANGED, new_match={"email": "ana@example.com"})


def test_every_kind_with_fields_changes_single_ones():
    without = {key for key in KINDS if not KINDS[key].can_update}

    assert without == {"slack"}, "it is sent no field"


def test_webhook_is_sent_what_changed():
    with receiving() as receiver:
        KINDS["webhook"].update(UPDATE, {"url": receiver.url, "secret": SECRET})
    (got,) = receiver.received

    assert got.headers["webhook-id"] == "upd_1"
    assert json.loads(got.body) == {
        "type": "customer.updated",
        "timestamp": "2026-11-23T10:00:00Z",
        "data": {"user_id": "auth0|chika", "traits": {"city": "Braga", "first_name": None}},
    }


def test_segment_is_sent_the_traits_with_null(at, partners):
    kind, settings = at("segment", "segment")
    kind.update(UPDATE, settings)
    ((method, path, body),) = made(partners)

    assert (method, path) == ("POST", "/v1/identify")
    assert (body["userId"], body["traits"]) == ("auth0|chika", {"city": "Braga", "first_name": None})


def test_lytics_takes_new_values_and_deletes_the_entity_to_empty_a_field(at, partners):
    kind, settings = at("lytics", "lytics")
    kind.update(CHANGED, settings)
    kind.update(UPDATE, settings)
    (_, _, changed), deletion, (_, _, anew) = made(partners)

    assert (changed["event"], changed["city"], "plan" in changed) == ("customer.updated", "Braga", False)
    assert deletion[:2] == ("DELETE", "/api/entity/user/user_id/auth0|chika")
    assert (anew["city"], anew["plan"], "first_name" in anew) == ("Braga", "gold", False)


def test_mailchimp_empties_merge_fields_and_takes_a_new_address(at, partners):
    kind, settings = at("mailchimp", "mailchimp")
    kind.update(UPDATE, settings)
    kind.update(MOVED, settings)
    member = f"/lists/42/members/{MD5}"

    assert made(partners) == [
        ("PATCH", member, {"merge_fields": {"city": "Braga", "first_name": ""}}),
        ("PATCH", member, {"email_address": "ana@example.com", "merge_fields": {"city": "Braga"}}),
    ]


def test_klaviyo_empties_properties_with_null(at, partners):
    kind, settings = at("klaviyo", "klaviyo")
    kind.update(UPDATE, settings)
    ((_, path, body),) = made(partners)

    assert path == "/api/profile-import"
    assert body["data"]["attributes"] == {"email": EMAIL, "first_name": None, "properties": {"city": "Braga"}}


def test_klaviyo_writes_a_new_address_by_the_id_of_the_profile(at, partners):
    kind, settings = at("klaviyo", "klaviyo")
    kind.update(MOVED, settings)
    _, (method, path, body) = made(partners)

    assert (method, path) == ("PATCH", "/api/profiles/01K")
    assert body["data"] == {"type": "profile", "id": "01K", "attributes": {"email": "ana@example.com"}}


def test_klaviyo_profile_with_the_new_address_replaces_the_old_one(at, partners):
    kind, settings = at("klaviyo", "klaviyo")
    kind.update(dataclasses.replace(MOVED, new_match={"email": "ana+taken@example.com"}), settings)
    *_, (_, _, imported), (_, path, deleted) = made(partners)

    assert imported["data"]["attributes"]["email"] == "ana+taken@example.com"
    assert path == "/api/data-privacy-deletion-jobs"
    assert EMAIL in str(deleted)


def test_hubspot_empties_properties_of_the_contact_under_its_old_address(at, partners):
    kind, settings = at("hubspot", "hubspot")
    kind.update(dataclasses.replace(UPDATE, new_match={"email": "ana@example.com"}), settings)
    (call,) = partners.calls()

    assert (call["method"], call["path"]) == ("PATCH", f"/crm/v3/objects/contacts/{EMAIL}")
    assert call["query"] == {"idProperty": "email"}
    assert call["body"] == {"properties": {"city": "Braga", "first_name": "", "email": "ana@example.com"}}


@pytest.mark.parametrize("segments", [("jackets",), ()])
def test_meta_replaces_the_row_and_adds_none_outside_a_segment(at, partners, segments):
    kind, settings = at("meta-audience", "meta", base_url=f"{partners.at('meta')}/v25.0")
    kind.update(dataclasses.replace(MOVED, segments=segments), settings)
    calls = made(partners)

    assert [method for method, _, _ in calls] == ["DELETE", "POST"][: 1 + len(segments)]
    assert calls[0][2]["payload"]["data"] != calls[-1][2]["payload"]["data"] or not segments


@pytest.mark.parametrize("segments", [("jackets",), ()])
def test_google_replaces_the_member_and_adds_none_outside_a_segment(at, partners, segments):
    kind, settings = at("google-audience", "google-data-manager")
    kind.update(dataclasses.replace(MOVED, segments=segments), settings)
    _, *calls = made(partners)

    verbs = ["/v1/audienceMembers:remove", "/v1/audienceMembers:ingest"][: 1 + len(segments)]
    assert [path for _, path, _ in calls] == verbs


@pytest.fixture
def exports(settings, tmp_path):
    settings.HOME = tmp_path
    return tmp_path / "exports"


MESSAGE = SegmentMessage(
    "msg_1", AT, "auth0|chika", "jackets", "Jackets", True, {"city": "Porto", "first_name": "Ana", "plan": "gold"}
)
OTHER = dataclasses.replace(MESSAGE, id="msg_2", user_id="auth0|dov")
KEPT = {"city": "Braga", "plan": "gold"}


def test_csv_lines_are_corrected_and_a_line_tells_readers_so(exports):
    kind, settings = KINDS["csv"], {"file": "segments.csv"}
    for message in (MESSAGE, OTHER):
        kind.send(message, settings)
    for _ in range(2):  # an attempt that is repeated changes nothing
        kind.update(UPDATE, settings)
    with (exports / "segments.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    assert [row["type"] for row in rows] == ["segment.entered", "segment.entered", "customer.updated"]
    assert [json.loads(row["traits"]) for row in rows] == [KEPT, dict(OTHER.traits), dict(UPDATE.fields)]
    assert "Ana" not in rows[0]["traits"]


def test_parquet_files_are_corrected_and_one_tells_readers_so(exports):
    kind = KINDS["parquet"]
    settings = fill_settings(kind.fields, {})
    for message in (MESSAGE, OTHER):
        kind.send(message, settings)
    for _ in range(2):
        kind.update(UPDATE, settings)
    rows = sorted(pq.read_table(exports / "segments").to_pylist(), key=lambda row: row["message_id"])

    assert [(row["message_id"], row["type"]) for row in rows] == [
        ("msg_1", "segment.entered"),
        ("msg_2", "segment.entered"),
        ("upd_1", "customer.updated"),
    ]
    assert [json.loads(row["traits"]) for row in rows] == [KEPT, dict(OTHER.traits), dict(UPDATE.fields)]
