"""A marked person goes through every road of the product and is erased: nothing is left in a table, a file or the lake.

Unlike `test_erase_every_table`, which writes rows, this uses the product, and reads what is encrypted, encoded or packed.
"""

from __future__ import annotations

import ast
import datetime as dt
import json
import quopri
import re
from collections.abc import Iterator
from email import message_from_bytes
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db import models
from django.test import Client as Browser
from django.utils import timezone
from tests.notices import send_device_code
from tests.oidc.app import CALLBACK, CHALLENGE, SECRET, App, make_client
from tests.openid import openid_provider
from tests.receivers import Answer, receiving
from tests.usecases.test_erase import arrives, database_files, home

from regulars.base import clock
from regulars.base.crypto import decrypt
from regulars.base.errors import DomainError
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.connections.models import Connection
from regulars.consent.journal import JournalCopier
from regulars.consent.record import Decision
from regulars.destinations.save import save_destination, save_mapping
from regulars.enrichment.save import save_source
from regulars.events.models import Rejection
from regulars.interfaces.console.models import AuditEntry
from regulars.profiles.find import add_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.questions.models import Impression
from regulars.questions.next_question import next_question
from regulars.questions.save import QuestionDraft, save_question
from regulars.questions.settings import save_settings
from regulars.rules.save import save_rule
from regulars.segments.save import save_segment
from regulars.usecases import deliver  # noqa: F401 - its handlers register themselves
from regulars.usecases.enrich import enrich
from regulars.usecases.erase import erase_customer
from regulars.usecases.lake import fill_lake
from regulars.usecases.merge import merge
from regulars.usecases.process_event import process_inbox
from regulars.usecases.restrict import announce_lifting, restrict
from regulars.usecases.retention import KINDS, apply_retention
from regulars.usecases.sign_out import session_store
from regulars.usecases.unit_of_work import changes

__all__ = ["home"]  # a fixture

MARK = "zq9152marker"  # in names, ids, addresses, texts and the name of the browser
EMAIL, OTHER_EMAIL, PHONE, IP = f"{MARK}@example.com", f"{MARK}.two@example.com", "+4915799152431", "203.0.113.152"
MARKS = (MARK, PHONE.lstrip("+"), IP)
PASSWORD = "a few words in a row"
RULE = """(user, context, callback) => {
  console.log('seen', user.email, user.name, context.request.ip);
  context.idToken['https://shop.example/name'] = user.name;
  callback(null, user, context);
}"""

PAGE = Path(__file__).parents[2] / "docs/operator/purposes-and-consents.md"
SOURCE = Path(__file__).parents[2] / "src"
# What the program writes into the home folder.
HOME = (
    *("credentials.json", "erasures.jsonl", "exports", "journal.jsonl", "lake", "lock", "mail", "regulars.sqlite3"),
    *("restore.unfinished", "rules", "secret.key", "static", "tls", "workers.lock"),
)

# Table → why this person leaves no mark in it.
EXCUSED = {
    "destinations.ManualRequest": "of services that rules called: `test_manual_requests.py`",
    "account.EmailConfirmation": "the mails of Regulars carry keys of its own",
    "accounts.AttemptCount": "keys are hashed",
    "accounts.PreviousPassword": "hashes",
    "auth.Group": "not used",
    "auth.Permission": "written by Django",
    "clients.Client": "written by staff",
    "clients.ClientGrant": "written by staff",
    "clients.ResourceServer": "written by staff",
    "connections.Connection": "written by staff",
    "consent.ConsentState": "keys of purposes and times",
    "consent.DocumentComparison": "numbers, and names of fields",
    "consent.ErasedIdentifier": "fingerprints with the key of the installation",
    "consent.Erasure": "fingerprints with the key of the installation, and counts",
    "consent.KeptDecision": "decisions under a random number",
    "consent.Notice": "written by staff",
    "consent.Purpose": "written by staff",
    "consent.Retention": "written by staff",
    "consent.Suppression": "fingerprints with the key of the installation",
    "console.SentForm": "random numbers of forms of staff, keyed hashes, and addresses of what staff made",
    "contenttypes.ContentType": "written by Django",
    "destinations.Destination": "written by staff",
    "destinations.Delivery": "numbers, and words of our own about what failed",
    "destinations.DestinationVersion": "written by staff",
    "destinations.DirectDisclosure": "names of recipients and attributes",
    "enrichment.Reliability": "counts",
    "enrichment.SourceDay": "counts",
    "enrichment.SourceSetting": "written by staff",
    "events.Source": "written by staff",
    "events.SourceCount": "counts",
    "jobs.PeriodicTask": "times",
    "jobs.Queue": "names of queues",
    "oauth.AppGrant": "names of scopes, and the words of the page",
    "oauth.RefreshToken": "hashes",
    "oauth.RevokedGrant": "random numbers",
    "oauth.SessionName": "random numbers",
    "profiles.Attribute": "written by staff",
    "profiles.CrowdedProfile": "counts, and the name of a source",
    "profiles.IdentityConflict": "numbers of profiles, and the name of a source",
    "profiles.Merge": "numbers of profiles",
    "profiles.RefusedGuess": "names of attributes",
    "profiles.UpstreamRevocation": "written by an erasure, see test_upstream_tokens",
    "proofs.LoginTicket": "hashes",
    "questions.AnswerModel": "counts of options",
    "questions.Question": "written by staff",
    "questions.QuestionSettings": "written by staff",
    "questions.SelectionDecision": "names of questions",
    "questions.Target": "written by staff",
    "rules.Rule": "written by staff",
    "rules.RuleSetting": "written by staff",
    "segments.Membership": "numbers of profiles",
    "segments.Segment": "written by staff",
    "sessions.Session": "not used since accounts.StoredSession",
    "tokens.SigningKey": "keys of the installation",
    "tokens.UsedOnce": "hashes",
}


def plain(value: object) -> Iterator[str]:
    """Yield a value as a text, with what is encrypted or percent-encoded in it."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    yield text
    yield json.dumps(text)[1:-1].encode().decode("unicode_escape", errors="replace")
    for token in re.findall(r"gAAAA[\w=-]{40,}", text):
        try:
            yield json.dumps(decrypt(token), ensure_ascii=False)
        except DomainError:
            continue


def is_marked(*values: object) -> bool:
    found = [text for value in values for text in plain(value)]
    return any(form in text for text in found for mark in MARKS for form in (mark, quote(mark, safe="")))


def tables_that_name() -> dict[str, list[str]]:
    """Return table → columns with a mark, as the program reads them: decrypted, and sessions decoded."""
    found: dict[str, set[str]] = {}
    for model in apps.get_models():
        for row in model._default_manager.all():
            for field in model._meta.concrete_fields:
                value = getattr(row, field.attname)
                if field.attname == "session_data":
                    value = session_store()().decode(value)
                if is_marked(value):
                    found.setdefault(model._meta.label, set()).add(field.attname)
    return {label: sorted(columns) for label, columns in sorted(found.items())}


def files_that_name(folder: Path) -> set[str]:
    """Return the entries of the folder that have a mark, in files, in their names, packed, encoded or encrypted."""
    return {
        path.relative_to(folder).parts[0]
        for path in folder.rglob("*")
        if is_marked(path.name) or (path.is_file() and is_marked(*contents(path)))
    }


def contents(path: Path) -> Iterator[str]:
    raw = path.read_bytes()
    yield raw.decode(errors="replace")
    if path.suffix == ".parquet":
        yield str(duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall())
    if path.suffix == ".log":  # mails, one after the other
        for each in raw.split(b"-" * 79 + b"\n"):
            for part in message_from_bytes(each).walk():
                yield (part.get_payload(decode=True) or b"").decode(errors="replace")


def visitor() -> Browser:
    return Browser(REMOTE_ADDR=IP, headers={"User-Agent": f"{MARK}/1.0"})


@pytest.fixture
def seen() -> dict[str, list[str]]:
    """Tables that had a mark at some time."""
    return {}


def look(seen: dict[str, list[str]]) -> None:
    for label, columns in tables_that_name().items():
        seen[label] = sorted({*seen.get(label, ()), *columns})


@pytest.fixture
def shop(standard_setup, settings) -> None:
    """Everything that staff set up: applications, sign-in, a rule, a question, a segment; mails go into files."""
    settings.DEMO = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    make_client(grant_types=["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"])
    make_client("partner", name="Partner", first_party=False)
    for name, strategy in (("Username-Password-Authentication", "auth0"), ("email", "email")):
        Connection.objects.create(name=name, strategy=strategy, display_name=name)
    save_rule("look-at-them", script=RULE)
    save_segment("Named so", "country:PT", "message")
    question = "Do you work for {value}?"
    save_question(QuestionDraft("works", question, "Why.", "confirm", "employer", "personalise", enabled=True))
    save_settings(days_between=1, min_logins=0)


def signs_up(browser: Browser, home: Path, seen: dict[str, list[str]]) -> Profile:
    """Look around as a visitor, sign up with a password, confirm by the mail."""
    arrives(1, anonymousId=f"{MARK}-browser", type="page", context={"ip": IP, "userAgent": f"{MARK}/1.0"})
    look(seen)
    while process_inbox():
        pass
    browser.post("/signup", {"email": EMAIL, "password": PASSWORD})
    look(seen)
    run_due()
    browser.post(re.search(r"https?://[^/\s]+(/signup/finish\S+)", newest_mail(home))[1])
    return Profile.objects.get(account__email=EMAIL)


def newest_mail(home: Path) -> str:
    newest = max((home / "mail").glob("*.log"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    return quopri.decodestring(newest.read_bytes()).decode(errors="replace")


def signs_in_at_a_provider(browser: Browser, seen: dict[str, list[str]]) -> Profile:
    person = {"email": OTHER_EMAIL, "name": f"{MARK} Okafor", "phone_number": PHONE, "email_verified": True}
    with openid_provider(claims=person, userinfo=person) as provider:
        Connection.objects.create(
            name="club", strategy="oidc", display_name="Club", client_id="shop", urls={"issuer": provider.url},
            offline=True,
        )  # fmt: skip
        token = {"access_token": f"{MARK}-token", "refresh_token": f"{MARK}-refresh"}
        provider.token = lambda nonce: {**token, "id_token": provider.id_token(nonce, f"{MARK}-7")}
        answer = provider.sign_in(browser, "club", subject=f"{MARK}-7")
        assert answer.status_code == 302
    look(seen)
    return Profile.objects.get(identities__provider_user_id__contains=f"{MARK}-7")


def uses_the_shop(browser: Browser, seen: dict[str, list[str]]) -> None:
    """Sign in to an application: pending, pushed, with a device, with a code that is not redeemed, and whole."""
    app = App(browser)
    hint = {"login_hint": OTHER_EMAIL, "ui_locales": "de"}
    pushed = {
        "client_id": "shop", "client_secret": SECRET, "redirect_uri": CALLBACK, "response_type": "code",
        "scope": "openid", "code_challenge": CHALLENGE, "code_challenge_method": "S256", **hint,
    }  # fmt: skip
    assert browser.post("/oauth/par", pushed).status_code == 201
    device = {"client_id": "shop", "client_secret": SECRET, "scope": "openid"}
    send_device_code(browser, visitor().post("/oauth/device/code", device).json()["user_code"])
    App(browser, "partner").authorize(**hint, state=MARK)  # waits at the page of a consent
    visitor().post("/code?next=/authorize", {"email": EMAIL})
    app.code(state=MARK)
    tokens = app.tokens(scope="openid profile email offline_access")
    browser.get("/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    look(seen)


def is_known_elsewhere(profile: Profile, url: str, seen: dict[str, list[str]]) -> None:
    """Events, a message that cannot be read, a segment, destinations with done and waiting messages, a look-up."""
    for slug, kind, settings in (
        ("Hook", "webhook", {"url": url, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}),
        ("File", "csv", {"file": "named.csv"}),
        ("Lake", "parquet", {"folder": "named"}),
        ("Down", "webhook", {"url": f"{url}/down", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}),
    ):
        saved = save_destination(slug, kind, settings, purpose="message", segment_slugs=["named-so"])
        save_mapping(saved, [{"attribute": "email"}, {"attribute": "name"}, {"attribute": "phone_number"}])
    with changes(profile, "test") as c:
        yes = c.decide(Decision("message", "given", "login", evidence={"ip": IP}))
        facts = {"country": "PT", "name": f"{MARK} Okafor", "email": EMAIL, "phone_number": PHONE}
        c.learn([NewFact(key, value, "declared", "customer", consents=[yes.pk]) for key, value in facts.items()])
    context = {"ip": IP, "userAgent": f"{MARK}/1.0", "traits": {"email": EMAIL}}
    arrives(2, userId=profile.user_id, event="Order Completed", properties={"note": MARK}, context=context)
    arrives(3, userId="-1", event="Unknown", context=context)
    known = {"userId": profile.user_id, "anonymousId": f"{MARK}-browser"}
    arrives(4, **known, type="identify", traits={"email": EMAIL, "phone": PHONE, "name": MARK})
    while process_inbox():
        pass
    run_due(limit=100)
    look(seen)


def has_what_is_rare(profile: Profile, seen: dict[str, list[str]]) -> None:
    """Answer a question, be looked up, name a passkey, send what is no message, ask for a mail that waits."""
    with receiving(Answer(body=json.dumps({"ageRange": "25-34", "title": MARK}).encode())) as vendor:
        save_source("fullcontact", {"base_url": vendor.url, "api_key": "key"})
        with changes(profile, "test") as c:
            c.decide(Decision("enrich", "given", "login"))
            yes = c.decide(Decision("personalise", "given", "login"))
            c.learn([NewFact("employer", MARK, "imported", "import:fair", consents=[yes.pk], confidence=0.4)])
        enrich({"profile": profile.pk, "source": "fullcontact"})
    shown = next_question(profile)
    assert isinstance(shown, Impression), shown
    Authenticator.objects.create(user=profile.account, type="webauthn", data={"name": f"{MARK}'s phone"})
    Rejection.objects.create(reason="bad_message", excerpt=json.dumps({"type": "none", "traits": {"email": EMAIL}}))
    visitor().post("/password/reset", {"email": EMAIL})
    look(seen)


def is_helped_by_staff(profile: Profile, seen: dict[str, list[str]]) -> None:
    add_identity(profile, "external", f"{MARK}-customer")
    AuditEntry.objects.create(what="customer.viewed", subject=profile.user_id, details={"email": EMAIL})
    restrict(profile, "staff", "staff:ana", f"They called from {PHONE}.")
    announce_lifting(profile, "staff:ana", "They agreed.", f"By phone, {PHONE}", has_address=False)
    look(seen)


def works_off_the_queue() -> None:
    """Do everything that waits now, and what it queues; what failed waits for its next try."""
    done = 1
    while done:
        Job.objects.filter(state=Job.State.WAITING, attempts=0).update(due_at=timezone.now())
        done = run_due(limit=200)
    JournalCopier().run()


def tables() -> list[str]:
    """Return the tables that can hold a text."""
    texts = models.CharField | models.TextField | models.JSONField | models.GenericIPAddressField | models.BinaryField
    return [
        model._meta.label
        for model in apps.get_models()
        if not model._meta.proxy and any(isinstance(field, texts) for field in model._meta.concrete_fields)
    ]


@pytest.mark.django_db(transaction=True)
def test_nothing_of_a_marked_person_is_left_in_any_store(home, shop, seen, caplog, monkeypatch):
    caplog.set_level("DEBUG", "regulars")
    with receiving() as receiver:
        receiver.routes["/down"] = Answer(status=503)
        browser = visitor()
        profile = signs_in_at_a_provider(browser, seen)
        merge(signs_up(visitor(), home, seen), profile, "api:bot")
        profile.refresh_from_db()
        uses_the_shop(browser, seen)
        is_known_elsewhere(profile, receiver.url, seen)
        has_what_is_rare(profile, seen)
        is_helped_by_staff(profile, seen)
        fill_lake({})
        JournalCopier().run()
        look(seen)
        assert files_that_name(home) == {"exports", "journal.jsonl", "lake", "mail"}
        # A new table is filled by a road above, or excused with a reason.
        assert set(tables()) - set(seen) == set(EXCUSED)

        erase_customer(profile, "customer")
        works_off_the_queue()

    # Of the destination that is down: what it is asked to delete, until the end of `deletion_requests`.
    assert tables_that_name() == {"destinations.Disclosure": ["match"]}
    assert files_that_name(home) == set()
    assert {path.name for path in home.iterdir()} <= set(HOME)
    assert [path.name for path in database_files() if is_marked(path.read_bytes().decode(errors="replace"))] == []
    assert not is_marked(caplog.text)

    monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(days=KINDS["deletion_requests"].days + 1))
    apply_retention()
    assert tables_that_name() == {}


@pytest.mark.django_db  # some modules look at the database when they are imported
def test_every_entry_of_the_home_folder_is_documented_with_what_an_erasure_does():
    found = {name for path in sorted(SOURCE.rglob("*.py")) for name in entries_written_by(path)}
    page = PAGE.read_text()

    assert {"lake", "exports", "journal.jsonl"} <= found
    assert found == set(HOME)
    assert [each for each in HOME if f"`{each}`" not in page] == []


def entries_written_by(path: Path) -> Iterator[str]:
    """Yield the names that a module appends to the home folder; names in variables are those of other modules."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
            continue
        left = ast.unparse(node.left).lower().rstrip("()")
        if left == "path.home" or not (left == "home" or left.endswith((".home", "_home"))):
            continue
        if isinstance(node.right, ast.Constant):
            yield node.right.value
        elif isinstance(node.right, ast.Name):
            module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
            value = getattr(import_module(module), node.right.id, None)
            if isinstance(value, str):
                yield value
