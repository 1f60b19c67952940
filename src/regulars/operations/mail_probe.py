"""Prove that mails leave this machine."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import get_connection

from regulars.base.email_address import canonical_email
from regulars.base.errors import Invalid, NotFound
from regulars.base.mail_server import Report, SmtpBackend, sends_to_files
from regulars.usecases.mail_message import Part, Sender, write_mail


def send_test_mail(address: str, report: Report) -> None:
    """Send a mail in the way that every other takes. `report` receives each step that succeeded.

    Raises `NotFound("no_mail_server")`, `Invalid("bad_email")`, and as `SmtpBackend`.
    """
    address = canonical_email(address)
    local, _, domain = address.rpartition("@")
    if not local or not domain or any(letter.isspace() for letter in address) or "," in address:
        raise Invalid("bad_email", f"{address[:100]!r} is not an e-mail address.")
    if sends_to_files():
        raise NotFound(
            "no_mail_server",
            f"No mail server is set: mails are files in {settings.EMAIL_FILE_PATH}. Set REGULARS_SMTP_HOST, and what else "
            "docs/operator/configuration.md lists beside it.",
        )
    sender = Sender.of("")
    mail = write_mail(address, "Test", [Part(f"Mails of Regulars at {settings.PUBLIC_URL} arrive.")], sender)
    mail.connection = get_connection()
    if isinstance(mail.connection, SmtpBackend):
        mail.connection.report = report
        mail.send()
    else:
        mail.send()
        report(f"message: handed to {settings.EMAIL_BACKEND}, from {mail.from_email}")
