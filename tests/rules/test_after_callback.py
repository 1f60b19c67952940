"""What rules do after their callback: it is their own, in order, within limits, and nothing of it is lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.receivers import Answer, receiving

from regulars.rules import afterwards
from regulars.rules.decide import MetadataUpdate
from regulars.rules.invocation import LateStep
from regulars.rules.javascript import JavaScript
from regulars.rules.models import Rule, RuleRun
from regulars.rules.python import Api, python_rules
from regulars.rules.run import RulesOutcome, job_of, run, try_rule
from regulars.rules.save import save_rule, set_setting

CHIKA = {"user_id": "auth0|chika", "email": "chika@example.com"}
MARK = "auth0.users.updateAppMetadata(user.user_id, { %s })"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _demo(settings: Any) -> None:
    """Servers on this machine may be called."""
    settings.DEMO = True


def rule(name: str, body: str, order: int = 0, **more: Any) -> None:
    script = f"function (user, context, callback) {{ {body} }}"
    save_rule(name, order=order, script=script, **more)


def go_on(outcome: RulesOutcome) -> list[LateStep]:
    """Everything that rules do after this login, in order."""
    assert outcome.afterwards is not None
    steps: list[LateStep] = []
    for realm in outcome.afterwards._realms:
        steps += realm.finish()
    return steps


def updates(steps: list[LateStep]) -> list[tuple[str, dict[str, Any]]]:
    return [(step.slug, update["data"]) for step in steps for update in step.updates]


@pytest.mark.parametrize("work", [
    "request('URL', () => %s);",
    "request('URL', () => request('URL', () => %s));",
    "fetch('URL').then(() => fetch('URL')).then(() => %s);",
    "setTimeout(() => %s, 60000);",
    "setTimeout(() => request('URL', () => setImmediate(() => %s)), 10);",
])  # fmt: skip
def test_write_after_callback_is_kept(work: str) -> None:
    with receiving() as server:
        rule("mark", "callback(null, user, context); " + work.replace("URL", server.url) % (MARK % "lead: 1"))
        outcome = run("login", CHIKA, {}, profile_id=None)
        late = go_on(outcome)

    assert outcome.metadata_updates == []
    assert updates(late) == [("mark", {"lead": 1})]


def test_several_late_writes_keep_their_order_and_their_console() -> None:
    with receiving() as server:
        rule("mark", f"""callback(null, user, context);
          request('{server.url}/1', () => {{ {MARK % "n: 1"}; console.log('one');
            request('{server.url}/2', () => {{ {MARK % "n: 2"}; {MARK % "m: 2"}; regulars.enrich('us-census-acs'); }}); }});""")  # fmt: skip
        late = go_on(run("login", CHIKA, {}, profile_id=None))

    assert updates(late) == [("mark", {"n": 1}), ("mark", {"n": 2}), ("mark", {"m": 2})]
    assert [line for step in late for line in step.console] == ["one"]
    assert [key for step in late for key in step.enrichments] == ["us-census-acs"]
    assert [request["host"] for step in late for request in step.requests] == ["127.0.0.1", "127.0.0.1"]


def test_what_a_rule_does_late_is_its_own_while_another_runs() -> None:
    """The second rule waits longer than the first one's late request; each reads its own settings."""
    with receiving() as server:
        server.routes["/slow"] = Answer(wait=0.5)
        rule("first", f"callback(null, user, context); request('{server.url}', () => {{ console.log(configuration.WHO);"
             f" {MARK % 'first: configuration.WHO'}; }});", 1, settings={"WHO": "mine"})  # fmt: skip
        rule("second", f"request('{server.url}/slow', () => {{ {MARK % 'second: configuration.WHO'};"
             " callback(null, user, context); });", 2, timeout=10, settings={"WHO": "theirs"})  # fmt: skip
        outcome = run("login", CHIKA, {}, profile_id=None)

    first, second = RuleRun.objects.get().steps
    assert outcome.metadata_updates == [
        MetadataUpdate("first", "app_metadata", {"first": "mine"}),
        MetadataUpdate("second", "app_metadata", {"second": "theirs"}),
    ]
    assert (len(first["console"]), second["console"]) == (1, [])
    assert (len(first["requests"]), len(second["requests"])) == (1, 1)


def test_rule_whose_time_is_up_goes_on_and_what_it_writes_is_kept() -> None:
    """Its request was carried out: without the mark, the next login would repeat it."""
    over = threading.Event()

    def ignore_the_timeout(request: dict[str, Any], seconds: float) -> dict[str, Any]:
        over.wait(60)
        return {"value": {"status": 200, "headers": {}, "text": "", "url": request["url"]}}

    script = f"function (user, context, callback) {{ request('http://a.example', () => {{ {MARK % 'lead: 1'}; callback(); }}); }}"
    engine = JavaScript(ignore_the_timeout)
    result = engine.run(job_of(Rule(slug="slow", script=script, timeout=0.3), {}), CHIKA, {})
    over.set()

    assert (result.fault, result.updates) == ("waited_too_long", [])
    assert updates(list(engine.finish())) == [("slow", {"lead": 1})]


def test_rule_in_its_own_realm_goes_on_too() -> None:
    with receiving() as server:
        rule("own", f"callback(null, user, context); request('{server.url}', () => {MARK % 'a: 1'});", 1, own_realm=True)  # fmt: skip
        rule("shared", f"callback(null, user, context); request('{server.url}', () => {MARK % 'b: 1'});", 2)
        late = go_on(run("login", CHIKA, {}, profile_id=None))

    assert sorted(updates(late)) == [("own", {"a": 1}), ("shared", {"b": 1})]


def test_denied_login_keeps_what_the_rule_writes_late() -> None:
    with receiving() as server:
        rule("no", f"callback(new UnauthorizedError('no')); request('{server.url}', () => {MARK % 'refused: 1'});")
        outcome = run("login", CHIKA, {}, profile_id=None)
        late = go_on(outcome)

    assert outcome.denied is not None
    assert updates(late) == [("no", {"refused": 1})]


def test_late_write_about_another_customer_is_refused() -> None:
    with receiving() as server:
        rule("other", f"callback(null, user, context); request('{server.url}', () => {{"
             " auth0.users.updateAppMetadata('auth0|dov', {admin: 1}).catch(e => console.log(e.message)); });")  # fmt: skip
        late = go_on(run("login", CHIKA, {}, profile_id=None))

    assert updates(late) == []
    assert [step.console for step in late if step.console] == [["a rule may update only the user who signs in"]]


def test_fault_after_callback_is_in_the_console_and_ends_no_login() -> None:
    with receiving() as server:
        rule("oops", f"callback(null, user, context); request('{server.url}', () => {{ oops(); }});")
        outcome = run("login", CHIKA, {}, profile_id=None)
        (step,) = [each for each in go_on(outcome) if each.console]

    assert RuleRun.objects.get().steps[0]["how"] == "done"
    assert step.console == ["after the callback: ReferenceError: oops is not defined"]


@pytest.mark.parametrize("work", ["for (;;) {}", "(function again() { setTimeout(again, 0); })();"])
def test_late_work_has_limits_too(work: str) -> None:
    with receiving() as server:
        rule("greedy", f"callback(null, user, context); request('{server.url}', () => {{ {work} }});")
        (*_, last) = go_on(run("login", CHIKA, {}, profile_id=None))

    assert last.slug == "greedy"
    assert last.fault in ("too_much_cpu", "too_much_time")


def test_interval_does_not_outlive_its_rule_and_a_guard_timer_does_nothing() -> None:
    rule("guard", "setInterval(() => console.log('again'), 5); setTimeout(() => callback(new Error('late')), 5000);"
         " callback(null, user, context);")  # fmt: skip
    outcome = run("login", CHIKA, {}, profile_id=None)

    assert outcome.denied is None
    assert go_on(outcome) == []


def test_rule_without_unfinished_work_leaves_nothing_behind() -> None:
    rule("plain", "callback(null, user, context);")

    assert run("login", CHIKA, {}, profile_id=None).afterwards is None


def test_action_that_is_not_awaited_is_kept() -> None:
    with receiving() as server:
        save_rule("act", script="exports.onExecutePostLogin = async (event, api) => {"
                  f" fetch('{server.url}').then(() => api.user.setAppMetadata('lead', 1)); }};")  # fmt: skip
        late = go_on(run("login", CHIKA, {}, profile_id=None))

    assert updates(late) == [("act", {"lead": 1})]


def test_trying_a_rule_shows_what_it_writes_after_callback() -> None:
    with receiving() as server:
        trial = try_rule(f"function (user, context, callback) {{ callback(null, user, context);"
                         f" request('{server.url}', () => {MARK % 'lead: 1'}); }}", CHIKA, {})  # fmt: skip

    assert [update.data for update in trial.outcome.metadata_updates] == [{"lead": 1}]


def test_too_many_logins_that_go_on_at_once_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afterwards, "_places", threading.BoundedSemaphore(1))
    afterwards._places.acquire()
    stored: list[LateStep] = []
    with receiving() as server:
        rule("mark", f"callback(null, user, context); request('{server.url}', () => {MARK % 'lead: 1'});")
        run("login", CHIKA, {}, profile_id=None).afterwards.start(stored.append)  # type: ignore[union-attr]

    assert stored == [LateStep("", fault="too_many_at_once")]


def test_secrets_are_redacted_from_the_late_console() -> None:
    stored: list[LateStep] = []
    done = threading.Event()

    def store(step: LateStep) -> None:
        stored.append(step)
        if step.console:
            done.set()

    set_setting("KEY", "very-secret-key")
    with receiving() as server:
        rule("leaky", f"callback(null, user, context); request('{server.url}', () => console.log(configuration.KEY));")
        run("login", CHIKA, {}, profile_id=None).afterwards.start(store)  # type: ignore[union-attr]
        assert done.wait(60)

    assert [line for step in stored for line in step.console] == ["•••"]


def test_python_rule_writes_from_a_thread_after_it_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the thread asks for before the login is committed, and after it, arrives in order."""
    apis: list[Api] = []

    def keeps(user: Any, context: Any, api: Api) -> None:
        api.update_app_metadata({"n": 0})
        apis.append(api)

    monkeypatch.setattr(python_rules, "_loaded", {"keeps": keeps})
    save_rule("keeps", script="keeps", language="python")
    outcome = run("login", CHIKA, {}, profile_id=None)
    apis[0].update_app_metadata({"n": 1})
    stored: list[LateStep] = []
    done = threading.Event()

    def store(step: LateStep) -> None:
        stored.append(step)
        if len(stored) == 3:
            done.set()

    assert outcome.afterwards is not None
    outcome.afterwards.start(store)
    apis[0].update_user_metadata({"n": 2})
    apis[0].update_app_metadata({"when": object()})  # not JSON
    assert done.wait(60)

    assert [update.data for update in outcome.metadata_updates] == [{"n": 0}]
    assert updates(stored) == [("keeps", {"n": 1}), ("keeps", {"n": 2})]
    assert stored[2].fault == "bad_answer"
