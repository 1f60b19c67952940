"""No field of the console's forms ends in a server error, however long or large its value: every form is found and tried."""

from __future__ import annotations

import logging

import pytest
from bs4 import BeautifulSoup, Tag
from django.db import transaction
from tests.oidc.test_interactions import LOOKING_FOR

from regulars.clients.register import ClientSpec, register
from regulars.connections.save import ConnectionSpec, ensure_own_connections, save_connection
from regulars.destinations.save import save_destination
from regulars.events.sources import make_source
from regulars.questions.save import save_question
from regulars.rules.save import save_rule
from regulars.usecases.save_segment import save_segment

SECRET = "whsec_" + "QUFB" * 10
PAGES = [
    "login",
    "customers",
    "customers/{customer}",
    "customers/{customer}/correct?attribute=city",
    "questions",
    "questions/new?type=single_choice",
    "questions/new?type=short_text",
    "questions/settings",
    "questions/looking_for",
    "rules",
    "rules/new",
    "rules/greet",
    "connections/new?strategy=oidc",
    "connections/new?strategy=windowslive",
    "connections/club",
    "connections/Username-Password-Authentication/passwords",
    "applications/new",
    "applications/{client}",
    "applications/{client}/branding",
    "segments",
    "segments/new",
    "segments/here",
    "segments/here/edit",
    "sources",
    "sources/events/shop",
    "sources/gravatar",
    "sources/http",
    "privacy",
    "privacy/purposes/personalise",
    "destinations/new?kind=webhook",
    "destinations/new?kind=csv",
    "destinations/new?kind=parquet",
    "destinations/hook",
    "destinations/hook/mapping",
    "destinations/hook/deliveries",
]
# Longer than nearly every column, and a number that no column holds.
TEXTS = ["x" * 300]
NUMBERS = ["9" * 30]


@pytest.fixture
def furnished(console, chika):
    console.raise_request_exception = False
    ensure_own_connections(mail_codes=True)
    save_connection(ConnectionSpec("club", "oidc", "Club", "shop", SECRET, {"issuer": "https://club.example"}))
    save_destination(
        "Hook", "webhook", {"url": "https://hook.example", "secret": SECRET}, purpose="message", segment_slugs=[]
    )
    save_rule("Greet", slug="greet", script="function (user, context, callback) { callback(null, user, context); }")
    save_question(LOOKING_FOR)
    save_segment("Here", "country:PT", purpose="message")
    make_source("Shop")
    app, _ = register(ClientSpec("Shop", "client_secret_post", redirect_uris=["https://shop.example/"]))
    return {"customer": chika.user_id, "client": app.pk}


def forms(console, furnished) -> list[tuple[str, str, dict[str, str]]]:
    """Return every form to post: the page, the address, and the values that its inputs have."""
    found = []
    for page in PAGES:
        path = f"/console/{page.format(**furnished)}"
        answer = console.get(path)
        assert answer.status_code in (200, 302), (path, answer.status_code)
        for form in BeautifulSoup(answer.content, "html.parser").find_all("form"):
            if str(form.get("method", "")).lower() == "post":
                found.append((path, str(form.get("action") or path), values_of(form)))
    return found


def values_of(form: Tag) -> dict[str, str]:
    values = {}
    for field in form.find_all(["input", "textarea", "select"]):
        name, kind = str(field.get("name") or ""), str(field.get("type") or field.name)
        if not name or (kind in ("checkbox", "radio") and not field.has_attr("checked")):
            continue
        chosen = field.find("option", selected=True) or field.find("option") if field.name == "select" else None
        text = field.get_text() if field.name == "textarea" else str(field.get("value") or "")
        values[name] = str(chosen.get("value") or "") if chosen else text
    return values


def test_no_value_of_a_form_is_a_server_error(console, furnished, caplog):
    caplog.set_level(logging.CRITICAL)
    tried, failed = 0, []
    for page, action, values in forms(console, furnished):
        if action.endswith(("logout", "/key", "/delete", "/export.csv")):
            continue
        for name in values.keys() - {"csrfmiddlewaretoken"}:
            for value in [*TEXTS, *NUMBERS]:
                with transaction.atomic():
                    answer = console.post(action, {**values, name: value})
                    transaction.set_rollback(True)
                tried += 1
                if answer.status_code >= 500:
                    failed.append(f"{page} → {action}: {name}={value[:12]} ({len(value)})")

    assert tried > 200
    assert failed == []
