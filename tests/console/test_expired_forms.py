"""Forms of the console with an outdated token: staff see a page of the console, with what they typed."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client

from regulars.serving.console_sessions import STAFF_COOKIE

pytestmark = pytest.mark.django_db


@pytest.fixture
def strict(console) -> Client:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies[STAFF_COOKIE] = console.cookies[STAFF_COOKIE].value
    browser.cookies[settings.CSRF_COOKIE_NAME] = "k" * 32
    return browser


def test_second_click_on_sign_in_goes_on(strict):
    answer = strict.post("/console/login?next=/console/rules", {"email": "ana@shop.example", "password": "x"})

    assert (answer.status_code, answer["Location"]) == (303, "/console/rules")


def test_expired_form_keeps_what_was_typed(strict):
    answer = strict.post("/console/questions/new", {"key": "looking_for", "attribute": "interests"})
    page = answer.content.decode()

    assert answer.status_code == 403
    assert "This page waited too long" in page
    assert "looking_for" in page


def test_part_of_a_page_is_loaded_anew(strict):
    answer = strict.post("/console/theme", {"theme": "dark"}, headers={"HX-Request": "true"})

    assert (answer.status_code, answer["HX-Refresh"]) == (403, "true")


@pytest.mark.parametrize("signed_in", [True, False])
def test_unknown_address_has_a_page_of_the_console(strict, signed_in):
    browser = strict if signed_in else Client()
    answer = browser.get("/console/nothing/at/all")
    page = answer.content.decode()

    assert answer.status_code == 404
    assert "<h1>Page not found</h1>" in page
    assert ("/console/customers" in page) == signed_in  # the navigation
