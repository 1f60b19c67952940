"""An attacker's requests for mails do not close the way back for the customer, on any road that sends a mail."""

from __future__ import annotations

import json

import pytest
from django.core import mail
from django.test import Client as Browser

from regulars.accounts.models import AttemptCount
from regulars.accounts.rate_limits import LIMITS
from regulars.base.jobs.run_jobs import run_due
from regulars.clients.register import ClientSpec, register
from regulars.connections.models import Connection

from .conftest import PASSWORD

DINA = "dina@example.com"
# Every road that sends a mail to an address that is typed: the action that is limited, path, body.
ROADS = {
    "sign-up": ("signup", "/signup", {"password": PASSWORD}),
    "reset": ("reset", "/password/reset", {}),
    "code": ("code", "/code", {}),
    "sign-up in an app": ("signup", "/dbconnections/signup", {"password": PASSWORD}),
    "reset in an app": ("reset", "/dbconnections/change_password", {}),
    "code in an app": ("code", "/passwordless/start", {"connection": "email", "send": "code"}),
    "link in an app": ("code", "/passwordless/start", {"connection": "email", "send": "link"}),
}


@pytest.fixture(params=ROADS)
def ask(request, dina):
    """Return a function that asks for a mail to Dina on one road and returns the status."""
    Connection.objects.create(name="email", strategy="email", display_name="E-mail code")
    app, _ = register(ClientSpec("Shop", "none", web_origins=["https://shop.example"], embeds_login=True))
    _, path, body = ROADS[request.param]

    def post(browser: Browser) -> int:
        if path.startswith(("/dbconnections", "/passwordless")):
            sent = json.dumps({"client_id": app.pk, "email": DINA, **body})
            headers = {"Origin": "https://shop.example"}
            return browser.post(path, sent, content_type="application/json", headers=headers).status_code
        return browser.post(path, {"email": DINA, **body}).status_code

    AttemptCount.objects.all().delete()  # of Dina's own sign-up
    post.limits = LIMITS[ROADS[request.param][0]]
    return post


def test_an_attacker_is_stopped_and_the_customer_elsewhere_still_gets_a_mail(ask):
    attacker = Browser(REMOTE_ADDR="203.0.113.7")
    refused = [ask(attacker) >= 400 for _ in range(6)]
    run_due()
    mail.outbox.clear()
    answer = ask(Browser())
    run_due()

    assert refused == [False] * 5 + [True]
    assert answer in (200, 302)
    assert [message.to for message in mail.outbox] == [[DINA]]


def test_attackers_everywhere_are_stopped_and_a_known_browser_still_gets_its_mail(ask, client):
    most = ask.limits["email"].most
    statuses = [ask(Browser(REMOTE_ADDR=f"203.0.113.{number // 5}")) for number in range(most + 1)]
    unknown = ask(Browser())
    run_due()
    mail.outbox.clear()
    known = [ask(client) for _ in range(6)]
    run_due()

    assert [status for status in statuses if status == 429] == [429]
    assert unknown == 429
    assert known[5] == 429
    assert all(status in (200, 302) for status in known[:5])
    assert {message.to[0] for message in mail.outbox} == {DINA}
    assert mail.outbox
