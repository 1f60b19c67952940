"""Filters and tags of the console: numbers, dates, labels of stored keys, charts and navigation."""

from __future__ import annotations

import datetime as dt
import json
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from django import template
from django.template import Context
from django.templatetags.static import static
from django.urls import is_valid_path, resolve
from django.utils.html import format_html
from django.utils.safestring import SafeString

from regulars.base import clock
from regulars.consent.models import Purpose
from regulars.consent.uses import WHY_STOPPED, why_no_row, why_no_segment
from regulars.insights.run_chart import ChartResult
from regulars.profiles.models import Profile
from regulars.segments.small_groups import SMALL_GROUP, rounded
from regulars.usecases.find_customers import customer_name

from ..pages import may, reading_role
from ..views.theme import theme_of

register = template.Library()

NAVIGATION = (
    ("/console/", "Home"),
    ("/console/customers", "Customers"),
    ("/console/segments", "Segments"),
    ("/console/questions", "Questions"),
    ("/console/rules", "Rules"),
    ("/console/connections", "Connections"),
    ("/console/sources", "Sources"),
    ("/console/destinations", "Destinations"),
    ("/console/applications", "Applications"),
    ("/console/privacy", "Privacy"),
)


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
CONSENT_LABELS = {
    "given": "Yes",
    "refused": "No",
    "withdrawn": "Withdrawn",
    "objected": "Objected",
    "objection_lifted": "Objection lifted",
    "expired": "Expired",
    "gpc": "Browser signal (GPC)",
    "imported": "Yes (imported)",
}
TIME_UNITS = ((86400 * 365, "year"), (86400 * 30, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))


@register.inclusion_tag("console/parts/navigation.html", takes_context=True)
def navigation(context: Context) -> dict[str, Any]:
    request = context["request"]
    here = request.path
    return {
        "items": [
            {
                "address": address,
                "word": word,
                "here": here == address or (len(address) > 9 and here.startswith(address)),
            }
            for address, word in NAVIGATION
            if is_valid_path(address) and may(request, reading_role(resolve(address).func))
        ]
    }


@register.simple_tag(takes_context=True)
def theme_attribute(context: Context) -> str:
    """Return ` data-theme="dark"` for a chosen theme; nothing when the system decides."""
    theme = theme_of(context["request"]) if "request" in context else ""
    return format_html(' data-theme="{}"', theme) if theme else ""


@register.inclusion_tag("console/parts/theme.html", takes_context=True)
def theme_buttons(context: Context) -> dict[str, Any]:
    chosen = theme_of(context["request"])
    return {
        "themes": [
            (value, word, value == chosen) for value, word in (("", "Auto"), ("light", "Light"), ("dark", "Dark"))
        ]
    }


@register.filter
def why_no_rows(purpose: Purpose) -> str:
    """Return why no row about one person leaves for a purpose; empty: it may."""
    return WHY_STOPPED.get(why_no_row(purpose), "")


@register.filter
def why_no_members(purpose: Purpose) -> str:
    """Return why a segment of this purpose is stopped; empty: it is not."""
    return WHY_STOPPED.get(why_no_segment(purpose), "")


@register.filter
def number(value: float | None) -> str:
    """Return `1,240` for 1240; an en dash for None."""
    return "–" if value is None else f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


@register.filter
def percent(part: float, whole: float) -> str:
    """Return `12 %`; an en dash when the whole is 0."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


def in_words(past: dt.timedelta) -> str:
    """Return `3 days ago`, or `in 2 hours` for the future."""
    seconds = past.total_seconds()
    for size, unit in TIME_UNITS:
        count = int(abs(seconds) // size)
        if count:
            plural = "" if count == 1 else "s"
            return f"{count} {unit}{plural} ago" if seconds > 0 else f"in {count} {unit}{plural}"
    return "just now"


@register.filter
def ago(moment: dt.datetime | None) -> str:
    """Return a `<time>` in words: `3 days ago`."""
    if moment is None:
        return "never"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        moment.strftime("%Y-%m-%d %H:%M UTC"),
        in_words(clock.now() - moment),
    )


@register.filter
def day(moment: dt.datetime | None) -> str:
    if moment is None:
        return "–"
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(), f"{moment:%-d %b %Y}")


@register.filter
def pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)


@register.filter
def plain_value(value: Any) -> str:
    """Return text without quotes, lists with commas, anything deeper as JSON."""
    if isinstance(value, list) and not any(isinstance(each, list | dict) for each in value):
        return ", ".join(map(plain_value, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


@register.filter
def source(name: str) -> str:
    """Return the label of a fact's source: `Google`, `Answer to looking for`, `App shop, answer to looking for`."""
    kind, _, rest = name.partition(":")
    if not rest:
        return provider(kind)
    app, _, question = rest.partition(":")
    if kind == "app" and question:
        return f"App {app}, answer to {question.partition('@')[0].replace('_', ' ')}"
    return f"{SOURCE_PREFIXES.get(kind, kind.capitalize())} {rest.partition('@')[0].replace('_', ' ')}"


@register.filter
def provider(key: str) -> str:
    return PROVIDERS.get(key, key.replace("-", " ").capitalize())


@register.filter
def consent_action(action: str) -> str:
    """Return the label of a consent decision."""
    return CONSENT_LABELS.get(action, action)


@register.inclusion_tag("console/parts/count_bar.html")
def count_bar(inside: int, unknown: int, outside: int, exact: bool = True) -> dict[str, Any]:
    """Draw the counts in, unknown and out as numbers and one bar, which is as exact as the numbers."""
    if not exact:
        inside, unknown, outside = rounded(inside), rounded(unknown), rounded(outside)
    everybody = max(inside + unknown + outside, 1)
    return {
        "inside": people(inside, exact),
        "unknown": people(unknown, exact),
        "outside": people(outside, exact),
        "inside_width": round(min(100 * inside / everybody, 100), 2),
        "unknown_width": round(min(100 * unknown / everybody, 100), 2),
    }


@register.filter
def people(count: int, exact: bool = True) -> str:
    """Return the number of customers; for a role that may not see them rounded, and not at all when they are few."""
    if exact:
        return number(count)
    return number(rounded(count)) if rounded(count) else f"fewer than {SMALL_GROUP}"


@register.simple_tag(takes_context=True)
def with_query(context: Context, **changes: Any) -> str:
    """Return the address of this page with some of its query changed; an empty value removes the key."""
    query = context["request"].GET.copy()
    for key, value in changes.items():
        if value in (None, ""):
            query.pop(key, None)
        else:
            query[key] = str(value)
    return f"?{query.urlencode()}"


@register.filter
def provider_mark(key: str) -> SafeString:
    """Return a provider's letter in a circle and its label."""
    word = provider(key)
    return format_html(
        '<span class="provider"><span class="mark" aria-hidden="true">{}</span> {}</span>', word[:1], word
    )


register.filter("customer_name", customer_name)


@register.simple_tag
def customer_address(profile: Profile) -> str:
    """Return the address of a customer's page; a user id may contain any character."""
    return "/console/customers/" + quote(profile.user_id, safe="")


@register.simple_tag
def chart_scripts() -> SafeString:
    """Load the drawing library, by version so that a browser may keep it for a year, and its starter."""
    return format_html(
        '<script src="/console/charts.js?v={}" defer></script><script src="{}" defer></script>',
        version("vl-convert-python"),
        static("console/charts.js"),
    )


@register.inclusion_tag("console/parts/chart.html")
def chart_of(chart: ChartResult, note: str = "") -> dict[str, Any]:
    """Show a chart and the same figures as a table."""
    return {"chart": chart, "spec": json.dumps(chart.spec), "note": note}
