"""Save a rule: only one that compiles, and that asks for nothing the sandbox does not have."""

from __future__ import annotations

import importlib
import re
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from regulars.base.kit import clock
from regulars.base.kit.errors import Refused

from .models import Rule, RuleSetting
from .python import python_rules

MAX_SCRIPT = 100_000  # characters; Auth0 advises the same for all rules together
_REQUIRE = re.compile(r"""(?<![\w$.])require\(\s*['"]([^'"]+)['"]\s*\)""")


class BadScript(Refused):
    """A script that cannot be a rule. `line` is 1-based, 0 where there is none to name."""

    def __init__(self, name: str, sentence: str, line: int = 0) -> None:
        super().__init__(name, sentence, "script")
        self.line = line


def save_rule(
    name: str,
    *,
    script: str,
    language: str = "javascript",
    slug: str = "",
    template: str = "",
    order: int | None = None,
    enabled: bool = True,
    deny_on_failure: bool = False,
    settings: dict[str, Any] | None = None,
) -> Rule:
    """Create the rule, or change the one with this slug. `order` and `settings` None: as they are (a new rule goes last).

    Raises `Refused("no_name" | "unknown_language" | "unknown_plugin")` and `BadScript("empty_script" |
    "script_too_long" | "unknown_module" | "does_not_compile")`.
    """
    slug = slug or slugify(name)[:64]
    if not slug:
        raise Refused("no_name", "Give the rule a name with letters in it.", "name")
    check(script, language)
    rule = Rule.objects.filter(slug=slug).first() or Rule(slug=slug, order=_last() + 1)
    rule.name, rule.script, rule.language, rule.template = name, script, language, template
    rule.enabled, rule.deny_on_failure = enabled, deny_on_failure
    rule.order = rule.order if order is None else order
    rule.settings = rule.settings if settings is None else settings
    rule.updated_at = clock.now()
    rule.save()
    return rule


def find_rule(slug: str) -> Rule:
    """Raises `Refused("unknown_rule")`."""
    rule = Rule.objects.filter(slug=slug).first()
    if rule is None:
        raise Refused("unknown_rule", f"There is no rule called {slug!r}.")
    return rule


def switch_rule(slug: str, on: bool) -> Rule:
    """From the next login on it runs, or it does not. Raises `Refused("unknown_rule")`."""
    rule = find_rule(slug)
    rule.enabled, rule.updated_at = on, clock.now()
    rule.save(update_fields=["enabled", "updated_at"])
    return rule


@transaction.atomic
def move_rule(slug: str, by: int) -> None:
    """Let it run `by` places later (earlier: negative); at an end it stays. Raises `Refused("unknown_rule")`."""
    rules = list(Rule.objects.select_for_update().filter(moment=find_rule(slug).moment))
    place = next(place for place, rule in enumerate(rules) if rule.slug == slug)
    rules.insert(max(0, place + by), rules.pop(place))
    for order, rule in enumerate(rules, start=1):
        rule.order = order
    Rule.objects.bulk_update(rules, ["order"])


def check(script: str, language: str = "javascript") -> None:
    """Raises what `save_rule` raises about a script."""
    if language == Rule.Language.PYTHON:
        python_rules[script]
    elif language == Rule.Language.JAVASCRIPT:
        _check_javascript(script)
    else:
        raise Refused("unknown_language", f"Rules are written in JavaScript or Python, not in {language!r}.")


def set_setting(key: str, value: Any) -> RuleSetting:
    """One value of `configuration`, for every rule."""
    setting, _ = RuleSetting.objects.update_or_create(key=key, defaults={"value": value})
    return setting


def drop_setting(key: str) -> None:
    """Take a value out of `configuration`; one that is not there is gone already."""
    RuleSetting.objects.filter(key=key).delete()


def _check_javascript(script: str) -> None:
    if not script.strip():
        raise BadScript("empty_script", "Write a function: function (user, context, callback) { … }.")
    if len(script) > MAX_SCRIPT:
        raise BadScript("script_too_long", f"A rule has at most {MAX_SCRIPT:,} characters.")
    # Loaded here, not above: the JavaScript engine costs memory that a process without rules need not spend.
    error = importlib.import_module("regulars.rules.javascript").syntax_error(script)
    if error:
        what, line = error
        raise BadScript("does_not_compile", f"Line {line}: {what}" if line else what, line)
    module = _REQUIRE.search(script)
    if module:
        line = script.count("\n", 0, module.start()) + 1
        raise BadScript("unknown_module", f"Line {line}: there is no module {module[1]!r} for rules.", line)


def _last() -> int:
    return Rule.objects.aggregate(last=Max("order"))["last"] or 0
