"""Calls of rules ask for the customer's consent, and each is a disclosure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.mmdb import write_database
from tests.receivers import Answer, Receiver, receiving

from regulars.clients.models import Client
from regulars.consent.models import Purpose
from regulars.consent.record import Decision
from regulars.destinations.models import DirectDisclosure
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.rules import http_calls
from regulars.rules.declaration import choose_undeclared_purpose
from regulars.rules.models import Rule, RuleRun
from regulars.rules.run import RulesOutcome, run
from regulars.rules.save import save_rule
from regulars.rules.templates import Example, Template, all_templates, enable_template
from regulars.rules.templates.examples import DeclaredHttp
from regulars.usecases.erase import erase_customer
from regulars.usecases.export import access
from regulars.usecases.login import Login, LoginContext, log_in, run_rules
from regulars.usecases.record_disclosures import all_disclosures_of
from regulars.usecases.rule_calls import CustomerCallGate
from regulars.usecases.rule_writes import store_late
from regulars.usecases.unit_of_work import changes

pytestmark = pytest.mark.usefixtures("standard_setup")
CALLING = [
    pytest.param(template, next(each for each in template.examples if each.http), id=template.key)
    for template in all_templates()
    if template.recipients
]
CALLS = """async function (user, context) {
  try { await fetch('URL', { method: 'POST', body: JSON.stringify({ mail: user.email }) }); context.idToken.called = 'yes'; }
  catch (error) { context.idToken.called = error.code || (error.cause || {}).code || error.message; }
}"""
EMAIL = "chika@example.com"


@pytest.fixture(autouse=True)
def _places(settings: Any, tmp_path: Path) -> None:
    """A database of the places of addresses, which some templates need."""
    settings.GEOIP_FILE = str(tmp_path / "places.mmdb")
    write_database(tmp_path / "places.mmdb", "193.10.0.0/16", {"country_code": "SE"})


@pytest.fixture
def shop() -> Client:
    return Client.objects.create(client_id="shop", name="Harbour & Pine")


@pytest.fixture
def partner(settings: Any) -> Iterator[Receiver]:
    settings.DEMO = True  # rules may call this machine
    with receiving(Answer()) as server:
        yield server


@pytest.fixture
def known(chika: Profile) -> Profile:
    with changes(chika, "test") as c:
        c.learn([NewFact("email", EMAIL, "declared", "test")])
    return chika


def decide(profile: Profile, purpose: str, action: str) -> None:
    with changes(profile, "test") as c:
        c.decide(Decision(purpose, action, "test"))


def declared(server: Receiver, purpose: str = "enrich", **more: Any) -> Rule:
    recipients = [{"name": "Finder", "hosts": ["127.0.0.1"]}]
    return save_rule("Asks", script=CALLS.replace("URL", server.url), purpose=purpose, recipients=recipients, **more)


def sign_in(profile: Profile, shop: Client) -> dict[str, Any]:
    decision = log_in(
        Login(profile, shop, LoginContext(protocol="oidc-basic-profile", ip="192.0.2.7"), ["openid"]), lambda d: d
    )
    return decision.id_token


def calls_of(
    template: Template, example: Example, profile: Profile, shop: Client, monkeypatch: Any
) -> tuple[set[str], RulesOutcome]:
    """Sign in as the customer of an example, with its answers, and let its rule finish. Returns the addresses called."""
    declared_http, called = DeclaredHttp(example.http), set()

    def perform(request: http_calls.Request, seconds: float) -> http_calls.Answer:
        called.add(request["url"])
        return declared_http.perform(request, seconds)

    monkeypatch.setattr(http_calls, "perform", perform)
    login = Login(profile, shop, LoginContext(protocol="oidc-basic-profile", ip="192.0.2.7"), ["openid"])
    login.user, login.context = {**example.user}, {**example.context}  # type: ignore[assignment]
    run_rules(login)
    assert login.outcome is not None
    if login.outcome.afterwards:
        for realm in login.outcome.afterwards._realms:
            for step in realm.finish():
                store_late(profile.pk, login.outcome.run_id, step)
    return called, login.outcome


@pytest.mark.parametrize(("template", "example"), CALLING)
def test_withdrawal_between_two_sign_ins_stops_the_calls_of_a_template(
    template: Template, example: Example, known: Profile, shop: Client, monkeypatch: Any
) -> None:
    """Under its own purpose; where that is the account itself, which no one withdraws, under another one."""
    rule = enable_template(template.key, example.settings)
    purpose = Purpose.objects.get(key=template.purpose)
    if purpose.basis == Purpose.Basis.CONTRACT:
        restrict_stops(template, example, known, shop, monkeypatch)
        purpose = Purpose.objects.get(key="share")
        Rule.objects.filter(pk=rule.pk).update(purpose=purpose)
    is_consent = purpose.basis == Purpose.Basis.CONSENT
    if is_consent:
        assert calls_of(template, example, known, shop, monkeypatch)[0] == set()
        decide(known, purpose.key, "given")
    addresses = {each["url"] for each in example.http}

    assert calls_of(template, example, known, shop, monkeypatch)[0] == addresses
    rows = DirectDisclosure.objects.filter(purpose=purpose)
    assert {row.place for row in rows} == {address.split("/")[2] for address in addresses}
    assert {row.name for row in rows} <= {each.name or row.place for each in template.recipients for row in rows}
    decide(known, purpose.key, "withdrawn" if is_consent else "objected")
    called, outcome = calls_of(template, example, known, shop, monkeypatch)
    assert called == set()
    # A rule that guards the login ends it; any other handles the error and fails nothing.
    assert (outcome.denied is not None) == template.deny_on_failure
    (step,) = RuleRun.objects.latest("pk").steps
    assert (step["how"] == "failed") == template.deny_on_failure
    assert {each["code"] for each in step["requests"]} == {"EPURPOSE_CLOSED"}


def restrict_stops(template: Template, example: Example, profile: Profile, shop: Client, monkeypatch: Any) -> None:
    """While processing is restricted nothing is sent; only the answer to a rule that guards the login is."""
    Profile.objects.filter(pk=profile.pk).update(restricted_at=profile.created_at)
    assert bool(calls_of(template, example, profile, shop, monkeypatch)[0]) == template.deny_on_failure
    Profile.objects.filter(pk=profile.pk).update(restricted_at=None)


def test_call_without_consent_fails_inside_the_rule_by_a_named_error(known, shop, partner):
    declared(partner)

    assert sign_in(known, shop)["called"] == "EPURPOSE_CLOSED"
    assert (partner.received, DirectDisclosure.objects.count()) == ([], 0)
    (call,) = RuleRun.objects.get().steps[0]["requests"]
    assert (call["host"], call["code"]) == ("127.0.0.1", "EPURPOSE_CLOSED")
    assert all_disclosures_of(known) == []


def test_call_is_a_disclosure_with_recipient_attributes_and_purpose(known, shop, partner):
    declared(partner)
    decide(known, "enrich", "given")

    assert sign_in(known, shop)["called"] == "yes"
    (row,) = all_disclosures_of(known)
    assert (row.kind, row.recipient, row.place, row.purpose, row.attributes) == (
        "rule_host",
        "Finder",
        "127.0.0.1",
        "enrich",
        ("email",),
    )
    assert access(known)["disclosures"][0]["recipient"] == "Finder"


def test_withdrawal_during_the_run_stops_the_next_call(known, shop, partner):
    """The second call of a rule whose first was answered."""
    script = CALLS.replace("{ mail: user.email }", "{}").replace("'URL'", f"'{partner.url}/' + n")
    script = script.replace("try {", "for (const n of [1, 2]) try {")
    recipients = [{"name": "Finder", "hosts": ["127.0.0.1"]}]
    save_rule("Asks", script=script, purpose="enrich", recipients=recipients)
    decide(known, "enrich", "given")
    gate = CustomerCallGate(known.pk, {})

    def withdrawing(job: Any, request: Any) -> Any:
        answer = gate(job, request)
        if request["url"].endswith("/1"):
            decide(known, "enrich", "withdrawn")
        return answer

    outcome = run("login", {"user_id": known.user_id}, {}, profile_id=known.pk, gate=withdrawing)

    assert [each.path for each in partner.received] == ["/1"]
    assert outcome.id_token_claims == {"called": "EPURPOSE_CLOSED"}


def test_undeclared_call_runs_under_the_purpose_that_the_operator_chose(known, shop, partner):
    save_rule("Asks", script=CALLS.replace("URL", partner.url))
    assert sign_in(known, shop)["called"] == "yes"
    assert DirectDisclosure.objects.get().purpose_id == "serve"
    choose_undeclared_purpose("share")

    assert sign_in(known, shop)["called"] == "EPURPOSE_CLOSED"
    # So is a call to another host than the declared ones, whatever the rule's own purpose allows.
    save_rule("Asks", script=CALLS.replace("URL", partner.url), purpose="serve", recipients=[{"hosts": ["a.example"]}])
    assert sign_in(known, shop)["called"] == "EPURPOSE_CLOSED"
    decide(known, "share", "given")
    assert sign_in(known, shop)["called"] == "yes"


def test_actions_ask_too_and_calls_to_our_own_api_do_not(known, shop, partner, settings):
    action = "exports.onExecutePostLogin = async (event, api) => { let said = 'yes';"
    action += (
        f" try {{ await fetch('{partner.url}'); }} catch (error) {{ said = error.code || (error.cause || {{}}).code; }}"
    )
    save_rule(
        "Asks",
        script=action + " api.idToken.setCustomClaim('called', said); };",
        purpose="enrich",
        recipients=[{"hosts": ["127.0.0.1"]}],
    )
    assert sign_in(known, shop)["called"] == "EPURPOSE_CLOSED"
    settings.PUBLIC_URL = partner.url

    assert sign_in(known, shop)["called"] == "yes"
    assert not DirectDisclosure.objects.exists()


def test_erased_customers_and_a_run_without_a_gate_call_no_one(known, partner):
    declared(partner, "serve")
    number, user = known.pk, {"user_id": known.user_id, "email": EMAIL}

    assert run("login", user, {}, profile_id=number).id_token_claims == {"called": "ENOT_RECORDED"}
    erase_customer(known)
    refused = CustomerCallGate(number, user)(_job(), {"url": partner.url})
    assert refused is not None
    assert refused["error"]["code"] == "ECUSTOMER_ERASED"
    assert partner.received == []


def _job() -> Any:
    from regulars.rules.run import job_of

    return job_of(Rule.objects.get(), {})


def test_repeated_call_is_recorded_by_reading_alone(known, shop, partner, django_assert_num_queries):
    declared(partner, "serve")
    gate, request = CustomerCallGate(known.pk, {"email": EMAIL}), {"url": partner.url, "text": EMAIL}
    assert gate(_job(), request) is None
    job = _job()

    with django_assert_num_queries(3):
        assert gate(job, request) is None


USER = {
    "email": EMAIL,
    "name": "Chika Abe",
    "user_metadata": {"size": "M", "vip": True},
    "given_name": "Jo",
    "family_name": "山田",
}
SENT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "address": ({"url": "https://a.example/?mail=chika%40example.com&ip=192.0.2.7"}, ["email", "ip"]),
    "header": ({"headers": {"x-who": "CHIKA@example.com"}}, ["email"]),
    "basic": ({"headers": {"authorization": "Basic " + base64.b64encode(b"chika@example.com:x").decode()}}, ["email"]),
    "json": ({"text": json.dumps({"a": [{"Size": "M"}], "vip": True})}, ["user_metadata.size", "user_metadata.vip"]),
    "other flag": ({"text": json.dumps({"new": True, "sizes": 3})}, []),
    "form": ({"text": "payload=" + "%7B%22n%22%3A%22Chika%20Abe%22%7D&x=Jo"}, ["given_name", "name"]),
    "escaped": ({"text": json.dumps({"family": "山田さん"})}, ["family_name"]),
    "digest": ({"text": "1c4f3b5380fa83b7a143a70dbb069406edc07d58"}, ["email"]),
    "bytes": ({"base64": base64.b64encode(b'{"m":"chika@example.com"}').decode()}, ["email"]),
    "base64 in json": ({"text": json.dumps({"d": base64.urlsafe_b64encode(b'{"m":"chika@example.com"}').decode()})}, ["email"]),
    "part of a word": ({"text": "xchika@example.comx Marjory"}, []),
    "not a body": ({"text": "{" * 5000, "headers": None, "url": None}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", SENT)
def test_attributes_are_found_in_what_is_sent(name: str) -> None:
    from regulars.rules.sent_values import sent_attributes, values_of

    request, expected = SENT[name]
    assert sent_attributes({"url": "https://a.example/", **request}, values_of(USER, "192.0.2.7")) == expected
