"""Rules: in which order they run, how they fared, and those that are ready to switch on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from regulars.base.errors import DomainError
from regulars.base.plugins.fields import shown
from regulars.rules.models import Rule, RuleRun, RuleSetting
from regulars.rules.save import delete_setting, move_rule, order_rules, set_setting, switch_rule
from regulars.rules.templates import Template, all_templates, enable_template, get_template

from ..door import may, require, staff_page
from ..forms import FormError, done, problem_of, settings_drawn, settings_given

ROLE = "admin"
LATELY = 200  # runs looked at
SETTING_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")


@dataclass
class Record:
    """How a rule fared in the last runs; `last` is its newest."""

    runs: int = 0
    failures: int = 0
    last: RuleRun | None = None


@require_safe
@staff_page
def rules(request: HttpRequest) -> HttpResponse:
    return _page(request)


@require_POST
@staff_page
def switch(request: HttpRequest, slug: str) -> HttpResponse:
    require(request, ROLE)
    on = request.POST.get("on") == "1"
    rule = switch_rule(slug, on)
    sentence = f"{rule.name} runs from the next login on." if on else f"{rule.name} is off."
    return done(request, "/console/rules", "rule.switched", slug, sentence, on=on)


@require_POST
@staff_page
def move(request: HttpRequest, slug: str) -> HttpResponse:
    require(request, ROLE)
    by = -1 if request.POST.get("to") == "up" else 1
    move_rule(slug, by)
    sentence = f"It runs one place {'earlier' if by < 0 else 'later'}."
    return done(request, f"/console/rules#rule-{slug}", "rule.moved", slug, sentence)


@require_POST
@staff_page
def order(request: HttpRequest) -> HttpResponse:
    """All rules in the order they were dragged into; `shown` is the order they were dragged from."""
    require(request, ROLE)
    wanted = request.POST.getlist("order")
    try:
        order_rules(wanted, request.POST.getlist("shown"))
    except DomainError as refused:
        return _page(request, {"order": refused.message})
    return done(request, "/console/rules", "rules.ordered", "rules", "They run in this order.", order=wanted)


@sensitive_post_parameters()
@require_POST
@staff_page
def take_template(request: HttpRequest, key: str) -> HttpResponse:
    """A rule from the gallery, switched on with its settings."""
    require(request, ROLE)
    template = get_template(key)
    given = settings_given(request, template.settings)
    try:
        enable_template(key, given)
    except DomainError as refused:
        problem = problem_of(refused, fields=template.settings)
        return _page(request, {"key": key, "problem": problem, "given": given})
    sentence = f"{template.title} is on, from the next login on. Switch it off again in the list."
    return done(request, "/console/rules", "rule.switched", key, sentence, on=True)


@sensitive_post_parameters()
@require_POST
@staff_page
def shared_setting(request: HttpRequest) -> HttpResponse:
    """A value that every rule can read: written once, replaced or taken away, never shown."""
    require(request, ROLE)
    key, value = request.POST.get("key", "").strip(), request.POST.get("value", "").strip()
    if request.POST.get("do") == "remove":
        delete_setting(key)
        return done(request, "/console/rules", "rule.setting_removed", key, f"{key} is gone.")
    if not SETTING_KEY.fullmatch(key):
        return _page(request, {"shared": FormError("A name has letters, digits and _, and no digit first.", "key")})
    if not value:
        return _page(request, {"shared": FormError("Write the value.", "value")})
    set_setting(key, value)
    return done(request, "/console/rules", "rule.setting_saved", key, f"{key} is kept. Rules read configuration.{key}.")


def records() -> dict[str, Record]:
    """Rule's slug → how it fared lately."""
    found: dict[str, Record] = {}
    for run in RuleRun.objects.order_by("-id")[:LATELY]:
        for step in run.steps:
            record = found.setdefault(step["rule"], Record())
            record.runs += 1
            record.failures += step["how"] == "failed"
            record.last = record.last or run
    return found


def _matching(query: str) -> list[Template]:
    """The templates that hold every word in their title, reason or category."""
    words = query.lower().split()
    return [
        each
        for each in all_templates()
        if all(word in f"{each.title} {each.why} {each.category}".lower() for word in words)
    ]


def _gallery(
    found: list[Template], taken: dict[str, Rule], wrong: dict[str, Any]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Category → its cards; each with the rule that was made of it, or with its form."""
    cards: list[dict[str, Any]] = [
        {
            "template": each,
            "rule": taken.get(each.key),
            "problem": wrong.get("problem") if wrong.get("key") == each.key else None,
            "values": settings_drawn(
                each.settings,
                shown(each.settings, {field.key: field.default for field in each.settings}),
                wrong.get("given", {}) if wrong.get("key") == each.key else {},
            ),
        }
        for each in found
    ]
    by_category = groupby(cards, key=lambda card: card["template"].category)
    return [(category, list(those)) for category, those in by_category]


def _page(request: HttpRequest, wrong: dict[str, Any] | None = None) -> HttpResponse:
    rows, fared, wrong = list(Rule.objects.all()), records(), wrong or {}
    query = request.GET.get("q", "").strip()
    found = _matching(query)
    context = {
        "rows": [(rule, fared.get(rule.slug, Record())) for rule in rows],
        "gallery": _gallery(found, {rule.slug: rule for rule in rows}, wrong),
        "query": query,
        "found": len(found),
        "shared": list(RuleSetting.objects.order_by("key").values_list("key", flat=True)),
        "order_problem": wrong.get("order"),
        "shared_problem": wrong.get("shared"),
        "lately": LATELY,
        "may_write": may(request, ROLE),
    }
    return render(request, "console/rules.html", context, status=400 if wrong else 200)
