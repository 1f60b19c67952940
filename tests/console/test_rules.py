"""Rules in the console."""

from __future__ import annotations

import logging

import pytest

from regulars.doors.console.differences import differences
from regulars.doors.console.models import AuditEntry
from regulars.profiles.learn import NewFact, learn
from regulars.rules.models import Rule, RuleRun, RuleSetting
from regulars.rules.run import run
from regulars.rules.save import save_rule, set_setting

NASTY = "<script>alert(1)</script>"
KEY = "sk-very-secret-4711"
FINE = "function (user, context, callback) { callback(null, user, context); }"
THROWS = "function (user, context, callback) {\n  throw new Error('no tea');\n}"
LOOPS = "function (user, context, callback) { while (true) {} }"


def _try(console, script: str, **more: str):
    return console.post("/console/rules/new", {"name": "Mine", "script": script, "do": "try", **more})


def test_ana_writes_a_rule_and_it_is_off_until_she_switches_it_on(console):
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
        ("/console/rules/templates/add-claim", {}),
        ("/console/rules/settings", {"key": "A", "value": "b"}),
    ],
)
def test_bruno_reads_rules_and_may_neither_write_nor_try_them(bruno_console, address, body):
    save_rule("mine", script=THROWS)

    assert bruno_console.get("/console/rules").status_code == 200
    assert bruno_console.get("/console/rules/mine").status_code == 200
    assert bruno_console.post(address, body).status_code == 403
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
        ({"do": "try", "user_id": "auth0|nobody"}, "user_id"),
        ({"do": "try", "context": "[1, 2"}, "context"),
        ({"do": "try", "context": "[" * 50_000}, "context"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(console, body, about):
    save_rule("Taken", script=FINE)

    response = console.post("/console/rules/new", {"name": "Mine", "script": FINE, **body})

    assert response.status_code == 400
    assert response.context["problem"].about == about
    assert f'id="in-{about.replace("_", "-")}-problem"' in response.content.decode()
    assert Rule.objects.count() == 1


def test_trying_shows_what_a_rule_prints_changes_and_claims_and_stores_nothing(console, chika):
    learn(chika, [NewFact("name", NASTY, "social", "google-oauth2")])
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


def test_a_rule_that_throws_is_tried_and_says_its_line(console):
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


def test_a_rule_that_denies_is_told_apart_from_one_that_fails(console):
    tried = _try(console, "function (u, c, cb) { cb(new UnauthorizedError('not you')); }").context["tried"]

    assert (tried.error, tried.refused) == ("", "not you")


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


def test_a_setting_left_empty_stays_and_one_taken_away_is_gone(console):
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


def test_a_template_is_switched_on_with_its_settings_and_off_again(console):
    console.post("/console/rules/templates/loyalty-tier-claim", {"setting.GOLD": "7"})
    assert Rule.objects.get().settings["GOLD"] == "7"

    console.post("/console/rules/loyalty-tier-claim/switch", {"on": "0"})

    assert not Rule.objects.get().enabled


def test_a_template_with_a_setting_missing_says_which(console):
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

    with django_assert_max_num_queries(8):
        console.get("/console/rules")
    with django_assert_max_num_queries(8):
        console.get("/console/rules/rule-1")


def test_differences_name_paths_and_kinds():
    found = list(differences({"a": {"b": 1, "c": 2}, "d": True}, {"a": {"b": 1, "e": [1]}, "d": 1}))

    assert [(each.path, each.kind) for each in found] == [("a.c", "taken away"), ("a.e", "added"), ("d", "changed")]
