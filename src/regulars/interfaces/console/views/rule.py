"""One rule: its code, its settings, a trial run, and what it did lately."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import slugify
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from regulars.base.errors import DomainError, Invalid
from regulars.base.plugins.fields import Field, filled, shown
from regulars.profiles.models import Profile
from regulars.rules import monty
from regulars.rules.models import Rule, RuleRun
from regulars.rules.python import file_rules, python_rules
from regulars.rules.replay import shadow
from regulars.rules.save import check, save_rule, warnings
from regulars.rules.templates import all_templates
from regulars.rules.trial_report import (
    SAMPLE_CONTEXT,
    TrialReport,
    ValueDifference,
    differences,
    report_replay,
    report_trial,
)

from ..door import may, require, staff_page
from ..forms import FormError, done, problem_of, settings_drawn, settings_given
from .rules import LATELY, ROLE, SETTING_KEY

RUNS = 10
SHADOWED = 50
JAVASCRIPT = (Rule.Language.JAVASCRIPT, Rule.Language.ACTION)
SKELETONS: dict[str, str] = {
    Rule.Language.JAVASCRIPT: """function (user, context, callback) {
  // context.idToken['https://shop.example/looking_for'] = user.user_metadata.looking_for;
  callback(null, user, context);
}
""",
    Rule.Language.ACTION: """exports.onExecutePostLogin = async (event, api) => {
  // api.idToken.setCustomClaim('https://shop.example/looking_for', event.user.user_metadata.looking_for);
};
""",
    Rule.Language.MONTY: """def rule(user, context, api):
    # context['idToken']['https://shop.example/looking_for'] = user['user_metadata']['looking_for']
    pass
""",
}
HOW_TO_WRITE: dict[str, str] = {
    Rule.Language.JAVASCRIPT: "One function (user, context, callback), as at Auth0. It must call callback.",
    Rule.Language.ACTION: "An action: exports.onExecutePostLogin = async (event, api) => { … }, as at Auth0.",
    Rule.Language.MONTY: "Python: def rule(user, context, api). No files, no network.",
}
MODES: dict[str, str] = {
    Rule.Language.JAVASCRIPT: "javascript",
    Rule.Language.ACTION: "javascript",
    Rule.Language.MONTY: "python",
}


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def rule(request: HttpRequest, slug: str = "") -> HttpResponse:
    """The editor. `do=try` runs what is in the form, `do=shadow` runs it over the last logins beside the rule as it is;
    both save nothing, and all three need the role that may read secrets."""
    saved = Rule.objects.filter(slug=slug).first() if slug else None
    if slug and saved is None:
        raise Http404("There is no such rule.")
    edited = saved or _new(request)
    if request.method != "POST":
        return _page(request, edited)
    require(request, ROLE)
    fields = fields_of(edited)
    _take(request, edited)
    try:
        settings = _settings(request, edited, fields)
        if request.POST.get("do") == "try":
            return _tried(request, edited, settings)
        if request.POST.get("do") == "shadow" and saved:
            return _shadowed(request, edited)
        return _save(request, edited, settings)
    except DomainError as refused:
        problem = problem_of(refused, {"unknown_plugin": "script"}, fields)
        return _page(request, edited, problem, line=getattr(refused, "line", 0))


def _new(request: HttpRequest) -> Rule:
    asked = request.POST.get("language", "") or request.GET.get("language", "")
    language = asked if asked in dict(_languages()) else Rule.Language.JAVASCRIPT
    return Rule(script=SKELETONS.get(language, ""), language=language, enabled=False)


def fields_of(rule: Rule) -> Sequence[Field]:
    """What the rule's template declares, and every other setting it has as a secret."""
    return (*_declared(rule), *(Field(key, key, secret=True, required=False) for key in _own(rule)))


def _declared(rule: Rule) -> Sequence[Field]:
    template = next((each for each in all_templates() if each.key == rule.template), None)
    return template.settings if template else ()


def _own(rule: Rule) -> list[str]:
    return sorted(rule.settings.keys() - {field.key for field in _declared(rule)})


def _take(request: HttpRequest, edited: Rule) -> None:
    edited.name = request.POST.get("name", "").strip()
    edited.script = request.POST.get("script", "").replace("\r\n", "\n").strip()
    edited.deny_on_failure = request.POST.get("deny_on_failure") == "on"
    edited.own_realm = request.POST.get("own_realm") == "on"
    edited.timeout = _seconds(request.POST.get("timeout", ""), edited.timeout)


def _seconds(text: str, before: float) -> float:
    """What is no number is refused by `save_rule`."""
    try:
        return float(text) if text.strip() else before
    except ValueError:
        return 0.0


def _settings(request: HttpRequest, edited: Rule, fields: Sequence[Field]) -> dict[str, str]:
    """What is kept, what was written over it, and the one that is new. Raises `DomainError`."""
    settings = filled(fields, settings_given(request, fields), edited.settings)
    settings = {key: value for key, value in settings.items() if key not in request.POST.getlist("remove")}
    key, value = request.POST.get("new_key", "").strip(), request.POST.get("new_value", "").strip()
    if not key and not value:
        return settings
    if not SETTING_KEY.fullmatch(key):
        raise Invalid("bad_setting_name", "A name has letters, digits and _, and no digit first.", "new_key")
    return {**settings, key: value}


def _save(request: HttpRequest, edited: Rule, settings: dict[str, str]) -> HttpResponse:
    if not edited.slug:
        _refuse_taken(edited.name)
    if not edited.name or len(edited.name) > 128:
        raise Invalid("bad_name", "Give the rule a name of at most 128 characters.", "name")
    made = save_rule(
        edited.name,
        script=edited.script,
        language=edited.language,
        slug=edited.slug,
        template=edited.template,
        enabled=edited.enabled,
        deny_on_failure=edited.deny_on_failure,
        settings=settings,
        timeout=edited.timeout,
        own_realm=edited.own_realm,
    )
    sentence = f"{made.name} is saved" + (", and runs at logins." if made.enabled else ". Switch it on in the list.")
    return done(request, f"/console/rules/{made.slug}", "rule.saved", made.slug, sentence)


def _refuse_taken(name: str) -> None:
    slug = slugify(name)[:64]
    if slug in ("new", "settings", "templates") or Rule.objects.filter(slug=slug).exists():
        raise Invalid("name_taken", f"There is a rule called {slug!r} already.", "name")


def _tried(request: HttpRequest, edited: Rule, settings: dict[str, str]) -> HttpResponse:
    check(edited.script, edited.language)
    kept, edited.settings = edited.settings, settings
    given = (request.POST.get(name, "") for name in ("user_id", "context", "answers"))
    tried = report_trial(edited, *given, really=request.POST.get("really") == "on")
    edited.settings = kept
    return _page(request, edited, tried=tried)


def _shadowed(request: HttpRequest, edited: Rule) -> HttpResponse:
    """Where the tokens of the last logins would differ."""
    live = Rule.objects.get(pk=edited.pk)
    compared = shadow(live, edited.script, last=SHADOWED)
    differing = [
        {"run": one.run_id, "changed": one.changed, "pairs": _pairs(report_replay(one.live), report_replay(one.shadow))}
        for one in compared
        if one.changed
    ]
    return _page(request, edited, shadowed={"of": len(compared), "differing": differing})


def _pairs(live: dict[str, Any], new: dict[str, Any]) -> list[ValueDifference]:
    return list(differences(live, new))


def _page(
    request: HttpRequest,
    edited: Rule,
    problem: FormError | None = None,
    tried: TrialReport | None = None,
    shadowed: dict[str, Any] | None = None,
    line: int = 0,
) -> HttpResponse:
    fields = fields_of(edited)
    values = settings_drawn(fields, shown(fields, edited.settings), settings_given(request, fields))
    context = {
        "rule": edited,
        "fields": fields,
        "values": values,
        "own": _own(edited),
        "problem": problem,
        "line": line,
        "lines": _around(edited.script, line),
        "tried": tried,
        "shadowed": shadowed,
        "answers": request.POST.get("answers", _answers_of(edited)),
        "really": request.POST.get("really") == "on",
        "languages": _languages() if not edited.slug else [],
        "mode": MODES.get(edited.language, ""),
        "installed": [*python_rules, *file_rules()] if edited.language == Rule.Language.PYTHON else [],
        "how_to_write": HOW_TO_WRITE.get(edited.language, ""),
        "warnings": warnings(edited.script) if edited.slug and not problem and edited.language in JAVASCRIPT else [],
        "user_id": request.POST.get("user_id", ""),
        "login": request.POST.get("context") or json.dumps(SAMPLE_CONTEXT, indent=2),
        "runs": _runs(edited.slug),
        "may_write": may(request, ROLE),
    }
    return render(request, "console/rule.html", context, status=400 if problem else 200)


def _answers_of(rule: Rule) -> str:
    """What a template's first example with the world outside declares."""
    template = next((each for each in all_templates() if each.key == rule.template), None)
    found = next((each.http for each in template.examples if each.http), ()) if template else ()
    return json.dumps(found, indent=2) if found else ""


def _languages() -> list[tuple[str, str]]:
    """In which languages a rule can be written on this installation."""
    return [
        (value, label) for value, label in Rule.Language.choices if value != Rule.Language.MONTY or monty.is_installed()
    ]


def _around(script: str, line: int) -> list[tuple[int, str]]:
    """The line at fault with one before and after, numbered."""
    return [
        (number, text) for number, text in enumerate(script.split("\n"), start=1) if line and abs(number - line) <= 1
    ]


def _runs(slug: str) -> list[dict[str, Any]]:
    """The last runs that came to this rule, with what it did in each."""
    runs = RuleRun.objects.order_by("-id")[:LATELY] if slug else []
    steps = [(run, step) for run in runs for step in run.steps if step["rule"] == slug][:RUNS]
    people = Profile.objects.in_bulk({run.profile_id for run, _ in steps if run.profile_id})
    return [{"run": run.pk, "at": run.at, "person": people.get(run.profile_id or 0), **step} for run, step in steps]
