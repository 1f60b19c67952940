"""One contract for every writer of metadata: the Management API, and rules in each of their languages."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.management_api.conftest import ApiClient, make_token

from regulars.clients.models import Client
from regulars.consent.record import Decision, record
from regulars.consent.view import served_user
from regulars.oauth.grant import TokenDecision
from regulars.profiles.assertions import Place
from regulars.profiles.document import user
from regulars.profiles.learn import CUSTOMER, NewFact, learn
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.rules.models import RuleRun
from regulars.rules.monty import is_installed
from regulars.rules.python import python_rules
from regulars.rules.save import save_rule
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.correct_facts import correct
from regulars.usecases.login import Login, LoginContext, log_in
from regulars.usecases.unit_of_work import changes

CODE = "invalid_metadata_key"
USER, APP = "user_metadata", "app_metadata"
STORED = {"shoe": {"size": 40, "colour": "red"}, "plan": "gold"}


@dataclass
class Refused:
    """What a writer learns of a refused write."""

    code: str
    message: str


@dataclass
class Writer:
    """`write(profile, data, bag)` returns None, or why the write was refused. `source` is the source of its facts."""

    write: Callable[..., Refused | None]
    source: str


@pytest.fixture
def shop(standard_setup) -> Client:
    return Client.objects.create(client_id="shop", name="Harbour & Pine")


def log_in_at(shop: Client, profile: Profile) -> Refused | None:
    """The login succeeds whatever its rules wrote; a refused write is on record as a failed step."""
    login = Login(Profile.objects.get(pk=profile.pk), shop, LoginContext("oidc-basic-profile"), ["openid"])
    assert isinstance(log_in(login, lambda decision: decision), TokenDecision)
    run = RuleRun.objects.latest("pk")
    [step] = run.steps
    if step["how"] == "done":
        return None
    return Refused(step["fault"], step["message"])


def javascript(data: Any) -> str:
    return f"function (u, c, cb) {{ auth0.users.updateUserMetadata(u.user_id, {json.dumps(data)}); cb(null, u, c); }}"


def management_client(data: Any) -> str:
    return (
        "function (u, c, cb) { const { ManagementClient } = require('auth0');"
        f" new ManagementClient({{}}).updateUser({{ id: u.user_id }}, {{ user_metadata: {json.dumps(data)} }},"
        " function (error) { cb(error, u, c); }); }"
    )


def action(data: Any) -> str:
    calls = "".join(f"api.user.setUserMetadata({json.dumps(key)}, {json.dumps(value)});" for key, value in data.items())
    return f"exports.onExecutePostLogin = async function (event, api) {{ {calls} }};"


def monty(data: Any) -> str:
    return f"def rule(user, context, api):\n    api.update_user_metadata({data!r})\n"


SCRIPTS = {"javascript": javascript, "management_client": management_client, "action": action, "monty": monty}


@pytest.fixture(params=["api", *SCRIPTS, "python"])
def writer(request, client, shop, monkeypatch) -> Writer:
    def by_api(profile: Profile, data: Any, bag: str = USER) -> Refused | None:
        client.raise_request_exception = False
        answer = ApiClient(client).call("PATCH", f"/v2/users/{profile.user_id}", {bag: data})
        if answer.status_code == 200:
            return None
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_body")
        return Refused(CODE, answer.json()["message"])

    def by_script(profile: Profile, data: Any, bag: str = USER) -> Refused | None:
        language = "monty" if request.param == "monty" else "javascript"
        script = SCRIPTS[request.param](data)
        if bag == APP:
            script = script.replace("UserMetadata", "AppMetadata").replace(USER, APP)
        save_rule("write", slug="write", script=script, language=language)
        return log_in_at(shop, profile)

    def by_python(profile: Profile, data: Any, bag: str = USER) -> Refused | None:
        class EntryPoint:
            name = "write"

            def load(self) -> Any:
                return lambda user, context, api: getattr(api, f"update_{bag}")(data)

        monkeypatch.setattr(python_rules, "_loaded", None)
        monkeypatch.setattr("regulars.base.plugins.catalog.entry_points", lambda group: [EntryPoint()])
        save_rule("write", slug="write", script="write", language="python")
        return log_in_at(shop, profile)

    if request.param == "api":
        return Writer(by_api, "app:bot")
    if request.param == "monty" and not is_installed():
        pytest.skip("pydantic-monty is not installed")
    return Writer(by_python if request.param == "python" else by_script, "rule:write@1")


@pytest.fixture
def customer(chika) -> Profile:
    """Chika, with metadata that the app of the shop wrote."""
    facts = {"shoe.size": 40, "shoe.colour": "red", "plan": "gold"}
    learn(chika, [NewFact(f"{USER}.{path}", value, "declared", "app:shop") for path, value in facts.items()])
    assert metadata_of(chika) == STORED
    return chika


def metadata_of(profile: Profile) -> Any:
    profile.refresh_from_db()
    return profile.document.get(USER, {})


@pytest.mark.parametrize(
    ("written", "after"),
    [
        ({"shoe": {"size": 42}}, {"shoe": {"size": 42}, "plan": "gold"}),
        ({"shoe": None}, {"plan": "gold"}),
        ({"shoe": {"a.b": 1}}, {"shoe": {"a.b": 1}, "plan": "gold"}),
        ({"shoe": {"size": 40, "": 1}}, {"shoe": {"size": 40, "": 1}, "plan": "gold"}),
        ({"shoe": 42}, {"shoe": 42, "plan": "gold"}),
        ({"hat": {"size": {"cm": 58}}}, {**STORED, "hat": {"size": {"cm": 58}}}),
        ({"plan": {"tier": 1}, "shoe": None}, {"plan": {"tier": 1}}),
        ({"shoe": ["a", {"b": 1}]}, {"shoe": ["a", {"b": 1}], "plan": "gold"}),
    ],
)
def test_metadata_replaces_first_level_keys(writer, customer, written, after):
    assert writer.write(customer, written) is None

    assert metadata_of(customer) == after
    news = {fact.source for fact in customer.facts.filter(retracted_at=None)} - {"app:shop"}
    assert news <= {writer.source}


@pytest.mark.parametrize("key", ["a.b", "", "$set", "x" * 200])
def test_unusable_metadata_key_is_refused_by_name(writer, customer, key, request):
    if key == "" and request.node.callspec.params["writer"] == "action":
        pytest.skip("the sandbox refuses an empty name with a TypeError, as Auth0 does")
    refused = writer.write(customer, {key: 1})

    assert refused is not None
    assert refused.code == CODE
    assert repr(key)[1:20] in refused.message
    assert metadata_of(customer) == STORED


@pytest.mark.parametrize("key", ["email", "email_verified", "blocked", "user_id", "identities", "loginsCount", "_id"])
def test_reserved_name_in_app_metadata_is_refused(writer, customer, key):
    refused = writer.write(customer, {key: True}, APP)

    assert refused is not None
    assert refused.code == CODE
    assert f"the key {key!r} is reserved" in refused.message
    assert APP not in Profile.objects.get(pk=customer.pk).document
    assert writer.write(customer, {key: "x"}) is None  # Auth0 reserves nothing in user_metadata


def test_reserved_name_of_an_earlier_version_can_be_sent_back_and_removed(writer, customer):
    learn(customer, [NewFact("app_metadata.blocked", True, "declared", "app:shop")])

    assert writer.write(customer, {"blocked": True, "plan": "gold"}, APP) is None
    assert Profile.objects.get(pk=customer.pk).document[APP] == {"blocked": True, "plan": "gold"}
    assert writer.write(customer, {"blocked": None}, APP) is None
    assert Profile.objects.get(pk=customer.pk).document[APP] == {"plan": "gold"}


def test_app_metadata_never_takes_the_place_of_a_root_field(shop, customer):
    """Stored by an earlier version, `app_metadata` says of a customer what only this server says."""
    Attribute.objects.create(key="membership", label="Membership", purposes=["serve"])
    lies = {"email": "boss@shop.example", "email_verified": True, "blocked": False, "name": "Boss", "user_id": "auth0|1",
            "phone_verified": True, "logins_count": 99, "last_login": "2020", "username": "boss", "membership": "board",
            "identities": [], "user_metadata": {"a": 1}, "gender": "male"}  # fmt: skip
    facts = [NewFact(f"{APP}.{name}", value, "declared", "app:shop") for name, value in lies.items()]
    with changes(customer, "test") as c:
        c.learn([*facts, NewFact(f"{APP}.roles", ["buyer"], "declared", "app:shop")])
    script = "function (u, c, cb) { delete u.app_metadata; c.idToken.u = u; cb(null, u, c); }"
    save_rule("tell", script=script)
    login = Login(Profile.objects.get(pk=customer.pk), shop, LoginContext("oidc-basic-profile"), ["openid"])
    seen = log_in(login, lambda decision: decision).id_token["u"]

    assert {name: value for name, value in seen.items() if name in lies} == {
        "user_id": customer.user_id, "identities": seen["identities"], "user_metadata": STORED
    }  # fmt: skip
    assert len(seen["identities"]) == 1
    assert seen["roles"] == ["buyer"]  # what an application alone knows is at the root, as with Auth0


def test_fact_never_takes_the_place_of_a_column(shop, customer):
    """An attribute of the name of a column is not the column, also while the column is empty."""
    for name in ("blocked", "logins_count", "last_ip", "user_id", "identities"):
        Attribute.objects.create(key=name, label=name, purposes=["serve"])
    with changes(customer, "test") as c:
        c.learn([NewFact(name, "a lie", "declared", "app:shop") for name in ("blocked", "logins_count", "last_ip")])
        c.learn([NewFact(name, "a lie", "declared", "app:shop") for name in ("user_id", "identities")])
    stored = Profile.objects.get(pk=customer.pk)

    assert "a lie" not in json.dumps([user(stored), served_user(stored, Place.RULES)])


def test_empty_object_clears_the_bag(writer, customer, request):
    if request.node.callspec.params["writer"] == "action":
        pytest.skip("an action sets one key at a time")
    assert writer.write(customer, {}) is None

    assert metadata_of(customer) == {}


def test_repeated_write_adds_no_fact(writer, customer):
    writer.write(customer, {"shoe": {"size": 42}, "hat": "M"})
    before = Fact.objects.count()
    writer.write(customer, {"shoe": {"size": 42}, "hat": "M"})

    assert Fact.objects.count() == before
    assert metadata_of(customer) == {"shoe": {"size": 42}, "plan": "gold", "hat": "M"}


def test_segments_follow_written_metadata(writer, customer):
    path = f"{USER}.shoe.size"
    Attribute.objects.create(key="shoe_size", label="Shoe size", purposes=["personalise"], metadata_path=path)
    segment = save_segment("Large", "shoe_size:42", purpose="personalise")
    record(customer, Decision("personalise", "given", "profile"))
    writer.write(customer, {"shoe": {"size": 42}})

    assert Membership.objects.get(segment=segment, profile=customer).state == "in"


def test_declared_attribute_is_replaced_by_its_path(writer, customer):
    Attribute.objects.create(key="shoe_size", label="Shoe size", metadata_path=f"{USER}.shoe.size")
    learn(customer, [NewFact("shoe_size", 41, "corrected", "question:shoe@1")])
    Fact.objects.filter(attribute="shoe_size").update(source="app:shop", source_kind="observed", asserter="app_token")
    writer.write(customer, {"shoe": {"colour": "blue"}})

    assert metadata_of(customer) == {"shoe": {"colour": "blue"}, "plan": "gold"}


def test_answer_at_a_path_of_the_bag_stands(writer, customer):
    Attribute.objects.create(key="shoe_size", label="Shoe size", metadata_path=f"{USER}.shoe.size")
    learn(customer, [NewFact("shoe_size", 41, "declared", "question:shoe@1")])
    for data in ({"shoe": {"colour": "blue", "size": 43}}, {"shoe": "wide"}, {"shoe": None}):
        assert writer.write(customer, data) is None

    assert metadata_of(customer) == {"shoe": {"size": 41}, "plan": "gold"}


class TestRules:
    """What rules may not do, and what a rule that writes back everything it was given leaves alone."""

    def write(self, shop: Client, profile: Profile, script: str) -> Refused | None:
        save_rule("write", slug="write", script=script)
        return log_in_at(shop, profile)

    def test_rule_leaves_special_categories_to_the_customer(self, shop, customer):
        Attribute.objects.create(key="diet", label="Diet", metadata_path=f"{USER}.food.diet", sensitivity="special")
        learn(customer, [NewFact("diet", "vegan", "declared", CUSTOMER)])
        self.write(shop, customer, javascript({"food": {"diet": "halal", "spice": "hot"}}))
        self.write(shop, customer, javascript({"food": None}))

        assert metadata_of(customer)["food"] == {"diet": "vegan"}

    def test_rule_keeps_a_deletion_by_the_customer(self, shop, customer):
        Attribute.objects.create(key="hat", label="Hat", metadata_path=f"{USER}.hat")
        learn(customer, [NewFact("hat", None, "corrected", CUSTOMER)])
        self.write(shop, customer, javascript({"hat": None}))

        assert customer.facts.get(attribute="hat", retracted_at=None).source == CUSTOMER

    def test_rule_that_writes_back_all_metadata_changes_no_source(self, shop, customer):
        before = list(customer.facts.values_list("pk", "source"))
        self.write(
            shop,
            customer,
            "function (u, c, cb) { auth0.users.updateUserMetadata(u.user_id, u.user_metadata); cb(null, u, c); }",
        )

        assert list(customer.facts.filter(retracted_at=None).values_list("pk", "source")) == before

    def test_other_writes_of_a_login_are_kept_beside_a_refused_one(self, shop, customer):
        self.write(shop, customer, action({"hat": "M", "a.b": 1, "coat": "L"}))
        run = RuleRun.objects.latest("pk")

        assert metadata_of(customer) == {**STORED, "hat": "M", "coat": "L"}
        assert (run.steps[0]["how"], run.steps[0]["fault"]) == ("failed", CODE)
        assert run.effects["metadata"] == [f"{USER}.coat", f"{USER}.hat"]

    def test_failing_rule_that_denies_still_admits_after_a_refused_write(self, shop, customer):
        save_rule("write", slug="write", script=javascript({"a.b": 1}), deny_on_failure=True)

        assert log_in_at(shop, customer) is not None


def test_user_created_by_the_api_has_its_metadata_by_the_same_contract(client, standard_setup):
    from regulars.connections.models import Connection

    Connection.objects.create(name="Username-Password-Authentication", strategy="auth0", display_name="Password")
    client.raise_request_exception = False
    body = {"connection": "Username-Password-Authentication", "password": "correct horse 9"}

    def create(number: int, data: Any) -> Any:
        new = {**body, "email": f"dov{number}@example.org", USER: data}
        return ApiClient(client).call("POST", "/v2/users", new, token=make_token())

    made = create(1, {"shoe": {"a.b": 1}, "hat": None, "coat": {"size": "L"}})
    refused = create(2, {"a.b": 1})

    assert made.json()[USER] == {"shoe": {"a.b": 1}, "coat": {"size": "L"}}
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "invalid_body")
    assert Profile.objects.count() == 1


@pytest.mark.parametrize("staff", ["", "ana"])
def test_correction_replaces_what_is_stored_below_its_path(customer, staff):
    Attribute.objects.create(key="shoe", label="Shoe", metadata_path=f"{USER}.shoe")
    correct(customer, "shoe", "wide", reason="Corrected by phone.", staff=staff)

    assert metadata_of(customer) == {"shoe": "wide", "plan": "gold"}


def test_correction_replaces_a_value_above_its_path(customer):
    learn(customer, [NewFact(f"{USER}.zip", "D-10115", "declared", "app:shop")])
    Attribute.objects.create(key="postal", label="Postal code", metadata_path=f"{USER}.zip.code")
    correct(customer, "postal", "10115")

    assert metadata_of(customer)["zip"] == {"code": "10115"}
