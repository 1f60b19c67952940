"""A sign-in page that answers with an error keeps what was typed, passwords excepted."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client as Browser

from .test_codes import ask, by_mail  # noqa: F401 - a fixture
from .test_second_factor import app, sign_in  # noqa: F401 - a fixture

EMAIL = "Dina@Example.COM "


def typed(answer, name):
    """The value of a field, as the browser shows it."""
    field = re.search(rf'<input [^>]*name="{name}"[^>]*>', answer.content.decode())[0]
    value = re.search(r' value="([^"]*)"', field)
    return unescape(value[1]) if value else ""


def links(answer):
    return [unescape(each) for each in re.findall(r'<a href="([^"]+)"', answer.content.decode())]


def hints(answer, path):
    return [parse_qs(urlsplit(each).query).get("login_hint") for each in links(answer) if urlsplit(each).path == path]


@pytest.mark.parametrize("email", [EMAIL, "nonsense", 'a"b>@example.com', "dina@bücher.example"])
@pytest.mark.parametrize(("path", "status"), [("/login", 401), ("/signup", 422), ("/code", 422)])
def test_address_stays_as_it_was_typed(by_mail, dina, client, path, status, email):  # noqa: F811
    password = "Qx7" if path == "/signup" else "wrong words in a row"
    if path == "/code":
        email = email.replace("@", "@@")
    answer = client.post(f"{path}?next=/authorize", {"email": email, "password": password})

    assert answer.status_code == status
    assert typed(answer, "email") == email
    assert password not in answer.content.decode()


@pytest.mark.parametrize("path", ["/login", "/signup", "/code", "/password/reset"])
def test_address_stays_when_there_were_too_many_attempts(by_mail, dina, client, path):  # noqa: F811
    answers = (client.post(path, {"email": EMAIL, "password": "wrong words in a row"}) for _ in range(200))
    answer = next(each for each in answers if each.status_code == 429)

    assert typed(answer, "email").strip() == EMAIL.strip()


def test_wrong_digits_stay_and_a_new_code_goes_to_the_same_address(by_mail, client):  # noqa: F811
    page, digits, _ = ask(client)
    wrong = "000000" if digits != "000000" else "111111"
    answers = [client.post(page, {"digits": wrong}) for _ in range(4)]  # the last ones find no code that works

    for answer in answers:
        assert answer.status_code == 401
        assert typed(answer, "digits") == wrong
        assert hints(answer, "/code") == [["dina@example.com"]]
    elsewhere = Browser().post(page, {"digits": wrong})
    assert hints(elsewhere, "/code") == [None]  # another browser learns no address


def test_wrong_second_factor_stays(app, client):  # noqa: F811
    sign_in(client)
    answer = client.post("/second-factor", {"code": "recovery-code-with-a-slip"})

    assert answer.status_code == 401
    assert typed(answer, "code") == "recovery-code-with-a-slip"
