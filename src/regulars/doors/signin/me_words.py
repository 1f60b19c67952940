"""What is kept about her, in words for her."""

from __future__ import annotations

from typing import Any

from regulars.flows.about import Known, Stand
from regulars.profiles.derive import country_name

NETWORKS = {
    "google-oauth2": "Google",
    "facebook": "Facebook",
    "linkedin": "LinkedIn",
    "windowslive": "Microsoft",
    "twitter": "X",
    "github": "GitHub",
    "auth0": "E-mail and password",
    "anonymous": "A visit before you signed in",
    "external": "A customer number of ours",
}
OURS = {"signin": "You, when you signed up"}
WHY_NOT = {
    "blocked": "Kept, but not used: you took your yes back.",
    "ran_out": "Too old to be used.",
    "taken_back": "Taken back; it goes for good in a while.",
    "another_wins": "Not used: another source counts more.",
}
STATUS = {
    "given": "You said yes",
    "imported": "You said yes elsewhere",
    "refused": "You said no",
    "withdrawn": "You took your yes back",
    "objected": "You objected",
    "objection_lifted": "You took your objection back",
    "expired": "Your yes ran out",
    "gpc": "Your browser said “do not share”",
}
TOLD = {
    "attempted": "May have been told",
    "sent": "Was told",
    "removing": "Asked to delete it; not confirmed yet",
    "removed": "Has deleted it",
    "failed": "Could not be asked to delete it; we are looking into it",
}


def network(provider: str) -> str:
    return NETWORKS.get(provider, provider.replace("-", " ").capitalize())


def source(fact: Known) -> str:
    """Who told us: `question:looking_for@1` → `Your answer to “What are you looking for?”`."""
    if fact.follows_from:
        return f"Follows from your {', '.join(fact.follows_from).lower()}"
    kind, _, rest = fact.source.partition(":")
    what = rest.partition("@")[0].replace("_", " ").replace("-", " ")
    match kind:
        case "customer":
            return "You, on this page"
        case "staff":
            return "Our staff, for you"
        case "question":
            return f"Your answer to “{fact.source_label or what}”"
        case "app":
            return OURS.get(
                rest, f"The app “{what}”" if fact.source_kind != "observed" else f"What you did in “{what}”"
            )
        case "rule":
            return f"A rule of ours, “{what}”"
        case "source":
            return f"Looked up at “{what}”"
        case "import":
            return f"A list of ours, “{what}”"
    return network(fact.source)


def value(attribute: str, raw: Any, options: dict[str, str] | None = None) -> str:
    match raw:
        case bool():
            return "Yes" if raw else "No"
        case list():
            return ", ".join(value(attribute, each, options) for each in raw)
        case dict():
            return ", ".join(f"{key}: {value(key, each)}" for key, each in raw.items())
        case str() if attribute.endswith("country"):
            return country_name(raw)
    return (options or {}).get(str(raw), str(raw))


def status(stand: Stand) -> str:
    """Where she stands, in a few words."""
    if stand.barred:
        return "Off: by your date of birth you are too young to allow this"
    if stand.outdated:
        return "Off: this covers more than when you said yes"
    if not stand.status:
        return {"contract": "On: part of your account", "legitimate_interest": "On, unless you object"}.get(
            stand.basis, "Off: you have not been asked"
        )
    return f"{'On' if stand.is_open else 'Off'}: {STATUS.get(stand.status, stand.status).lower()}"
