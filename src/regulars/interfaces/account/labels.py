"""Labels of a customer's data, in the customer's language.

Attributes, purposes and questions bring their translations with them. Names of standard events are translated here; what
else the business named is shown as written.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from babel import Locale, UnknownLocaleError
from django.utils.formats import date_format
from django.utils.translation import get_language, gettext_noop, to_locale
from django.utils.translation import gettext as _

from regulars.base.errors import DomainError
from regulars.profiles.derive import country_name
from regulars.usecases.customer_data import PurposeStatus

A_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
NETWORKS = {
    "google-oauth2": "Google",
    "facebook": "Facebook",
    "linkedin": "LinkedIn",
    "windowslive": "Microsoft",
    "twitter": "X",
    "github": "GitHub",
    "auth0": gettext_noop("E-mail and password"),
    "anonymous": gettext_noop("A visit before you signed in"),
    "external": gettext_noop("A customer number of ours"),
}
FIRST_PARTY = {"signin": gettext_noop("You, when you signed up")}
WHY_NOT = {
    "blocked": gettext_noop("Kept, but not used: you took your yes back."),
    "expired": gettext_noop("Too old to be used."),
    "retracted": gettext_noop("Withdrawn; it will be deleted."),
    "fallen": gettext_noop("Not used: what it was concluded from has changed."),
    "another_wins": gettext_noop("Not used: another source counts more."),
    "replaced": gettext_noop("Not used: the same source has said something newer."),
    "confirms": gettext_noop("Confirms the value above."),
}
STATUS = {
    "given": gettext_noop("you said yes"),
    "imported": gettext_noop("you said yes elsewhere"),
    "refused": gettext_noop("you said no"),
    "withdrawn": gettext_noop("you took your yes back"),
    "objected": gettext_noop("you objected"),
    "objection_lifted": gettext_noop("you took your objection back"),
    "expired": gettext_noop("your yes ran out"),
    "gpc": gettext_noop("your browser said “do not share”"),
}
# How a decision came (`ConsentEvent.method`).
WAYS = {
    "login": gettext_noop("When you signed in"),
    "question": gettext_noop("Your answer to a question"),
    "profile": gettext_noop("You, on this page"),
    "staff": gettext_noop("Our staff, for you"),
    "import": gettext_noop("Taken over from another system"),
    "link": gettext_noop("A link in a message"),
    "header": gettext_noop("A setting of your browser"),
}
OTHER_WAY = gettext_noop("Our system")
DISCLOSURE = {
    "attempted": gettext_noop("May have received it"),
    "sent": gettext_noop("Received it"),
    "updating": gettext_noop("Asked to change or delete parts of it; not confirmed yet"),
    "not_updated": gettext_noop("Could not be asked to change it; we are looking into it"),
    "removing": gettext_noop("Asked to delete it; not confirmed yet"),
    "removed": gettext_noop("Has deleted it"),
    "failed": gettext_noop("Could not be asked to delete it; we are looking into it"),
}
# Of a use that ended: an address on a list of those who are not written to may stay there.
NOT_USED = gettext_noop("Has confirmed that it does not use it any more")
RECEIVED_REQUEST = gettext_noop("Has received our request to delete it")
REVOCATION = {
    "waiting": gettext_noop("Asked to end what you allowed; not confirmed yet"),
    "ended": gettext_noop("Has ended what you allowed"),
    "not_found": gettext_noop("There was nothing left to end"),
    "unable": gettext_noop("Only you can end it, in your settings there"),
    "failed": gettext_noop("Could not be asked; end it in your settings there"),
}
BASIS = {
    "contract": gettext_noop("On: part of your account"),
    "legitimate_interest": gettext_noop("On, unless you object"),
}
NEVER_ASKED = gettext_noop("Off: you have not been asked")


OUTCOME = {
    "shown": gettext_noop("You left it open"),
    "answered": gettext_noop("You answered"),
    "passed": gettext_noop("You chose “Not now”"),
    "never": gettext_noop("You asked not to be asked again"),
    "declined": gettext_noop("You preferred not to say"),
    "dont_know": gettext_noop("You did not know"),
}
# Kinds of `usecases.retention`; counts that name no customer are left out.
RETENTION = {
    "retracted": gettext_noop("What was corrected or deleted"),
    "closed": gettext_noop("What you took your yes back for"),
    "inbox": gettext_noop("Messages of our apps, as received"),
    "refused": gettext_noop("Messages of our apps that were refused"),
    "rule_runs": gettext_noop("Records of our sign-in rules"),
    "provider_answers": gettext_noop("What networks sent when you signed in"),
    "lookups": gettext_noop("What we looked up elsewhere"),
    "deliveries": gettext_noop("Records of what we sent to others"),
    "deletion_requests": gettext_noop("What others know you by, if they do not confirm that they erased you"),
    "questions_shown": gettext_noop("Questions that you were shown and did not answer"),
    "mails": gettext_noop("Mails to you that were written into files"),
    "failed_jobs": gettext_noop("Work of ours that failed"),
    "staff_log": gettext_noop("Records of what our people did with your data"),
    "events": gettext_noop("What you did"),
    "visitors": gettext_noop("Visits without signing in"),
    "customers": gettext_noop("Accounts that are no longer used"),
    "ledger": gettext_noop("What was allowed or refused, without a name, after an erasure"),
    "erased_ids": gettext_noop("Fingerprints that keep erased data from coming back"),
    "journal": gettext_noop("Records that keep your withdrawals and deletions when a backup is restored"),
}
# Package of a table → what it holds, for the proof of erasure.
KEPT_IN = {
    "profiles": gettext_noop("What we knew about you"),
    "accounts": gettext_noop("How you signed in"),
    "account": gettext_noop("How you signed in"),
    "mfa": gettext_noop("How you signed in"),
    "proofs": gettext_noop("How you signed in"),
    "sessions": gettext_noop("How you signed in"),
    "usersessions": gettext_noop("How you signed in"),
    "connections": gettext_noop("How you signed in"),
    "oauth": gettext_noop("Apps you signed in to"),
    "clients": gettext_noop("Apps you signed in to"),
    "consent": gettext_noop("What you decided"),
    "questions": gettext_noop("What you were asked"),
    "events": gettext_noop("What you did"),
    "segments": gettext_noop("Groups you were in"),
    "destinations": gettext_noop("Records of what was disclosed"),
    "enrichment": gettext_noop("What we looked up elsewhere"),
    "rules": gettext_noop("Records of our sign-in rules"),
}
KEPT_ELSEWHERE = gettext_noop("Other records")


# Errors whose own messages name keys, or speak to staff and programs: code → what the customer reads.
PROBLEMS = {
    "needs_no_consent": gettext_noop("This needs no yes: it is part of your account, or you may object to it instead."),
    "unknown_purpose": gettext_noop("This is not asked for any more."),
    "reason_too_long": gettext_noop("The reason is too long. Shorten it."),
    "too_long": gettext_noop("This is too long. Shorten it."),
}


EVENTS = (
    gettext_noop("Signed Up"),
    gettext_noop("Signed In"),
    gettext_noop("Question Answered"),
    gettext_noop("Question Passed"),
    gettext_noop("Question Declined"),
    gettext_noop("Question Left Open"),
    gettext_noop("Profile Corrected"),
    gettext_noop("Earlier Access Ended"),
    gettext_noop("Account Credential Changed"),
    gettext_noop("Stopped Sharing"),
    # Segment's names for what shops report
    gettext_noop("Page Viewed"),
    gettext_noop("Screen Viewed"),
    gettext_noop("Identified"),
    gettext_noop("Products Searched"),
    gettext_noop("Product List Viewed"),
    gettext_noop("Product Clicked"),
    gettext_noop("Product Viewed"),
    gettext_noop("Product Added"),
    gettext_noop("Product Removed"),
    gettext_noop("Cart Viewed"),
    gettext_noop("Checkout Started"),
    gettext_noop("Order Completed"),
    gettext_noop("Order Cancelled"),
    gettext_noop("Order Refunded"),
)


def problem(error: DomainError) -> str:
    return _(PROBLEMS.get(error.code, error.message))


def humanised(key: str) -> str:
    """Return the last part of a key in words, for what has no name: `app_metadata.plan_name` → `Plan name`, `https://shop.example/tier` → `Tier`."""
    return re.sub(r"[_\W]+", " ", re.split(r"[./]", key.rstrip("/"))[-1]).strip().capitalize()


def disclosure(state: str, *, erased: bool, carried_out: bool) -> str:
    """Return what a recipient has done so far. Only who was asked to erase the customer, and did, "has deleted it"."""
    if state != "removed":
        return _(DISCLOSURE[state])
    if not carried_out:
        return _(RECEIVED_REQUEST)
    return _(DISCLOSURE[state] if erased else NOT_USED)


def value(attribute: str, raw: Any, options: dict[str, str] | None = None) -> str:
    """Write a value in the language of the page: a country, a language and a day by their names."""
    match raw:
        case bool():
            return _("Yes") if raw else _("No")
        case list():
            return ", ".join(value(attribute, each, options) for each in raw)
        case dict():
            return ", ".join(value(key, each) for key, each in raw.items())
        case str() if options and raw in options:
            return options[raw]
        case str() if attribute.endswith("country"):
            return country_name(raw, _locale())
        case str() if attribute == "locale":
            return _language_name(raw)
        case str() if A_DAY.fullmatch(raw):
            return _day(raw)
    return (options or {}).get(str(raw), str(raw))


def _locale() -> str:
    """Return the language of the page as Babel writes it."""
    return to_locale(get_language() or "en")


def _language_name(tag: str) -> str:
    try:
        return str(Locale.parse(tag.replace("-", "_")).get_display_name(_locale()) or tag)
    except (UnknownLocaleError, ValueError):
        return tag


def _day(text: str) -> str:
    try:
        return date_format(dt.date.fromisoformat(text), "DATE_FORMAT")
    except ValueError:
        return text


def consent_status(stand: PurposeStatus) -> str:
    """Describe the consent status of a purpose in a few words."""
    if stand.barred:
        return _("Off: by your date of birth you are too young to allow this")
    if stand.outdated:
        return _("Off: this covers more than when you said yes")
    if stand.restricted and stand.may_end and stand.basis != "contract":
        return _("Off while the use of your data is restricted")
    if not stand.status:
        return _(BASIS.get(stand.basis, NEVER_ASKED))
    if stand.is_open and stand.is_partial:
        return _("On for single things that you shared or answered, not for all of it")
    decision = _(STATUS[stand.status])
    return (_("On: {decision}") if stand.is_open else _("Off: {decision}")).format(decision=decision)


def event_name(name: str) -> str:
    """Translate the name of an event. A name that the business wrote stays as it is."""
    return _(name) if name else ""
