"""The house's own keys in a marketer's words."""

from __future__ import annotations

import datetime as dt

PROVIDERS = {
    "auth0": "Password",
    "email": "Code by e-mail",
    "google-oauth2": "Google",
    "facebook": "Facebook",
    "twitter": "X",
    "github": "GitHub",
    "amazon": "Amazon",
    "linkedin": "LinkedIn",
    "oidc": "OpenID",
    "apple": "Apple",
    "windowslive": "Microsoft",
    "anonymous": "Visitor",
    "external": "Import",
}
SOURCE_PREFIXES = {
    "question": "Answer to",
    "rule": "Rule",
    "app": "App",
    "source": "Lookup",
    "derived": "Follows from",
    "model": "Model",
    "import": "Import",
}
CONSENT_WORDS = {
    "given": "Yes",
    "refused": "No",
    "withdrawn": "Withdrawn",
    "objected": "Objected",
    "objection_lifted": "Objection lifted",
    "expired": "Ran out",
    "gpc": "Browser says do not share",
    "imported": "Yes (imported)",
}
_STEPS = ((86400 * 365, "year"), (86400 * 30, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))


def provider(key: str) -> str:
    return PROVIDERS.get(key, key.replace("-", " ").capitalize())


def source(name: str) -> str:
    """`question:looking_for@1` → `Answer to looking for`; `app:shop:looking_for@1` → the same, in the app."""
    kind, _, rest = name.partition(":")
    if not rest:
        return provider(kind)
    app, _, asked = rest.partition(":")
    if kind == "app" and asked:
        return f"App {app}, answer to {asked.partition('@')[0].replace('_', ' ')}"
    what = rest.partition("@")[0].replace("_", " ")
    return f"{SOURCE_PREFIXES.get(kind, kind.capitalize())} {what}"


def consent(status: str) -> str:
    return CONSENT_WORDS.get(status, status)


def ago(gone: dt.timedelta) -> str:
    """`3 days ago`; `in 2 hours` for what is still to come."""
    seconds = gone.total_seconds()
    for size, unit in _STEPS:
        count = int(abs(seconds) // size)
        if count:
            plural = "" if count == 1 else "s"
            return f"{count} {unit}{plural} ago" if seconds > 0 else f"in {count} {unit}{plural}"
    return "just now"
