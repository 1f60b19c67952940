"""The session store writes each session once."""

from __future__ import annotations

import pytest
from django.contrib.sessions.backends.base import CreateError, UpdateError

from regulars.accounts.models import StoredSession
from regulars.serving.session_store import SessionStore

pytestmark = pytest.mark.django_db


def test_a_new_session_is_written_when_it_is_saved_and_then_read_back():
    session = SessionStore()
    session["cart"] = 1
    session.create()
    before = StoredSession.objects.count()
    session.save()

    assert before == 0
    assert SessionStore(session.session_key).load() == {"cart": 1}


def test_saving_again_changes_the_same_row():
    session = SessionStore()
    for number in (1, 2):
        session["cart"] = number
        session.save()

    assert StoredSession.objects.count() == 1
    assert SessionStore(session.session_key).load() == {"cart": 2}


def test_signing_in_changes_the_key_keeps_what_was_in_it_and_ends_the_old_one():
    session = SessionStore()
    session["cart"] = 1
    session.save()
    old = session.session_key
    session.cycle_key()
    session.save()

    assert session.session_key != old
    assert SessionStore(session.session_key).load() == {"cart": 1}
    assert not SessionStore().exists(old)


def test_a_key_that_opens_nothing_is_not_taken_over():
    unknown = SessionStore("a" * 32)
    unknown["cart"] = 1
    unknown.save()

    assert unknown.session_key != "a" * 32
    assert not SessionStore().exists("a" * 32)
    assert SessionStore(unknown.session_key).load() == {"cart": 1}


def test_two_sessions_never_share_a_key():
    first = SessionStore()
    first.save()
    second = SessionStore(first.session_key)

    with pytest.raises(CreateError):
        second.save(must_create=True)


def test_a_session_that_was_ended_meanwhile_does_not_come_back():
    session = SessionStore()
    session.save()
    StoredSession.objects.all().delete()
    session["cart"] = 1

    with pytest.raises(UpdateError):
        session.save()
    assert StoredSession.objects.count() == 0
