"""Erasure leaves no trace in a table, the lake, a file or the log, and a restored backup does not undo it."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.core.mail import EmailMessage
from django.core.mail.backends.filebased import EmailBackend
from django.db import connection
from django.test import Client
from django.utils import timezone
from tests.receivers import receiving

from regulars.accounts.models import Account, PendingSignup, StoredSession
from regulars.accounts.proofs.models import EmailCode
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.base.jobs.tasks import enqueue
from regulars.base.lake.query import query
from regulars.clients.models import Client as Client_
from regulars.connections.models import Connection
from regulars.consent.erasures import FILE, recorded_erasures
from regulars.consent.models import ConsentEvent, Erasure, KeptDecision, Suppression
from regulars.consent.record import Decision, record
from regulars.consent.status import ConsentStatus
from regulars.consent.view import view
from regulars.destinations.save import save_destination
from regulars.events.models import Event, InboxItem, Rejection, Source
from regulars.interfaces.console.models import AuditEntry
from regulars.oauth.models import PendingLogin, PushedRequest
from regulars.profiles.assertions import Asserter
from regulars.profiles.find import add_identity, get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Identity, Profile, ProviderAnswer
from regulars.segments.save import save_segment
from regulars.usecases import deliver, personal_data  # noqa: F401 - its handlers register themselves
from regulars.usecases.complete_social_login import proved_email
from regulars.usecases.erase import erase_customer, erase_period, find_customers
from regulars.usecases.lake import fill_lake
from regulars.usecases.process_event import process_inbox
from regulars.usecases.replay_erasures import replay_erasures
from regulars.usecases.retention import set_retention
from regulars.usecases.sign_out import session_store
from regulars.usecases.unit_of_work import changes

MARK = "zq7431marker"
EMAIL = f"{MARK}@example.com"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def home(settings, tmp_path):
    """A home folder and a lake of this test's own."""
    settings.HOME = tmp_path / "home"
    settings.HOME.mkdir()
    settings.LAKE_URL, settings.EMAIL_FILE_PATH = str(settings.HOME / "lake"), str(settings.HOME / "mail")
    return settings.HOME


@pytest.fixture
def marked(standard_setup):
    """A customer whose every trace contains the marker."""
    account = Account.objects.create_user(EMAIL, "a few words in a row")
    profile, _ = get_or_create_by_identity("google-oauth2", f"{MARK}-0001", connection="google-oauth2", is_social=True)
    profile.account = account
    profile.save()
    visitor, _ = get_or_create_by_identity("anonymous", f"{MARK}-browser")
    visitor.merged_into = profile
    visitor.save()
    ProviderAnswer.objects.create(identity=profile.identities.get(), raw={"sub": f"{MARK}-0001", "name": MARK})
    yes = record(profile, Decision("message", "given", "login", evidence={"seen": MARK}))
    learn(
        profile,
        [
            NewFact("email", EMAIL, "declared", "app:signin"),
            NewFact("name", MARK, "social", "google-oauth2", consents=[yes.pk]),
            NewFact("country", "FR", "declared", "app:signin"),
        ],
    )
    with changes(profile, "test") as c:
        c.refresh()
    return profile


def proves_address(profile):
    with changes(profile, "test") as c:
        c.learn(proved_email(EMAIL))
        c.refresh()


def arrives(number, **message):
    source, _ = Source.objects.get_or_create(slug="shop", defaults={"name": "Shop"})
    InboxItem.objects.create(
        source=source,
        message_id=f"m-{number}",
        type=message.get("type", "track"),
        body=json.dumps(message),
        received_at=timezone.now(),
    )


def rows_that_name(marker: str) -> dict[str, int]:
    """Table → rows that have the marker anywhere, as the database itself writes them."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute(f'SELECT * FROM "{model._meta.db_table}"')
            hits = sum(marker in repr(row) for row in cursor.fetchall())
            if hits:
                found[model._meta.label] = hits
    return found


def files_that_name(marker: str, *folders: Path) -> list[str]:
    files = [path for folder in folders for path in Path(folder).rglob("*") if path.is_file()]
    return [str(path) for path in files if marker.encode() in path.read_bytes()]


def database_files() -> list[Path]:
    name = Path(str(connection.settings_dict["NAME"]))
    return [path for path in name.parent.glob(name.name + "*") if path.is_file()]


def leave_traces_everywhere(profile, url):
    """Events by the inbox, one that is unreadable, a job, a session, staff's notes, a mail, a file, the lake."""
    save_segment("French", "country:FR", "message")
    hook = {"url": url, "secret": SECRET}
    save_destination("Hook", "webhook", hook, purpose="message", segment_slugs=["french"])
    save_destination("File", "csv", {"file": "french.csv"}, purpose="message", segment_slugs=["french"])
    for country in ("DE", "FR"):
        with changes(profile, "test") as c:
            c.learn([NewFact("country", country, "corrected", "customer")])
    arrives(1, userId=profile.user_id, event="Order Completed", properties={"note": MARK, "total": 12})
    arrives(2, userId="-1", event="Unknown", context={"traits": {"email": EMAIL}})
    process_inbox()
    enqueue("accounts.mail_reset", {"email": EMAIL, "next": "/"}, due_at=timezone.now() + dt.timedelta(days=1))
    AuditEntry.objects.create(what="customer.viewed", subject=profile.user_id, details={"email": EMAIL})
    Client().force_login(profile.account, "allauth.account.auth_backends.AuthenticationBackend")
    EmailBackend(file_path=django_settings.EMAIL_FILE_PATH).send_messages([EmailMessage("Hello", MARK, to=[EMAIL])])
    run_due(limit=100)
    fill_lake({})


@pytest.mark.django_db(transaction=True)
def test_after_an_erasure_a_search_of_every_table_file_and_log_finds_nothing(home, marked, caplog):
    caplog.set_level("DEBUG", "regulars")
    with receiving() as receiver:
        leave_traces_everywhere(marked, receiver.url)
        before = rows_that_name(MARK)
        assert {"events.Event", "events.InboxItem", "jobs.Job", "console.AuditEntry", "profiles.Fact"} <= set(before)
        assert any("lake" in name for name in files_that_name(MARK, home))
        assert any("french.csv" in name for name in files_that_name(MARK, home))
        assert any("mail" in name for name in files_that_name(MARK, home))
        assert connection.vendor != "sqlite" or any(MARK.encode() in path.read_bytes() for path in database_files())

        erasure = erase_customer(marked, "customer")
        while Job.objects.filter(state="waiting", due_at__lte=timezone.now() + dt.timedelta(minutes=1)).exists():
            Job.objects.filter(state="waiting").update(due_at=timezone.now())
            run_due(limit=100)
        Job.objects.filter(state="done").delete()

    assert json.loads(receiver.received[-1].body)["type"] == "customer.deleted"
    assert rows_that_name(MARK) == {}
    assert files_that_name(MARK, home) == []
    assert [path.name for path in database_files() if MARK.encode() in path.read_bytes()] == []
    assert MARK not in caplog.text
    assert query("SELECT count(*) FROM events WHERE profile_id = " + str(erasure.profiles[0]))[0] == (0,)
    assert {label: after for label, (_, after) in erasure.removed.items() if after} == {}
    assert erasure.removed["profiles.Fact"][0] >= 3


def test_decisions_stay_without_customer_and_evidence(home, marked):
    erase_customer(marked, "customer")

    kept = KeptDecision.objects.get()
    assert (kept.action, kept.purpose_id, kept.notice.body) == (
        "given",
        "message",
        "To write to you about things you may like.",
    )
    assert not ConsentEvent.objects.exists()


def test_the_owner_may_keep_no_ledger_of_the_erased_at_all(home, marked):
    set_retention("ledger", 0)

    erase_customer(marked, "customer")

    assert not KeptDecision.objects.exists()


def test_events_may_stay_anonymously(home, marked):
    arrives(1, userId=marked.user_id, event="Order Completed", properties={"note": MARK, "total": 12})
    process_inbox()

    erasure = erase_customer(marked, "operator", keep_events=True)

    event = Event.objects.get(name="Order Completed")
    assert event.properties == {"total": 12}
    assert event.profile_id < 0
    assert MARK not in f"{event.message_id} {event.context} {event.terms}"
    assert erasure.mode == "anonymised"


def test_erasure_of_a_period_keeps_the_rest(home, chika):
    now = timezone.now()
    learn(chika, [NewFact("country", "PT", "declared", "app:shop", collected_at=now - dt.timedelta(days=5))])
    learn(chika, [NewFact("city", "Porto", "declared", "app:shop", collected_at=now)])

    erasure = erase_period(chika, now - dt.timedelta(days=6), now - dt.timedelta(days=4))

    assert set(view(chika, "serve")) == {"city"}
    assert erasure.removed == {"profiles.Fact": [2, 0]}


def test_customer_is_found_by_any_name(home, marked):
    add_identity(marked, "external", "customer-4711")

    for name in (marked.user_id, EMAIL.upper(), EMAIL, "customer-4711", f"{MARK}-0001"):
        assert find_customers(name) == [marked]
    assert find_customers("unknown@example.com") == []


@pytest.mark.django_db(transaction=True)
def test_26_restored_backup_is_cleaned_of_later_erasures(home, marked):
    user_id = marked.user_id
    erase_customer(marked, "customer")
    assert MARK not in (home / FILE).read_text()
    Erasure.objects.all().delete()  # as yesterday's backup has it
    yesterday = timezone.now() - dt.timedelta(days=1)
    Profile.objects.create(user_id=user_id, created_at=yesterday)

    replayed = replay_erasures()

    assert replayed == 1
    assert not Profile.objects.exists()
    assert replay_erasures() == 0


@pytest.mark.django_db(transaction=True)
def test_who_signed_up_again_afterwards_is_not_erased_by_the_replay(home, marked):
    user_id = marked.user_id
    erase_customer(marked, "customer")
    Profile.objects.create(user_id=user_id)

    assert replay_erasures() == 0
    assert Profile.objects.filter(user_id=user_id).exists()
    assert len(recorded_erasures()) == 1


def test_27_new_sign_up_starts_empty_and_stays_suppressed_for_lists(home, marked):
    proves_address(marked)
    record(marked, Decision("message", "withdrawn", "profile"))
    erase_customer(marked, "customer")
    again, made = get_or_create_by_identity("google-oauth2", f"{MARK}-0001")
    proves_address(again)

    record(again, Decision("message", "imported", "import", evidence={"list": "2025"}))

    assert made
    assert not ConsentStatus.of([again], timezone.now())[again.pk].is_given("message")
    assert Suppression.objects.count() == 1


@pytest.mark.parametrize(
    "claim", ["https://", "callback", "Username-Password-Authentication", "delivery", "dov@example.com"]
)
@pytest.mark.django_db(transaction=True)
def test_customer_named_like_a_staff_text_changes_none(home, marked, claim):
    """A name may be typed by the customer, or sent by anyone with the public write key; erasure searches for it."""
    connection_, app = (
        Connection.objects.create(name="Username-Password-Authentication", strategy="auth0"),
        Client_.objects.create(client_id="shop", name="Shop", redirect_uris=["https://shop.example/callback"]),
    )
    dov, _ = get_or_create_by_identity("auth0", "dov", connection=connection_.name)
    dov.account = Account.objects.create_user("dov@example.com", "a few words in a row")
    dov.save()
    learn(dov, [NewFact("email", "dov@example.com", "declared", "app:signin")])
    job = enqueue("deliver", {"delivery": 1, "to": "dov@example.com"}, due_at=timezone.now() + dt.timedelta(days=1))
    learn(
        marked,
        [NewFact("phone_number", claim, "observed", "app:shop"), NewFact("email", claim, "observed", "app:shop")],
    )
    add_identity(marked, "anonymous", claim)
    erase_customer(marked, "customer")

    app.refresh_from_db()
    dov.refresh_from_db()
    assert app.redirect_uris == ["https://shop.example/callback"]
    assert Connection.objects.get().name == "Username-Password-Authentication"
    assert (dov.document["email"], dov.account.email) == ("dov@example.com", "dov@example.com")
    assert dov.identities.get().connection == connection_.name
    assert Job.objects.filter(payload__delivery=1).exists(), job


@pytest.mark.django_db(transaction=True)
def test_longer_address_that_contains_the_erased_one_stays(home, marked):
    AuditEntry.objects.create(
        what="x", subject="x", details={"a": f"not{EMAIL}", "b": f"{EMAIL}.au", "c": f"to {EMAIL}."}
    )
    erase_customer(marked, "customer")

    assert AuditEntry.objects.get(what="x").details == {"a": f"not{EMAIL}", "b": f"{EMAIL}.au", "c": "to (erased)."}


def test_every_table_that_erasure_names_exists():
    named = personal_data.BY_NUMBER | personal_data.TEMPORARY | personal_data.WRITTEN_BY_STAFF

    assert named <= {model._meta.label for model in apps.get_models()}


SHORT = "a@b.co"
NEIGHBOURS = ("ana@b.co", "a@b.com", "a@b.co.uk", "x-a@b.co")


@pytest.fixture
def short(home, standard_setup):
    """A customer whose every identifier is shorter than eight characters."""
    account = Account.objects.create_user(SHORT, "a few words in a row")
    profile, _ = get_or_create_by_identity("auth0", "7", connection="Username-Password-Authentication")
    profile.account = account
    profile.save()
    add_identity(profile, "external", "42")
    add_identity(profile, "anonymous", "b1")
    learn(
        profile,
        [
            NewFact("email", SHORT, "declared", "app:signin"),
            NewFact("phone_number", "12345", "observed", "app:shop"),
            NewFact("username", "waiting", "declared", "api", asserter=Asserter.APP_TOKEN),
        ],
    )
    assert profile.facts.filter(attribute="username").exists()
    return profile


# Django names a file of mails after the address of its backend in memory: kept, so that no two mails share a file.
BACKENDS: list[EmailBackend] = []


def traces_of(*addresses):
    """Leave an address everywhere where one is kept before, or beside, a customer."""
    soon = timezone.now() + dt.timedelta(days=1)
    source, _ = Source.objects.get_or_create(slug="shop", defaults={"name": "Shop"})
    for address in addresses:
        enqueue("accounts.mail_reset", {"email": address, "next": f"/?login_hint={quote(address)}"}, due_at=soon)
        EmailCode.objects.create(email=address, onward="/", expires_at=soon)
        PendingSignup.objects.create(email=address, password="!", onward="/", expires_at=soon)
        PendingLogin.objects.create(state_hash=address, params={"login_hint": address}, expires_at=soon, client=app())
        PushedRequest.objects.create(
            hash=address, params={"login_hint": address.upper()}, expires_at=soon, client=app()
        )
        Rejection.objects.create(source=source, reason="bad", excerpt=json.dumps({"traits": {"email": address}})[:-2])
        AuditEntry.objects.create(what="customer.viewed", subject=address, details={"email": address})
        arrives(address, userId="-1", event="Unknown", context={"traits": {"email": address}})
        mails = EmailBackend(file_path=django_settings.EMAIL_FILE_PATH)
        mails.send_messages([EmailMessage("Grüße", f"An {address}: " + "lang " * 30, to=[address])])
        BACKENDS.append(mails)
        typed = session_store()()
        typed["account_login"] = {"email": address}
        typed.save()


def app():
    return Client_.objects.get_or_create(client_id="shop", defaults={"name": "Shop"})[0]


def kept_traces(address):
    """How many rows, sessions and mails name an address."""
    tables = (Job, EmailCode, PendingSignup, PendingLogin, PushedRequest, Rejection, AuditEntry, InboxItem)
    whole = re.compile(rf"(?<![\w.@+-]){re.escape(address)}(?![\w-]|\.\w)", re.IGNORECASE)
    rows = [
        str([value for key, value in row.items() if not key.endswith("hash")])
        for each in tables
        for row in each.objects.values()
    ]
    typed = [str(session.get_decoded()) for session in StoredSession.objects.all()]
    mails = [path.read_text() for path in Path(django_settings.EMAIL_FILE_PATH).glob("*.log")]
    return sum(bool(whole.search(unquote(text))) for text in [*rows, *typed, *mails])


@pytest.mark.django_db(transaction=True)
def test_mails_of_the_erased_go_when_the_list_of_erasures_cannot_be_written(home, marked):
    EmailBackend(file_path=django_settings.EMAIL_FILE_PATH).send_messages([EmailMessage("Hello", MARK, to=[EMAIL])])
    (home / FILE).mkdir()

    with pytest.raises(OSError, match=FILE):
        erase_customer(marked)

    assert not Profile.objects.filter(pk=marked.pk).exists()
    assert not list(Path(django_settings.EMAIL_FILE_PATH).glob("*.log"))


@pytest.mark.django_db(transaction=True)
def test_short_address_is_erased_everywhere_and_its_neighbours_stay(short):
    traces_of(SHORT, *NEIGHBOURS)
    before = {address: kept_traces(address) for address in (SHORT, *NEIGHBOURS)}
    assert min(before.values()) == max(before.values()) == 10

    erase_customer(short, "customer")

    assert kept_traces(SHORT) == 0
    assert {address: kept_traces(address) for address in NEIGHBOURS} == dict.fromkeys(NEIGHBOURS, 10)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "named",
    [
        {"userId": "42"},
        {"userId": 42},
        {"traits": {"username": "waiting"}},
        {"anonymousId": "b1"},
        {"previousId": "b1"},
        {"context": {"traits": {"phone": "12345"}}},
        {"sub": "auth0|7"},
        {"text": "to auth0|7."},
        {"next": "/users/auth0%7C7"},
    ],
)
def test_short_identifier_is_erased_where_it_is_one(short, named):
    arrives(1, event="Unknown", **named)
    InboxItem.objects.update(rejected="failed: for this test")
    job = enqueue("x", named, due_at=timezone.now() + dt.timedelta(days=1))
    cut = Rejection.objects.create(source=Source.objects.get(), reason="bad", excerpt=json.dumps(named) + ', "cut')
    entry = AuditEntry.objects.create(what="x", subject="x", details=named)

    erase_customer(short, "customer")

    assert not InboxItem.objects.exists()
    assert not Job.objects.filter(pk=job.pk).exists()
    assert not Rejection.objects.filter(pk=cut.pk).exists()
    entry.refresh_from_db()
    assert "(erased)" in json.dumps(entry.details)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "other",
    [
        {"profile": 42, "count": "42", "total": 7},
        {"userId": "421", "text": "42 and 7 and waiting for b1"},
        {"username": "waiting list", "phone": "+12345"},
        {"state": "waiting", "code": "12345"},
        {"sub": "auth0|77", "next": "/users/xauth0|7"},
    ],
)
def test_text_that_only_contains_a_short_identifier_stays(short, other):
    job = enqueue("waiting", other, key="b1", due_at=timezone.now() + dt.timedelta(days=1))
    entry = AuditEntry.objects.create(what="waiting", subject="42", details=other)

    erase_customer(short, "customer")

    job.refresh_from_db()
    entry.refresh_from_db()
    assert (job.state, job.kind, job.key, job.payload) == ("waiting", "waiting", "b1", other)
    assert (entry.what, entry.subject, entry.details) == ("waiting", "42", other)


@pytest.mark.django_db(transaction=True)
def test_customer_with_hundreds_of_browsers_is_erased(short):
    Identity.objects.bulk_create(
        Identity(profile=short, provider="anonymous", provider_user_id=f"browser-{number:04}") for number in range(700)
    )
    job = enqueue("x", {"anonymousId": "browser-0699"}, due_at=timezone.now() + dt.timedelta(days=1))

    erase_customer(short, "customer")

    assert not Job.objects.filter(pk=job.pk).exists()
