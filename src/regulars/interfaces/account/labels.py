"""Labels of a customer's data, in the customer's language.

Names of standard attributes, answers and events are translated. What the business named, or renamed, is shown as written:
no translation of it exists.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from regulars.profiles.derive import country_name
from regulars.usecases.customer_data import CustomerFact, PurposeStatus

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
DISCLOSURE = {
    "attempted": gettext_noop("May have received it"),
    "sent": gettext_noop("Received it"),
    "removing": gettext_noop("Asked to delete it; not confirmed yet"),
    "removed": gettext_noop("Has deleted it"),
    "failed": gettext_noop("Could not be asked to delete it; we are looking into it"),
}
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


# The console speaks of the customer; the customer's own page speaks to them.
FOR_CUSTOMER = {
    "Median household income of their area": gettext_noop("Median household income of your area"),
    "Median age of their area": gettext_noop("Median age of your area"),
    "Country of their network": gettext_noop("Country of your network"),
    "Region of their network": gettext_noop("Region of your network"),
    "Domain of their e-mail": gettext_noop("Domain of your e-mail"),
    "Country of their phone": gettext_noop("Country of your phone"),
}
ATTRIBUTES = (
    gettext_noop("E-mail"),
    gettext_noop("E-mail verified"),
    gettext_noop("Phone"),
    gettext_noop("Phone verified"),
    gettext_noop("User name"),
    gettext_noop("Name"),
    gettext_noop("First name"),
    gettext_noop("Last name"),
    gettext_noop("Nickname"),
    gettext_noop("Picture"),
    gettext_noop("Language"),
    gettext_noop("Gender"),
    gettext_noop("Date of birth"),
    gettext_noop("Age"),
    gettext_noop("Interests"),
    gettext_noop("City"),
    gettext_noop("Postal code"),
    gettext_noop("Country"),
    gettext_noop("Continent"),
    gettext_noop("Region"),
    gettext_noop("Time zone"),
    gettext_noop("Kind of e-mail address"),
    gettext_noop("Kind of phone"),
    gettext_noop("Phone, as machines dial it"),
    gettext_noop("Employer"),
    gettext_noop("Job title"),
)
OPTIONS = (
    gettext_noop("18 to 24"),
    gettext_noop("25 to 34"),
    gettext_noop("35 to 44"),
    gettext_noop("45 to 54"),
    gettext_noop("55 or older"),
    gettext_noop("Woman"),
    gettext_noop("Man"),
    gettext_noop("Another word fits me better"),
    gettext_noop("Africa"),
    gettext_noop("Asia"),
    gettext_noop("Europe"),
    gettext_noop("North America"),
    gettext_noop("Oceania"),
    gettext_noop("South America"),
    gettext_noop("A company's"),
    gettext_noop("A free provider's"),
    gettext_noop("A throw-away one"),
)
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
)


def network(provider: str) -> str:
    return _(NETWORKS[provider]) if provider in NETWORKS else provider.replace("-", " ").capitalize()


def source(fact: CustomerFact) -> str:
    """Name the source of a fact: `question:looking_for@1` → `Your answer to “What are you looking for?”`."""
    if fact.follows_from:
        return _("Follows from your {facts}").format(facts=", ".join(fact.follows_from).lower())
    kind, rest = fact.source.partition(":")[::2]
    what = rest.split("@")[0].replace("_", " ").replace("-", " ")
    match kind:
        case "customer":
            return _("You, on this page")
        case "staff":
            return _("Our staff, for you")
        case "question":
            return _("Your answer to “{question}”").format(question=fact.source_label or what)
        case "app":
            if fact.source_label:
                return _("Your answer to “{question}”").format(question=fact.source_label)
            if rest in FIRST_PARTY:
                return _(FIRST_PARTY[rest])
            if not fact.app_name:
                return _("An app of ours that is no longer here")
            if fact.source_kind == "observed":
                return _("What you did in “{app}”").format(app=fact.app_name)
            return _("The app “{app}”").format(app=fact.app_name)
        case "rule":
            return _("A rule of ours, “{name}”").format(name=what)
        case "source":
            return _("Looked up at “{name}”").format(name=what)
        case "import":
            return _("A list of ours, “{name}”").format(name=what)
    return network(fact.source)


def value(attribute: str, raw: Any, options: dict[str, str] | None = None) -> str:
    match raw:
        case bool():
            return _("Yes") if raw else _("No")
        case list():
            return ", ".join(value(attribute, each, options) for each in raw)
        case dict():
            return ", ".join(f"{key}: {value(key, each)}" for key, each in raw.items())
        case str() if attribute.endswith("country"):
            return country_name(raw)
    return (options or {}).get(str(raw), str(raw))


def consent_status(stand: PurposeStatus) -> str:
    """Describe the consent status of a purpose in a few words."""
    if stand.barred:
        return _("Off: by your date of birth you are too young to allow this")
    if stand.outdated:
        return _("Off: this covers more than when you said yes")
    if not stand.status:
        return _(BASIS.get(stand.basis, NEVER_ASKED))
    decision = _(STATUS.get(stand.status, stand.status))
    return f"{_('On') if stand.is_open else _('Off')}: {decision}"


def label(name: str) -> str:
    """Translate the name of an attribute, of an answer or of an event. A name that the business wrote stays as it is."""
    return _(FOR_CUSTOMER.get(name, name)) if name else ""


def translated(fact: CustomerFact) -> CustomerFact:
    return replace(
        fact,
        label=label(fact.label),
        options={key: label(text) for key, text in fact.options.items()},
        follows_from=tuple(label(each) for each in fact.follows_from),
    )
