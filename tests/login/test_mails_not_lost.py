"""An attempt counts if and only if its mail is queued, and a mail that is sent twice is the same mail.

What a kill leaves at every other step: `tests/serving/test_killed_operations.py`.
"""

from __future__ import annotations

import pytest
from django.core import mail

from regulars.accounts.models import AttemptCount, PendingSignup
from regulars.accounts.proofs.models import EmailCode
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.connections.models import Connection
from regulars.usecases import account_mails

from .conftest import PASSWORD

FORMS = {"/signup": {"password": PASSWORD}, "/password/reset": {}, "/code": {}}


@pytest.fixture
def by_mail(passwords) -> None:
    Connection.objects.create(name="email", strategy="email", display_name="Code")


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.usefixtures("by_mail")
def test_attempt_without_its_mail_is_not_counted(client, monkeypatch, path):
    def stop(*_: object, **__: object) -> None:
        raise RuntimeError("stopped before the mail is queued")

    monkeypatch.setattr(account_mails, "_enqueue", stop)
    client.raise_request_exception = False

    assert client.post(path, {"email": "dina@example.com", **FORMS[path]}).status_code == 500
    assert not AttemptCount.objects.exists()
    assert not PendingSignup.objects.exists()
    assert not EmailCode.objects.exists()


@pytest.mark.usefixtures("by_mail")
def test_mail_that_is_sent_again_is_the_same_and_not_after_its_code_was_used(client):
    client.post("/code", {"email": "dina@example.com"})
    for _ in range(2):  # the worker was killed before it recorded that it had sent the mail
        run_due()
        Job.objects.update(state="waiting", finished_at=None)
    first, second = mail.outbox

    assert first.extra_headers["Message-ID"] == second.extra_headers["Message-ID"]
    assert first.body == second.body

    EmailCode.objects.update(used_at=EmailCode.objects.get().expires_at)
    run_due()
    assert len(mail.outbox) == 2
