"""A login succeeds whatever a third party does that its rules call; the fault is recorded by name."""

from __future__ import annotations

import time

import pytest

from regulars.rules import circuit_breaker
from regulars.rules.models import Rule, RuleRun
from regulars.rules.save import save_rule, set_setting
from tests.ports import refusing
from tests.receivers import Answer, receiving

ASKS = """function (user, context, callback) {
  request({ url: configuration.PARTNER, json: true }, function (error, response, body) {
    if (error) throw new Error(error.code);
    context.idToken['https://shop.example/tier'] = body.tier.toUpperCase();
    callback(null, user, context);
  });
}"""
GOES_ON = """async function (user, context, callback) {
  try { await require('axios').get(configuration.PARTNER); } catch (error) { console.log(error.code); }
  context.idToken['https://shop.example/after'] = 1;
  callback(null, user, context);
}"""
TIMEOUT = 0.5  # seconds, where no answer comes
PATIENT = 15.0  # where one comes, on a busy machine too


@pytest.fixture
def rules(settings):
    settings.DEMO = True  # rules may call this machine
    save_rule("Asks", script=ASKS, timeout=PATIENT)
    save_rule("Goes on", script=GOES_ON, timeout=PATIENT)


@pytest.fixture
def impatient(rules):
    Rule.objects.update(timeout=TIMEOUT)


def _steps() -> list[tuple[str, str, str]]:
    """(how, fault, message) of both rules in the last login."""
    return [(step["how"], step["fault"], step["message"]) for step in RuleRun.objects.latest("id").steps]


def test_a_healthy_third_party_is_used(signed_in, rules):
    with receiving(Answer(body=b'{"tier": "gold"}')) as partner:
        set_setting("PARTNER", partner.url)
        assert signed_in.code()

    assert _steps() == [("done", "", ""), ("done", "", "")]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(body=b"<html>\x00\xff not what you think"), "TypeError"),
        (Answer(status=500, body=b"oops"), "TypeError"),
        (Answer(headers={"content-encoding": "gzip"}, body=b"no gzip at all"), "Error"),
        (Answer(body=b"x" * 2_000_000), "Error"),
    ],
)
def test_garbage_ends_no_login(signed_in, rules, answer, message):
    with receiving(answer) as partner:
        set_setting("PARTNER", partner.url)
        assert signed_in.code()

    (how, fault, text), goes_on = _steps()
    assert (how, fault) == ("failed", "threw")
    assert message in text
    assert goes_on == ("done", "", "")


def test_one_that_is_down_ends_no_login(signed_in, rules):
    with refusing() as address:
        set_setting("PARTNER", address)
        assert signed_in.code()

    (how, fault, text), goes_on = _steps()
    assert (how, fault) == ("failed", "threw")
    assert "ECONNREFUSED" in text
    assert goes_on[0] == "done"


def test_a_hanging_third_party_is_waited_for_until_the_set_timeout(signed_in, impatient):
    with receiving(Answer(wait=120)) as partner:
        set_setting("PARTNER", partner.url)
        begun = time.monotonic()
        assert signed_in.code()
        took = time.monotonic() - begun

    (how, fault, text), goes_on = _steps()
    assert took < 60
    assert (how, fault) == ("failed", "threw")
    assert "ETIMEDOUT" in text
    assert goes_on[0] == "done"


def test_repeated_timeouts_open_the_circuit_and_logins_stop_waiting(signed_in, impatient, monkeypatch):
    with receiving(Answer(wait=120)) as partner:
        set_setting("PARTNER", partner.url)
        signed_in.code()
        signed_in.code()
        asked = len(partner.received)
        signed_in.code()

        assert asked == circuit_breaker.OPENS_AT
        assert len(partner.received) == asked
        assert "ETIMEDOUT" in _steps()[0][2]

        monkeypatch.setattr(circuit_breaker, "_open_until", {})  # half a minute later
        signed_in.code()

    assert len(partner.received) == asked + 1


def test_one_answer_makes_up_for_silences():
    for _ in range(circuit_breaker.OPENS_AT - 1):
        circuit_breaker.record_timeout("slow.example:443", 1.0)
    circuit_breaker.record_answer("slow.example:443")
    circuit_breaker.record_timeout("slow.example:443", 1.0)
    for _ in range(circuit_breaker.OPENS_AT):
        circuit_breaker.record_timeout("impatience.example:443", circuit_breaker.MIN_TIMEOUT / 2)

    assert not circuit_breaker.is_open("slow.example:443")
    assert not circuit_breaker.is_open("impatience.example:443")
