"""The steps of a login: what rules get, what is stored, and what cannot hold the login."""

from __future__ import annotations

import json
import logging
from functools import partial

import pytest
from tests.base.jobs.test_deadlocks import deadlock
from tests.mmdb import write_database

from regulars.base.client_network import stored_ip
from regulars.base.jobs.models import Job
from regulars.clients.models import Client
from regulars.consent.refresh import refresh_views
from regulars.enrichment.save import save_source
from regulars.events.read import timeline
from regulars.oauth.grant import TokenDecision
from regulars.profiles.learn import NewFact, learn
from regulars.questions.models import Impression, SelectionDecision
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.rules.models import RuleRun
from regulars.rules.save import save_rule
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases import login as story
from regulars.usecases.login import Denied, InteractionRequired, Login, LoginContext, log_in, renew
from regulars.usecases.login_progress import LoginProgress, Step

NAMESPACE = "https://shop.example/"


@pytest.fixture
def shop(standard_setup) -> Client:
    return Client.objects.create(client_id="shop", name="Harbour & Pine", metadata={"tier": "gold"})


@pytest.fixture
def question(standard_setup):
    options = (AnswerOption("jackets", "Jackets"), AnswerOption("shoes", "Shoes"))
    words = ("What do you look for?", "To show it first.", "single_choice", "looking_for", "personalise")
    return save_question(QuestionDraft("looking_for", *words, options, enabled=True))


def visit(**more) -> LoginContext:
    standard = {
        "protocol": "oidc-basic-profile",
        "ip": "198.51.100.7",
        "user_agent": "Firefox",
        "hostname": "login.shop.example",
        "query": {"ext-campaign": "spring"},
        "session_id": "sid1",
        "methods": [{"name": "federated", "timestamp": 1}],
        "connection": "google-oauth2",
        "strategy": "google-oauth2",
        "other_clients": lambda: ["blog"],
    }
    return LoginContext(**{**standard, **more})


def go(profile, client, scopes=("openid",), **more):
    return resume(profile, client, LoginProgress(), scopes, **more)[0]


def resume(profile, client, progress, scopes=("openid",), **more):
    """The outcome, and the progress as it is after it was stored."""
    login = Login(profile, client, visit(**more), list(scopes), progress)
    outcome = log_in(login, lambda decision: decision)
    return outcome, LoginProgress.from_json(json.loads(json.dumps(login.progress.to_json())))


def claim(expression: str) -> str:
    return f"function (u, c, cb) {{ c.idToken['{NAMESPACE}x'] = {expression}; cb(null, u, c); }}"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("u.user_id", "google-oauth2|1001"),
        ("u.name", "Chika"),
        ("c.clientID", "shop"),
        ("c.clientName", "Harbour & Pine"),
        ("c.clientMetadata.tier", "gold"),
        ("c.connection + c.connectionStrategy", "google-oauth2google-oauth2"),
        ("c.protocol", "oidc-basic-profile"),
        ("c.stats.loginsCount", 1),
        ("c.request.ip + c.request.userAgent + c.request.hostname", "198.51.100.7Firefoxlogin.shop.example"),
        ("c.request.query['ext-campaign']", "spring"),
        ("String(c.request.geoip)", "undefined"),
        ("c.sessionID", "sid1"),
        ("c.authentication.methods[0].name", "federated"),
        ("c.sso.current_clients.join()", "blog,shop"),
    ],
)
def test_rules_get_what_auth0_gives_them(chika, shop, expression, value):
    learn(chika, [NewFact("name", "Chika", "social", "google-oauth2")])
    refresh_views(chika)
    save_rule("claim", script=claim(expression))

    assert go(chika, shop).id_token == {NAMESPACE + "x": value}


def test_what_a_rule_writes_is_a_fact_with_its_name_and_segments_follow(chika, shop):
    save_rule(
        "Remember colour",
        script="function (u, c, cb) { auth0.users.updateUserMetadata(u.user_id, {colour: 'red', shoe: {size: 42}}); cb(null, u, c); }",
    )
    go(chika, shop)
    facts = dict(chika.facts.values_list("attribute", "source"))
    chika.refresh_from_db()

    assert facts == {
        "user_metadata.colour": "rule:remember-colour@1",
        "user_metadata.shoe.size": "rule:remember-colour@1",
    }
    assert chika.document["user_metadata"] == {"colour": "red", "shoe": {"size": 42}}


def test_a_truncated_address_is_stored_and_rules_see_the_whole_one_with_its_place(chika, shop, settings, tmp_path):
    settings.TRUNCATE_IPS, settings.GEOIP_FILE = True, str(tmp_path / "places.mmdb")
    write_database(tmp_path / "places.mmdb", "198.51.100.7/32", {"country_code": "SE"})
    save_rule("claim", script=claim("c.request.ip + c.request.geoip.country_name"))

    assert go(chika, shop).id_token == {NAMESPACE + "x": "198.51.100.7Sweden"}
    chika.refresh_from_db()
    stored = RuleRun.objects.get().inputs["context"]["request"]
    assert (chika.last_ip, stored["ip"], stored["geoip"]["country_code"]) == ("198.51.100.0", "198.51.100.0", "SE")


@pytest.mark.parametrize(
    ("address", "stored"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2::77", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("fe80::1%eth0", "fe80::"),
        ("not an address", ""),
    ],
)
def test_the_network_of_an_address_is_stored(settings, address, stored):
    assert stored_ip(address) == address
    settings.TRUNCATE_IPS = True
    assert stored_ip(address) == stored


def logs_in_with_a_rule_that_deletes(chika, shop, breaks):
    """Log in twice: the rule writes a colour, and takes it away when the journal is broken. Returns the decisions of the second."""
    write = "function (u, c, cb) {{ auth0.users.updateUserMetadata(u.user_id, {{colour: {0}}}); cb(null, u, c); }}"
    save_rule("Colour", script=write.format("'red'"))
    go(chika, shop)
    save_rule("Colour", script=write.format("null"))
    breaks()
    issued = []
    log_in(Login(chika, shop, visit(), ["openid"], LoginProgress()), issued.append)
    chika.refresh_from_db()
    return issued


@pytest.mark.django_db(transaction=True)
def test_login_goes_on_without_a_deletion_by_a_rule_that_the_journal_cannot_take(chika, shop, settings, tmp_path):
    settings.HOME = tmp_path
    logs_in_with_a_rule_that_deletes(chika, shop, (tmp_path / "journal.jsonl").mkdir)

    assert chika.document["user_metadata"] == {"colour": "red"}
    assert (chika.logins_count, len(timeline(chika.pk))) == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_login_whose_deletion_by_a_rule_fails_in_the_journal_after_its_commit_happens_once(
    chika, shop, settings, tmp_path, monkeypatch
):
    def fail(*args: object) -> None:
        raise OSError("the disk is full by now")

    settings.HOME = tmp_path
    breaks = partial(monkeypatch.setattr, "regulars.consent.journal.append", fail)
    issued = logs_in_with_a_rule_that_deletes(chika, shop, breaks)

    assert "colour" not in chika.document.get("user_metadata", {})
    assert (len(issued), chika.logins_count, len(timeline(chika.pk))) == (1, 2, 2)


def test_a_login_is_counted_recorded_and_seen_by_segments(chika, shop):
    segment = save_segment("Came in", 'did("Signed In"):>=1', purpose="measure")
    refresh_views(chika)
    go(chika, shop)
    chika.refresh_from_db()
    event = timeline(chika.pk, limit=1)[0]

    assert (chika.logins_count, chika.last_ip) == (1, "198.51.100.7")
    assert chika.last_login is not None
    assert (event.name, event.properties["connection"], event.properties["client"]) == (
        "Signed In",
        "google-oauth2",
        "shop",
    )
    assert Membership.objects.get(segment=segment, profile=chika).state == "in"


def test_a_rule_that_denies_ends_it_and_no_login_is_counted(chika, shop, question):
    save_rule("no", script="function (u, c, cb) { cb(new UnauthorizedError('Friends only.')); }")
    ended = go(chika, shop)
    chika.refresh_from_db()

    assert ended == Denied("unauthorized", "Friends only.")
    assert (chika.logins_count, Impression.objects.count()) == (0, 0)


def test_a_question_stops_a_login_once_and_progress_resumes_after_it(chika, shop, question):
    save_rule("claim", script=claim("c.protocol"))
    asked, progress = resume(chika, shop, LoginProgress())
    decided, _ = resume(chika, shop, progress)

    assert isinstance(asked, InteractionRequired)
    assert (asked.reason, asked.url) == ("question", f"/question?impression={Impression.objects.get().pk}")
    assert isinstance(decided, TokenDecision)
    assert RuleRun.objects.count() == 1


def test_back_from_a_rules_page_rules_run_once_more_and_redirect_no_further(chika, shop):
    save_rule("away", script="function (u, c, cb) { c.redirect = {url: 'https://shop.example/'}; cb(null, u, c); }")
    away, progress = resume(chika, shop, LoginProgress())
    back, _ = resume(chika, shop, progress.without(Step.RUN_RULES), protocol="redirect-callback")

    assert away == InteractionRequired("rule", "https://shop.example/")
    assert isinstance(back, TokenDecision)
    assert RuleRun.objects.count() == 2


def test_a_silent_login_asks_nothing_and_counts_nothing(chika, shop, question):
    decided = go(chika, shop, silent=True)
    chika.refresh_from_db()

    assert isinstance(decided, TokenDecision)
    assert (chika.logins_count, Impression.objects.count()) == (0, 0)


def test_authentication_on_a_page_of_the_app_counts_as_a_silent_login(chika, shop, question):
    save_rule("claim", script=claim("c.stats.loginsCount"))
    decided = go(chika, shop, silent=True, proved=True)
    chika.refresh_from_db()

    assert decided.id_token == {NAMESPACE + "x": 1}
    assert (chika.logins_count, Impression.objects.count()) == (1, 0)
    assert [event.name for event in timeline(chika.pk)] == ["Signed In"]


def test_silent_login_after_an_abandoned_rule_page_is_at_least_the_first(chika, shop):
    rule = save_rule(
        "away", script="function (u, c, cb) { c.redirect = {url: 'https://shop.example/'}; cb(null, u, c); }"
    )
    assert isinstance(go(chika, shop), InteractionRequired)
    rule.script = claim("c.stats.loginsCount")
    rule.save()
    silent = go(chika, shop, silent=True)
    renewed = renew(Login(chika, shop, visit(protocol="oauth2-refresh-token", silent=True), ["openid"]))
    counted = [go(chika, shop), go(chika, shop), go(chika, shop, silent=True)]

    assert [each.id_token[NAMESPACE + "x"] for each in (silent, renewed, *counted)] == [1, 1, 1, 2, 2]


def test_a_busy_customer_is_asked_nothing_and_the_reason_is_recorded(chika, shop, question):
    decided = go(chika, shop, busy=True)

    assert isinstance(decided, TokenDecision)
    assert (Impression.objects.count(), SelectionDecision.objects.get().reason) == (0, "not_interactive")


def test_a_refresh_runs_rules_by_their_protocol_and_cannot_redirect(chika, shop):
    rule = save_rule("claim", script=claim("c.protocol"))
    value = renew(Login(chika, shop, visit(protocol="oauth2-refresh-token", silent=True), ["openid"]))
    rule.script = "function (u, c, cb) { c.redirect = {url: 'https://shop.example/'}; cb(null, u, c); }"
    rule.save()
    away = renew(Login(chika, shop, visit(protocol="oauth2-refresh-token", silent=True), ["openid"]))

    assert value.id_token == {NAMESPACE + "x": "oauth2-refresh-token"}
    assert away.error == "interaction_required"


def test_a_rule_may_widen_scopes_of_first_party_apps_only(chika, shop):
    save_rule("more", script="function (u, c, cb) { c.accessToken.scope = ['openid', 'read:all']; cb(null, u, c); }")
    other = Client.objects.create(client_id="partner", name="Bikes & Co", first_party=False)

    assert go(chika, shop).scopes == ["openid", "read:all"]
    assert go(chika, other).scopes == ["openid"]


@pytest.mark.parametrize(("what", "step"), [("next_question", "choose_question"), ("changes", "record_login")])
def test_a_fault_in_questions_or_statistics_is_logged_and_the_login_continues(
    chika, shop, question, monkeypatch, caplog, what, step
):
    def broken(*_, **__):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(story, what, broken)
    first, progress = resume(chika, shop, LoginProgress())
    decided = resume(chika, shop, progress)[0] if isinstance(first, InteractionRequired) else first

    assert isinstance(decided, TokenDecision)
    assert f"login step {step} failed" in caplog.text


def test_when_the_time_is_up_the_question_is_left_out(chika, shop, question, monkeypatch, caplog):
    monkeypatch.setattr(story, "BUDGET", -1.0)
    with caplog.at_level(logging.WARNING):
        decided = go(chika, shop)

    assert isinstance(decided, TokenDecision)
    assert not Impression.objects.exists()
    assert "choose_question was left out" in caplog.text


def test_enrichment_a_rule_wants_is_queued_and_not_awaited(chika, shop):
    save_rule("look", script="function (u, c, cb) { regulars.enrich('us-census-acs'); cb(null, u, c); }")
    go(chika, shop)

    assert [job.payload for job in Job.objects.filter(kind="enrich")] == [
        {"profile": chika.pk, "source": "us-census-acs"}
    ]


def test_enabled_sources_are_queued_after_a_login_and_not_after_a_silent_one(chika, shop):
    save_source("email", {})
    save_source("phone", {}, enabled=False)
    go(chika, shop, silent=True)
    before = Job.objects.filter(kind="enrich").count()
    go(chika, shop)

    assert before == 0
    assert [job.payload["source"] for job in Job.objects.filter(kind="enrich")] == ["email"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("writes", [True, False])
def test_login_that_meets_a_deadlock_begins_its_transaction_again_and_counts_once(chika, shop, writes):
    if writes:
        script = "function (u, c, cb) { auth0.users.updateUserMetadata(u.user_id, {size: 'M'}); cb(null, u, c); }"
        save_rule("Writes", script=script)
    tried = []

    def issue(decision):
        tried.append(decision)
        if len(tried) == 1:
            raise deadlock()
        return decision

    login = Login(chika, shop, visit(), ["openid"], LoginProgress())
    assert isinstance(log_in(login, issue), TokenDecision)

    chika.refresh_from_db()
    assert len(tried) == 2
    assert chika.logins_count == 1
    assert [event.name for event in timeline(chika.pk)].count("Signed In") == 1
    assert chika.document.get("user_metadata", {}) == ({"size": "M"} if writes else {})
