"""API fast path: program endpoints skip sessions and cookies, and keep the common headers."""

from __future__ import annotations

import pytest
from django.test import Client

from regulars.accounts.models import Account
from regulars.interfaces.oidc import urls
from regulars.serving.api_fast_path import VIEWS

pytestmark = pytest.mark.django_db


def sent_with_a_session() -> Client:
    browser = Client()
    browser.force_login(Account.objects.create_user("chika@example.com"))
    return browser


@pytest.mark.parametrize("address", VIEWS)
def test_no_session_is_read_and_no_cookie_is_left(address, django_assert_num_queries):
    browser = sent_with_a_session()

    with django_assert_num_queries(0):
        answer = browser.options(address, HTTP_SEC_GPC="1")
    assert answer.status_code == 204
    assert not answer.cookies


@pytest.mark.parametrize("address", VIEWS)
def test_an_answer_has_the_headers_of_every_other_and_its_length(address):
    answer = Client().delete(address)

    assert answer.status_code == 405
    assert {name: answer.headers.get(name) for name in ("X-Content-Type-Options", "X-Frame-Options")} == {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    assert answer.headers["Content-Length"] == "0"


def test_a_host_that_is_not_ours_is_refused_there_too():
    assert Client().get("/.well-known/jwks.json", HTTP_HOST="elsewhere.example").status_code == 400


def test_fast_path_covers_exactly_the_program_endpoints():
    found = {f"/{pattern.pattern}": pattern.callback for pattern in urls.urlpatterns}

    assert {address: found[address] for address in VIEWS} == VIEWS
    assert Client().get("/oauth/token/").status_code == 404
    assert set(found) - set(VIEWS) >= {"/authorize", "/v2/logout"}
