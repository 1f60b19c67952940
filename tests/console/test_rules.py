"""Rules in the console."""

from __future__ import annotations

import hashlib
import logging
import threading
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.db import connection
from django.utils import timezone
from tests.mmdb import write_database
from tests.receivers import Answer, receiving

from regulars.base.errors import DomainError
from regulars.consent.refresh import refresh_views
from regulars.interfaces.console.models import AuditEntry
from regulars.profiles.learn import NewFact, learn
from regulars.rules.auto_disable import HITS, count_limit
from regulars.rules.declaration import chosen_purpose
from regulars.rules.models import Rule, RuleRun, RuleSetting
from regulars.rules.run import run
from regulars.rules.save import order_rules, save_rule, set_setting
from regulars.rules.templates import all_templates
from regulars.rules.trial_report import differences
from regulars.usecases.restrict import restrict

NASTY = "<script>alert(1)</script>"
KEY = "sk-very-secret-4711"
FINE = "function (user, context, callback) { callback(null, user, context); }"
THROWS = "function (user, context, callback) {\n  throw new Error('no tea');\n}"
TIER = "function (user, context, callback) { context.idToken['https://shop.example/tier'] = '%s'; callback(null, user, context); }"
SORTABLE = "bf4241bc73fef7f11c59a283a69fe8051cdd31c6d8ff5a2b9ba219e7831fcf76"
LOOPS = "function (user, context, callback) { while (true) {} }"


def _try(console, script: str, **more: str):
    return console.post("/console/rules/new", {"name": "Mine", "script": script, "do": "try", **more})


def test_a_new_rule_is_off_until_it_is_switched_on(console):
    response = console.post("/console/rules/new", {"name": "My rule", "script": FINE, "deny_on_failure": "on"})

    rule = Rule.objects.get()
    assert (response.status_code, response["Location"]) == (302, "/console/rules/my-rule")
    assert (rule.enabled, rule.deny_on_failure) == (False, True)
    console.post("/console/rules/my-rule/switch", {"on": "1"})
    assert Rule.objects.get().enabled
    assert list(AuditEntry.objects.values_list("what", flat=True)) == ["rule.saved", "rule.switched"]


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/console/rules/new", {"name": "x", "script": FINE}),
        ("/console/rules/new", {"name": "x", "script": FINE, "do": "try"}),
        ("/console/rules/mine", {"name": "x", "script": FINE}),
        ("/console/rules/mine/switch", {"on": "0"}),
        ("/console/rules/mine/move", {"to": "up"}),
        ("/console/rules/order", {"order": ["mine"], "shown": ["mine"]}),
        ("/console/rules/templates/add-claim", {}),
        ("/console/rules/settings", {"key": "A", "value": "b"}),
    ],
)
def test_mia_reads_rules_and_may_neither_write_nor_try_them(mia_console, address, body):
    save_rule("mine", script=THROWS)

    assert mia_console.get("/console/rules").status_code == 200
    assert mia_console.get("/console/rules/mine").status_code == 200
    assert mia_console.post(address, body).status_code == 403
    assert Rule.objects.get().script == THROWS


def test_a_script_that_does_not_compile_is_shown_with_its_line(console):
    response = console.post("/console/rules/new", {"name": "Broken", "script": "function (user) {\n  let a = ;\n}"})

    page = response.content.decode()
    assert response.status_code == 400
    assert response.context["line"] == 2
    assert "Line 2: SyntaxError" in page
    assert "<mark>2    let a = ;</mark>" in page
    assert not Rule.objects.exists()


@pytest.mark.parametrize(
    ("body", "about"),
    [
        ({"name": ""}, "name"),
        ({"name": "!!!"}, "name"),
        ({"name": "new"}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": "Taken"}, "name"),
        ({"script": " "}, "script"),
        ({"new_key": "not a name", "new_value": "x"}, "new_key"),
        ({"do": "try", "user_id": "auth0|missing"}, "user_id"),
        ({"do": "try", "context": "[1, 2"}, "context"),
        ({"do": "try", "context": "[" * 50_000}, "context"),
    ],
)
def test_an_error_is_shown_beside_its_field(console, body, about):
    save_rule("Taken", script=FINE)

    response = console.post("/console/rules/new", {"name": "Mine", "script": FINE, **body})

    assert response.status_code == (409 if body.get("name") == "Taken" else 400)
    assert response.context["problem"].field == about
    assert f'id="in-{about.replace("_", "-")}-problem"' in response.content.decode()
    assert Rule.objects.count() == 1


def test_trying_shows_what_a_rule_prints_changes_and_claims_and_stores_nothing(console, chika):
    learn(chika, [NewFact("name", NASTY, "social", "google-oauth2")])
    refresh_views(chika)
    script = """function (user, context, callback) {
      console.log('hello ' + user.name);
      user.app_metadata = {tier: 'gold'};
      context.idToken['https://shop.example/tier'] = 'gold';
      callback(null, user, context);
    }"""

    response = _try(console, script, user_id=chika.user_id)

    tried, page = response.context["tried"], response.content.decode()
    assert tried.console == [f"hello {NASTY}"]
    assert tried.claims == [("ID token", "https://shop.example/tier", "gold")]
    assert {change.path for change in tried.changes} == {
        "user.app_metadata",
        "context.idToken.https://shop.example/tier",
    }
    assert NASTY not in page
    assert "&lt;script&gt;" in page
    assert not Rule.objects.exists()
    assert not RuleRun.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_trial_of_a_throwing_rule_shows_its_line(console):
    response = _try(console, THROWS)

    assert response.status_code == 200
    assert response.context["tried"].error == "threw: Error: no tea (line 2)"


def test_a_rule_that_loops_is_stopped_and_named(console):
    response = _try(console, LOOPS)

    assert response.context["tried"].error in (
        "too_much_cpu",
        "too_much_time",
    )  # whichever limit the machine meets first
    assert "It failed" in response.content.decode()


def test_a_trial_distinguishes_denial_from_failure(console):
    tried = _try(console, "function (u, c, cb) { cb(new UnauthorizedError('not you')); }").context["tried"]

    assert (tried.error, tried.refused) == ("", "not you")


def test_a_trial_shows_what_else_a_rule_would_do(console):
    script = """function (user, context, callback) {
      context.multifactor = { provider: 'any' };
      context.redirect = { url: 'https://shop.example/terms' };
      callback(null, user, context);
    }"""
    page = _try(console, script).content.decode()

    assert "a second factor is asked for, if none was used in this session" in page
    assert "redirect to https://shop.example/terms" in page


def test_a_secret_is_written_once_and_never_seen_again(console, caplog):
    """Not in a form, not on the page of a trial that prints it, not in a log, not in the audit."""
    caplog.set_level(logging.DEBUG)
    prints = """function (user, context, callback) {
      console.log(configuration.KEY + configuration.SHARED);
      context.idToken[configuration.KEY] = configuration.KEY;
      callback(new Error(configuration.KEY), user, context);
    }"""
    set_setting("SHARED", KEY + "-shared")
    console.post("/console/rules/new", {"name": "Mine", "script": prints, "new_key": "KEY", "new_value": KEY})
    tried = console.post("/console/rules/mine", {"name": "Mine", "script": prints, "do": "try"})
    wrong = console.post("/console/rules/mine", {"name": "", "script": prints, "setting.KEY": KEY})

    pages = [tried, wrong, console.get("/console/rules/mine"), console.get("/console/rules")]
    assert Rule.objects.get().settings == {"KEY": KEY}
    assert all(KEY not in page.content.decode() for page in pages)
    assert tried.context["tried"].console == ["••••••"]
    assert KEY not in caplog.text
    assert KEY not in str(list(AuditEntry.objects.values()))


def test_an_empty_setting_is_kept_and_a_removed_one_is_deleted(console):
    save_rule("mine", script=FINE, settings={"A": "one", "B": "two"})

    console.post("/console/rules/mine", {"name": "mine", "script": FINE, "setting.A": "", "remove": "B"})

    assert Rule.objects.get().settings == {"A": "one"}


def test_a_rule_runs_earlier_or_later_and_stays_at_an_end(console):
    for name in ("a", "b", "c"):
        save_rule(name, script=FINE)

    console.post("/console/rules/c/move", {"to": "up"})
    console.post("/console/rules/a/move", {"to": "up"})
    assert [rule.slug for rule in Rule.objects.all()] == ["a", "c", "b"]
    console.post("/console/rules/a/move", {"to": "down"})

    assert [rule.slug for rule in Rule.objects.all()] == ["c", "a", "b"]


def test_the_order_ana_drags_them_into_is_the_order_they_run_in(console, chika):
    for name in ("a", "b", "c"):
        save_rule(name, script=TIER % name)
    shown, wanted = ["a", "b", "c"], ["c", "a", "b"]
    response = console.post("/console/rules/order", {"order": wanted, "shown": shown})
    run("login", {"user_id": chika.user_id}, {}, profile_id=chika.pk)

    assert (response.status_code, response["Location"]) == (302, "/console/rules")
    assert [rule.slug for rule in Rule.objects.all()] == wanted
    assert [step["rule"] for step in RuleRun.objects.get().steps] == wanted
    assert AuditEntry.objects.get().details == {"order": wanted}


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (["c", "b", "a"], ["b", "a", "c"]),  # one was moved
        (["c", "a"], ["a", "c"]),  # one was added
        (["d", "c", "b", "a"], ["a", "b", "c", "d"]),  # one was removed
        (["c", "c", "a"], ["a", "b", "c"]),  # no browser sends this
        ([], []),
    ],
)
def test_an_order_that_was_changed_meanwhile_is_not_overwritten(console, wanted, shown):
    for name in ("a", "b", "c"):
        save_rule(name, script=FINE)

    response = console.post("/console/rules/order", {"order": wanted, "shown": shown})

    assert response.status_code == 400
    assert "The rules changed meanwhile" in response.content.decode()
    assert "<title>Error: " in response.content.decode()
    assert [rule.slug for rule in Rule.objects.all()] == ["a", "b", "c"]


@pytest.mark.django_db(transaction=True)
def test_of_two_concurrent_reorderings_one_is_refused(transactional_db):
    for name in ("a", "b", "c"):
        save_rule(name, script=FINE)
    orders, codes, ready = [["c", "b", "a"], ["b", "c", "a"]], [], threading.Barrier(2)

    def drag(wanted: list[str]) -> None:
        ready.wait(10)
        try:
            order_rules(wanted, ["a", "b", "c"])
        except DomainError as refused:
            codes.append(refused.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=drag, args=(wanted,)) for wanted in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert codes == ["order_changed"]
    assert [rule.slug for rule in Rule.objects.all()] in orders


def test_what_drags_is_the_published_library(console):
    """As `npm pack sortablejs@1.15.7` has it; a change by hand would match no release."""
    file = Path(finders.find("console/sortable/Sortable.min.js"))

    assert hashlib.sha256(file.read_bytes()).hexdigest() == SORTABLE


def test_a_template_is_switched_on_with_its_settings_and_off_again(console):
    console.post("/console/rules/templates/loyalty-tier-claim", {"setting.GOLD": "7"})
    assert Rule.objects.get().settings["GOLD"] == "7"

    console.post("/console/rules/loyalty-tier-claim/switch", {"on": "0"})

    assert not Rule.objects.get().enabled


def test_a_template_that_needs_places_says_so_and_is_not_switched_on_again_without_them(console, settings, tmp_path):
    settings.GEOIP_FILE = str(tmp_path / "places.mmdb")
    refused = console.post("/console/rules/templates/country-claim", {})
    assert (refused.status_code, "no database of them yet" in refused.content.decode()) == (400, True)
    write_database(tmp_path / "places.mmdb", "193.10.0.0/16", {"country_code": "SE"})
    console.post("/console/rules/templates/country-claim", {})
    console.post("/console/rules/country-claim/switch", {"on": "0"})
    (tmp_path / "places.mmdb").unlink()

    refused = console.post("/console/rules/country-claim/switch", {"on": "1"})

    assert (refused.status_code, "no database of them yet" in refused.content.decode()) == (400, True)
    assert not Rule.objects.get().enabled


def test_a_trial_on_a_customer_gets_the_context_of_their_last_sign_in(console, chika):
    tells = "function (u, c, cb) { console.log(c.clientName + ' ' + String(c.request.geoip)); cb(null, u, c); }"
    save_rule("tells", script=tells)
    form = {**console.fields("/console/rules/tells"), "do": "try", "script": tells}
    sample = console.post("/console/rules/tells", form).content.decode()
    assert ("Shop undefined" in sample, "Login context: a sample" in sample) == (True, True)
    place = {"ip": "193.10.2.3", "geoip": {"country_code": "SE"}}
    run("login", {"user_id": chika.user_id}, {"clientName": "Till", "request": place}, profile_id=chika.pk)

    recorded = console.post("/console/rules/tells", {**form, "user_id": chika.user_id}).content.decode()
    chika.restricted_at = timezone.now()
    chika.save(update_fields=["restricted_at"])
    restricted = console.post("/console/rules/tells", {**form, "user_id": chika.user_id}).content.decode()

    assert ("Till [object Object]" in recorded, "recorded at the customer" in recorded) == (True, True)
    assert "Login context: a sample" in restricted


def test_a_template_with_a_missing_setting_names_it(console):
    response = console.post("/console/rules/templates/add-claim", {"setting.CLAIM": ""})

    assert response.status_code == 400
    assert 'id="in-add-claimsetting-CLAIM-problem"' in response.content.decode()
    assert not Rule.objects.exists()


def test_what_a_template_calls_no_secret_may_be_read(console):
    console.post("/console/rules/templates/add-claim", {"setting.CLAIM": "https://shop.example/wish"})

    assert "https://shop.example/wish" in console.get("/console/rules/add-claim").content.decode()


def test_a_shared_setting_is_kept_named_and_taken_away(console):
    console.post("/console/rules/settings", {"key": "CRM_KEY", "value": KEY})
    page = console.get("/console/rules").content.decode()
    assert RuleSetting.objects.get().value == KEY
    assert "CRM_KEY" in page
    assert KEY not in page

    console.post("/console/rules/settings", {"key": "CRM_KEY", "do": "remove"})

    assert not RuleSetting.objects.exists()
    assert console.post("/console/rules/settings", {"key": "1 2", "value": "x"}).status_code == 400


def test_runs_are_listed_with_the_names_of_their_faults(console, chika):
    save_rule("bad", script=THROWS)
    run("login", {"user_id": chika.user_id}, {}, profile_id=chika.pk)

    page = console.get("/console/rules/bad").content.decode()

    assert "failed: threw" in page
    assert chika.user_id in page
    assert "1 of 1" in console.get("/console/rules").content.decode()


def test_many_rules_and_runs_cost_few_queries(console, chika, django_assert_max_num_queries):
    for number in range(12):
        save_rule(f"rule {number}", script=FINE, enabled=number == 1)
    for _ in range(12):
        run("login", {"user_id": chika.user_id}, {}, profile_id=chika.pk)

    with django_assert_max_num_queries(9):
        console.get("/console/rules")
    with django_assert_max_num_queries(9):
        console.get("/console/rules/rule-1")


def test_differences_name_paths_and_kinds():
    found = list(differences({"a": {"b": 1, "c": 2}, "d": True}, {"a": {"b": 1, "e": [1]}, "d": 1}))

    assert [(each.path, each.kind) for each in found] == [("a.c", "removed"), ("a.e", "added"), ("d", "changed")]


ASKS = """function (user, context, callback) {
  request.get({url: 'https://crm.example/1', json: true}, function (error, response, body) {
    context.idToken['https://shop.example/tier'] = error ? error.code : body.tier;
    callback(null, user, context);
  });
}"""
ANSWERS = '[{"url": "https://crm.example/1", "answer": {"tier": "gold"}}]'


def test_requests_of_a_tried_rule_get_the_declared_answers(console):
    tried = _try(console, ASKS, answers=ANSWERS)
    unheard = _try(console, ASKS)

    assert tried.context["tried"].claims == [("ID token", "https://shop.example/tier", "gold")]
    assert [(each["method"], each["host"], each["status"]) for each in tried.context["tried"].requests] == [
        ("GET", "crm.example", 200)
    ]
    assert "No external service was called" in tried.content.decode()
    assert unheard.context["tried"].claims == [("ID token", "https://shop.example/tier", "ENOTDECLARED")]
    assert "requested but not declared: GET https://crm.example/1" in unheard.content.decode()


def test_real_services_are_called_only_on_request(console, settings):
    settings.DEMO = True
    with receiving(Answer(body=b'{"tier": "silver"}', headers={"content-type": "application/json"})) as crm:
        script = ASKS.replace("https://crm.example", crm.url)
        _try(console, script)
        assert crm.received == []

        tried = _try(console, script, really="on")

    assert [one.path for one in crm.received] == ["/1"]
    assert tried.context["tried"].claims == [("ID token", "https://shop.example/tier", "silver")]
    assert "The real services were called" in tried.content.decode()


@pytest.mark.parametrize("answers", ["{", "{}", "[1]", "[{}]", '[{"url": 1}]', '[{"url": "x", "sends": [1]}]'])
def test_answers_that_are_none_are_refused_beside_their_field(console, answers):
    response = _try(console, ASKS, answers=answers)

    assert (response.status_code, response.context["problem"].field) == (400, "answers")


def test_a_recorded_login_is_played_again_with_the_rules_of_today(console, chika):
    save_rule("tier", script=TIER % "silver", settings={"KEY": KEY})
    recorded = run("login", {"user_id": chika.user_id}, {}, profile_id=chika.pk)
    save_rule("tier", script=TIER.replace("'%s'", "'gold' + configuration.KEY"), slug="tier", settings={"KEY": KEY})
    address = f"/console/rules/runs/{recorded.run_id}"

    page = console.get(address).content.decode()
    again = console.post(address)

    assert chika.user_id in page
    assert again.context["replayed"] == {"ID token": {"https://shop.example/tier": "gold•••"}}
    assert KEY not in again.content.decode()
    assert RuleRun.objects.count() == 1
    assert console.get("/console/rules/runs/4711").status_code == 404


def test_a_login_that_is_not_kept_any_more_is_not_played_and_mia_plays_none(console, mia_console, chika):
    save_rule("tier", script=TIER % "silver")
    recorded = run("login", {"user_id": chika.user_id}, {}, profile_id=chika.pk)
    address = f"/console/rules/runs/{recorded.run_id}"
    assert mia_console.get(address).status_code == 200
    assert mia_console.post(address).status_code == 403
    RuleRun.objects.update(inputs=None)

    response = console.post(address)

    assert response.status_code == 400
    assert "is not kept any more" in response.content.decode()


def test_a_login_of_a_restricted_customer_is_stored_and_the_page_says_so(console, chika):
    save_rule("tier", script=TIER % "silver")
    recorded = run("login", {"user_id": chika.user_id}, {}, profile_id=chika.pk)
    restrict(chika, "profile")

    text = console.get(f"/console/rules/runs/{recorded.run_id}").content.decode()

    assert "is stored, and neither shown nor replayed" in text
    assert "is not kept any more" not in text


def test_a_new_version_is_compared_with_the_live_one_over_the_last_logins(console, chika):
    save_rule("tier", script=TIER % "silver")
    for _ in range(2):
        run("login", {"user_id": chika.user_id}, {}, profile_id=chika.pk)

    same = console.post("/console/rules/tier", {"name": "tier", "script": TIER % "silver", "do": "shadow"})
    other = console.post("/console/rules/tier", {"name": "tier", "script": TIER % "gold", "do": "shadow"})

    assert same.context["shadowed"] == {"of": 2, "differing": []}
    assert "2 of 2 logins would differ" in other.content.decode()
    [change] = other.context["shadowed"]["differing"][0]["pairs"]
    assert (change.path, change.before, change.after) == ("ID token.https://shop.example/tier", "silver", "gold")
    assert Rule.objects.get().script == TIER % "silver"
    assert RuleRun.objects.count() == 2


def test_a_disabled_rule_shows_why_and_can_be_switched_on_again(console):
    save_rule("slow", script=FINE)
    for _ in range(HITS):
        count_limit("slow", "too_much_cpu")
    assert "stopped 10 times" in console.get("/console/rules").content.decode()
    assert "Switch on again" in console.get("/console/rules/slow").content.decode()

    console.post("/console/rules/slow/switch", {"on": "1"})

    rule = Rule.objects.get()
    assert (rule.enabled, rule.disabled_reason, rule.limit_hits) == (True, "", 0)


def test_how_long_a_login_waits_is_written_with_the_rule(console):
    console.post("/console/rules/new", {"name": "Mine", "script": FINE, "timeout": "1.5", "own_realm": "on"})
    wrong = console.post("/console/rules/mine", {"name": "Mine", "script": FINE, "timeout": "an hour"})

    assert (Rule.objects.get().timeout, Rule.objects.get().own_realm) == (1.5, True)
    assert (wrong.status_code, wrong.context["problem"].field) == (400, "timeout")


@pytest.mark.parametrize(
    ("language", "script", "saved"),
    [
        ("javascript", "exports.onExecutePostLogin = async (event, api) => {};", "action"),
        ("action", "exports.onExecutePostLogin = async (event, api) => {};", "action"),
        ("monty", "def rule(user, context, api):\n    pass", "monty"),
        ("cobol", FINE, "javascript"),
    ],
)
def test_a_new_rule_uses_the_chosen_language(console, language, script, saved):
    page = console.get(f"/console/rules/new?language={language}")
    console.post("/console/rules/new", {"name": "Mine", "script": script, "language": language})

    assert page.status_code == 200
    assert Rule.objects.get().language == saved
    assert Rule.objects.get().get_language_display() in console.get("/console/rules").content.decode()


def test_python_of_the_home_folder_is_offered_by_name(console, settings, tmp_path):
    settings.HOME = tmp_path
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/greet.py").write_text(
        "def rule(user, context, api):\n    context['idToken']['https://shop.example/hi'] = 1\n"
    )
    page = console.get("/console/rules/new?language=python").content.decode()
    tried = _try(console, "greet", language="python")

    assert "<code>greet</code>" in page
    assert tried.context["tried"].claims == [("ID token", "https://shop.example/hi", 1)]


def test_the_gallery_is_found_by_words_and_by_category(console):
    everything = console.get("/console/rules")
    slack = console.get("/console/rules?q=slack")
    nothing = console.get("/console/rules?q=zeppelin")

    assert [category for category, _ in everything.context["gallery"]] == sorted(
        {each.category for each in all_templates()}
    )
    assert "slack-new-customer" in [card["template"].key for _, cards in slack.context["gallery"] for card in cards]
    assert slack.context["found"] < len(all_templates())
    assert "No template matches" in nothing.content.decode()


CALLS = "function (user, context, callback) { fetch('https://api.crm.example/1', {method: 'POST', body: user.email}); callback(null, user, context); }"


def test_first_rule_that_calls_undeclared_asks_for_the_purpose_of_such_rules(console):
    form = {**console.fields("/console/rules/new"), "name": "CRM", "script": CALLS}

    refused = console.post("/console/rules/new", form)

    page = refused.content.decode()
    assert (refused.status_code, 'name="undeclared_purpose"' in page) == (400, True)
    assert "It calls api.crm.example without declaring it" in page
    assert not Rule.objects.exists()
    saved = console.post("/console/rules/new", {**form, "undeclared_purpose": "share"})
    assert (saved.status_code, chosen_purpose(), Rule.objects.get().purpose) == (302, "share", None)
    assert "calls api.crm.example" in console.get("/console/rules").content.decode()
    console.post("/console/rules/crm/switch", {"on": "1"})
    record = console.get("/console/privacy/record").content.decode()
    assert '<span class="chip warn">undeclared</span> api.crm.example' in record
    again = {**console.fields("/console/rules/new"), "name": "CRM 2", "script": CALLS}
    assert console.post("/console/rules/new", again).status_code == 302  # it is asked once


def test_declaration_is_saved_shown_and_asks_nothing(console):
    declared = {
        "purpose": "share",
        "recipients": "Our CRM: api.crm.example, .crm.example",
        "sends": "email, user_metadata.size",
    }
    form = {**console.fields("/console/rules/new"), "name": "CRM", "script": CALLS, **declared}
    assert console.post("/console/rules/new", form).status_code == 302

    rule = Rule.objects.get()

    assert (rule.purpose_id, rule.sends) == ("share", ["email", "user_metadata.size"])
    assert rule.recipients == [{"name": "Our CRM", "hosts": ["api.crm.example", ".crm.example"]}]
    assert {name: console.fields("/console/rules/crm")[name] for name in declared} == declared
    assert "undeclared" not in console.get("/console/rules").content.decode()
    page = console.post(
        "/console/rules/crm", {**console.fields("/console/rules/crm"), "recipients": "CRM: not a host!"}
    )
    assert (page.status_code, "is no host" in page.content.decode()) == (400, True)


def test_template_keeps_its_declaration_when_its_settings_are_saved(console):
    console.post("/console/rules/templates/lytics-profile", {"setting.LYTICS_KEY": "k"})
    before = Rule.objects.get()
    console.post(
        f"/console/rules/{before.slug}", {**console.fields(f"/console/rules/{before.slug}"), "name": "Renamed"}
    )

    after = Rule.objects.get()

    assert after.name == "Renamed"
    assert (after.purpose_id, after.recipients, after.sends) == (before.purpose_id, before.recipients, before.sends)
