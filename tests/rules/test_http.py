"""What rules ask of the world: in the manner of each library they know, through the guard, within their timeout."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from typing import Any

import pytest
from tests.receivers import Answer, Receiver, receiving

from regulars.rules.http_calls import perform
from regulars.rules.javascript import JavaScript
from regulars.rules.models import Rule, RuleRun
from regulars.rules.run import LanguageRunners, RuleTrial, job_of, run, run_all, try_rule
from regulars.rules.save import save_rule

CHIKA = {"user_id": "auth0|chika", "email": "chika@example.com"}
JSON = {"content-type": "application/json"}

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture(autouse=True)
def _demo(settings: Any) -> None:
    """Servers on this machine may be called."""
    settings.DEMO = True


def said(body: str, *answers: Answer, settings: dict[str, Any] | None = None) -> tuple[Any, Receiver]:
    """What `say(…)` was given by a rule whose `url` is a server that answers so."""
    with receiving(*answers or [Answer(body=b'{"tier":"gold"}', headers=JSON)]) as server:
        script = (
            f"async function (user, context, callback) {{ const url = '{server.url}';"
            f" const say = function (x) {{ context.idToken.said = x; callback(null, user, context); }}; {body}\n}}"
        )
        trial = try_rule(Rule(slug="trial", script=script, timeout=10), CHIKA, {})
        assert trial.error == ""
        return trial.outcome.id_token_claims.get("said"), server


MANNERS = {
    "request with a callback": "request({url: url + '/a', json: true}, (e, r, b) => say([r.statusCode, b.tier]));",
    "request.get with a text body": "request.get(url + '/a', (e, r, b) => say([r.statusCode, JSON.parse(b).tier]));",
    "request's events": "require('request')(url + '/a').on('response', r => say([r.statusCode, JSON.parse(r.body).tier]));",
    "request-promise": "require('request-promise@4.2.4')({uri: url + '/a', json: true}).then(b => say([200, b.tier]));",
    "request-promise with the full response": "const r = await require('request-promise-native').get({uri: url + '/a', resolveWithFullResponse: true}); say([r.statusCode, JSON.parse(r.body).tier]);",
    "axios": "const r = await require('axios@0.21.1').get(url + '/a'); say([r.status, r.data.tier]);",
    "axios.create with an interceptor": "const a = require('axios').create({baseURL: url}); a.interceptors.response.use(r => r.data); say([200, (await a('/a')).tier]);",
    "fetch": "const r = await fetch(url + '/a'); say([r.status, (await r.json()).tier]);",
    "node-fetch": "require('node-fetch')(url + '/a').then(r => r.text()).then(t => say([200, JSON.parse(t).tier]));",
    "util.promisify": "const [r] = [await require('util').promisify(request.get)(url + '/a')]; say([r.statusCode, JSON.parse(r.body).tier]);",
}  # fmt: skip


@pytest.mark.parametrize("manner", MANNERS, ids=list(MANNERS))
def test_an_answer_arrives_in_the_manner_of_each_library(manner: str) -> None:
    answers, server = said(MANNERS[manner])

    assert answers == [200, "gold"]
    assert server.received[0].path == "/a"


BODIES = {
    "request's json": ("request.post({url, json: {a: 1}}, () => say(1));", "application/json", b'{"a":1}'),
    "request's form": ("request.post(url, {form: {a: 'b c', d: [1]}}, () => say(1));", "application/x-www-form-urlencoded", b"a=b%20c&d%5B0%5D=1"),
    "request's body with its own length": ("request({method: 'POST', url, body: 'hej', headers: {'Content-Length': 3, 'Content-Type': 'text/plain'}}, () => say(1));", "text/plain", b"hej"),
    "axios data": ("await require('axios').post(url, {a: 1}); say(1);", "application/json", b'{"a":1}'),
    "axios with URLSearchParams": ("await require('axios').post(url, new URLSearchParams({a: 'b c'})); say(1);", "application/x-www-form-urlencoded;charset=utf-8", b"a=b+c"),
    "fetch": ("await fetch(url, {method: 'POST', body: JSON.stringify({a: 'ü'}), headers: {'Content-Type': 'application/json'}}); say(1);", "application/json", '{"a":"ü"}'.encode()),
    "bytes": ("await fetch(url, {method: 'POST', body: Buffer.from([0, 255, 10]), headers: {'content-type': 'x/y'}}); say(1);", "x/y", b"\x00\xff\n"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BODIES, ids=list(BODIES))
def test_a_body_arrives_as_the_library_would_send_it(kind: str) -> None:
    body, content_type, sent = BODIES[kind]

    _, server = said(body)

    assert server.received[0].headers["content-type"] == content_type
    assert server.received[0].body == sent


AUTH = {
    "request's auth": "request({url, auth: {user: 'key', pass: 'secret'}}, () => say(1));",
    "axios' auth": "await require('axios').get(url, {auth: {username: 'key', password: 'secret'}}); say(1);",
    "a password in the address": "request(url.replace('://', '://key:secret@'), () => say(1));",
}


@pytest.mark.parametrize("kind", AUTH, ids=list(AUTH))
def test_a_password_is_sent_as_basic_authorization(kind: str) -> None:
    _, server = said(AUTH[kind])

    assert server.received[0].headers["authorization"] == "Basic a2V5OnNlY3JldA=="


def test_query_parameters_are_written_as_each_library_writes_them() -> None:
    _, server = said(
        "await require('axios').get(url, {params: {q: 'a b', n: [1, 2]}}); request({url, qs: {q: 'a b'}}, () => say(1));"
    )

    assert [one.path for one in server.received] == ["/?q=a+b&n[]=1&n[]=2", "/?q=a%20b"]


ERRORS = {
    "request hands over a 500": ("request(url, (e, r, b) => say([e === null, r.statusCode, b]));", [True, 500, "oops"]),
    "request-promise rejects": ("require('request-promise')(url).catch(e => say([e.name, e.statusCode, e.error]));", ["StatusCodeError", 500, "oops"]),
    "axios rejects with the response": ("require('axios').get(url).catch(e => say([e.isAxiosError, e.message, e.response.status, e.response.data]));", [True, "Request failed with status code 500", 500, "oops"]),
    "fetch says not ok": ("const r = await fetch(url); say([r.ok, r.status, await r.text()]);", [False, 500, "oops"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ERRORS, ids=list(ERRORS))
def test_a_bad_status_is_an_error_where_the_library_makes_it_one(kind: str) -> None:
    body, expected = ERRORS[kind]

    answers, _ = said(body, Answer(500, b"oops"))

    assert answers == expected


def test_closed_port_is_a_connection_refused() -> None:
    trial = try_rule("function (u, c, cb) { request('http://127.0.0.1:9/', e => cb(new Error(e.code))); }", CHIKA, {})

    assert trial.outcome.denied is not None
    assert trial.outcome.denied.description == "ECONNREFUSED"


def test_slack_is_notified_without_anybody_waiting() -> None:
    _, server = said("require('slack-notify')(url + '/hook').alert({text: 'hello', fields: {who: 'chika'}}); say(1);")

    sent = server.received[0].body.decode()
    assert server.received[0].path == "/hook"
    assert sent.startswith("payload=")
    assert "hello" in sent


def test_code_after_callback_continues_without_delaying_the_login() -> None:
    """The second request depends on the answer to the first; the login is over before either is answered."""
    with receiving(Answer(body=b"two", wait=60), Answer()) as server:
        save_rule(
            "afterwards",
            script="function (user, context, callback) {"
            f" request('{server.url}/one', (e, r, b) => request('{server.url}/' + b)); callback(null, user, context); }}",
        )

        run("login", CHIKA, {}, profile_id=None).afterwards.start(lambda step: None)
        server.over.set()  # only now is anything answered
        deadline = time.monotonic() + 60
        while len(server.received) < 2:
            assert time.monotonic() < deadline, server.received
            time.sleep(0.05)

    assert [one.path for one in server.received] == ["/one", "/two"]


def test_a_third_party_that_is_slow_is_given_up_in_time_and_the_rule_hears_of_it() -> None:
    with receiving(Answer(wait=120)) as server:
        script = f"function (u, c, cb) {{ request('{server.url}', e => {{ c.idToken.e = e.code; cb(null, u, c); }}); }}"
        save_rule("slow", script=script, timeout=2)

        outcome = run("login", CHIKA, {}, profile_id=None)

    assert outcome.id_token_claims == {"e": "ETIMEDOUT"}
    assert 1500 < RuleRun.objects.get().milliseconds < 60_000


def test_a_rule_is_not_waited_for_longer_than_its_timeout() -> None:
    """The server ignores the timeout of the rule."""

    def sleep(request: dict[str, Any], seconds: float) -> dict[str, Any]:
        over.wait(5)
        return {"error": {"message": "late", "code": "ELATE"}}

    over = threading.Event()
    rule = Rule(slug="slow", script="function (u, c, cb) { fetch('http://a.example').catch(() => cb()); }", timeout=0.3)
    trial = JavaScript(sleep).run(job_of(rule, {}), CHIKA, {})
    over.set()

    assert (trial.fault, trial.message) == ("waited_too_long", "No answer within 0.3 seconds.")


def test_last_rule_waits_no_longer_than_what_all_rules_have_left() -> None:
    over = threading.Event()

    def hang(request: dict[str, Any], seconds: float) -> dict[str, Any]:
        over.wait(60)
        return {"error": {"message": "late", "code": "ELATE"}}

    script = "function (u, c, cb) { fetch('http://a.example').catch(() => cb()); }"
    jobs = [job_of(Rule(slug=name, script=script, timeout=timeout), {}) for name, timeout in (("a", 0.3), ("b", 50))]
    with closing(LanguageRunners(hang)) as runners:
        first, second = run_all(jobs, CHIKA, {}, runners, seconds=1.0)
    over.set()

    assert [first.step.fault, second.step.fault] == ["waited_too_long", "waited_too_long"]
    assert float(second.step.message.split()[3]) < 0.71


@pytest.mark.rule_wall_time
def test_waiting_is_not_running() -> None:
    """Longer than a rule may run, shorter than its timeout."""
    answers, _ = said("const r = await fetch(url); say(r.status);", Answer(wait=2.2))

    assert answers == 200


def test_a_rules_own_timer_wins_against_a_slow_server_and_loses_against_a_fast_one() -> None:
    racing = "setTimeout(() => say('timer'), 300); request(url, () => say('answer'));"

    assert said(racing, Answer(wait=2))[0] == "timer"
    assert said(racing)[0] == "answer"


def test_a_requests_own_timeout_is_kept() -> None:
    answers, _ = said("request({url, timeout: 200}, e => say(e.code));", Answer(wait=2))

    assert answers == "ETIMEDOUT"


def test_redirects_are_followed_for_get_and_not_for_post() -> None:
    moved = Answer(302, headers={"location": "/there"})

    assert said("request(url, (e, r) => say(r.statusCode));", moved, Answer())[0] == 200
    assert said("request.post(url, (e, r) => say(r.statusCode));", moved, Answer())[0] == 302


def test_a_rule_makes_thirty_requests_and_not_one_more() -> None:
    answers, server = said(
        "let codes = []; for (let n = 0; n < 40; n++) codes.push(fetch(url).then(() => 1, () => 0));"
        " say((await Promise.all(codes)).reduce((a, b) => a + b));"
    )

    assert answers == len(server.received) == 30


def test_an_answer_too_long_is_an_error() -> None:
    answers, _ = said("request(url, e => say(e.code));", Answer(body=b"x" * 800_000))

    assert answers == "ETOO_LARGE"


def test_an_operator_may_list_the_hosts_that_rules_may_call(settings: Any) -> None:
    settings.RULE_HOSTS = ["api.example.com", ".partner.example"]
    ask = {"method": "GET", "headers": {}}

    with receiving() as server:
        refused = perform({**ask, "url": server.url}, 1)

    assert refused["error"]["code"] == "EHOST_NOT_LISTED"
    assert perform({**ask, "url": "http://a.partner.example:81/"}, 1)["error"]["code"] != "EHOST_NOT_LISTED"
    assert perform({**ask, "url": "http://partner.example.evil.example/"}, 1)["error"]["code"] == "EHOST_NOT_LISTED"


def test_a_redirect_to_a_host_that_is_not_listed_is_refused(settings: Any) -> None:
    settings.RULE_HOSTS = ["127.0.0.1"]
    with receiving(Answer(302, headers={"location": "http://localhost:1/"})) as server:
        refused = perform({"method": "GET", "url": server.url, "headers": {}, "redirects": 3}, 1)

    assert refused["error"]["code"] == "EHOST_NOT_LISTED"


def test_what_was_asked_outside_is_on_record_without_addresses_and_bodies() -> None:
    with receiving(Answer(204, b"")) as server:
        script = f"async (u, c) => {{ await fetch('{server.url}/people/chika?key=k-12345', {{method: 'POST'}}); }}"
        save_rule("asking", script=script)
        run("login", CHIKA, {}, profile_id=None)

    (asked,) = RuleRun.objects.get().steps[0]["requests"]
    assert (asked["method"], asked["host"], asked["status"]) == ("POST", "127.0.0.1", 204)
    assert "k-12345" not in json.dumps(RuleRun.objects.get().steps)


@pytest.mark.parametrize("request_", [{}, {"method": 7, "url": 7}, {"method": "GET", "url": "http://["}, {"method": "GET", "url": "http://a.example", "headers": [1]},
                                      {"method": "GET", "url": "http://a.example", "redirects": "x"}, {"method": "TRACE", "url": "http://a.example"},
                                      {"method": "POST", "url": "http://a.example", "text": "x" * 300_000}])  # fmt: skip
def test_a_request_that_is_none_is_refused_and_no_crash(request_: dict[str, Any]) -> None:
    assert perform(request_, 1)["error"]["code"].startswith("E")


def test_what_a_callback_throws_is_the_rules_fault() -> None:
    with receiving() as server:
        trial: RuleTrial = try_rule(
            f"function (u, c, cb) {{ request('{server.url}', () => {{ oops(); }}); }}", CHIKA, {}
        )

    assert trial.error.startswith("threw: ReferenceError: oops is not defined")
