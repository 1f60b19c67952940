"""What templates of the console say again and again."""

from __future__ import annotations

import datetime as dt
import json
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from django import template
from django.template import Context
from django.templatetags.static import static
from django.urls import is_valid_path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from regulars.base import clock
from regulars.insights.answer import Answer
from regulars.profiles.models import Profile
from regulars.segments.count import SMALL_GROUP
from regulars.usecases.find_customers import customer_name

from .. import words
from ..theme import theme_of

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


@register.inclusion_tag("console/parts/navigation.html", takes_context=True)
def navigation(context: Context) -> dict[str, Any]:
    here = context["request"].path
    return {
        "items": [
            {
                "address": address,
                "word": word,
                "here": here == address or (len(address) > 9 and here.startswith(address)),
            }
            for address, word in NAVIGATION
            if is_valid_path(address)
        ]
    }


@register.simple_tag(takes_context=True)
def theme_attribute(context: Context) -> str:
    """` data-theme="dark"` when the person chose; nothing when the system decides."""
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
def number(value: float | None) -> str:
    """1240 → `1,240`; nothing → an en dash."""
    return "–" if value is None else f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


@register.filter
def percent(part: float, whole: float) -> str:
    """`12 %`, or an en dash of nothing."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


@register.filter
def ago(moment: dt.datetime | None) -> str:
    """`<time>` in words: `3 days ago`."""
    if moment is None:
        return "never"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        moment.strftime("%Y-%m-%d %H:%M UTC"),
        words.ago(clock.now() - moment),
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
    """A value as people read it: text without quotes, lists with commas, anything deeper as JSON."""
    if isinstance(value, list) and not any(isinstance(each, list | dict) for each in value):
        return ", ".join(map(plain_value, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


@register.filter
def source(name: str) -> str:
    """Who said so, in words: `google-oauth2` → `Google`."""
    return words.source(name)


@register.inclusion_tag("console/parts/count_bar.html")
def count_bar(inside: int, unknown: int, outside: int, exact: bool = True) -> dict[str, Any]:
    """The three-valued count: in, unknown, out, as words and as one bar of 100 units; small groups unless `exact`."""
    everybody = max(inside + unknown + outside, 1)
    inside_drawn, unknown_drawn = (_drawn(part, exact) for part in (inside, unknown))
    return {
        "inside": people(inside, exact),
        "unknown": people(unknown, exact),
        "outside": people(outside, exact),
        "inside_width": round(min(100 * inside_drawn / everybody, 100), 2),
        "unknown_width": round(min(100 * unknown_drawn / everybody, 100), 2),
    }


@register.filter
def people(count: int, exact: bool = True) -> str:
    """How many people; a small group is not counted out to whoever may not see people."""
    return number(count) if exact or not 0 < count < SMALL_GROUP else f"fewer than {SMALL_GROUP}"


def _drawn(count: int, exact: bool) -> int:
    """A bar of nearly nobody is as long as one of the fewest that are counted."""
    return count if exact or count == 0 else max(count, SMALL_GROUP)


@register.simple_tag(takes_context=True)
def with_query(context: Context, **changes: Any) -> str:
    """The address of this page with some of its query changed; an empty value takes the key away."""
    query = context["request"].GET.copy()
    for key, value in changes.items():
        if value in (None, ""):
            query.pop(key, None)
        else:
            query[key] = str(value)
    return f"?{query.urlencode()}"


@register.filter
def provider_mark(provider: str) -> SafeString:
    """A provider's letter in a circle and its word."""
    word = words.provider(provider)
    return format_html('<span class="way"><span class="mark" aria-hidden="true">{}</span> {}</span>', word[:1], word)


register.filter("customer_name", customer_name)


@register.simple_tag
def customer_address(profile: Profile) -> str:
    """Where a customer's page is; a user id may hold any character."""
    return "/console/customers/" + quote(profile.user_id, safe="")


@register.simple_tag
def chart_scripts() -> SafeString:
    """The drawing library (by version, so that a browser may keep it for a year) and what starts it."""
    return format_html(
        '<script src="/console/charts.js?v={}" defer></script><script src="{}" defer></script>',
        version("vl-convert-python"),
        static("console/charts.js"),
    )


@register.inclusion_tag("console/parts/chart.html")
def chart_of(chart: Answer, note: str = "") -> dict[str, Any]:
    """A chart and the same figures as a table."""
    return {"chart": chart, "spec": json.dumps(chart.spec), "note": note}
