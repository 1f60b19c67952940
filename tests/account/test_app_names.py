"""A customer reads the name of an application, never its id."""

from __future__ import annotations

import re

import pytest

from regulars.clients.register import ClientSpec, register
from regulars.connections.models import Connection
from regulars.events.models import Source
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Profile

from .conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("lake")


@pytest.fixture
def page(dina, client):
    """Return the text of /me for facts with these sources."""

    def open_page(*facts: NewFact) -> str:
        learn(Profile.objects.get(account=dina), list(facts))
        client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
        pages = client.get("/me").content + client.get("/me/facts/city").content
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", pages.decode()))

    return open_page


def test_facts_from_an_application_name_it(page):
    app, _ = register(ClientSpec("Harbour & Pine"))
    shown = page(
        NewFact("city", "Porto", "declared", f"app:{app.pk}"),
        NewFact("nickname", "Didi", "observed", f"app:{app.pk}"),
        NewFact("gender", "female", "declared", f"app:{app.pk}:a_question_that_was_deleted@1"),
    )

    assert shown.count("The app “Harbour &amp; Pine”") >= 2
    assert "What you did in “Harbour &amp; Pine”" in shown
    for part in (app.pk, app.pk.replace("_", " ").replace("-", " "), "a question that was deleted"):
        assert part not in shown


def test_facts_from_events_name_their_source(page):
    Source.objects.create(name="The web shop", slug="web-1")
    shown = page(NewFact("city", "Porto", "observed", "app:web-1"))

    assert "What you did in “The web shop”" in shown
    assert "web 1" not in shown


def test_facts_from_a_deleted_application_show_no_id(page):
    app, _ = register(ClientSpec("Harbour & Pine"))
    key = app.pk
    app.delete()
    shown = page(NewFact("city", "Porto", "declared", f"app:{key}"))

    assert "An app of ours that is no longer here" in shown
    assert key.replace("_", " ").replace("-", " ") not in shown


def test_a_login_method_that_a_rule_remembered_is_named(page):
    provider = "google-oauth2"
    Connection.objects.create(name=provider, strategy=provider, display_name="Google")
    shown = page(NewFact("app_metadata.first_login.connection", provider, "declared", "rule:first-login-flag"))

    assert "Connection Google" in shown
    assert provider not in shown
