"""The access export has every table that an erasure counts as the customer's, without secrets, and in pieces."""

from __future__ import annotations

import html
import json
import tracemalloc

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.utils import timezone
from tests.login.conftest import PASSWORD, dina, last_link, passwords

from regulars.accounts.models import Account, PreviousPassword
from regulars.clients.models import Client
from regulars.connections.models import Connection
from regulars.consent.models import ConsentState
from regulars.consent.record import Decision
from regulars.destinations.models import Destination
from regulars.enrichment.models import Lookup
from regulars.events.models import Event, InboxItem, Source
from regulars.interfaces.console.models import AuditEntry
from regulars.oauth.models import AppGrant, RefreshFamily, SessionClient
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import IdentityConflict, Merge, Profile, ProviderAnswer, UpstreamToken
from regulars.questions.models import SelectionDecision
from regulars.rules.models import RuleRun
from regulars.usecases import export_tables
from regulars.usecases.export import access, access_file, json_pieces, portable
from regulars.usecases.merge import merge
from regulars.usecases.personal_data import count, rows_of
from regulars.usecases.unit_of_work import changes

__all__ = ["dina", "last_link", "passwords"]  # fixtures
pytestmark = pytest.mark.django_db
SECRET = "zq7431secret"


@pytest.fixture
def chika(standard_setup, settings):
    """A customer with rows in the tables that have no section of their own, and secrets in them."""
    settings.CONTROLLER = "Harbour & Pine, Porto"
    account = Account.objects.create_user("chika@example.com", "a few words in a row")
    profile, _ = get_or_create_by_identity("google-oauth2", "1001", connection="google-oauth2", is_social=True)
    profile.account = account
    profile.save()
    client = Client.objects.create(client_id="partner", name="Partner", first_party=False)
    EmailAddress.objects.get_or_create(user=account, email="chika@example.com")
    Authenticator.objects.create(user=account, type="totp", data={"secret": SECRET})
    UserSession.objects.create(
        user=account, ip="198.51.100.7", user_agent="Firefox", session_key=SECRET, last_seen_at=timezone.now()
    )
    PreviousPassword.objects.create(account=account, password=SECRET)
    identity = profile.identities.get()
    UpstreamToken.objects.create(identity=identity, secret=SECRET, scopes=["email"])
    ProviderAnswer.objects.create(identity=identity, raw={"sub": "1001", "locale": "pt"})
    AppGrant.objects.create(profile=profile, client=client, audience="https://api.example", scopes=["read:shoes"])
    lasts = {"client": client, "profile": profile}
    RefreshFamily.objects.create(**lasts, grant={"scopes": ["openid"]}, sid=SECRET, expires_at=timezone.now())
    SessionClient.objects.create(**lasts, sid=SECRET, claims={})
    RuleRun.objects.create(
        moment="login",
        profile=profile,
        milliseconds=1.5,
        effects={"metadata": ["loyalty"]},
        inputs={"user": "rule input"},
    )
    SelectionDecision.objects.create(profile=profile, reason="no_consent")
    Lookup.objects.create(source_key="fullcontact", profile=profile, question="q", answer={"city": "Porto"})
    AuditEntry.objects.create(what="customer.viewed", subject=profile.user_id, details={"page": "facts"})
    source, _ = Source.objects.get_or_create(slug="shop", defaults={"name": "Shop"})
    Event.objects.create(
        profile_id=profile.pk, source=source, message_id="m1", type="track", name="Order", at=timezone.now(),
        received_at=timezone.now(), context={"ip": "203.0.113.9"},
    )  # fmt: skip
    InboxItem.objects.create(
        source=source, message_id="m1", type="track", body='{"as": "received"}', received_at=timezone.now()
    )
    return profile


def test_every_table_of_a_customer_is_exported_or_named_with_a_reason():
    """A new table with a relation to the customer fails here until it is put on one of the lists."""
    named = [*export_tables.SECTIONS, *export_tables.TABLES, *export_tables.LEFT_OUT]

    assert sorted(named) == sorted(rows_of([]))
    assert len(named) == len(set(named))
    assert min(len(reason) for reason in export_tables.LEFT_OUT.values()) > 10
    for label, hidden in export_tables.TABLES.items():
        assert hidden <= {field.attname for field in rows_of([])[label].model._meta.concrete_fields}


def test_every_row_that_an_erasure_counts_is_in_the_export(chika):
    with changes(chika, "test") as c:
        c.decide(Decision("personalise", "given", "login"))
        c.learn([NewFact("given_name", "Chika", "declared", "app:shop")])
    counted = count(rows_of([chika]))

    data = access(chika)

    assert len(counted) > 15
    for label, number in counted.items():
        if label in export_tables.TABLES:
            assert len(data["tables"][label]) == number, label
        elif label == "profiles.ProviderAnswer":
            assert sum(len(each["answers"]) for each in data["identities"]) == number
        elif label in export_tables.SECTIONS:
            assert len(data[export_tables.SECTIONS[label]]) == number, label
    assert set(data["left_out"]) == set(export_tables.LEFT_OUT)


def test_export_tells_what_happened_where_and_to_whom(chika):
    data = access(chika)
    tables = data["tables"]

    assert data["controller"]["name"] == "Harbour & Pine, Porto"
    assert {"purpose": "serve", "kind": "application", "name": "Partner", "place": ""} in data["recipients"]
    assert data["retention_days"]["rule_runs"] == 90
    assert data["events"][0]["context"] == {"ip": "203.0.113.9"}
    assert data["messages"][0]["body"] == '{"as": "received"}'
    assert data["lookups"][0]["answer"] == {"city": "Porto"}
    assert tables["usersessions.UserSession"][0]["user_agent"] == "Firefox"
    assert tables["oauth.AppGrant"][0] | {"client": "Partner", "scopes": ["read:shoes"]} == tables["oauth.AppGrant"][0]
    assert tables["rules.RuleRun"][0]["inputs"] == {"user": "rule input"}
    assert tables["questions.SelectionDecision"][0]["reason"] == "no_consent"
    assert tables["console.AuditEntry"][0]["what"] == "customer.viewed"


def test_export_has_no_secret_and_nothing_of_another_customer(chika):
    dov, _ = get_or_create_by_identity("auth0", "dov0123456789")
    IdentityConflict.objects.create(first=chika, second=dov, how="email", source="shop", decided_by="bruno")
    Lookup.objects.create(source_key="fullcontact", profile=dov, question="q", answer={"city": "Braga"})

    text = "".join(access_file(chika))

    assert SECRET not in text
    assert "Braga" not in text
    assert '"bruno"' not in text
    assert "argon2" not in text
    [conflict] = json.loads(text)["tables"]["profiles.IdentityConflict"]
    assert not {"first_id", "second_id"} & set(conflict)


def test_what_a_merged_visitor_decided_is_exported(chika):
    visitor, _ = get_or_create_by_identity("anonymous", "b7")
    with changes(visitor, "test") as c:
        c.decide(Decision("personalise", "refused", "login"))
    merge(visitor, chika)

    data = access(Profile.objects.get(pk=chika.pk))

    assert [each["action"] for each in data["decisions"] if each["method"] == "login"] == ["refused"]
    assert len(data["tables"]["profiles.Merge"]) == Merge.objects.count() == 1
    assert ConsentState.objects.filter(profile=visitor).exists()


def test_long_history_is_written_in_pieces(chika):
    """The file is many times larger than what is held of it at once."""
    now, many = timezone.now(), 20_000
    Event.objects.bulk_create(
        (
            Event(
                profile_id=chika.pk,
                message_id=f"e{number}",
                type="track",
                name="Viewed",
                at=now,
                received_at=now,
                properties={"page": "p" * 400},
            )
            for number in range(many)
        ),
        batch_size=1000,
    )
    for pieces in (access_file(chika), json_pieces(portable(chika))):
        size, events = 0, 0
        tracemalloc.start()
        for piece in pieces:
            size += len(piece)
            events += piece.count('"Viewed"')
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert events == many
        assert size > 10_000_000
        assert peak < size / 2


@pytest.mark.parametrize(
    "value",
    [{}, [], {"a": {}, "b": [1, {"c": None}]}, "é\u2028", {"a": {"b": {"c": [True, 1.5]}}}],
    ids=range(5),
)
def test_pieces_are_the_json_of_the_whole(value):
    assert json.loads("".join(json_pieces(value))) == value


def test_iterators_are_written_as_arrays():
    text = "".join(json_pieces({"none": iter(()), "some": iter([{"a": 1}, "b"])}))

    assert json.loads(text) == {"none": [], "some": [{"a": 1}, "b"]}


def test_connections_and_destinations_are_of_the_business(chika):
    """What belongs to the installation is no customer's: no relation leads there."""
    assert not {Connection._meta.label, Destination._meta.label} & set(rows_of([chika]))


def test_page_file_and_json_name_controller_recipients_and_retention(standard_setup, passwords, dina, client, settings):
    """Everything about a customer, by the roads on which they read it."""
    settings.CONTROLLER = "Harbour & Pine, Porto"
    Client.objects.create(client_id="partner", name="Shoes of a Partner", first_party=False)
    profile = Profile.objects.get(account=dina)
    RuleRun.objects.create(moment="login", profile=profile, milliseconds=1.5, effects={"metadata": ["loyalty-marker"]})
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})

    pages = {path: client.get(path) for path in ("/me/data", "/me/data.html", "/me/data.json")}
    data = json.loads(b"".join(pages["/me/data.json"].streaming_content))

    for path in ("/me/data", "/me/data.html"):
        text = html.unescape(pages[path].content.decode())
        assert "Responsible for this data: Harbour & Pine, Porto." in text
        assert "Shoes of a Partner" in text
        assert "400 days" in text
    assert data["controller"]["name"] == "Harbour & Pine, Porto"
    assert "Shoes of a Partner" in [each["name"] for each in data["recipients"]]
    assert data["retention_days"]["journal"] == 400
    assert data["tables"]["rules.RuleRun"][-1]["effects"] == {"metadata": ["loyalty-marker"]}
    assert "dina@example.com" in json.dumps(data["facts"]) + json.dumps(data["profile"])
