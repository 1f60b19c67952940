"""Every writer of values about a customer: the kind and rank of its facts, and what it may replace or bring back.

SECURITY.md has the table. A new writer fails here until it has a road in `ROADS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.test import Client as Browser
from tests.management_api.conftest import ApiClient, make_token
from tests.receivers import Answer, Receiver, receiving
from tests.usecases.test_assertion_table import SAY, World
from tests.usecases.test_bases_of_facts import answer_question_about

from regulars.base.errors import DomainError
from regulars.base.jobs.run_jobs import run_due
from regulars.base.jobs.tasks import enqueue
from regulars.clients.models import Client
from regulars.consent.record import Decision
from regulars.profiles.assertions import Asserter
from regulars.profiles.document import known
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Fact, Profile, RefusedGuess
from regulars.profiles.resolve import tier
from regulars.questions.answer import BadAnswer
from regulars.rules.invocation import LateStep
from regulars.rules.models import Rule, RuleRun
from regulars.rules.save import save_rule
from regulars.usecases import relabel_writes
from regulars.usecases.complete_social_login import SubmittedValues, sign_up
from regulars.usecases.correct_facts import correct, remove
from regulars.usecases.decide_consent import decide
from regulars.usecases.login import Login, LoginContext, log_in
from regulars.usecases.rule_writes import authorship_of_rule, store_late
from regulars.usecases.unit_of_work import changes
from regulars.usecases.users import MetadataWrite, UserPatch, update_metadata, update_user
from regulars.usecases.write_values import Authorship, by_app
from regulars.usecases.writers import WORDS, Writer

pytestmark = pytest.mark.django_db
DATABASE = "Username-Password-Authentication"
BAGS = {"shoe": "user_metadata", "plan": "app_metadata"}
Road = Callable[[World, str, str], None]


@pytest.fixture
def shop(standard_setup: None) -> Client:
    return Client.objects.create(client_id="shop", name="Harbour & Pine")


@pytest.fixture
def partner(settings, standard_setup) -> Iterator[Receiver]:
    settings.DEMO = True  # rules may call this machine
    with receiving(Answer(body=b"{}", headers={"content-type": "application/json"})) as server:
        yield server


def sign_in(profile: Profile) -> RuleRun:
    app, _ = Client.objects.get_or_create(client_id="shop", defaults={"name": "Harbour & Pine"})
    login = Login(Profile.objects.get(pk=profile.pk), app, LoginContext("oidc-basic-profile"), ["openid"])
    log_in(login, lambda decision: decision)
    return RuleRun.objects.latest("pk")


def writing(bag: str, data: object, before: str = "") -> str:
    name = {"user_metadata": "updateUserMetadata", "app_metadata": "updateAppMetadata"}[bag]
    write = f"auth0.users.{name}(user.user_id, {json.dumps(data)}); callback(null, user, context);"
    return f"function (user, context, callback) {{ {before.replace('GO', write) or write} }}"


def by_rule(world: World, key: str, value: str) -> None:
    save_rule("write", script=writing(BAGS[key], {key: value}))
    sign_in(world.chika)


def by_rule_after_call(world: World, key: str, value: str) -> None:
    call = f"request('{world.partner}', function () {{ GO }});"  # type: ignore[attr-defined]
    save_rule("write", script=writing(BAGS[key], {key: value}, call))
    run = sign_in(world.chika)
    assert [each["status"] for each in run.steps[0]["requests"]] == [200]


def by_application(world: World, key: str, value: str) -> None:
    update_user(world.chika, UserPatch(metadata={BAGS[key]: {key: value}}), by_app("crm"))


def by_own_token(world: World, key: str, value: str) -> None:
    token = make_token("update:current_user_metadata", sub=world.chika.user_id)
    answer = ApiClient(Browser()).call(
        "PATCH", f"/v2/users/{world.chika.user_id}", {BAGS[key]: {key: value}}, token=token
    )
    assert answer.status_code in (200, 403), answer.content


def by_answer(world: World, key: str, value: str) -> None:
    try:
        answer_question_about(world.chika, key, "short_text", "serve", value)
    except (DomainError, BadAnswer, AttributeError):  # no question is asked of what only apps write
        assert key == "plan"


def by_sign_up(world: World, key: str, value: str) -> None:
    """A new customer: nothing was said or deleted before."""
    world.chika = sign_up(
        "new@example.com", "!", DATABASE, SubmittedValues("app:shop", {f"{BAGS[key]}.{key}": value})
    ).profile


def by(asserter: Asserter) -> Road:
    return SAY[asserter]


ROADS: dict[Writer, Road] = {
    Writer.CUSTOMER: by(Asserter.CUSTOMER),
    Writer.ANSWER: by_answer,
    Writer.SIGN_UP: by_sign_up,
    Writer.APP_FOR_CUSTOMER: by_own_token,
    Writer.APP: by_application,
    Writer.STAFF: by(Asserter.STAFF),
    Writer.RULE: by_rule,
    Writer.RULE_AFTER_CALL: by_rule_after_call,
    Writer.PROVIDER: by(Asserter.PROVIDER),
    Writer.PROVIDER_VOUCHING: by(Asserter.PROVIDER_VOUCHING),
    Writer.SERVER_KEY: by(Asserter.SERVER_KEY),
    Writer.PUBLIC_KEY: by(Asserter.PUBLIC_KEY),
    Writer.LOOKUP: by(Asserter.LOOKUP),
    Writer.IMPORT: by(Asserter.IMPORT),
}


def write(world: World, writer: Writer, key: str, value: str) -> None:
    with suppress(DomainError):  # it learns of the refusal
        ROADS[writer](world, key, value)
    world.chika.refresh_from_db()


def shown(world: World, key: str) -> object:
    return world.chika.document.get(BAGS[key], {}).get(key)


def test_every_writer_has_a_road():
    assert set(ROADS) == set(Writer) == set(WORDS)


@pytest.mark.parametrize("key", BAGS)
@pytest.mark.parametrize("writer", Writer)
def test_write_becomes_a_fact_of_its_kind_and_rank(partner, writer, key):
    world, word = World(), WORDS[writer]
    world.partner = partner.url  # type: ignore[attr-defined]
    write(world, writer, key, "44")
    facts = list(world.chika.facts.filter(attribute=key, retracted_at=None))

    if not word.may_write_at(f"{BAGS[key]}.{key}"):
        assert facts == []
        return
    [fact] = facts
    assert (fact.source_kind, fact.asserter) == (word.kind_at(f"{BAGS[key]}.{key}"), word.asserter)
    assert tier(known(fact)) <= word.rank_at(f"{BAGS[key]}.{key}")
    assert shown(world, key) == "44"


@pytest.mark.parametrize("writer", [each for each in Writer if each != Writer.SIGN_UP])
def test_said_and_deleted_values_give_way_as_the_table_says(partner, writer):
    world, word = World(), WORDS[writer]
    world.partner = partner.url  # type: ignore[attr-defined]
    with changes(world.chika, "test") as c:
        c.learn([NewFact("shoe", "43", "declared", "question:shoe@1", asserter=Asserter.CUSTOMER)])
    if writer != Writer.ANSWER:  # what was answered is not asked again
        write(world, writer, "shoe", "44")
        assert shown(world, "shoe") == ("44" if word.replaces_the_customer else "43")

    remove(world.chika, "shoe")
    write(world, writer, "shoe", "45")
    assert shown(world, "shoe") == ("45" if word.revives else None)


def test_rule_does_not_replace_what_the_customer_typed_and_the_run_says_why(shop, standard_setup):
    world = World()
    correct(world.chika, "shoe", "44")
    save_rule("write", script=writing("user_metadata", {"shoe": "45", "hat": "L"}))
    run = sign_in(world.chika)
    world.chika.refresh_from_db()

    assert world.chika.document["user_metadata"] == {"shoe": "44", "hat": "L"}
    assert run.effects["refused"] == [{"rule": "write", "value": "user_metadata.shoe", "why": "said_by_customer"}]
    assert (run.effects["metadata"], run.steps[0]["how"]) == (["user_metadata.hat"], "done")
    assert RefusedGuess.objects.get().source == "rule:write@1"


def test_rule_that_writes_back_what_stands_is_not_refused(shop, standard_setup):
    world = World()
    correct(world.chika, "shoe", "44")
    everything = "auth0.users.updateUserMetadata(user.user_id, user.user_metadata)"
    save_rule("write", script=f"(user, context, callback) => {{ {everything}; callback(null, user, context); }}")
    run = sign_in(world.chika)

    assert "refused" not in run.effects
    assert [fact.source for fact in world.chika.facts.filter(attribute="shoe", retracted_at=None)] == ["customer"]


def test_last_write_of_rules_and_applications_wins_and_the_next_reads_it(shop, standard_setup):
    """As with Auth0, whatever the ranks of their facts are: no person said anything of this key."""
    world = World()
    for number, writer in enumerate([Writer.APP, Writer.RULE, Writer.APP_FOR_CUSTOMER, Writer.RULE, Writer.APP]):
        write(world, writer, "shoe", f"{number}")
        assert shown(world, "shoe") == f"{number}"
    for number, writer in enumerate([Writer.RULE, Writer.APP, Writer.RULE]):
        write(world, writer, "plan", f"{number}")
        assert shown(world, "plan") == f"{number}"


def test_staffs_correction_stands_against_rules_and_applications(shop, standard_setup):
    world = World()
    correct(world.chika, "shoe", "44", staff="ana", reason="They called.")
    for writer in (Writer.APP, Writer.RULE):
        write(world, writer, "shoe", "45")

    assert shown(world, "shoe") == "44"
    assert {each.why for each in RefusedGuess.objects.all()} == {"corrected_by_staff"}


def test_own_token_makes_it_the_customers_word_again(shop, standard_setup):
    world = World()
    remove(world.chika, "shoe")
    write(world, Writer.APP_FOR_CUSTOMER, "shoe", "44")
    fact = world.chika.facts.get(attribute="shoe", retracted_at=None)
    write(world, Writer.RULE, "shoe", "45")

    assert (fact.source_kind, fact.source) == ("corrected", "app:bot")
    assert shown(world, "shoe") == "44"


@pytest.mark.parametrize(
    ("scope", "subject", "body"),
    [
        ("update:current_user_metadata", "another", {"user_metadata": {"shoe": "44"}}),
        ("update:current_user_metadata", "own", {"app_metadata": {"plan": "gold"}}),
        ("update:current_user_metadata", "own", {"user_metadata": {"shoe": "44"}, "name": "Dov"}),
        ("update:current_user_identities", "own", {"user_metadata": {"shoe": "44"}}),
        ("update:users", "own", {"user_metadata": {"shoe": "44"}}),
        ("update:current_user_metadata", "machine", {"user_metadata": {"shoe": "44"}}),
    ],
)
def test_customers_token_writes_their_own_user_metadata_only(shop, make_customer, scope, subject, body):
    world, other = World(), make_customer()
    sub = {"another": other.user_id, "own": world.chika.user_id, "machine": "shop@clients"}[subject]
    token = make_token(scope, sub=sub, azp="shop")
    answer = ApiClient(Browser()).call("PATCH", f"/v2/users/{world.chika.user_id}", body, token=token)

    assert (answer.status_code, answer.json()["errorCode"]) == (403, "insufficient_scope")
    assert not Fact.objects.filter(value="44").exists()


def test_application_does_not_replace_the_customers_name(client, standard_setup):
    world = World()
    correct(world.chika, "name", "Chika Eze")
    answer = ApiClient(client).call("PATCH", f"/v2/users/{world.chika.user_id}", {"name": "C. Eze", "nickname": "chi"})

    assert (answer.status_code, answer.json()["name"], answer.json()["nickname"]) == (200, "Chika Eze", "chi")
    assert answer["Regulars-Not-Written"] == "name;why=said_by_customer"


def test_rule_writes_under_its_purpose_and_only_while_that_is_open(shop, standard_setup):
    world = World()
    by_purpose = Authorship(Writer.RULE, "rule:tailor@2", "personalise")
    [refused] = update_metadata(world.chika, [MetadataWrite(by_purpose, "user_metadata", {"shoe": "44"})])
    assert [(each.path, each.why) for each in refused.refused] == [("user_metadata.shoe", "purpose_closed")]

    decide(world.chika, Decision("personalise", "given", "profile"))
    assert update_metadata(world.chika, [MetadataWrite(by_purpose, "user_metadata", {"shoe": "44"})]) == []
    fact = world.chika.facts.get(attribute="shoe", retracted_at=None)
    assert (fact.basis, fact.purpose, len(fact.consents)) == ("consent", "personalise", 1)

    decide(world.chika, Decision("personalise", "withdrawn", "profile"))
    world.chika.refresh_from_db()
    assert shown(world, "shoe") is None


def test_source_names_the_version_of_the_rule_that_ran(shop, standard_setup):
    world = World()
    write(world, Writer.RULE, "shoe", "44")
    write(world, Writer.RULE, "shoe", "45")
    save_rule("write", script=Rule.objects.get().script, deny_on_failure=True)  # runs as before
    store_late(
        world.chika.pk,
        RuleRun.objects.latest("pk").pk,
        LateStep("write", [{"bag": "user_metadata", "data": {"hat": "L"}}]),
    )

    sources = dict(world.chika.facts.filter(retracted_at=None).values_list("attribute", "source"))
    assert (sources["shoe"], sources["user_metadata.hat"]) == ("rule:write@2", "rule:write@2")
    assert Rule.objects.get().version == 2


@pytest.mark.parametrize(("requests", "kind"), [([], "observed"), ([{"code": "ETIMEDOUT"}], "observed"), ([{"status": 200, "own": True}], "observed"), ([{"status": 404}], "enriched")])  # fmt: skip
def test_kind_of_a_rules_fact_follows_from_its_run(shop, standard_setup, requests, kind):
    world = World()
    save_rule("late", script="function (u, c, cb) { cb(null, u, c); }")
    run = sign_in(world.chika)
    asked = [{"method": "GET", "host": "crm.example", "milliseconds": 1.0, **each} for each in requests]
    store_late(
        world.chika.pk, run.pk, LateStep("late", [{"bag": "user_metadata", "data": {"hat": "L"}}], requests=asked)
    )

    assert world.chika.facts.get(attribute="user_metadata.hat").source_kind == kind


@pytest.mark.parametrize(("recipients", "writer"), [([], Writer.RULE), ([{"name": "CRM"}], Writer.RULE_AFTER_CALL)])
def test_python_rule_that_declares_recipients_counts_as_answered_by_them(standard_setup, recipients, writer):
    Rule.objects.create(name="Tier", slug="tier", language="python", script="tier", recipients=recipients)

    assert authorship_of_rule("tier", 1) == Authorship(writer, "rule:tier@1", "serve")


@pytest.mark.parametrize(("after_call", "kind"), [("", "observed"), ("true", "enriched")])
def test_rule_that_writes_over_http_is_the_same_writer(client, shop, chika, after_call, kind):
    tells = "(user, context, callback) => { context.idToken.t = auth0.accessToken; callback(null, user, context); }"
    save_rule("tells", script=tells)
    login = Login(chika, shop, LoginContext("oidc-basic-profile"), ["openid"])
    token = log_in(login, lambda decision: decision).id_token["t"]
    headers = {"Authorization": f"Bearer {token}", "Regulars-After-Call": after_call}
    body = json.dumps({"user_metadata": {"hat": "L"}})
    client.patch(f"/api/v2/users/{chika.user_id}", body, content_type="application/json", headers=headers)

    fact = chika.facts.get(attribute="user_metadata.hat")
    assert (fact.source, fact.source_kind, fact.purpose) == ("rule:tells@1", kind, "serve")


def test_upgrade_relabels_earlier_facts_and_takes_revived_ones_back(standard_setup, make_customer, monkeypatch):
    monkeypatch.setattr(relabel_writes, "PORTION", 1)
    world, other = World(), make_customer()
    with changes([world.chika, other], "test") as c:
        old = {"basis": "contract", "asserter": Asserter.RULE}
        c.learn(
            [
                NewFact("shoe", "44", "declared", "rule:write", **old),
                NewFact("plan", "gold", "declared", "rule:write", **old),
            ],
            of=world.chika,
        )
        c.learn([NewFact("app_metadata.role", "boss", "declared", "app:crm", asserter=Asserter.APP_TOKEN)], of=other)
        c.learn([NewFact("user_metadata.hat", "L", "declared", "app:crm", asserter=Asserter.APP_TOKEN)], of=other)
    Fact.objects.create(
        profile=world.chika,
        attribute="shoe",
        value=None,
        source="customer",
        source_kind="corrected",
        asserter="customer",
    )
    enqueue(relabel_writes.JOB, {"after": 0})
    run_due()
    for profile in (world.chika, other):
        profile.refresh_from_db()

    kinds = dict(Fact.objects.exclude(source="customer").values_list("attribute", "source_kind"))
    assert {key: kinds[key] for key in ("plan", "app_metadata.role", "user_metadata.hat")} == {
        "plan": "observed", "app_metadata.role": "observed", "user_metadata.hat": "declared"
    }  # fmt: skip
    assert Fact.objects.get(attribute="plan").purpose == "serve"
    assert Fact.objects.get(value="44").retracted_why == "deleted_by_customer"
    assert world.chika.document["app_metadata"] == {"plan": "gold"}
    assert "user_metadata" not in world.chika.document
    assert other.document["user_metadata"] == {"hat": "L"}


def as_markdown() -> str:
    """Return the table as SECURITY.md has it."""
    lines = [
        "| writer | in `user_metadata` | in `app_metadata` | replaces what the customer said | brings back what they deleted |"
    ]
    lines.append("| --- " * 5 + "|")
    for writer, word in WORDS.items():
        cells = [
            f"{word.kind_at(path)}, {int(word.rank_at(path))}" if word.may_write_at(path) else "no"
            for path in ("user_metadata.shoe", "app_metadata.plan")
        ]
        cells += ["yes" if each else "no" for each in (word.replaces_the_customer, word.revives)]
        lines.append(f"| {writer.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_security_page_has_the_table_of_writers():
    page = (Path(__file__).parents[2] / "SECURITY.md").read_text()

    assert as_markdown() in page
    assert [each.replace("_", " ") for each in Writer if f"**{each.replace('_', ' ')}**" not in page] == []
