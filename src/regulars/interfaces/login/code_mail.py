"""The mail with a code, written by the worker: the code exists from there on, and in clear words in the mail alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from regulars.accounts.proofs import codes
from regulars.accounts.proofs.models import EmailCode
from regulars.base.jobs.tasks import enqueue, handles

from .language import hers, in_her_language

JOB = "signin.mail_code"


def ask_to_mail(expected: EmailCode, template: str) -> None:
    """`template` is `code_and_link` for our own pages, `code` or `link` for apps."""
    enqueue(JOB, {"code": expected.pk, "template": template, **hers()})


@handles(JOB, non_transactional=True)
@in_her_language
def mail_code(payload: dict[str, Any]) -> None:
    expected = EmailCode.objects.filter(pk=payload["code"]).first()
    if expected is None:
        return
    digits, secret = codes.write(expected)
    link = f"{settings.PUBLIC_URL}/code/open?{urlencode({'link': secret})}"
    context = {"digits": digits, "link": link, "email": expected.email, "house": settings.PUBLIC_URL}
    body = render_to_string(f"signin/mail/{payload['template']}.txt", context)
    send_mail(
        _("Your sign-in code") if payload["template"] != "link" else _("Your sign-in link"),
        body,
        None,
        [expected.email],
    )
