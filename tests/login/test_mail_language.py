"""The language of mails that no page of the customer's asked for: applications, staff and the worker cause them."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.utils import translation
from django.utils.formats import date_format, get_format
from tests.management_api.conftest import make_token

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.base.jobs.run_jobs import run_due
from regulars.profiles.document import rebuild
from regulars.profiles.learn import NewFact, learn
from regulars.usecases.account_mails import notify

EMAIL, PASSWORD = "dina@example.com", "a few words in a row"
GERMAN, JAPANESE = "Ihr Passwort wurde geändert", "パスワードが変更されました"


def sign_in(browser: str, **query: str) -> None:
    answer = Client().post(
        "/login", {"email": EMAIL, "password": PASSWORD}, query_params=query, headers={"Accept-Language": browser}
    )
    assert answer.status_code == 302


def set_password(dina: Account, password: str = "other words in a row", accept: str | None = None) -> None:
    path = f"/api/v2/users/{dina.profile.user_id.replace('|', '%7C')}"
    headers = {"Authorization": f"Bearer {make_token()}"} | ({"Accept-Language": accept} if accept else {})
    answer = Client().patch(path, json.dumps({"password": password}), content_type="application/json", headers=headers)
    assert answer.status_code == 200


def subject() -> str:
    run_due()
    return mail.outbox[-1].subject


@pytest.mark.parametrize("accept", [None, "en"])
def test_notice_of_an_application_is_in_the_language_of_the_last_sign_in(client, dina, accept):
    sign_in("de")

    set_password(dina, accept=accept)

    assert subject() == GERMAN


def test_language_that_the_customer_chose_counts_more_than_the_browsers(client, dina):
    sign_in("de", language="ja")

    set_password(dina)

    assert subject() == JAPANESE


def test_newest_sign_in_counts_and_one_without_a_language_changes_nothing(client, dina):
    sign_in("de")
    sign_in("ja")
    sign_in("*")
    sign_in("")

    set_password(dina)

    assert subject() == JAPANESE


@pytest.mark.parametrize(
    ("locale", "expected"), [("de-AT", GERMAN), ("ja_JP", JAPANESE), ("xx", "Your password was changed")]
)
def test_customer_who_never_signed_in_is_written_to_in_their_locale(client, dina, locale, expected):
    learn(dina.profile, [NewFact("locale", locale, "social", "app:shop", basis="contract")])
    rebuild(dina.profile)
    Account.objects.update(language="")  # an application made the account

    set_password(dina)

    assert subject() == expected


def test_notice_of_the_worker_is_in_the_language_of_the_last_sign_in(client, dina):
    sign_in("de")

    with translation.override("en"):
        notify(Account.objects.get(pk=dina.pk), "password_changed")

    assert subject() == GERMAN


def test_link_that_a_server_asks_for_is_in_the_language_of_the_last_sign_in(client, dina):
    sign_in("ja")

    Client().post("/password/reset", {"email": EMAIL})

    assert subject() == "新しいパスワードを設定"


@pytest.mark.parametrize("code", [code for code, _ in settings.LANGUAGES])
def test_a_time_has_the_day_as_a_day_alone_has_it(code):
    moment = clock.now().replace(month=11, day=29, hour=14, minute=5)
    with translation.override(code):
        day, both = date_format(moment, "DATE_FORMAT"), date_format(moment, "DATETIME_FORMAT")

        assert both.startswith(day)
        assert get_format("DATETIME_FORMAT").startswith(get_format("DATE_FORMAT"))


def test_arabic_times_are_written_in_arabic_order():
    moment = clock.now().replace(year=2026, month=11, day=29, hour=14, minute=5)
    with translation.override("ar"):
        assert date_format(moment, "DATETIME_FORMAT") == "29 نوفمبر 2026، 2:05 م"
        assert date_format(moment, "DATE_FORMAT") == "29 نوفمبر 2026"
