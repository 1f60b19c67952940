"""Compiled queries: Django generates the SQL once per query."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import DateTimeField, F, JSONField, OuterRef, Subquery
from django.test.utils import CaptureQueriesContext

from regulars.accounts.models import Account
from regulars.base.db.compiled_query import CompiledInsert, CompiledQuery, CompiledUpdate, param
from regulars.profiles.models import Profile

pytestmark = pytest.mark.django_db

THEN = dt.datetime(2026, 11, 24, 10, 0, 0, 123456, tzinfo=dt.UTC)


def customer(name: str, **more) -> Profile:
    return Profile.objects.create(user_id=f"auth0|{name}", created_at=THEN, **more)


def test_each_caller_gets_the_row_of_its_own_value():
    chika, dov = customer("chika", document={"name": "Chika"}), customer("dov", blocked=True)
    by_name = CompiledQuery(lambda: Profile.objects.filter(user_id=param("user_id")))

    first, second = by_name.first(user_id="auth0|chika"), by_name.first(user_id="auth0|dov")

    assert (first, second, by_name.first(user_id="auth0|unknown")) == (chika, dov, None)
    assert (first.document, first.created_at, first.blocked, second.blocked) == ({"name": "Chika"}, THEN, False, True)


def test_instance_read_can_be_changed_and_saved():
    customer("chika")
    chika = CompiledQuery(lambda: Profile.objects.filter(user_id=param("user_id"))).first(user_id="auth0|chika")
    chika.logins_count += 1
    chika.save()

    assert Profile.objects.get().logins_count == 1


def test_the_sql_is_written_for_the_first_caller_only():
    customer("chika")
    written = []

    def write():
        written.append(1)
        return Profile.objects.filter(user_id=param("user_id"))

    by_name = CompiledQuery(write)
    for name in ("chika", "dov", "chika"):
        by_name.first(user_id=f"auth0|{name}")

    assert written == [1]


def test_tuples_single_values_and_existence():
    chika = customer("chika", document={"a": 1})
    pairs = CompiledQuery(lambda: Profile.objects.filter(pk=param("id")).values_list("user_id", "document"))
    documents = CompiledQuery(lambda: Profile.objects.filter(pk=param("id")).values_list("document", flat=True))

    assert pairs.all(id=chika.pk) == [("auth0|chika", {"a": 1})]
    assert documents.first(id=chika.pk) == {"a": 1}
    assert (documents.exists(id=chika.pk), documents.exists(id=0)) == (True, False)


def test_an_annotation_is_on_the_instance():
    account = Account.objects.create_user("chika@example.com")
    customer("chika", account=account)
    email = Subquery(Account.objects.filter(pk=OuterRef("account"), email=param("email")).values("email"))
    with_email = CompiledQuery(lambda: Profile.objects.filter(account__is_active=True).annotate(email=email))

    assert with_email.first(email="chika@example.com").email == "chika@example.com"
    assert with_email.first(email="dov@example.com").email is None


def test_a_time_is_compared_as_a_time():
    customer("chika")
    until = CompiledQuery(lambda: Profile.objects.filter(created_at__lte=param("at", DateTimeField())))

    assert until.exists(at=THEN)
    assert not until.exists(at=THEN - dt.timedelta(microseconds=1))


def test_update_changes_the_filtered_rows_and_returns_their_number():
    chika, dov = customer("chika"), customer("dov")
    seen = CompiledUpdate(
        lambda: (
            Profile.objects.filter(pk=param("id")),
            {
                "last_seen_at": param("at", DateTimeField()),
                "terms": param("terms", JSONField()),
                "logins_count": F("logins_count") + 1,
            },
        )
    )

    assert (seen(id=chika.pk, at=THEN, terms={"a": ["n:1"]}), seen(id=0, at=THEN, terms={})) == (1, 0)
    chika.refresh_from_db()
    dov.refresh_from_db()
    assert (chika.last_seen_at, chika.terms, chika.logins_count) == (THEN, {"a": ["n:1"]}, 1)
    assert (dov.last_seen_at, dov.terms, dov.logins_count) == (None, {}, 0)


def test_an_insert_writes_the_whole_row():
    chika = Profile(user_id="auth0|chika", created_at=THEN, document={"name": "Chika"}, last_ip="::1")
    CompiledInsert(Profile)(chika)
    found = Profile.objects.get()

    assert chika.pk is None
    assert [getattr(found, name) for name in ("user_id", "created_at", "document", "last_ip", "account")] == [
        "auth0|chika", THEN, {"name": "Chika"}, "::1", None,
    ]  # fmt: skip


def test_a_row_that_is_there_already_is_an_error_or_stays_as_it_is():
    customer("chika", last_ip="::1")

    with pytest.raises(IntegrityError), transaction.atomic():
        CompiledInsert(Profile)(Profile(user_id="auth0|chika"))
    assert not CompiledInsert(Profile, or_leave=True)(Profile(user_id="auth0|chika"))
    assert CompiledInsert(Profile, or_leave=True)(Profile(user_id="auth0|dov"))
    assert Profile.objects.get(user_id="auth0|chika").last_ip == "::1"


def test_statement_is_logged_as_any_query():
    with CaptureQueriesContext(connection) as seen:
        CompiledQuery(lambda: Profile.objects.filter(user_id=param("user_id"))).first(user_id="auth0|chika")

    assert "auth0|chika" in seen[0]["sql"]
