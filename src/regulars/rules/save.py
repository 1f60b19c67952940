"""Save a rule: only one that compiles, and that asks for nothing the sandbox does not have."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from regulars.base import clock
from regulars.base.errors import DomainError, Invalid
from regulars.base.plugins.fields import HIDDEN

from .models import Rule, RuleSetting
from .modules.curated import CURATED
from .monty import check_monty
from .python import python_rule
from .sandbox.library import OURS, library, major, named

MAX_SCRIPT = 100_000  # characters; Auth0 advises the same for all rules together
MAX_PATIENCE = 15.0
_REQUIRE = re.compile(r"""(?<![\w$.])require\(\s*(['"`])([^'"`]+)\1\s*\)""")
# A call with a locale: the first argument, of `localeCompare` the second.
_LOCALE = re.compile(
    r"""\.(?:(?P<kin>toLocale(?:(?:Date|Time)?String|LowerCase|UpperCase))\(|(?P<compare>localeCompare)\((?:[^(),]|\([^()]*\))*,)"""
    r"""\s*(?:\[\s*)?['"`][a-z]{2,3}(?:-\w+)*['"`]"""
)
_LODASH_PART = re.compile(r"lodash/\w+(\.js)?")  # each function of lodash is a file there too
_ACTION = re.compile(r"(^|[\s;])(module\.)?exports\.on(Execute|Continue)PostLogin\s*=")


class BadScript(DomainError):
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
    patience: float | None = None,
    own_realm: bool | None = None,
) -> Rule:
    """Create the rule, or change the one with this slug. What is None stays as it is (a new rule goes last).

    A script in JavaScript that exports `onExecutePostLogin` is saved as an action. A setting whose value is
    `fields.HIDDEN` keeps what it was: secrets are written, never read back. Saving a rule that was switched off for
    hitting limits gives it a new start.

    Raises `Invalid("no_name" | "unknown_language" | "unknown_plugin" | "bad_patience")` and `BadScript("empty_script" |
    "script_too_long" | "unknown_module" | "module_not_installed" | "does_not_compile" | "not_installed")`.
    """
    slug = slug or slugify(name)[:64]
    if not slug:
        raise Invalid("no_name", "Give the rule a name with letters in it.", "name")
    check(script, language)
    if patience is not None and not 0 < patience <= MAX_PATIENCE:
        raise Invalid("bad_patience", f"A login waits between 0 and {MAX_PATIENCE:g} seconds for a rule.", "patience")
    rule = Rule.objects.filter(slug=slug).first() or Rule(slug=slug, order=_last() + 1)
    rule.name, rule.script, rule.language, rule.template = name, script, script_language(script, language), template
    rule.enabled, rule.deny_on_failure = enabled, deny_on_failure
    rule.order = rule.order if order is None else order
    rule.settings = rule.settings if settings is None else _written(settings, rule.settings)
    rule.patience = rule.patience if patience is None else patience
    rule.own_realm = rule.own_realm if own_realm is None else own_realm
    rule.limit_hits, rule.limit_since, rule.stopped_why = 0, None, ""
    rule.updated_at = clock.now()
    rule.save()
    return rule


def find_rule(slug: str) -> Rule:
    """Raises `Invalid("unknown_rule")`."""
    rule = Rule.objects.filter(slug=slug).first()
    if rule is None:
        raise Invalid("unknown_rule", f"There is no rule called {slug!r}.")
    return rule


def switch_rule(slug: str, on: bool) -> Rule:
    """From the next login on it runs, or it does not. One that hit its limits too often gets a new start.

    Raises `Invalid("unknown_rule")`.
    """
    rule = find_rule(slug)
    rule.enabled, rule.updated_at = on, clock.now()
    rule.limit_hits, rule.limit_since, rule.stopped_why = 0, None, ""
    rule.save(update_fields=["enabled", "updated_at", "limit_hits", "limit_since", "stopped_why"])
    return rule


@transaction.atomic
def move_rule(slug: str, by: int) -> None:
    """Let it run `by` places later (earlier: negative); at an end it stays. Raises `Invalid("unknown_rule")`."""
    rules = _held_still()
    place = next((place for place, rule in enumerate(rules) if rule.slug == slug), None)
    if place is None:
        raise Invalid("unknown_rule", f"There is no rule called {slug!r}.")
    rules.insert(max(0, place + by), rules.pop(place))
    _number(rules)


@transaction.atomic
def order_rules(wanted: Sequence[str], shown: Sequence[str]) -> None:
    """Let them run in the order `wanted`, all slugs of it. `shown` is the order that was looked at when it was wanted.

    Raises `Invalid("order_changed")` when somebody moved, made or took away a rule meanwhile: nobody's order is lost.
    """
    rules = {rule.slug: rule for rule in _held_still()}
    if list(rules) != list(shown) or sorted(wanted) != sorted(rules):
        raise Invalid("order_changed", "Somebody else changed the rules meanwhile. Look at their order and drag again.")
    _number([rules[slug] for slug in wanted])


def _held_still() -> list[Rule]:
    """All rules in their order, and nobody else changes it before this transaction ends.

    Locked first and read afterwards: a query that waited for a lock sorts by what was before.
    """
    list(Rule.objects.select_for_update().order_by("id").values_list("id"))
    return list(Rule.objects.all())


def _number(rules: list[Rule]) -> None:
    for order, rule in enumerate(rules, start=1):
        rule.order = order
    Rule.objects.bulk_update(rules, ["order"])


def check(script: str, language: str = "javascript") -> None:
    """Raises what `save_rule` raises about a script."""
    if language == Rule.Language.PYTHON:
        python_rule(script)
    elif language in (Rule.Language.JAVASCRIPT, Rule.Language.ACTION):
        _check_javascript(script)
    elif language == Rule.Language.MONTY:
        _check_length(script)
        _check_monty(script)
    else:
        raise Invalid("unknown_language", f"Rules are written in JavaScript or Python, not in {language!r}.")


def warnings(script: str) -> list[str]:
    """What the author should know about a script that can be saved: modules of another version than it asks for, and what
    would go another way than in Node without a word."""
    sentences = [
        f"Line {line}: {name} knows no languages here and passes the locale over." for line, name in _localised(script)
    ]
    for line, spec in _required(script):
        name, version = named(spec)
        module = library().find(name)
        if module and version and version != module.version:
            sentences.append(f"Line {line}: {name} {module.version} is used instead of {version}.")
    return sentences


def shown_settings(rule: Rule) -> dict[str, str]:
    """The rule's settings as anybody may see them: which there are, not what they hold."""
    return dict.fromkeys(rule.settings, HIDDEN)


def set_setting(key: str, value: Any) -> RuleSetting:
    """One value of `configuration`, for every rule; `fields.HIDDEN` leaves what is there."""
    setting = RuleSetting.objects.filter(key=key).first() or RuleSetting(key=key)
    setting.value = _written({key: value}, {key: setting.value})[key]
    setting.save()
    return setting


def drop_setting(key: str) -> None:
    """Take a value out of `configuration`; one that is not there is gone already."""
    RuleSetting.objects.filter(key=key).delete()


def _written(given: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    return {key: kept.get(key, "") if value == HIDDEN else value for key, value in given.items()}


def script_language(script: str, language: str) -> str:
    """What a script in JavaScript is: a rule or an action. Other languages are what they were said to be."""
    if language not in (Rule.Language.JAVASCRIPT, Rule.Language.ACTION):
        return language
    return Rule.Language.ACTION if _ACTION.search(script) else Rule.Language.JAVASCRIPT


def _check_javascript(script: str) -> None:
    _check_length(script)
    # Loaded here, not above: the JavaScript engine costs memory that a process without rules need not spend.
    error = importlib.import_module("regulars.rules.javascript").syntax_error(script)
    if error:
        what, line = error
        raise BadScript("does_not_compile", f"Line {line}: {what}" if line else what, line)
    for line, spec in _required(script):
        _check_module(spec, line)


def _check_length(script: str) -> None:
    if not script.strip():
        raise BadScript("empty_script", "Write a function: function (user, context, callback) { … }.")
    if len(script) > MAX_SCRIPT:
        raise BadScript("script_too_long", f"A rule has at most {MAX_SCRIPT:,} characters.")


def _check_monty(script: str) -> None:
    try:
        check_monty(script)
    except DomainError as refused:
        line = re.search(r"\(line (\d+)\)$", refused.message)
        raise BadScript(refused.code, refused.message, int(line[1]) if line else 0) from None


def _check_module(spec: str, line: int) -> None:
    name, version = named(spec)
    name = "lodash" if _LODASH_PART.fullmatch(name) else name
    module = library().find(name)
    if name in OURS or (module and (not version or major(version) == major(module.version))):
        return
    if module:
        there = f"{name} is here as {module.version}; `regulars rules modules add {name}@{version}` replaces it."
        raise BadScript("unknown_module", f"Line {line}: {there}", line)
    if name in CURATED:
        command = "`regulars rules modules install` fetches it"
        raise BadScript("module_not_installed", f"Line {line}: {name} is not installed here yet; {command}.", line)
    raise BadScript("unknown_module", f"Line {line}: there is no module {spec!r} for rules.", line)


def _required(script: str) -> list[tuple[int, str]]:
    """`(line, "lodash@4.17.21")` of every module that a script asks for by a plain text."""
    return [(script.count("\n", 0, one.start()) + 1, one[2]) for one in _REQUIRE.finditer(script)]


def _localised(script: str) -> list[tuple[int, str]]:
    """`(line, "toLocaleString")` wherever one is called with a locale."""
    return [(script.count("\n", 0, one.start()) + 1, one["kin"] or one["compare"]) for one in _LOCALE.finditer(script)]


def _last() -> int:
    return Rule.objects.aggregate(last=Max("order"))["last"] or 0
