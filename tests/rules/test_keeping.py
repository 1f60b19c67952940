"""Recorded runs: replays, shadows, disabled rules, and secrets that cannot be read back."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from tests.receivers import Answer, receiving

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.plugins.fields import HIDDEN
from regulars.rules.auto_disable import HITS, count_limit
from regulars.rules.models import Rule, RuleRun
from regulars.rules.python import file_rules
from regulars.rules.replay_runs import replay, shadow
from regulars.rules.run import run
from regulars.rules.run_records import delete_old_inputs
from regulars.rules.save import save_rule, set_setting, shown_settings

CHIKA = {
    "user_id": "auth0|chika",
    "email": "chika@example.com",
    "identities": [{"provider": "x", "access_token": "very-secret"}],
}
TIER = "function (u, c, cb) { c.idToken.tier = '%s'; cb(null, u, c); }"
NOOP = "function (u, c, cb) { cb(null, u, c); }"

pytestmark = pytest.mark.django_db


# replay and shadow


def test_a_login_is_replayed_with_the_rules_as_they_are_now() -> None:
    save_rule("tier", script=TIER % "silver")
    run_id = run("login", CHIKA, {"stats": {"loginsCount": 2}}, profile_id=None).run_id
    save_rule("tier", script=TIER % "gold")

    replayed = replay(run_id)

    assert replayed.outcome.id_token_claims == {"tier": "gold"}
    assert RuleRun.objects.count() == 1


def test_replay_answers_from_the_recording_without_requests(settings: Any) -> None:
    settings.DEMO = True
    with receiving(Answer(body=b'{"tier":"gold"}')) as server:
        script = f"async (u, c) => {{ c.idToken.tier = (await (await fetch('{server.url}/%s')).json()).tier; }}"
        rule = save_rule("asks", script=script % "a")
        run_id = run("login", CHIKA, {}, profile_id=None).run_id

        again = replay(run_id)
        (difference,) = shadow(rule, script % "other")

    assert len(server.received) == 1
    assert again.outcome.id_token_claims == {"tier": "gold"}
    assert difference.shadow.faults == {"asks": "threw"}
    assert difference.changed == ["id_token", "faults"]


def test_a_shadow_is_compared_with_the_live_rule_over_the_last_logins() -> None:
    rule = save_rule(
        "tier",
        script="function (u, c, cb) { c.idToken.tier = c.stats.loginsCount > 1 ? 'gold' : 'new'; cb(null, u, c); }",
    )
    for count in (1, 2, 3):
        run("login", CHIKA, {"stats": {"loginsCount": count}}, profile_id=None)

    differences = shadow(rule, rule.script.replace("> 1", "> 2"), last=2)

    assert [one.changed for one in differences] == [[], ["id_token"]]
    assert differences[1].live.outcome.id_token_claims == {"tier": "gold"}
    assert differences[1].shadow.outcome.id_token_claims == {"tier": "new"}
    assert Rule.objects.get().script == rule.script


def test_a_shadow_that_does_not_compile_is_refused() -> None:
    with pytest.raises(DomainError) as refused:
        shadow(save_rule("tier", script=NOOP), "function (")

    assert refused.value.code == "does_not_compile"


def test_inputs_are_kept_as_ciphertext_without_credentials_and_forgotten_in_time() -> None:
    save_rule("noop", script=NOOP)
    old = run("login", CHIKA, {"request": {"query": {"code": "abc-123"}}}, profile_id=None).run_id
    recent = run("login", CHIKA, {}, profile_id=None).run_id
    kept = RuleRun.objects.get(pk=old)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT inputs FROM {RuleRun._meta.db_table}")
        stored = str(cursor.fetchall())
    RuleRun.objects.filter(pk=old).update(at=clock.now() - dt.timedelta(days=8))

    forgotten = delete_old_inputs()

    assert "chika@example.com" not in stored
    assert (kept.inputs["user"]["email"], kept.inputs["user"]["identities"][0]["access_token"]) == (
        CHIKA["email"],
        HIDDEN,
    )
    assert kept.inputs["context"]["request"]["query"]["code"] == HIDDEN
    assert forgotten == 1
    assert replay(recent).run_id == recent
    with pytest.raises(DomainError) as refused:
        replay(old)
    assert refused.value.code == "inputs_forgotten"


def test_an_operator_may_keep_no_inputs_at_all(settings: Any) -> None:
    settings.RULE_INPUT_DAYS = 0
    save_rule("noop", script=NOOP)

    run("login", CHIKA, {}, profile_id=None)

    assert RuleRun.objects.get().inputs is None


def test_an_unknown_run_is_refused_by_name() -> None:
    with pytest.raises(DomainError) as refused:
        replay(7)

    assert refused.value.code == "unknown_run"


# the circuit breaker


def test_a_rule_that_hits_its_limits_again_and_again_is_switched_off_and_says_so() -> None:
    save_rule("greedy", script="function (u, c, cb) { c.a = 'x'.repeat(2e6); cb(null, u, c); }")
    for _ in range(HITS - 1):
        assert not count_limit("greedy", "too_much_cpu")

    run("login", CHIKA, {}, profile_id=None)

    rule = Rule.objects.get()
    assert not rule.enabled
    assert rule.disabled_reason == "Disabled: stopped 10 times within 10 minutes, last for answer_too_large."


def test_a_guard_is_never_switched_off_since_that_would_let_everybody_in() -> None:
    save_rule("guard", script=NOOP, deny_on_failure=True)

    switched_off = [count_limit("guard", "waited_too_long") for _ in range(HITS)]

    rule = Rule.objects.get()
    assert (any(switched_off), rule.enabled) == (False, True)
    assert rule.disabled_reason == "Denies every login: stopped 10 times within 10 minutes, last for waited_too_long."


def test_hits_long_apart_and_ordinary_faults_do_not_count() -> None:
    save_rule("unlucky", script="function (u, c, cb) { throw new Error('x'); }")
    for _ in range(HITS - 1):
        count_limit("unlucky", "too_much_cpu")
    Rule.objects.update(limit_since=clock.now() - dt.timedelta(minutes=11))

    run("login", CHIKA, {}, profile_id=None)
    count_limit("unlucky", "too_much_cpu")

    assert (Rule.objects.get().enabled, Rule.objects.get().limit_hits) == (True, 1)


def test_saving_a_rule_gives_it_a_new_start() -> None:
    save_rule("greedy", script=NOOP)
    for _ in range(HITS):
        count_limit("greedy", "too_much_cpu")

    again = save_rule("greedy", script=NOOP)

    assert (again.enabled, again.limit_hits, again.disabled_reason) == (True, 0, "")


# secrets and options


def test_secrets_are_written_and_never_read_back() -> None:
    save_rule("calls", script=NOOP, settings={"KEY": "k-12345", "REGION": "EU"})
    rule = save_rule("calls", script=NOOP, settings={"KEY": HIDDEN, "REGION": "US"})
    set_setting("SHARED", "s-12345")
    shared = set_setting("SHARED", HIDDEN)

    assert rule.settings == {"KEY": "k-12345", "REGION": "US"}
    assert shown_settings(rule) == {"KEY": HIDDEN, "REGION": HIDDEN}
    assert shared.value == "s-12345"


def test_a_rules_timeout_and_realm_stay_unless_they_are_given() -> None:
    save_rule("slow", script=NOOP, timeout=7, own_realm=True)

    again = save_rule("slow", script=NOOP)

    assert (again.timeout, again.own_realm) == (7, True)
    with pytest.raises(DomainError) as refused:
        save_rule("slow", script=NOOP, timeout=60)
    assert refused.value.code == "bad_timeout"


# the deployment's own Python


@pytest.fixture
def rules(settings: Any, tmp_path: Path) -> Path:
    settings.HOME = tmp_path
    (tmp_path / "rules").mkdir(mode=0o700)
    return tmp_path / "rules"


def test_a_file_in_the_folder_is_a_rule_by_its_name_and_read_anew_when_it_changes(rules: Path) -> None:
    (rules / "greet.py").write_text("def rule(user, context, api):\n    context['idToken']['greet'] = 'hej'\n")
    save_rule("greet", script="greet", language="python")
    first = run("login", CHIKA, {}, profile_id=None).id_token_claims
    (rules / "greet.py").write_text("def rule(user, context, api):\n    context['idToken']['greet'] = 'hello'\n")

    second = run("login", CHIKA, {}, profile_id=None).id_token_claims

    assert (file_rules(), first, second) == (["greet"], {"greet": "hej"}, {"greet": "hello"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def rule(:", "greet.py cannot be loaded: SyntaxError"),
        ("import nothing_of_that_name", "greet.py cannot be loaded: ModuleNotFoundError"),
        ("rule = 7", "greet.py has no function called rule"),
    ],
)
def test_a_file_that_is_no_rule_is_named(rules: Path, text: str, said: str) -> None:
    (rules / "greet.py").write_text(text)

    with pytest.raises(DomainError) as refused:
        save_rule("greet", script="greet", language="python")

    assert (refused.value.code, refused.value.message.startswith(said)) == ("bad_rule_file", True)


def test_a_file_that_anybody_may_write_is_not_run(rules: Path) -> None:
    (rules / "greet.py").write_text("def rule(user, context, api): pass")
    (rules / "greet.py").chmod(0o666)

    with pytest.raises(DomainError) as refused:
        save_rule("greet", script="greet", language="python")

    assert refused.value.code == "bad_rule_file"


def test_a_key_is_no_path(rules: Path) -> None:
    (rules.parent / "outside.py").write_text("def rule(user, context, api): pass")

    with pytest.raises(DomainError) as refused:
        save_rule("out", script="../outside", language="python")

    assert refused.value.code == "unknown_plugin"


def test_python_for_the_sandbox_is_checked_when_it_is_saved() -> None:
    with pytest.raises(DomainError) as refused:
        save_rule("typed", script="x = 1\n\ndef rule(:", language="monty")

    assert refused.value.code == "does_not_compile"


MONTY_ATTACKS = {
    "infinite loop": ("    while True:\n        pass", "too_much_cpu"),
    "memory": ("    x = []\n    while True:\n        x.append('a' * 1000000)", "too_much_memory"),
    "recursion": ("    rule(user, context, api)", "too_deep"),
    "files": ("    open('/etc/passwd')", "threw"),
    "no JSON": ("    context['a'] = {1, 2}", "threw"),
}


@pytest.mark.parametrize("attack", MONTY_ATTACKS, ids=list(MONTY_ATTACKS))
def test_python_at_fault_in_the_sandbox_is_named_and_the_next_rule_runs(attack: str) -> None:
    body, fault = MONTY_ATTACKS[attack]
    save_rule("typed", script=f"def rule(user, context, api):\n{body}\n", language="monty")
    save_rule("next", script=TIER % "gold")

    outcome = run("login", CHIKA, {}, profile_id=None)

    assert RuleRun.objects.get().steps[0]["fault"] == fault
    assert outcome.id_token_claims == {"tier": "gold"}
