"""What rules may do at a login, by Auth0's contract, and what becomes of those that misbehave."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from regulars.rules.decide import Denied, MetadataUpdate
from regulars.rules.models import Rule, RuleRun
from regulars.rules.python import Api, Unauthorized, python_rules
from regulars.rules.run import RulesOutcome, run, try_rule
from regulars.rules.save import MAX_TIMEOUT, save_rule, set_setting

CHIKA = {"user_id": "auth0|chika", "email": "chika@example.com"}
NAMESPACE = "https://shop.example/"


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Every test here saves rules."""


def login(*scripts: str, context: dict[str, Any] | None = None, profile_id: int | None = None) -> RulesOutcome:
    for number, script in enumerate(scripts):
        save_rule(f"rule {number}", script=script, timeout=MAX_TIMEOUT)  # so that a busy machine stops none
    return run("login", CHIKA, context or {}, profile_id=profile_id)


def claims_of(script: str) -> dict[str, Any]:
    """The ID token's claims, of a body that fills in `claims`."""
    outcome = login(f"function (user, context, callback) {{ const claims = context.idToken = {{}}; {script};\n"
                    "callback(null, user, context); }")  # fmt: skip
    return outcome.id_token_claims


# what a rule can do


def test_rules_run_in_order_and_each_sees_what_the_one_before_left() -> None:
    save_rule("second", order=2, script="function (u, c, cb) { c.idToken = {n: u.n + 1}; cb(null, u, c); }")
    save_rule("first", order=1, script="function (u, c, cb) { u.n = 1; cb(null, u, c); }")

    assert run("login", CHIKA, {}, profile_id=None).id_token_claims == {"n": 2}


def test_a_rule_switched_off_does_not_run() -> None:
    save_rule("off", enabled=False, script="function (u, c, cb) { cb(new UnauthorizedError('no')); }")

    assert run("login", CHIKA, {}, profile_id=None).denied is None


def test_callback_with_nothing_keeps_the_objects_as_the_rule_left_them() -> None:
    assert login("function (u, c, cb) { c.idToken = {a: 1}; cb(null); }").id_token_claims == {"a": 1}


def test_only_the_first_callback_counts() -> None:
    outcome = login("function (u, c, cb) { cb(null, u, c); cb(new UnauthorizedError('too late')); }")

    assert outcome.denied is None


def test_an_async_rule_without_callback_ends_when_it_returns() -> None:
    assert login("async (user, context) => { await null; context.idToken = {a: 1}; }").id_token_claims == {"a": 1}


def test_a_timer_fires_without_anybody_waiting() -> None:
    outcome = login("function (u, c, cb) { setTimeout(() => { c.idToken = {a: 1}; cb(null, u, c); }, 60000); }")

    assert outcome.id_token_claims == {"a": 1}


def test_configuration_holds_the_houses_settings_and_the_rules_own_win() -> None:
    set_setting("REGION", "EU")
    set_setting("TIER", "shared")
    save_rule(
        "settings",
        script="function (u, c, cb) { c.idToken = configuration; cb(null, u, c); }",
        settings={"TIER": "own"},
    )

    assert run("login", CHIKA, {}, profile_id=None).id_token_claims == {"REGION": "EU", "TIER": "own"}


def test_rules_of_one_login_share_global_and_the_next_login_finds_it_empty() -> None:
    counting = "function (u, c, cb) { global.n = (global.n || 0) + 1; c.idToken = {n: global.n}; cb(null, u, c); }"

    assert login(counting, counting).id_token_claims == {"n": 2}
    assert run("login", CHIKA, {}, profile_id=None).id_token_claims == {"n": 2}


def test_metadata_updates_are_asked_for_and_not_yet_done() -> None:
    outcome = login(
        "async function (user, context, callback) {"
        "  await auth0.users.updateUserMetadata(user.user_id, {likes: 'tea'});"
        "  auth0.users.updateAppMetadata(user.user_id, {seen: true}, () => callback(null, user, context)); }"
    )

    assert outcome.metadata_updates == [
        MetadataUpdate("rule-0", "user_metadata", {"likes": "tea"}),
        MetadataUpdate("rule-0", "app_metadata", {"seen": True}),
    ]


def test_rule_cannot_update_another_user() -> None:
    outcome = login("async (user, context) => { await auth0.users.updateAppMetadata('auth0|dov', {admin: true}); }")

    assert outcome.metadata_updates == []
    assert RuleRun.objects.get().steps[0]["fault"] == "threw"


def test_an_enrichment_is_asked_for_once_however_often_rules_ask() -> None:
    asking = "function (u, c, cb) { regulars.enrich('us-census-acs'); cb(null, u, c); }"

    assert login(asking, asking).enrichments == ["us-census-acs"]


def test_scopes_are_replaced_by_a_list_or_left_alone() -> None:
    assert login("function (u, c, cb) { cb(null, u, c); }").scopes is None
    assert login("function (u, c, cb) { c.accessToken = {scope: ['openid', 7, 'a b']}; cb(null, u, c); }").scopes == [
        "openid"
    ]


def test_reserved_claims_stay_the_providers() -> None:
    outcome = login(
        "function (u, c, cb) {"
        "  c.idToken = {sub: 'auth0|dov', aud: 'x', nonce: 'y', exp: 1, plan: 'gold'};"
        "  c.accessToken = {iss: 'evil', client_id: 'x', permissions: ['all'], plan: 'gold'}; cb(null, u, c); }"
    )

    assert outcome.id_token_claims == {"plan": "gold"}
    assert outcome.access_token_claims == {"plan": "gold"}


def test_random_numbers_and_time_are_not_those_of_the_frozen_image() -> None:
    script = "function (u, c, cb) { c.idToken = {r: Math.random(), t: Date.now()}; cb(null, u, c); }"

    first, second = login(script).id_token_claims, run("login", CHIKA, {}, profile_id=None).id_token_claims

    assert first["r"] != second["r"]
    assert first["t"] <= second["t"] > 1_700_000_000_000


# the ways a login ends or turns off


def test_unauthorized_error_denies_and_no_further_rule_runs() -> None:
    outcome = login(
        "function (u, c, cb) { cb(new UnauthorizedError('Members only.')); }",
        "function (u, c, cb) { regulars.enrich('x'); cb(null, u, c); }",
    )

    assert outcome.denied == Denied("unauthorized", "Members only.")
    assert (outcome.enrichments, len(RuleRun.objects.get().steps)) == ([], 1)


@pytest.mark.parametrize(
    "throws", ["throw new UnauthorizedError('no')", "return Promise.reject(new UnauthorizedError('no'))"]
)
def test_unauthorized_error_denies_however_it_leaves_the_rule(throws: str) -> None:
    assert login(f"function (u, c, cb) {{ {throws}; }}").denied == Denied("unauthorized", "no")


def test_another_error_given_to_callback_is_access_denied() -> None:
    assert login("function (u, c, cb) { cb(new Error('not today')); }").denied == Denied("access_denied", "not today")
    assert login("function (u, c, cb) { cb('just text'); }").denied == Denied("access_denied", "just text")


def test_a_denied_login_carries_nothing_into_a_token() -> None:
    outcome = login(
        "function (u, c, cb) { c.idToken = {a: 1}; c.redirect = {url: 'https://x.example'}; cb(new Error('no')); }"
    )

    assert (outcome.id_token_claims, outcome.redirect_url) == ({}, None)


def test_a_redirect_happens_once_per_login_whatever_a_rule_says_about_it() -> None:
    script = "function (u, c, cb) { c.protocol = 'x'; c.redirect = {url: 'https://form.example/a'}; cb(null, u, c); }"

    assert login(script).redirect_url == "https://form.example/a"
    assert run("login", CHIKA, {"protocol": "redirect-callback"}, profile_id=None).redirect_url is None


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//evil.example", "https://a@b.example", "/local", "https://", 7]
)
def test_a_redirect_goes_to_the_web_or_nowhere(url: object) -> None:
    script = f"function (u, c, cb) {{ c.redirect = {{url: {url!r}}}; cb(null, u, c); }}"

    assert login(script).redirect_url is None


# rules at fault

ATTACKS = {
    "infinite loop": ("while (true);", "too_much_cpu"),
    "loop that catches everything": ("while (true) { try { null.x } catch (e) {} }", "too_much_cpu"),
    "catastrophic pattern": ("/(a+)+$/.test('a'.repeat(40) + 'b')", "too_much_cpu"),
    "promises without end": ("(async () => { while (true) await 0; })()", "too_much_cpu"),
    "timers without end": ("(function again() { setTimeout(again); })()", "too_much_cpu"),
    "native loop that never asks": ("const a = []; a[2 ** 32 - 2] = 1; a.indexOf(5)", "too_much_time"),
    "memory bomb": ("const a = []; while (true) a.push(new Array(10000).fill(1))", "too_much_memory"),
    "buffer bomb": ("const a = []; while (true) a.push(new ArrayBuffer(1e6))", "too_much_memory"),
    "deep recursion": ("(function f() { f(); })()", "too_deep"),
    "huge result": ("context.idToken = {a: 'x'.repeat(2e6)}; callback(null, user, context)", "answer_too_large"),
    "deep result": ("let d = context; for (let i = 0; i < 60; i++) d = d.d = {}; callback(null)", "bad_answer"),
    "circle": ("context.self = context; callback(null)", "threw"),
    "looping toJSON": ("context.toJSON = () => { while (true); }; callback(null)", "too_much_cpu"),
    "looping getter on what is thrown": ("throw {get name() { while (true); }}", "too_much_cpu"),
    "throws a text": ("throw 'nothing in particular'", "threw"),
    "throws nothing": ("throw null", "threw"),
    "throws an error that cannot be read": ("const e = new Error(); Object.defineProperty(e, 'message', {get() { throw e }}); throw e", "threw"),
    "never calls back": ("", "never_called_back"),
    "rejects": ("return Promise.reject(new TypeError('x'))", "threw"),
    "asks for a file": ("const load = require; load('fs')", "threw"),
}  # fmt: skip


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(name, id=name, marks=[pytest.mark.rule_wall_time] if fault == "too_much_time" else [])
        for name, (_, fault) in ATTACKS.items()
    ],
)
def test_a_rule_at_fault_is_named_and_the_next_rule_runs(attack: str) -> None:
    body, fault = ATTACKS[attack]

    outcome = login(
        f"function (user, context, callback) {{ {body}\n}}",
        "function (u, c, cb) { c.idToken = {ok: 1}; cb(null, u, c); }",
    )

    first, second = RuleRun.objects.get().steps
    assert (first["rule"], first["how"]) == ("rule-0", "failed")
    assert first["fault"] == fault
    assert (second["how"], outcome.id_token_claims) == ("done", {"ok": 1})


@pytest.mark.rule_wall_time
def test_a_rule_is_stopped_soon() -> None:
    began = time.thread_time()
    login("function (u, c, cb) { while (true); }")

    assert time.thread_time() - began < 2.8  # seconds of the processor: other programs may take the machine meanwhile
    assert RuleRun.objects.get().milliseconds < 10_000


def test_a_rule_that_fails_changes_nothing() -> None:
    outcome = login("function (u, c, cb) { c.idToken = {half: 1}; regulars.enrich('x'); u.user_id = 'z'; oops(); }")

    assert (outcome.id_token_claims, outcome.enrichments) == ({}, [])


def test_a_guard_that_fails_denies() -> None:
    save_rule("guard", deny_on_failure=True, script="function (u, c, cb) { oops(); }")

    outcome = run("login", CHIKA, {}, profile_id=None)

    assert outcome.denied is not None
    assert (outcome.denied.error, "oops" in outcome.denied.description) == ("access_denied", False)


def test_a_polluted_prototype_reaches_neither_the_result_nor_the_next_login() -> None:
    login(
        "function (u, c, cb) { Object.prototype.denied = 'x'; Object.prototype.toJSON = () => 7;"
        ' c.idToken = JSON.parse(\'{"__proto__": {"admin": true}, "a": 1}\'); cb(null, u, c); }'
    )
    Rule.objects.all().delete()

    assert claims_of("claims.polluted = ({}).denied === undefined") == {"polluted": True}


def test_a_rule_cannot_speak_for_the_kernel() -> None:
    assert claims_of(
        "claims.hidden = ['__run', '__step', '__compile', '__builtins', '__host', 'turn'].filter(n => n in globalThis)"
    ) == {"hidden": []}


def test_text_that_no_database_stores_is_replaced() -> None:
    assert claims_of("claims.a = 'x\\u0000y'; console.log('\\ud800')") == {"a": "x�y"}


# what is on record


def test_a_run_is_recorded_with_its_person_and_without_the_values_of_claims(chika: Any) -> None:
    set_setting("API_KEY", "k-12345")

    outcome = login(
        "function (u, c, cb) { console.log('key', configuration.API_KEY); c.idToken = {tier: 'gold-secret'}; cb(null, u, c); }",
        profile_id=chika.pk,
    )

    record = RuleRun.objects.get(pk=outcome.run_id)
    assert (record.profile_id, record.moment) == (chika.pk, "login")
    assert record.effects["id_token"] == ["tier"]
    assert record.steps[0]["console"] == ["key •••"]
    assert "gold-secret" not in str(record.effects) + str(record.steps)


def test_a_fault_is_logged_once_without_what_the_rule_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        login("function (u, c, cb) { throw new Error('chika@example.com'); }")

    assert len(caplog.records) == 1
    assert "rule rule-0 failed: threw" in caplog.text
    assert "chika@example.com" not in caplog.text


def test_a_fault_says_in_which_line() -> None:
    trial = try_rule("function (u, c, cb) {\n\n  oops();\n}", CHIKA, {})

    assert trial.error == "threw: ReferenceError: oops is not defined (line 3)"


def test_trying_a_rule_shows_its_console_and_stores_nothing() -> None:
    trial = try_rule("function (u, c, cb) { console.log('hello', {a: 1}, u.email); cb(null, u, c); }", CHIKA, {})

    assert trial.console == ['hello {"a":1} chika@example.com']
    assert (trial.error, RuleRun.objects.count()) == ("", 0)


# Python rules


class FakeEntryPoint:
    """An installed Python rule."""

    def __init__(self, name: str, rule: Any) -> None:
        self.name, self.rule = name, rule

    def load(self) -> Any:
        return self.rule


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a function where an installed package would."""

    def put(name: str, rule: Any) -> None:
        monkeypatch.setattr(python_rules, "_loaded", None)
        monkeypatch.setattr("regulars.base.plugins.catalog.entry_points", lambda group: [FakeEntryPoint(name, rule)])
        save_rule(name, script=name, language="python")

    return put


def test_a_python_rule_does_what_a_javascript_rule_does(install: Any) -> None:
    def greet(user: dict[str, Any], context: dict[str, Any], api: Api) -> None:
        context["idToken"] = {"plan": api.configuration["PLAN"]}
        api.update_app_metadata({"seen": True})
        api.enrich("us-census-acs")

    set_setting("PLAN", "gold")
    install("greet", greet)
    outcome = login("function (u, c, cb) { c.idToken.after = c.idToken.plan; cb(null, u, c); }")

    assert outcome.id_token_claims == {"plan": "gold", "after": "gold"}
    assert outcome.metadata_updates == [MetadataUpdate("greet", "app_metadata", {"seen": True})]
    assert outcome.enrichments == ["us-census-acs"]


def test_a_python_rule_can_deny(install: Any) -> None:
    def deny(user: dict[str, Any], context: dict[str, Any], api: Api) -> None:
        raise Unauthorized("Members only.")

    install("deny", deny)

    assert login().denied == Denied("unauthorized", "Members only.")


@pytest.mark.parametrize("left", [object(), float("nan"), {1, 2}])
def test_a_python_rule_that_leaves_no_json_is_at_fault(install: Any, left: object) -> None:
    def leave(user: dict[str, Any], context: dict[str, Any], api: Api) -> None:
        context["idToken"] = {"x": left}

    install("leave", leave)

    assert login().id_token_claims == {}
    assert RuleRun.objects.get().steps[0]["fault"] == "bad_answer"


def test_a_python_rule_that_raises_is_at_fault_and_the_user_stays(install: Any) -> None:
    def stumble(user: dict[str, Any], context: dict[str, Any], api: Api) -> None:
        user["user_id"] = "z"
        raise KeyError("plan")

    install("stumble", stumble)
    outcome = login("function (u, c, cb) { c.idToken = {who: u.user_id}; cb(null, u, c); }")

    assert outcome.id_token_claims == {"who": "auth0|chika"}


def test_a_python_rule_that_was_uninstalled_is_at_fault() -> None:
    Rule.objects.create(name="gone", slug="gone", language="python", script="gone")

    assert login().denied is None
    assert RuleRun.objects.get().steps[0]["fault"] == "unknown_plugin"
