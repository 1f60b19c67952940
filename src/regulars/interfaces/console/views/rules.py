"""Rules: their order and statistics, the gallery of templates, shared settings, and the editor with trial and comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.text import slugify
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.base.errors import DomainError, Invalid
from regulars.base.plugins.fields import HIDDEN, SettingField, fill_settings, masked_settings
from regulars.consent.models import Purpose
from regulars.profiles.models import Profile
from regulars.rules import monty
from regulars.rules.declaration import (
    choose_undeclared_purpose,
    chosen_purpose,
    recipients_as_text,
    recipients_from_text,
    undeclared_hosts,
    undeclared_purpose,
)
from regulars.rules.models import Rule, RuleRun, RuleSetting
from regulars.rules.python import file_rules, python_rules
from regulars.rules.replay_runs import shadow
from regulars.rules.run import configuration
from regulars.rules.save import (
    check,
    delete_setting,
    find_rule,
    move_rule,
    order_rules,
    save_rule,
    set_setting,
    switch_rule,
    warnings,
)
from regulars.rules.templates import Template, all_templates, enable_template, get_template
from regulars.rules.trial_report import TrialReport, differences, report_replay, report_trial
from regulars.usecases.rule_calls import CustomerCallGate

from ..edits import FormContent, create_state, creating, editing, lock_form, refuse_outdated
from ..forms import SETTING, FormError, form_error, form_page, form_state, settings_given, settings_shown, whole_number
from ..pages import NO_ROLE, done, may, staff_page

ROLE = "admin"
RECENT_RUNS = 200  # runs examined
SETTING_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")
BAD_SETTING_NAME = "A name has letters, digits and _, and no digit first."
RESERVED = ("new", "settings", "templates")  # addresses beside the rules'
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


@dataclass
class RunStatistics:
    """Runs and failures of a rule among the last runs; `last` is its newest."""

    runs: int = 0
    failures: int = 0
    last: RuleRun | None = None


@require_safe
@staff_page(read="marketer")
def rules(request: HttpRequest) -> HttpResponse:
    return _list_page(request)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def switch(request: HttpRequest, slug: str) -> HttpResponse:
    on = request.POST.get("on") == "1"
    template = _template_of(find_rule(slug))
    try:
        if on and template:
            template.check_needs()
    except DomainError as error:
        return _list_page(request, {"order": error.message})
    rule = switch_rule(slug, on)
    sentence = f"{rule.name} runs from the next login on." if on else f"{rule.name} is off."
    return done(request, "/console/rules", "rule.switched", slug, sentence, on=on)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def move(request: HttpRequest, slug: str) -> HttpResponse:
    by = -1 if request.POST.get("to") == "up" else 1
    if not move_rule(slug, by, whole_number(request.POST.get("place", ""), 5)):
        messages.info(request, "The order was changed meanwhile, and nothing was moved now.")
        return HttpResponseRedirect(f"/console/rules#rule-{slug}")
    sentence = f"It runs one place {'earlier' if by < 0 else 'later'}."
    return done(request, f"/console/rules#rule-{slug}", "rule.moved", slug, sentence)


@require_POST
@staff_page(read=NO_ROLE, write="admin")
def order(request: HttpRequest) -> HttpResponse:
    """Save the order of all rules; `shown` is the order that the page showed before."""
    wanted = request.POST.getlist("order")
    try:
        order_rules(wanted, request.POST.getlist("shown"))
    except DomainError as error:
        return _list_page(request, {"order": error.message})
    return done(request, "/console/rules", "rules.ordered", "rules", "Rules run in this order.", order=wanted)


@sensitive_post_parameters()
@require_POST
@staff_page(read=NO_ROLE, write="admin")
def take_template(request: HttpRequest, key: str) -> HttpResponse:
    """Switch on a rule of the gallery with its settings."""
    template = get_template(key)
    given = settings_given(request, template.settings)
    try:
        with creating(request) as sent:
            enable_template(key, given)
            sent.address = "/console/rules"
            sentence = f"{template.title} is on, from the next login on. Switch it off again in the list."
            return done(request, sent.address, "rule.switched", key, sentence, on=True)
    except DomainError as error:
        problem = form_error(error, fields=template.settings)
        return _list_page(request, {"key": key, "problem": problem, "given": given})


@sensitive_post_parameters()
@require_POST
@staff_page(read=NO_ROLE, write="admin")
def shared_setting(request: HttpRequest) -> HttpResponse:
    """Set or remove a value that every rule can read. It is never shown."""
    key, value = request.POST.get("key", "").strip(), request.POST.get("value", "").strip()
    removes = request.POST.get("do") == "remove"
    try:
        if not removes and not SETTING_KEY.fullmatch(key):
            raise Invalid("bad_setting_name", BAD_SETTING_NAME, "key")
        if not removes and not value:
            raise Invalid("no_value", "Write the value.", "value")
        with transaction.atomic():
            lock_form("rules.settings")
            if removes and not RuleSetting.objects.filter(key=key).exists():
                return HttpResponseRedirect("/console/rules")
            refuse_outdated(request, _shared_shown())
            if removes:
                delete_setting(key)
                return done(request, "/console/rules", "rule.setting_removed", key, f"{key} is removed.")
            set_setting(key, value)
            sentence = f"{key} is saved. Rules read configuration.{key}."
            return done(request, "/console/rules", "rule.setting_saved", key, sentence)
    except DomainError as error:
        return _list_page(request, {"shared": form_error(error), "key_given": key})


def _shared_shown() -> FormContent:
    """Return what the forms of shared settings show. A value is a secret: that one changed is seen, and not what it is."""
    kept = dict(RuleSetting.objects.order_by("key").values_list("key", "value"))
    actions = ("rule.setting_saved", "rule.setting_removed")
    return FormContent(None, actions, {"key": "\n".join(f"{key} {HIDDEN}" for key in kept)}, kept, {"key": "Names"})


def _gallery(
    request: HttpRequest, found: list[Template], taken: dict[str, Rule], wrong: dict[str, Any]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the cards of each category, each with the rule made from it, or with its form."""
    cards: list[dict[str, Any]] = [
        {
            "template": each,
            "rule": taken.get(each.key),
            "problem": wrong.get("problem") if wrong.get("key") == each.key else None,
            "form_state": create_state(request, used=wrong.get("key") != each.key or wrong["problem"].used),
            "values": settings_shown(
                each.settings,
                masked_settings(each.settings, {field.key: field.default for field in each.settings}),
                wrong.get("given", {}) if wrong.get("key") == each.key else {},
            ),
        }
        for each in found
    ]
    by_category = groupby(cards, key=lambda card: card["template"].category)
    return [(category, list(those)) for category, those in by_category]


def _list_page(request: HttpRequest, wrong: dict[str, Any] | None = None) -> HttpResponse:
    statistics: dict[str, RunStatistics] = {}
    for run in RuleRun.objects.order_by("-id")[:RECENT_RUNS]:
        for step in run.steps:
            record = statistics.setdefault(step["rule"], RunStatistics())
            record.runs += 1
            record.failures += step["how"] == "failed"
            record.last = record.last or run
    rows, fared, wrong, shared = list(Rule.objects.all()), statistics, wrong or {}, configuration()
    query = request.GET.get("q", "").strip()
    words = query.lower().split()
    found = [
        each
        for each in all_templates()
        if all(word in f"{each.title} {each.why} {each.category}".lower() for word in words)
    ]
    context = {
        "rows": [(rule, fared.get(rule.slug, RunStatistics()), undeclared_hosts(rule, shared)) for rule in rows],
        "gallery": _gallery(request, found, {rule.slug: rule for rule in rows}, wrong),
        "form_state": form_state(request, _shared_shown(), wrong.get("shared")),
        "key_given": wrong.get("key_given", ""),
        "query": query,
        "found": len(found),
        "shared": list(RuleSetting.objects.order_by("key").values_list("key", flat=True)),
        "order_problem": wrong.get("order"),
        "shared_problem": wrong.get("shared"),
        "recent_runs": RECENT_RUNS,
        "may_write": may(request, ROLE),
    }
    problem = wrong.get("shared") or wrong.get("problem")
    return render(request, "console/rules.html", context, status=problem.status if problem else 400 if wrong else 200)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="admin")
def rule(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Edit a rule. `do=try` runs the form's rule, `do=shadow` runs it over the last logins beside the saved rule.

    Both save nothing. All three need the role that may read secrets.
    """
    saved = Rule.objects.filter(slug=slug).first() if slug else None
    if slug and saved is None:
        raise Http404("There is no such rule.")
    edited = saved
    if edited is None:
        wanted = request.POST.get("language", "") or request.GET.get("language", "")
        language = wanted if wanted in dict(_languages()) else Rule.Language.JAVASCRIPT
        edited = Rule(script=SKELETONS.get(language, ""), language=language, enabled=False)
    if request.method != "POST":
        return _editor_page(request, edited, _shown(saved) if saved else None)
    fields, shown = _fields(edited), _shown(saved) if saved else None
    _apply(request, edited)
    try:
        if request.POST.get("do") not in ("try", "shadow"):
            return _save(request, edited, saved)
        settings = _settings(request, edited, fields)
        if request.POST.get("do") == "try":
            return _tried(request, edited, settings, shown)
        if request.POST.get("do") == "shadow" and saved:
            # the last logins whose tokens would differ
            live = Rule.objects.get(pk=edited.pk)
            compared = shadow(live, edited.script, last=SHADOWED)
            differing = [
                {
                    "run": one.run_id,
                    "changed": one.changed,
                    "pairs": list(differences(report_replay(one.live), report_replay(one.shadow))),
                }
                for one in compared
                if one.changed
            ]
            return _editor_page(request, edited, shown, shadowed={"of": len(compared), "differing": differing})
        return _save(request, edited, saved)
    except DomainError as error:
        problem = form_error(error, {"unknown_plugin": "script"}, fields)
        return _editor_page(request, edited, shown, problem, line=getattr(error, "line", 0))


def _apply(request: HttpRequest, edited: Rule) -> None:
    """Set what was typed, in memory."""
    edited.name = request.POST.get("name", "").strip()
    edited.script = request.POST.get("script", "").replace("\r\n", "\n").strip()
    edited.deny_on_failure = request.POST.get("deny_on_failure") == "on"
    edited.own_realm = request.POST.get("own_realm") == "on"
    edited.timeout = _seconds(request.POST.get("timeout", ""), edited.timeout)
    if "purpose" in request.POST:
        edited.purpose = Purpose.objects.filter(key=request.POST["purpose"]).first()
        edited.recipients = recipients_from_text(request.POST.get("recipients", ""))
        edited.sends = [name.strip() for name in request.POST.get("sends", "").split(",") if name.strip()]


def _shown(rule: Rule) -> FormContent:
    plain = {field.key for field in _fields(rule) if not field.secret}
    return FormContent(
        rule.slug,
        ("rule.saved",),
        {
            "name": rule.name,
            "script": rule.script,
            "timeout": str(rule.timeout),
            "deny_on_failure": rule.deny_on_failure,
            "own_realm": rule.own_realm,
            "purpose": rule.purpose_id or "",
            "recipients": recipients_as_text(rule.recipients),
            "sends": ", ".join(rule.sends),
            **{SETTING + key: rule.settings.get(key, "") for key in sorted(plain)},
            "remove": [],
            "new_key": "",
        },
        {"language": rule.language, **{key: value for key, value in rule.settings.items() if key not in plain}},
        {"deny_on_failure": "The login ends if this rule fails", "own_realm": "It shares nothing with other rules"},
    )


def _template_of(rule: Rule) -> Template | None:
    return next((each for each in all_templates() if each.key == rule.template), None)


def _own_settings(rule: Rule) -> list[str]:
    """Return the settings that the rule's template does not declare."""
    template = _template_of(rule)
    return sorted(rule.settings.keys() - {field.key for field in (template.settings if template else ())})


def _fields(rule: Rule) -> Sequence[SettingField]:
    """Return the fields that the rule's template declares, and every other setting as a secret."""
    template = _template_of(rule)
    own = (SettingField(key, key, secret=True, required=False) for key in _own_settings(rule))
    return (*(template.settings if template else ()), *own)


def _seconds(text: str, before: float) -> float:
    """Return the number of seconds; 0, which `save_rule` refuses, for what is no number."""
    try:
        return float(text) if text.strip() else before
    except ValueError:
        return 0.0


def _settings(request: HttpRequest, edited: Rule, fields: Sequence[SettingField]) -> dict[str, str]:
    """Return the kept settings with the submitted values and the new one. Raises `DomainError`."""
    settings = fill_settings(fields, settings_given(request, fields), edited.settings)
    settings = {key: value for key, value in settings.items() if key not in request.POST.getlist("remove")}
    key, value = request.POST.get("new_key", "").strip(), request.POST.get("new_value", "").strip()
    if not key and not value:
        return settings
    if not SETTING_KEY.fullmatch(key):
        raise Invalid("bad_setting_name", BAD_SETTING_NAME, "new_key")
    return {**settings, key: value}


def _save(request: HttpRequest, edited: Rule, saved: Rule | None) -> HttpResponse:
    slug = slugify(edited.name)[:64]
    if saved is None and slug in RESERVED:
        raise Invalid("reserved_name", f"No rule can be called {slug!r}. Give it another name.", "name")
    if not edited.name or len(edited.name) > 128:
        raise Invalid("bad_name", "Give the rule a name of at most 128 characters.", "name")
    if saved is None:
        with creating(request) as sent:
            made = _written(request, edited, None)
            _choose_undeclared_purpose(request, made)
            sent.address = f"/console/rules/{made.slug}"
            return _said(request, made)
    with editing(request, saved, _shown) as row:
        _apply(request, row)
        made = _written(request, row, row)
        _choose_undeclared_purpose(request, made)
        return _said(request, made)


def _written(request: HttpRequest, edited: Rule, row: Rule | None) -> Rule:
    return save_rule(
        edited.name,
        script=edited.script,
        language=edited.language,
        slug=edited.slug,
        template=edited.template,
        enabled=edited.enabled,
        deny_on_failure=edited.deny_on_failure,
        settings=_settings(request, edited, _fields(edited)),
        timeout=edited.timeout,
        own_realm=edited.own_realm,
        purpose=edited.purpose_id or "",
        recipients=edited.recipients,
        sends=edited.sends,
        rule=row,
        new=row is None,
    )


def _choose_undeclared_purpose(request: HttpRequest, made: Rule) -> None:
    """Keep the purpose of undeclared rules that was chosen with the first one. Raises `Invalid("choose_purpose" | "unknown_purpose")`."""
    given = request.POST.get("undeclared_purpose", "")
    if given:
        choose_undeclared_purpose(given)
    elif not chosen_purpose() and undeclared_hosts(made, configuration()):
        raise Invalid(
            "choose_purpose",
            "This rule calls what it does not declare. Declare it, or choose the purpose under which rules do that.",
            "undeclared_purpose",
        )


def _said(request: HttpRequest, made: Rule) -> HttpResponse:
    sentence = f"{made.name} is saved" + (", and runs at logins." if made.enabled else ". Switch it on in the list.")
    return done(request, f"/console/rules/{made.slug}", "rule.saved", made.slug, sentence)


def _tried(request: HttpRequest, edited: Rule, settings: dict[str, str], shown: FormContent | None) -> HttpResponse:
    check(edited.script, edited.language)
    kept, edited.settings = edited.settings, settings
    given = (request.POST.get(name, "") for name in ("user_id", "context", "answers"))
    really = request.POST.get("really") == "on"
    tried = report_trial(edited, *given, really=really, gate_of=CustomerCallGate)
    edited.settings = kept
    return _editor_page(request, edited, shown, tried=tried)


def _undeclared(edited: Rule) -> list[str]:
    """Return the hosts that a rule calls without declaring them; none while what was typed about them cannot be read."""
    try:
        return undeclared_hosts(edited, configuration())
    except Invalid:
        return []


def _editor_page(
    request: HttpRequest,
    edited: Rule,
    shown: FormContent | None,
    problem: FormError | None = None,
    tried: TrialReport | None = None,
    shadowed: dict[str, Any] | None = None,
    line: int = 0,
) -> HttpResponse:
    fields = _fields(edited)
    values = settings_shown(fields, masked_settings(fields, edited.settings), settings_given(request, fields))
    template = _template_of(edited)
    found = next((each.http for each in template.examples if each.http), ()) if template else ()
    newest = RuleRun.objects.select_related("profile").order_by("-id")
    runs = newest[:RECENT_RUNS] if edited.slug else []
    steps = [(run, step) for run in runs for step in run.shown_steps if step["rule"] == edited.slug][:RUNS]
    purposes = list(Purpose.objects.filter(active=True).order_by("key").values_list("key", "label"))
    labels, hosts = dict(purposes), _undeclared(edited)
    people = Profile.objects.in_bulk({run.profile_id for run, _ in steps if run.profile_id})
    context = {
        "rule": edited,
        "fields": fields,
        "values": values,
        "own": _own_settings(edited),
        "line": line,
        "lines": [
            (number, text)
            for number, text in enumerate(edited.script.split("\n"), start=1)
            if line and abs(number - line) <= 1  # the faulty line with one before and after
        ],
        "tried": tried,
        "shadowed": shadowed,
        "answers": request.POST.get("answers", json.dumps(found, indent=2) if found else ""),
        "really": request.POST.get("really") == "on",
        "languages": _languages() if not edited.slug else [],
        "mode": MODES.get(edited.language, ""),
        "installed": [*python_rules, *file_rules()] if edited.language == Rule.Language.PYTHON else [],
        "purposes": [("", "None: it is undeclared"), *purposes],
        "recipients": recipients_as_text(edited.recipients),
        "sends": ", ".join(edited.sends),
        "undeclared": hosts,
        "undeclared_purposes": [("", "Choose one"), *purposes] if hosts and not chosen_purpose() else [],
        "undeclared_purpose": labels.get(undeclared_purpose(), undeclared_purpose()),
        "how_to_write": HOW_TO_WRITE.get(edited.language, ""),
        "warnings": warnings(edited.script) if edited.slug and not problem and edited.language in JAVASCRIPT else [],
        "user_id": request.POST.get("user_id", ""),
        "login": request.POST.get("context", ""),
        "runs": [
            {"run": run.pk, "at": run.at, "person": people.get(run.profile_id or 0), **step} for run, step in steps
        ],
    }
    return form_page(request, "console/rule.html", context, role=ROLE, problem=problem, edits=shown)


def _languages() -> list[tuple[str, str]]:
    """Return the languages in which a rule can be written on this installation."""
    return [
        (value, label) for value, label in Rule.Language.choices if value != Rule.Language.MONTY or monty.is_installed()
    ]
