"""What is kept about her, in words for her."""

from __future__ import annotations

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
OURS = {"signin": gettext_noop("You, when you signed up")}
WHY_NOT = {
    "blocked": gettext_noop("Kept, but not used: you took your yes back."),
    "ran_out": gettext_noop("Too old to be used."),
    "taken_back": gettext_noop("Taken back; it goes for good in a while."),
    "another_wins": gettext_noop("Not used: another source counts more."),
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
TOLD = {
    "attempted": gettext_noop("May have been told"),
    "sent": gettext_noop("Was told"),
    "removing": gettext_noop("Asked to delete it; not confirmed yet"),
    "removed": gettext_noop("Has deleted it"),
    "failed": gettext_noop("Could not be asked to delete it; we are looking into it"),
}
ENDING = {
    "waiting": gettext_noop("Asked to end what you allowed; not confirmed yet"),
    "ended": gettext_noop("Has ended what you allowed"),
    "not_found": gettext_noop("There was nothing left to end"),
    "unable": gettext_noop("Only you can end it, in your settings there"),
    "failed": gettext_noop("Could not be asked; end it in your settings there"),
}
UNASKED = {
    "contract": gettext_noop("On: part of your account"),
    "legitimate_interest": gettext_noop("On, unless you object"),
}
NEVER_ASKED = gettext_noop("Off: you have not been asked")


def network(provider: str) -> str:
    return _(NETWORKS[provider]) if provider in NETWORKS else provider.replace("-", " ").capitalize()


def source(fact: CustomerFact) -> str:
    """Who told us: `question:looking_for@1` → `Your answer to “What are you looking for?”`."""
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
            if rest in OURS:
                return _(OURS[rest])
            if fact.source_kind == "observed":
                return _("What you did in “{app}”").format(app=what)
            return _("The app “{app}”").format(app=what)
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


def status(stand: PurposeStatus) -> str:
    """Where she stands, in a few words."""
    if stand.barred:
        return _("Off: by your date of birth you are too young to allow this")
    if stand.outdated:
        return _("Off: this covers more than when you said yes")
    if not stand.status:
        return _(UNASKED.get(stand.basis, NEVER_ASKED))
    said = _(STATUS.get(stand.status, stand.status))
    return f"{_('On') if stand.is_open else _('Off')}: {said}"
