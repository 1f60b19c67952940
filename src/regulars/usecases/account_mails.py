"""Mails about accounts, written by the worker: a page answers the same, and as fast, whatever address was entered."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypedDict, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.db.models import Q
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from regulars.accounts.models import Account, PendingSignup
from regulars.accounts.proofs import mailed_codes
from regulars.accounts.proofs.addresses import NAMES, EarlierAccess
from regulars.accounts.proofs.models import EmailCode
from regulars.base.email_address import readable_email
from regulars.base.errors import Invalid, Unavailable
from regulars.base.jobs.queues import delete_queue, pause_queue
from regulars.base.jobs.tasks import enqueue, handles
from regulars.base.page_language import page_language
from regulars.clients.branding import current_app
from regulars.consent.models import Restriction
from regulars.events.models import Event
from regulars.events.own_events import OwnEvent
from regulars.profiles.assertions import Place
from regulars.profiles.contacts import contacts_of
from regulars.profiles.document import values_at
from regulars.profiles.find import accounts_of_address, canonical_profile, is_email_taken, vouched_address
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import account_block

from .mail_message import Part, Sender, isolated, new_mail_id, write_mail
from .restrict import LIFTING, mark_informed

log = logging.getLogger("regulars.mail")

SIGNUP, RESET, NOTICE = "accounts.mail_signup", "accounts.mail_reset", "accounts.mail_notice"
CODE = "accounts.mail_code"
QUEUE = "mail"
PAUSE = 30.0  # seconds without mail after a fault of the server, in which the worker's threads do other work
OF_THE_MESSAGE = {"mail_recipient_refused", "mail_message_refused"}  # says nothing about other mails
ATTEMPTS = 14  # over about three hours, for a mail server that is down; a code is worth nothing after ten minutes
# The customer is notified of each of these, because it may not have been they who did it: name → subject and sentence.
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
            "A passkey that may have been copied was used to sign in as {email}. The sign-in was refused. "
            "Remove this passkey and add a new one."
        ),
    ),
    "connection_added": (
        gettext_noop("A login method was added"),
        gettext_noop("Another network can now sign in as {email}."),
    ),
    "login_method_removed": (
        gettext_noop("A login method was removed"),
        gettext_noop("A login method of {email} was removed. It is an account of its own again."),
    ),
    "accounts_linked": (
        gettext_noop("Two accounts were joined"),
        gettext_noop("Two accounts were joined, one of them with {email}. The login methods of each now open both."),
    ),
    "email_changed": (
        gettext_noop("The address of your account was changed"),
        gettext_noop("{email} is no longer the address of your account."),
    ),
    "earlier_access_ended": (
        gettext_noop("Your address was confirmed"),
        gettext_noop(
            "{email} was confirmed for the first time. So that no one else can open the account, this was ended: {ended}. "
            "It may have been your own: then set it up again."
        ),
    ),
    "codes_made": (
        gettext_noop("New recovery codes"),
        gettext_noop("New recovery codes were made for {email}. The old ones no longer work."),
    ),
}
SALT = "regulars.signup"


class MailJob(TypedDict, total=False):
    """The payload of a mail.

    `language` and `app` (a client id) are those of the page: the worker that writes the mail has no browser. Both are empty
    where no page of the customer's asked for the mail.
    """

    language: str
    app: str
    id: str  # of the mail: the same however often it is sent; none in jobs of earlier versions
    pending: int
    email: str
    next: str
    account: int
    what: str
    at: str
    to: str
    ended: list[str]  # values of `EarlierAccess`
    code: int
    template: str
    restriction: int


def mail_signup_link(pending: PendingSignup) -> None:
    _enqueue(SIGNUP, pending=pending.pk)


def mail_reset_link(email: str, onward: str) -> None:
    _enqueue(RESET, email=email, next=onward)


def notify(account: Account, what: str, to: str = "", ended: Iterable[EarlierAccess] = ()) -> None:
    """Write that something of `NOTICES` happened, where an address is known. `to`: the address before the change.

    `ended` is what the notice lists.
    """
    at = timezone.now().isoformat()
    _enqueue(NOTICE, account=account.pk, what=what, at=at, to=to, ended=list(ended))


def mail_code(expected: EmailCode, template: str) -> None:
    """Mail a code or a link. `template` is `code_and_link` for the hosted pages, `code` or `link` for apps."""
    asked_by = {"app": expected.client_id} if expected.client_id else {}
    _enqueue(CODE, code=expected.pk, template=template, **asked_by)


def signup_link(pending: PendingSignup) -> str:
    """Return the link that makes the account. Who has it can read the mail of the address."""
    return _link("/signup/finish", token=signing.dumps(pending.pk, salt=SALT))


def find_pending_signup(token: str) -> PendingSignup | None:
    """Return the sign-up of a link, or None when the link was changed, used or is too old."""
    try:
        number = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    return PendingSignup.objects.filter(pk=number, expires_at__gt=timezone.now()).first()


def address_of(account: Account) -> str:
    """Return where notices go: the account's address, a linked account's, or one that a provider vouches for.

    It is never the profile's e-mail, which may be the word of an event, an import or a provider that does not vouch: an
    attacker could have the customer's notices sent to themselves. Empty when there is none.
    """
    profile: Profile | None = getattr(account, "profile", None)
    if account.email or profile is None:
        return account.email
    linked = Account.objects.filter(profile__merged_into=profile).exclude(email="").order_by("pk").first()
    return linked.email if linked else vouched_address(profile)


def _enqueue(job: str, **payload: Any) -> None:
    common = {"language": page_language.get(), "id": new_mail_id()}
    enqueue(job, {"app": current_app.get(), **payload, **common}, queue=QUEUE)


def _translated(handler: Callable[[MailJob], None]) -> Callable[[dict[str, Any]], None]:
    """Write the mail in the language of the page that asked for it, else in that of its reader."""

    @wraps(handler)
    def write(payload: dict[str, Any]) -> None:
        job = cast(MailJob, payload)
        with translation.override(job.get("language") or _language_of_reader(job)):
            handler(job)

    return write


def _language_of_reader(job: MailJob) -> str:
    """Return the language in which the customer signed in last, else the one they are known to speak, else the default.

    An application, staff or the worker asked for the mail.
    """
    whole = _reader(job)
    if whole is None:
        return settings.LANGUAGE_CODE
    accounts = Account.objects.filter(Q(profile=whole) | Q(profile__merged_into=whole)).exclude(language="")
    latest = accounts.order_by("-last_login").values_list("language", flat=True).first()
    for tag in (latest, values_at(whole, Place.USERINFO).get("locale")):
        try:
            return translation.get_supported_language_variant(str(tag or "").replace("_", "-").lower())
        except LookupError:
            continue
    return settings.LANGUAGE_CODE


def _sender(job: MailJob) -> Sender:
    """Return the app of the page that asked for the mail; of a mail that no page asked for, the one last signed in to."""
    app = job.get("app", "")
    if not app and not job.get("language") and (whole := _reader(job)):
        signed_in = Event.objects.filter(profile_id=whole.pk, name=OwnEvent.SIGNED_IN, source=None)
        last = signed_in.order_by("-at").values_list("properties", flat=True).first() or {}
        app = str(last.get("client", ""))
    return Sender.of(app)


def _reader(job: MailJob) -> Profile | None:
    """Return the customer who reads the mail."""
    if "restriction" in job:
        restricted = Restriction.objects.filter(pk=job["restriction"]).select_related("profile__merged_into").first()
        return canonical_profile(restricted.profile) if restricted else None
    profile: Profile | None = getattr(_account_of(job), "profile", None)
    return canonical_profile(profile) if profile else None


def _account_of(job: MailJob) -> Account | None:
    if "account" in job:
        return Account.objects.filter(pk=job["account"]).first()
    email = job.get("email", "")
    if "pending" in job:
        email = PendingSignup.objects.filter(pk=job["pending"]).values_list("email", flat=True).first() or ""
    elif "code" in job:
        email = EmailCode.objects.filter(pk=job["code"]).values_list("email", flat=True).first() or ""
    return next(iter(accounts_of_address(email)), None) if email else None


@handles(SIGNUP, ATTEMPTS, non_transactional=True)
@_translated
def send_signup(payload: MailJob) -> None:
    pending = PendingSignup.objects.filter(pk=payload["pending"]).first()
    if pending is None:
        return
    sender = _sender(payload)
    names = {"email": isolated(readable_email(pending.email)), "site": isolated(sender.name)}
    if is_email_taken(pending.email):
        lead = _(
            "A sign-up with %(email)s at %(site)s was started, we think by you. You already have an account there."
        )
        parts = [
            Part(lead % names),
            Part(_("Sign in, or choose a new password:"), _link("/login"), _("Sign in")),
            Part(_("It was not you? Then do nothing. Nothing was changed.")),
        ]
        _send(payload, pending.email, _("You already have an account"), parts, sender)
    else:
        parts = [
            Part(_("A sign-up with %(email)s at %(site)s was started, we think by you.") % names),
            Part(_("Open this link to finish. It works for a day:"), signup_link(pending), _("Finish your sign-up")),
            Part(_("It was not you? Then do nothing. Without the link no account is made.")),
        ]
        _send(payload, pending.email, _("Finish your sign-up"), parts, sender)


@handles(RESET, ATTEMPTS, non_transactional=True)
@_translated
def send_reset(payload: MailJob) -> None:
    """Send nothing to an address without an account: an address alone is no reason to write."""
    account = next((each for each in accounts_of_address(payload["email"]) if not account_block(each)), None)
    if account is None:
        return
    token = default_token_generator.make_token(account)
    link = _link(f"/password/reset/{account.key}/{token}", next=payload["next"])
    sender = _sender(payload)
    names = {"email": isolated(readable_email(account.email)), "site": isolated(sender.name)}
    parts = [
        Part(_("A new password for %(email)s at %(site)s was asked for, we think by you.") % names),
        Part(
            _("Open this link to choose a new one. It works for an hour, and once:"), link, _("Choose a new password")
        ),
        Part(_("It was not you? Then do nothing. Your password stays as it is.")),
    ]
    _send(payload, account.email, _("Choose a new password"), parts, sender)


@handles(NOTICE, ATTEMPTS, non_transactional=True)
@_translated
def send_notice(payload: MailJob) -> None:
    account = Account.objects.filter(pk=payload["account"]).first()
    to = (payload.get("to") or address_of(account)) if account else ""
    if not to:
        return
    subject, sentence = NOTICES[payload["what"]]
    ended = [_(NAMES[EarlierAccess(each)]) for each in payload.get("ended", ())]
    advice = _(
        "It was you? Then there is nothing to do. It was not? Sign in here, sign out every device you do not know and "
        "choose a new password:"
    )
    parts = [
        Part(_(sentence).format(email=isolated(readable_email(to)), ended=", ".join(ended))),
        Part(_("When: %(at)s") % {"at": _written(payload["at"])}),
        Part(advice, _link("/me/security"), _("Password, second factor and devices")),
    ]
    _send(payload, to, _(subject), parts, _sender(payload))


def lifting_address(profile: Profile) -> str:
    """Return where the customer is informed of the end of a restriction: an account's address, or that of a contact."""
    if profile.account:
        return address_of(profile.account)
    emails = sorted(each for each in contacts_of(profile) if "@" in each)
    return emails[0] if emails else ""


@handles(LIFTING, ATTEMPTS, non_transactional=True)
@_translated
def send_lifting(payload: MailJob) -> None:
    """Inform a customer that a restriction will be lifted. Where no mail is accepted it is not lifted."""
    found = Restriction.objects.filter(pk=payload["restriction"], lifted_at=None, announced_at=None).first()
    to = lifting_address(found.profile) if found and found.lift_actor else ""
    if found is None or not to:
        return
    parts = [
        Part(_("You restricted the use of your data. The restriction will be lifted in three days.")),
        Part(_("Reason: %(reason)s") % {"reason": isolated(found.lift_reason)}),
        Part(_("You do not agree? Keep it restricted here:"), _link("/me") + "#restriction", _("Your data")),
    ]
    if _send(payload, to, _("The restriction of your data will be lifted"), parts, _sender(payload)):
        mark_informed(found)


@handles(CODE, non_transactional=True)
@_translated
def send_code(payload: MailJob) -> None:
    """Make the code and mail it: it exists from here on, and in clear text in the mail alone."""
    expected = EmailCode.objects.filter(pk=payload["code"]).first()
    if expected is None or expected.used_at:  # used: the worker was killed after it had sent the mail
        return
    digits, secret = mailed_codes.write(expected)
    link = _link("/code/open", link=secret)
    sender = _sender(payload)
    site, once = {"site": isolated(sender.name)}, Part(_("It works for ten minutes, once."))
    if payload["template"] == "link":
        parts = [
            Part(_("Open this link to sign in at %(site)s:") % site, link, _("Sign in")),
            once,
            Part(_("It was not you? Then do nothing.")),
        ]
        _send(payload, expected.email, _("Your sign-in link"), parts, sender)
        return
    or_link = _("It works for ten minutes, once. Or open this link in the browser in which you began:")
    parts = [
        Part(_("Your code for %(site)s is") % site),
        Part(digits, is_code=True),
        Part(or_link, link, _("Sign in")) if payload["template"] == "code_and_link" else once,
        Part(_("It was not you? Then do nothing, and share the code with no one.")),
    ]
    _send(payload, expected.email, _("Your sign-in code"), parts, sender)


def _link(path: str, **query: str) -> str:
    """Return the address of a page in the language of the mail: it may be opened in another browser."""
    return f"{settings.PUBLIC_URL}{path}?{urlencode({**query, 'ui_locales': translation.get_language()})}"


def _written(at: str) -> str:
    try:
        return isolated(date_format(dt.datetime.fromisoformat(at), "DATETIME_FORMAT")) + " UTC"
    except ValueError:  # queued by an earlier version, as text
        return at


def _send(job: MailJob, to: str, subject: str, parts: list[Part], sender: Sender) -> bool:
    """Send the mail of a job. Returns whether the server accepted it. An address that the mail server refuses for good is no fault of ours: anyone may enter one.

    While the server is down, each mail may hold a thread of the worker until it gives up waiting. So no other is tried
    meanwhile.
    """
    try:
        write_mail(to, subject, parts, sender, job.get("id", "")).send()
    except Invalid as refused:
        log.warning("mail_not_sent: the mail server refused the address for good (%s)", refused.code)
        return False
    except Unavailable as fault:
        if fault.code not in OF_THE_MESSAGE:
            pause_queue(QUEUE, PAUSE)  # and one mail at a time from then on, until one is sent
        raise
    delete_queue(QUEUE)
    return True
