"""What partners are sent, field by field as their documents ask for it, and what their answers mean."""

from __future__ import annotations

import base64
import dataclasses

import pytest

from regulars.base.plugins.fields import fill_settings
from regulars.destinations import hashing
from regulars.destinations.kind import KINDS, DeletionRequest, SegmentMessage, SendFailed
from regulars.destinations.kinds.google_audience import identifiers
from regulars.destinations.kinds.meta import row
from tests.live import ask
from tests.partners import service_account

from .conftest import AT

EMAIL = "ana.ruiz+shop@gmail.com"
MD5 = "f281902598f24bf59081cd82e3d5ba01"
MESSAGE = SegmentMessage("msg_1", AT, "auth0|chika", "jackets", "Jackets", True, {"city": "Porto"}, {"email": EMAIL})
LEFT = dataclasses.replace(MESSAGE, id="msg_2", entered=False)
WITHDREW = DeletionRequest("del_1", AT, "auth0|chika", {"email": EMAIL}, ("jackets",), ("city",), erase=False)
FORGOTTEN = dataclasses.replace(WITHDREW, erase=True)


def to(email):
    return dataclasses.replace(MESSAGE, match={"email": email})


@pytest.fixture
def at(partners):
    """Settings of a kind that lead to its mock service."""

    def make(key, name, **given):
        kind = KINDS[key]
        place = partners.at(name)
        usual = {"base_url": place, "api_key": "key-us21", "token": "t", "write_key": "wk", "access_token": "t"}
        usual |= {"list_id": "42", "audience_id": "7", "account_id": "11", "service_account": service_account()}
        usual |= {"token_url": f"{place}/token", "url": f"{place}/services/T1"}
        known = {field.key for field in kind.fields}
        return kind, fill_settings(kind.fields, {**{k: v for k, v in usual.items() if k in known}, **given})

    return make


def made(partners):
    return [(call["method"], call["path"], call["body"]) for call in partners.calls()]


def refusal(send):
    with pytest.raises(SendFailed) as failed:
        send()
    return failed.value.code, failed.value.permanent


def test_lytics_gets_one_flat_event(at, partners):
    kind, settings = at("lytics", "lytics", stream="shop")
    kind.send(dataclasses.replace(MESSAGE, traits={"likes": [{"a": 1}, "tea"]}), settings)
    (call,) = partners.calls()

    assert (call["path"], call["query"]) == ("/collect/json/shop", {"timestamp_field": "timestamp"})
    assert call["headers"]["authorization"] == "key-us21"
    assert call["body"] == {
        "message_id": "msg_1",
        "event": "segment.entered",
        "segment": "jackets",
        "segment_name": "Jackets",
        "user_id": "auth0|chika",
        "email": EMAIL,
        "timestamp": "2026-11-23T10:00:00+00:00",
        "likes": ["{'a': 1}", "tea"],
    }


def test_lytics_200_may_be_a_rejection(at):
    kind, settings = at("lytics", "lytics")

    assert refusal(lambda: kind.send(to("ana+reject@example.com"), settings)) == ("rejected", True)


def test_lytics_receives_a_withdrawal_and_deletes_on_erasure(at, partners):
    kind, settings = at("lytics", "lytics")
    kind.remove(WITHDREW, settings)
    kind.remove(FORGOTTEN, settings)
    withdrawn, (_, _, event), erased = made(partners)

    assert (event["event"], event["user_id"]) == ("customer.removed", "auth0|chika")
    assert "email" not in event, "who withdrew is not sent once more"
    assert withdrawn[:2] == erased[:2] == ("DELETE", "/api/entity/user/user_id/auth0|chika")


def test_segment_gets_an_identify_with_the_audience_as_a_trait(at, partners):
    kind, settings = at("segment", "segment")
    kind.send(MESSAGE, settings)
    kind.send(LEFT, settings)
    entered, left = partners.calls()

    assert entered["headers"]["authorization"] == "Basic " + base64.b64encode(b"wk:").decode()
    assert entered["path"] == "/v1/identify"
    assert entered["body"] == {
        "messageId": "msg_1",
        "timestamp": "2026-11-23T10:00:00Z",
        "userId": "auth0|chika",
        "traits": {"city": "Porto", "jackets": True},
        "context": {
            "library": {"name": "regulars"},
            "personas": {
                "computation_class": "audience",
                "computation_id": "jackets",
                "computation_key": "jackets",
            },
        },
    }
    assert left["body"]["traits"]["jackets"] is False


def test_segment_empties_every_trait_it_received(at, partners):
    kind, settings = at("segment", "segment")
    kind.remove(FORGOTTEN, settings)

    assert made(partners)[0][2]["traits"] == {"city": None, "jackets": False}


def test_mailchimp_gets_a_member_and_a_tag(at, partners):
    kind, settings = at("mailchimp", "mailchimp")
    kind.send(dataclasses.replace(MESSAGE, traits={"FNAME": "Ana"}), settings)
    kind.send(LEFT, settings)
    member = f"/lists/42/members/{MD5}"
    calls = made(partners)

    assert calls[0] == (
        "PUT",
        member,
        {"email_address": EMAIL, "status_if_new": "subscribed", "merge_fields": {"FNAME": "Ana"}},
    )
    assert calls[1] == ("POST", f"{member}/tags", {"tags": [{"name": "jackets", "status": "active"}]})
    assert calls[3] == ("POST", f"{member}/tags", {"tags": [{"name": "jackets", "status": "inactive"}]})


@pytest.mark.parametrize(
    ("email", "name", "permanent"),
    [("ana+busy@example.com", "throttled", False), ("ana+forgotten@example.com", "forgotten_there", True)],
)
def test_mailchimps_own_ways_of_saying_no_are_understood(at, email, name, permanent):
    kind, settings = at("mailchimp", "mailchimp")

    assert refusal(lambda: kind.send(to(email), settings)) == (name, permanent)


def test_mailchimp_unsubscribes_who_withdrew_and_deletes_whom_we_forget_for_good(at, partners):
    kind, settings = at("mailchimp", "mailchimp")
    kind.remove(WITHDREW, settings)
    kind.remove(FORGOTTEN, settings)
    member = f"/lists/42/members/{MD5}"

    assert made(partners) == [
        ("PATCH", member, {"status": "unsubscribed", "merge_fields": {"city": ""}}),
        ("POST", f"{member}/tags", {"tags": [{"name": "jackets", "status": "inactive"}]}),
        ("POST", f"{member}/actions/delete-permanent", ""),
    ]


def test_klaviyo_gets_a_profile_and_puts_it_on_the_list(at, partners):
    kind, settings = at("klaviyo", "klaviyo")
    kind.send(dataclasses.replace(MESSAGE, traits={"first_name": "Ana", "city": "Porto"}), settings)
    kind.send(LEFT, settings)
    profile, on_list, _, off_list = partners.calls()

    assert profile["headers"]["authorization"] == "Klaviyo-API-Key key-us21"
    assert profile["headers"]["revision"] == "2026-07-15"
    assert profile["body"] == {
        "data": {
            "type": "profile",
            "attributes": {
                "email": EMAIL,
                "first_name": "Ana",
                "properties": {"city": "Porto", "in_jackets": True},
            },
        }
    }
    assert (on_list["method"], on_list["path"]) == ("POST", "/api/lists/42/relationships/profiles")
    assert on_list["body"] == {"data": [{"type": "profile", "id": "01K"}]}
    assert off_list["method"] == "DELETE"


def test_klaviyo_suppresses_who_withdrew_and_deletes_whom_we_forget(at, partners):
    kind, settings = at("klaviyo", "klaviyo")
    kind.remove(WITHDREW, settings)
    kind.remove(FORGOTTEN, settings)
    profile = {"data": {"type": "profile", "attributes": {"email": EMAIL}}}
    emptied, off_list, suppressed, deleted = made(partners)

    assert emptied[1] == "/api/profile-import"
    assert emptied[2]["data"]["attributes"]["properties"] == {"city": None, "in_jackets": False}
    assert off_list[:2] == ("DELETE", "/api/lists/42/relationships/profiles")
    assert suppressed[1] == "/api/profile-suppression-bulk-create-jobs"
    assert suppressed[2]["data"]["attributes"]["profiles"]["data"] == [profile["data"]]
    assert deleted[1] == "/api/data-privacy-deletion-jobs"
    assert deleted[2]["data"] == {"type": "data-privacy-deletion-job", "attributes": {"profile": profile}}


def test_hubspot_gets_a_contact_and_a_membership(at, partners):
    kind, settings = at("hubspot", "hubspot")
    kind.send(dataclasses.replace(MESSAGE, traits={"likes": ["tea", "wool"], "vip": True}), settings)
    kind.send(LEFT, settings)
    calls = made(partners)

    assert calls[0][2] == {
        "inputs": [
            {
                "id": EMAIL,
                "idProperty": "email",
                "properties": {"email": EMAIL, "likes": "tea;wool", "vip": "true"},
                "objectWriteTraceId": "msg_1",
            }
        ]
    }
    assert calls[1] == ("PUT", "/crm/v3/lists/42/memberships/add", ["512"])
    assert calls[3] == ("PUT", "/crm/v3/lists/42/memberships/remove", ["512"])


def test_hubspots_207_is_a_no(at):
    kind, settings = at("hubspot", "hubspot")

    assert refusal(lambda: kind.send(to("ana+reject@example.com"), settings)) == ("rejected", True)


def test_hubspot_deletes_whom_we_forget(at, partners):
    kind, settings = at("hubspot", "hubspot")
    kind.remove(FORGOTTEN, settings)

    assert made(partners)[0] == (
        "POST",
        "/crm/v3/objects/contacts/gdpr-delete",
        {"objectId": EMAIL, "idProperty": "email"},
    )


def test_meta_gets_hashes_and_takes_them_out_again(at, partners):
    kind, settings = at("meta-audience", "meta", base_url=f"{partners.at('meta')}/v25.0")
    kind.send(MESSAGE, settings)
    kind.send(LEFT, settings)
    digest = "1225e110ceb776fb77a188e558b346170af88161697e72f8e6605faa03258ffb"

    said = {"payload": {"schema": ["EMAIL"], "data": [[digest]]}}
    assert made(partners) == [("POST", "/v25.0/7/users", said), ("DELETE", "/v25.0/7/users", said)]


@pytest.mark.parametrize(
    ("settings", "name", "permanent"),
    [({"access_token": "wrong"}, "meta_190", True), ({"audience_id": "613"}, "later", False)],
)
def test_metas_codes_say_whether_to_come_back(at, partners, settings, name, permanent):
    kind, complete = at("meta-audience", "meta", base_url=f"{partners.at('meta')}/v25.0", **settings)

    assert refusal(lambda: kind.send(MESSAGE, complete)) == (name, permanent)


def test_meta_normalises_by_its_own_rules():
    known = {
        "email": f" {EMAIL.upper()} ",
        "phone_number": "+351 912 345 678",
        "given_name": "Ana",
        "family_name": "Ruiz",
        "gender": "female",
        "city": "Porto",
        "country": "PT",
        "postal_code": "10001-123",
    }
    hashed = row(known)

    assert hashed["EMAIL"] == "1225e110ceb776fb77a188e558b346170af88161697e72f8e6605faa03258ffb"
    assert hashed["PHONE"] == "1ac5bab26d9c9ea1c080654fae480f5fe4066ee9e5ac09622a3c28fb1a6b1b87"
    parts = {"FN": "24d4b96f", "LN": "7fac0d04", "CT": "01735c5f", "COUNTRY": "e75b11da", "GEN": "252f10c8"}
    assert {key: hashed[key][:8] for key in parts} == parts
    assert row({"email": "a", "postal_code": "10001-123", "country": "US"})["ZIP"] == hashing.sha256("10001")


def test_google_normalises_by_its_own_rules():
    email, phone, address = identifiers(
        {
            "email": " Ana.Ruiz+Shop@GMAIL.com ",
            "phone_number": "+351 912 345 678",
            "given_name": "Ana",
            "family_name": "Ruiz",
            "country": "pt",
            "postal_code": "4000-001",
        }
    )

    assert email["emailAddress"] == "ac515bc1bc5c5e25d84b069cfb3a3152c03b5d65dee188f624c16cd4cf5087fc"
    assert phone["phoneNumber"] == "00839c79aea2116c94def9e14c0493fa0801add3ffb50434478082030ab88e11"
    assert (address["address"]["regionCode"], address["address"]["postalCode"]) == ("PT", "4000-001")


def test_gmail_ignores_every_dot_and_other_providers_none():
    assert hashing.google_email("j.o.hn+x@gmail.com") == "john@gmail.com"
    assert hashing.google_email("j.o.hn+x@example.com") == "j.o.hn+x@example.com"


def test_google_gets_a_token_first_and_then_hashes_with_consent(at, partners):
    kind, settings = at("google-audience", "google-data-manager")
    kind.send(MESSAGE, settings)
    kind.send(LEFT, settings)
    token, ingest, _, remove = partners.calls()

    assert token["body"].startswith("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
    assert ingest["path"] == "/v1/audienceMembers:ingest"
    assert ingest["body"]["destinations"] == [
        {"operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "11"}, "productDestinationId": "7"}
    ]
    assert ingest["body"]["consent"] == {
        "adUserData": "CONSENT_GRANTED",
        "adPersonalization": "CONSENT_GRANTED",
    }
    assert ingest["body"]["encoding"] == "HEX"
    assert remove["path"] == "/v1/audienceMembers:remove"
    assert "consent" not in remove["body"]


def test_slack_line_mentions_no_member_by_accident(at, partners):
    kind, settings = at("slack", "slack")
    kind.send(dataclasses.replace(MESSAGE, segment_name="<!channel> & co"), settings)

    assert made(partners)[0][2] == {"text": "auth0|chika entered &lt;!channel&gt; &amp; co"}


@pytest.mark.parametrize(
    ("key", "name", "settings", "fault"),
    [
        ("lytics", "lytics", {"api_key": "wrong"}, ("http_401", True)),
        ("mailchimp", "mailchimp", {"api_key": "wrong-us21"}, ("http_401", True)),
        ("klaviyo", "klaviyo", {"api_key": "wrong"}, ("http_401", True)),
        ("hubspot", "hubspot", {"token": "wrong"}, ("http_401", True)),
    ],
)
def test_a_wrong_key_is_a_lasting_no(at, key, name, settings, fault):
    kind, complete = at(key, name, **settings)

    assert refusal(lambda: kind.send(MESSAGE, complete)) == fault


@pytest.mark.parametrize(("key", "name"), [("klaviyo", "klaviyo"), ("hubspot", "hubspot")])
def test_too_many_calls_are_a_passing_no(at, key, name):
    kind, settings = at(key, name)

    assert refusal(lambda: kind.send(to("ana+busy@example.com"), settings)) == ("http_429", False)


def test_people_see_on_one_page_what_partners_were_sent(at, partners):
    kind, settings = at("slack", "slack")
    kind.send(MESSAGE, settings)
    page = ask("GET", f"{partners.url}/partners/")

    assert page.status_code == 200
    assert "auth0|chika entered Jackets" in page.text
