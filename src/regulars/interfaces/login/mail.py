"""The mails of this door, written by the worker: the page answers the same, and as fast, whoever the address belongs to."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from regulars.accounts.models import Account
from regulars.base.jobs.tasks import enqueue, handles
from regulars.profiles.find import accounts_of_address, is_email_taken
from regulars.profiles.sign_in import account_block

from .language import hers, in_her_language
from .models import PendingSignup

SIGNUP, RESET, NOTICE = "signin.mail_signup", "signin.mail_reset", "signin.mail_notice"
# What she hears of whenever it happens, because it may not have been her: name → subject and sentence.
NOTICES = {
    "password_changed": (
        gettext_noop("Your password was changed"),
        gettext_noop("The password of {email} was changed. Other devices are signed out."),
    ),
    "app_added": (
        gettext_noop("An authenticator app was added"),
        gettext_noop("Signing in as {email} now takes a code of an authenticator app."),
    ),
    "app_removed": (
        gettext_noop("The authenticator app was removed"),
        gettext_noop("Signing in as {email} takes no code of an app any more."),
    ),
    "passkey_added": (gettext_noop("A passkey was added"), gettext_noop("A new passkey can sign in as {email}.")),
    "passkey_removed": (
        gettext_noop("A passkey was removed"),
        gettext_noop("A passkey can no longer sign in as {email}."),
    ),
    "passkey_copied": (
        gettext_noop("A passkey was refused"),
        gettext_noop(
            "Somebody tried to sign in as {email} with a passkey that may have been copied. Nobody was let in. "
            "Remove this passkey and add a new one."
        ),
    ),
    "way_added": (
        gettext_noop("A new way to sign in was added"),
        gettext_noop("Another network can now sign in as {email}."),
    ),
    "codes_made": (
        gettext_noop("New recovery codes"),
        gettext_noop("New recovery codes were made for {email}. The old ones no longer work."),
    ),
}
SALT = "regulars.signin.signup"


def ask_to_finish(pending: PendingSignup) -> None:
    enqueue(SIGNUP, {"pending": pending.pk, **hers()})


def ask_to_reset(email: str, onward: str) -> None:
    enqueue(RESET, {"email": email, "next": onward, **hers()})


def tell(account: Account, what: str, to: str = "") -> None:
    """Write her that something of `NOTICES` happened, where we have an address. `to`: the one she had before it."""
    at = timezone.now().strftime("%d %B %Y, %H:%M UTC")
    enqueue(NOTICE, {"account": account.pk, "what": what, "at": at, "to": to, **hers()})


def finish_link(pending: PendingSignup) -> str:
    """The link that makes the account. Whoever has it can read the mail of the address."""
    return f"{settings.PUBLIC_URL}/signup/finish?{urlencode({'token': signing.dumps(pending.pk, salt=SALT)})}"


def pending_of(token: str) -> PendingSignup | None:
    """The sign-up a link is for, or None: changed, used or too old."""
    try:
        number = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    return PendingSignup.objects.filter(pk=number, expires_at__gt=timezone.now()).first()


def reset_link(account: Account, onward: str) -> str:
    token = default_token_generator.make_token(account)
    return f"{settings.PUBLIC_URL}/password/reset/{account.key}/{token}?{urlencode({'next': onward})}"


@handles(SIGNUP, non_transactional=True)
@in_her_language
def mail_signup(payload: dict[str, Any]) -> None:
    pending = PendingSignup.objects.filter(pk=payload["pending"]).first()
    if pending is None:
        return
    if is_email_taken(pending.email):
        _send(pending.email, _("You already have an account"), "known", {"login": f"{settings.PUBLIC_URL}/login"})
    else:
        _send(pending.email, _("Finish your sign-up"), "finish", {"link": finish_link(pending)})


@handles(RESET, non_transactional=True)
@in_her_language
def mail_reset(payload: dict[str, Any]) -> None:
    """Nobody hears from us who has no account here: an address alone is no reason to write."""
    account = next((each for each in accounts_of_address(payload["email"]) if not account_block(each)), None)
    if account is not None:
        _send(account.email, _("Choose a new password"), "reset", {"link": reset_link(account, payload["next"])})


@handles(NOTICE, non_transactional=True)
@in_her_language
def mail_notice(payload: dict[str, Any]) -> None:
    account = Account.objects.filter(pk=payload["account"]).first()
    to = (payload.get("to") or mailbox_of(account)) if account else ""
    if not to:
        return
    subject, sentence = NOTICES[payload["what"]]
    context = {
        "sentence": _(sentence).format(email=to),
        "at": payload["at"],
        "page": f"{settings.PUBLIC_URL}/me/security",
    }
    _send(to, _(subject), "notice", context)


def mailbox_of(account: Account) -> str:
    """Her own address: of the account, or what her provider told us."""
    document: dict[str, Any] = getattr(getattr(account, "profile", None), "document", {})
    return str(account.email or document.get("email") or "")


def _send(to: str, subject: str, name: str, context: dict[str, str]) -> None:
    body = render_to_string(f"signin/mail/{name}.txt", {**context, "email": to, "house": settings.PUBLIC_URL})
    send_mail(subject, body, None, [to])
