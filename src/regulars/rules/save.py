"""Save, order and check rules: only scripts that compile and require available modules."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from regulars.base import clock
from regulars.base.db.rows import insert_row, update_row
from regulars.base.errors import Conflict, DomainError, Invalid
from regulars.base.plugins.fields import HIDDEN
from regulars.base.text import JsonObject
from regulars.consent.purposes import get_purpose

from .declaration import read_recipients, read_sends
from .models import Rule, RuleSetting
from .modules.curated import CURATED
from .monty import check_monty
from .python import python_rule
from .sandbox.library import BUILT_IN, library, major, split_spec

MAX_SCRIPT = 100_000  # characters; Auth0 advises the same for all rules together
MAX_TIMEOUT = 15.0
_REQUIRE = re.compile(r"""(?<![\w$.])require\(\s*(['"`])([^'"`]+)\1\s*\)""")
# A call with a locale: the first argument, of `localeCompare` the second.
_LOCALE = re.compile(
    r"""\.(?:(?P<kin>toLocale(?:(?:Date|Time)?String|LowerCase|UpperCase))\(|(?P<compare>localeCompare)\((?:[^(),]|\([^()]*\))*,)"""
    r"""\s*(?:\[\s*)?['"`][a-z]{2,3}(?:-\w+)*['"`]"""
)
_LODASH_PART = re.compile(r"lodash/\w+(\.js)?")  # each function of lodash is a file there too
_ACTION = re.compile(r"(^|[\s;])(module\.)?exports\.on(Execute|Continue)PostLogin\s*=")


class BadScript(DomainError):
    """A script that cannot be a rule. `line` is 1-based, 0 when unknown."""

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
    settings: JsonObject | None = None,
    timeout: float | None = None,
    own_realm: bool | None = None,
    purpose: str | None = None,
    recipients: Sequence[JsonObject] | None = None,
    sends: Sequence[str] | None = None,
    rule: Rule | None = None,
    new: bool = False,
) -> Rule:
    """Change `rule`, else the one with this slug; create it where there is none. None leaves a field unchanged (a new rule goes last).

    `new`: only create. A `rule` that was deleted meanwhile is not made again.

    A script in JavaScript that exports `onExecutePostLogin` is saved as an action. A setting with the value
    `fields.HIDDEN` stays unchanged: secrets are written, never read back. Saving a rule resets its limit counter.

    `purpose`, `recipients` and `sends` are its declaration (`rules.declaration`); an empty purpose makes it undeclared.

    Raises `Conflict("name_taken")`, `NotFound("deleted_meanwhile")`, `Invalid("no_name" | "unknown_language" | "unknown_plugin" | "bad_timeout" | "unknown_purpose" | "bad_recipients" | "bad_sends")` and `BadScript("empty_script" |
    "script_too_long" | "unknown_module" | "module_not_installed" | "does_not_compile" | "not_installed")`.
    """
    slug = slug or slugify(name)[:64]
    if not slug:
        raise Invalid("no_name", "Give the rule a name with letters in it.", "name")
    check(script, language)
    if timeout is not None and not 0 < timeout <= MAX_TIMEOUT:
        raise Invalid("bad_timeout", f"A login waits between 0 and {MAX_TIMEOUT:g} seconds for a rule.", "timeout")
    declared = get_purpose(purpose) if purpose else None
    named = None if recipients is None else [each.as_json() for each in read_recipients(recipients)]
    sent = None if sends is None else list(read_sends(sends))
    last = Rule.objects.aggregate(last=Max("order"))["last"] or 0
    if rule is None and not new:
        rule = Rule.objects.filter(slug=slug).first()
    exists = rule is not None
    rule = rule or Rule(slug=slug, order=last + 1)
    ran = _runs(rule)
    rule.name, rule.script, rule.language, rule.template = name, script, script_language(script, language), template
    rule.enabled, rule.deny_on_failure = enabled, deny_on_failure
    rule.order = rule.order if order is None else order
    rule.settings = rule.settings if settings is None else _written(settings, rule.settings)
    rule.timeout = rule.timeout if timeout is None else timeout
    rule.own_realm = rule.own_realm if own_realm is None else own_realm
    rule.purpose = rule.purpose if purpose is None else declared
    rule.recipients = rule.recipients if named is None else named
    rule.sends = rule.sends if sent is None else sent
    rule.limit_hits, rule.limit_since, rule.disabled_reason = 0, None, ""
    rule.updated_at = clock.now()
    if exists:
        rule.version += _runs(rule) != ran
        update_row(rule)
    else:
        insert_row(rule, Conflict("name_taken", f"There is a rule called {slug!r} already.", "name"))
    return rule


def _runs(rule: Rule) -> tuple[object, ...]:
    """Return what a run depends on: another one is another version."""
    return rule.script, rule.language, rule.settings


def find_rule(slug: str) -> Rule:
    """Raises `Invalid("unknown_rule")`."""
    rule = Rule.objects.filter(slug=slug).first()
    if rule is None:
        raise Invalid("unknown_rule", f"There is no rule called {slug!r}.")
    return rule


def declare_rule(slug: str, purpose: str, recipients: Sequence[JsonObject], sends: Sequence[str]) -> Rule:
    """Change the declaration of a rule alone. Raises `Invalid("unknown_rule" | "unknown_purpose" | "bad_recipients" | "bad_sends")`."""
    rule = find_rule(slug)
    rule.purpose = get_purpose(purpose)
    rule.recipients = [each.as_json() for each in read_recipients(recipients)]
    rule.sends, rule.updated_at = list(read_sends(sends)), clock.now()
    rule.save(update_fields=["purpose", "recipients", "sends", "updated_at"])
    return rule


def switch_rule(slug: str, on: bool) -> Rule:
    """Enable or disable a rule from the next login on, and reset its limit counter.

    Raises `Invalid("unknown_rule")`.
    """
    rule = find_rule(slug)
    rule.enabled, rule.updated_at = on, clock.now()
    rule.limit_hits, rule.limit_since, rule.disabled_reason = 0, None, ""
    rule.save(update_fields=["enabled", "updated_at", "limit_hits", "limit_since", "disabled_reason"])
    return rule


@transaction.atomic
def move_rule(slug: str, by: int, shown: int | None = None) -> bool:
    """Move a rule `by` positions later (negative: earlier), at most to an end. Return whether it was moved.

    `shown` is the position, from 0, that the user saw it at: a rule that is elsewhere meanwhile stays there.
    Raises `Invalid("unknown_rule")`.
    """
    rules = _locked_rules()
    place = next((place for place, rule in enumerate(rules) if rule.slug == slug), None)
    if place is None:
        raise Invalid("unknown_rule", f"There is no rule called {slug!r}.")
    if shown not in (None, place):
        return False
    rules.insert(max(0, place + by), rules.pop(place))
    _number(rules)
    return True


@transaction.atomic
def order_rules(wanted: Sequence[str], shown: Sequence[str]) -> None:
    """Save the order `wanted`, a list of all slugs. `shown` is the order that the user saw.

    Raises `Invalid("order_changed")` when rules changed meanwhile, so that no change is lost.
    """
    rules = {rule.slug: rule for rule in _locked_rules()}
    if list(rules) != list(shown) or sorted(wanted) != sorted(rules):
        raise Invalid("order_changed", "The rules changed meanwhile. Check their order and drag again.")
    _number([rules[slug] for slug in wanted])


def _locked_rules() -> list[Rule]:
    """Return all rules in order, locked until this transaction ends.

    They are locked first and read afterwards: a query that waited for a lock sorts by old values.
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
        _check_length(script)
        # Imported here: the JavaScript engine costs memory that a process without rules need not spend.
        error = importlib.import_module("regulars.rules.javascript").syntax_error(script)
        if error:
            what, line = error
            raise BadScript("does_not_compile", f"Line {line}: {what}" if line else what, line)
        for line, spec in _required(script):
            _check_module(spec, line)
    elif language == Rule.Language.MONTY:
        _check_length(script)
        try:
            check_monty(script)
        except DomainError as fault:
            place = re.search(r"\(line (\d+)\)$", fault.message)
            raise BadScript(fault.code, fault.message, int(place[1]) if place else 0) from None
    else:
        raise Invalid("unknown_language", f"Rules are written in JavaScript or Python, not in {language!r}.")


def warnings(script: str) -> list[str]:
    """Return warnings about a valid script: modules of another version, and calls that silently differ from Node."""
    sentences = []
    for call in _LOCALE.finditer(script):
        line = script.count("\n", 0, call.start()) + 1
        sentences.append(f"Line {line}: {call['kin'] or call['compare']} ignores the locale here.")
    for line, spec in _required(script):
        name, version = split_spec(spec)
        module = library().find(name)
        if module and version and version != module.version:
            sentences.append(f"Line {line}: {name} {module.version} is used instead of {version}.")
    return sentences


def shown_settings(rule: Rule) -> dict[str, str]:
    """Return the rule's settings with hidden values."""
    return dict.fromkeys(rule.settings, HIDDEN)


def set_setting(key: str, value: Any) -> RuleSetting:
    """Set a value of `configuration` for every rule; `fields.HIDDEN` leaves it unchanged."""
    setting = RuleSetting.objects.filter(key=key).first() or RuleSetting(key=key)
    setting.value = _written({key: value}, {key: setting.value})[key]
    setting.save()
    return setting


def delete_setting(key: str) -> None:
    """Delete a value of `configuration`, if it exists."""
    RuleSetting.objects.filter(key=key).delete()


def _written(given: JsonObject, kept: JsonObject) -> JsonObject:
    return {key: kept.get(key, "") if value == HIDDEN else value for key, value in given.items()}


def script_language(script: str, language: str) -> str:
    """Return the language of a script: JavaScript is a rule or an action, other languages stay."""
    if language not in (Rule.Language.JAVASCRIPT, Rule.Language.ACTION):
        return language
    return Rule.Language.ACTION if _ACTION.search(script) else Rule.Language.JAVASCRIPT


def _check_length(script: str) -> None:
    if not script.strip():
        raise BadScript("empty_script", "Write a function: function (user, context, callback) { … }.")
    if len(script) > MAX_SCRIPT:
        raise BadScript("script_too_long", f"A rule has at most {MAX_SCRIPT:,} characters.")


def _check_module(spec: str, line: int) -> None:
    name, version = split_spec(spec)
    name = "lodash" if _LODASH_PART.fullmatch(name) else name
    module = library().find(name)
    if name in BUILT_IN or (module and (not version or major(version) == major(module.version))):
        return
    if module:
        there = f"{name} is here as {module.version}; `regulars rules modules add {name}@{version}` replaces it."
        raise BadScript("unknown_module", f"Line {line}: {there}", line)
    if name in CURATED:
        command = "`regulars rules modules install` fetches it"
        raise BadScript("module_not_installed", f"Line {line}: {name} is not installed here yet; {command}.", line)
    raise BadScript("unknown_module", f"Line {line}: there is no module {spec!r} for rules.", line)


def _required(script: str) -> list[tuple[int, str]]:
    """Return `(line, "lodash@4.17.21")` of every module that a script requires by a literal."""
    return [(script.count("\n", 0, one.start()) + 1, one[2]) for one in _REQUIRE.finditer(script)]
