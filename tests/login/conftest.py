from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import mail
from tests.live import ask

from regulars.accounts.passwords import PasswordHasher
from regulars.base.jobs.run_jobs import run_due
from regulars.connections.models import Connection

PASSWORD = "a few words in a row"


@pytest.fixture
def passwords(standard_setup: None) -> Connection:
    return Connection.objects.create(
        name="Username-Password-Authentication", strategy="auth0", display_name="E-mail and password"
    )


@pytest.fixture
def last_link():
    """Return a function that sends the waiting mails and returns the path of the link in the last one."""

    def find() -> str:
        run_due()
        return re.search(r"https?://[^/\s]+(/\S+)", mail.outbox[-1].body.partition("\n")[2])[1]

    return find


@pytest.fixture
def dina(passwords, client, last_link):
    """Return the account of Dina, who signed up with a password and signed out again."""
    client.post("/signup", {"email": "dina@example.com", "password": PASSWORD})
    client.post(last_link())
    client.post("/logout")
    from regulars.accounts.models import Account

    return Account.objects.get(email="dina@example.com")


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """List every password hash that is computed from now on."""
    work: list[str] = []
    for name in ("encode", "verify"):
        real = getattr(PasswordHasher, name)
        monkeypatch.setattr(PasswordHasher, name, lambda *a, real=real, name=name: work.append(name) or real(*a))
    return work


class Upstream:
    """The running mock service for Google, and a browser's path through its pages."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/google"

    def decide(self, address: str, *ticked: str, person: str, decision: str = "allow") -> str:
        """Decide on the consent page at `address` as `person`; return the path of our callback."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        form = {**asked, "person": person, "decision": decision, "granted": list(ticked)}
        answer = ask("POST", f"{self.url}/consent", data=form)
        assert answer.status_code == 303, answer.text
        back = urlsplit(answer.headers["location"])
        return f"{back.path}?{back.query}"


@pytest.fixture
def upstream(mock_services: str) -> Upstream:
    return Upstream(mock_services)


@pytest.fixture
def google(standard_setup: None, upstream: Upstream, settings) -> Connection:
    """Create the Google connection of the demonstration: the mock service, with three optional claims."""
    settings.PUBLIC_URL, settings.DEMO = "http://localhost:8000", True
    return Connection.objects.create(
        name="google-oauth2",
        strategy="google-oauth2",
        display_name="Google",
        client_id="harbour-and-pine.apps.mock",
        secret="mock-secret",
        requested_claims=["birthday", "gender", "address"],
        urls={"issuer": upstream.url},
        note="A mock service: not the real Google.",
    )
