from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import mail
from tests.live import ask

from regulars.base.jobs.run import run_due
from regulars.connections.models import Connection

PASSWORD = "a few words in a row"


@pytest.fixture
def passwords(standard_setup: None) -> Connection:
    return Connection.objects.create(
        name="Username-Password-Authentication", strategy="auth0", display_name="E-mail and password"
    )


@pytest.fixture
def last_link():
    """Let the worker write its mails; the path of the link in the last one."""

    def find() -> str:
        run_due()
        return re.search(r"https?://[^/\s]+(/\S+)", mail.outbox[-1].body.partition("\n")[2])[1]

    return find


@pytest.fixture
def dina(passwords, client, last_link):
    """Dina, who signed up with a password and is signed out again."""
    client.post("/signup", {"email": "dina@example.com", "password": PASSWORD})
    client.post(last_link())
    client.post("/logout")
    from regulars.accounts.models import Account

    return Account.objects.get(email="dina@example.com")


class Upstream:
    """The stand-in for Google, running, and a browser's way through its pages."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/google"

    def decide(self, address: str, *ticked: str, person: str, decision: str = "allow") -> str:
        """From the address we sent her to, to the path of our callback."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        form = {**asked, "person": person, "decision": decision, "granted": list(ticked)}
        answer = ask("POST", f"{self.url}/consent", data=form)
        assert answer.status_code == 303, answer.text
        back = urlsplit(answer.headers["location"])
        return f"{back.path}?{back.query}"


@pytest.fixture
def upstream(standins: str) -> Upstream:
    return Upstream(standins)


@pytest.fixture
def google(standard_setup: None, upstream: Upstream, settings) -> Connection:
    """Google as the demonstration has it: pointed at the stand-in, asking for three optional claims."""
    settings.PUBLIC_URL, settings.DEMO = "http://localhost:8000", True
    return Connection.objects.create(
        name="google-oauth2",
        strategy="google-oauth2",
        display_name="Google",
        client_id="harbour-and-pine.apps.stand-in",
        secret="stand-in-secret",
        requested_claims=["birthday", "gender", "address"],
        urls={"issuer": upstream.url},
        note="A stand-in: not the real Google.",
    )
