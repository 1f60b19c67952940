"""Sessions are found by their account, and before a login by the names in them; no other session is decoded."""

from __future__ import annotations

import datetime as dt
import json
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.core.signing import dumps
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from regulars.accounts.factors import authenticator_codes
from regulars.accounts.models import Account, StoredSession
from regulars.accounts.session_contents import words_in, words_of
from regulars.interfaces.login.entry import SECOND_FACTOR
from regulars.profiles.models import Profile
from regulars.usecases.erase import erase_customer
from regulars.usecases.personal_data import Names
from regulars.usecases.sign_out import end_sessions, session_store

from .conftest import PASSWORD
from .device import code_of

DINA = "dina@example.com"
EARLIER_SALT = "django.contrib.sessions.SessionStore"


def sign_in(browser: Client) -> Client:
    browser.post("/login", {"email": DINA, "password": PASSWORD})
    return browser


def stored(browser: Client) -> StoredSession | None:
    return StoredSession.objects.filter(session_key=browser.session.session_key).first()


def typed(**data: object) -> str:
    """Store a session before a login, and return its key."""
    session = session_store()()
    session.update(data)
    session.save()
    return str(session.session_key)


def is_stored(key: str) -> bool:
    return StoredSession.objects.filter(session_key=key).exists()


@pytest.fixture
def enrolled(dina) -> str:
    """Dina has an authenticator app; its secret."""
    secret = authenticator_codes.new_secret()
    authenticator_codes.add_app(dina, secret, code_of(secret, -1))
    return secret


def test_session_names_its_account_from_the_login_on(dina, client):
    sign_in(client)

    assert (stored(client).account, stored(client).words) == (dina, None)


def test_login_between_two_proofs_names_its_account(dina, enrolled, client):
    sign_in(client)
    waiting = stored(client)
    client.post(SECOND_FACTOR, {"code": code_of(enrolled)})

    assert waiting.account == dina
    assert waiting.words is not None
    assert (stored(client).account, stored(client).words) == (dina, None)


def test_signing_out_everywhere_ends_sessions_that_are_in_no_list_and_leaves_logins_under_way(dina, enrolled, client):
    kept, unlisted = (typed(_auth_user_id=str(dina.pk), cart=number) for number in range(2))
    sign_in(client)  # waits for the second factor

    end_sessions(dina, but=kept)

    assert (is_stored(kept), is_stored(unlisted)) == (True, False)
    assert client.post(SECOND_FACTOR, {"code": code_of(enrolled)}).status_code == 302
    assert stored(client).account == dina


@pytest.mark.parametrize(
    "data",
    [
        {"account_login": {"email": DINA}},
        {"account_login": {"email": "Dina@Example.com"}},
        {"resume": "/authorize?client_id=shop&login_hint=dina%40example.com"},
        {"note": json.dumps({"email": DINA})[:-1]},
        {"note": "for dina@example.com."},
        {"seen": {DINA: 1}},
    ],
)
def test_login_in_which_a_name_was_typed_ends_with_its_customer(dina, data):
    key = typed(**data)
    erase_customer(Profile.objects.get(account=dina), "api")

    assert not is_stored(key)


def test_session_before_a_login_ends_after_an_hour_and_one_after_it_lives_on(dina, client):
    before_login = StoredSession.objects.get(pk=typed(email=DINA))
    sign_in(client)
    hour, now = dt.timedelta(hours=1), timezone.now()

    assert before_login.expire_date <= now + hour < stored(client).expire_date


def test_erasing_one_customer_decodes_no_session_of_others(dina, client, monkeypatch):
    other = Account.objects.create_user("eva@example.com")
    in_use = typed(_auth_user_id=str(other.pk), note=DINA)
    others = [in_use, typed(email="medina@example.com"), typed(email="d@b.com")]
    sign_in(client)
    named, decoded = typed(email=DINA), []
    monkeypatch.setattr(StoredSession, "get_decoded", lambda row: decoded.append(row.pk) or {"email": DINA})
    proof = erase_customer(Profile.objects.get(account=dina), "api")

    assert decoded == [named]
    assert [is_stored(key) for key in others] == [True, True, True]
    assert client.get("/me/security")["Location"].startswith("/login")
    assert proof.removed["accounts.StoredSession"] == [2, 0]


def test_sessions_are_found_by_indexes(dina):
    sign_in(Client())
    by_account = StoredSession.objects.filter(account=dina)
    by_words = StoredSession.objects.filter(words__isnull=False)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        plans = [rows.explain() for rows in (by_account, by_words)]

    assert "accounts_storedsession_account" in plans[0]
    assert "session_with_words" in plans[1]


@pytest.mark.django_db(transaction=True)
def test_session_of_an_account_that_was_erased_meanwhile_is_not_stored(dina, client):
    sign_in(client)
    session = session_store()()
    session["_auth_user_id"] = str(dina.pk)
    Account.objects.filter(pk=dina.pk).delete()

    with pytest.raises(UpdateError):
        session.save()
    assert not StoredSession.objects.exists()


def before_the_update(row: StoredSession) -> None:
    """Store a session as earlier versions did."""
    Session.objects.create(session_key=row.session_key, session_data=row.session_data, expire_date=row.expire_date)
    row.delete()


@pytest.mark.django_db(transaction=True)
def test_every_browser_stays_signed_in_by_the_update_of_the_table(dina, monkeypatch):
    browsers = [sign_in(Client()) for _ in range(3)]
    before_login = typed(email=DINA)
    for row in list(StoredSession.objects.all()):
        before_the_update(row)
    later = timezone.now() + dt.timedelta(days=1)
    Session.objects.create(session_key="unreadable", session_data="x", expire_date=later)
    erased = dumps({"_auth_user_id": "987654"}, salt=EARLIER_SALT)
    Session.objects.create(session_key="erased", session_data=erased, expire_date=later)
    module = import_module("regulars.accounts.migrations.0006_move_sessions")
    monkeypatch.setattr(module, "PORTION", 2)
    with connection.schema_editor(atomic=False) as editor:
        module.move_sessions(apps, editor)
        module.move_sessions(apps, editor)

    assert not Session.objects.exists()
    assert [stored(each).account for each in browsers] == [dina, dina, dina]
    assert ["You are signed in" in each.get("/").content.decode() for each in browsers] == [True, True, True]
    assert StoredSession.objects.get(words__isnull=False).session_key == before_login
    assert StoredSession.objects.count() == 4


NAMES = st.one_of(
    st.from_regex(r"\A[\w.+-]{1,8}@[\w.-]{1,8}\Z"),
    st.from_regex(r"\A[a-z0-9-]{1,6}\|[\w@.-]{1,8}\Z"),
    st.from_regex(r"\A[0-9a-z]{4}[0-9]{4,6}\Z"),
    st.text(min_size=1, max_size=8),
)
WAYS = st.sampled_from([str, json.dumps, lambda text: f"<{text}>", lambda text: f"to {text}, and others"])


@given(NAMES, WAYS, st.text(max_size=5), st.text(max_size=5), st.sampled_from(["email", "note"]))
def test_session_that_has_a_name_has_one_of_its_words(name, way, before, after, key):
    data = {key: before + way(name) + after}
    names = Names(frozenset({name}), frozenset({name}))

    found = words_of(name)
    assert not names.are_in(data) or not found or found & set((words_in(data) or "").split())
