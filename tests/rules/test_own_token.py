"""`auth0.accessToken`: only for a rule that mentions it, only about who logs in, only for a minute."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from regulars.base.tokens.jwt import verify
from regulars.profiles.assertions import Asserter
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.rules.replay_runs import replay
from regulars.rules.run import run, try_rule
from regulars.rules.save import save_rule
from regulars.usecases.unit_of_work import changes
from regulars.usecases.users import link

TELLS = "function (user, context, callback) { context.idToken.t = auth0.accessToken; callback(null, user, context); }"
PRETENDS = "function (user, context, callback) { user.user_id = 'auth0|dov'; callback(null, user, context); }"


@pytest.fixture
def dov(standard_setup: None) -> Profile:
    profile, _ = get_or_create_by_identity("auth0", "dov", connection="Username-Password-Authentication")
    return profile


def token_of(chika: Profile) -> str:
    outcome = run("login", {"user_id": chika.user_id}, {}, profile_id=chika.pk)
    token: str = outcome.id_token_claims["t"]
    return token


def test_a_rule_that_mentions_it_gets_a_token_for_a_minute(chika: Profile, settings: Any) -> None:
    save_rule("tells", script=TELLS)

    claims = verify(token_of(chika), f"{settings.ISSUER}api/v2/", typ="at+jwt")

    assert (claims["only_user"], claims["scope"]) == (chika.user_id, "read:users update:users")
    assert claims["exp"] - time.time() <= 60


def test_a_rule_that_does_not_mention_it_gets_none(chika: Profile) -> None:
    save_rule("tells", script=TELLS.replace("auth0.accessToken", "globalThis['auth' + 0]['access' + 'Token']"))

    assert token_of(chika) == ""


def test_own_token_reads_and_changes_only_its_user(client: Any, chika: Profile, dov: Profile) -> None:
    save_rule("tells", script=TELLS)
    authorization = {"Authorization": f"Bearer {token_of(chika)}"}
    change = {"data": json.dumps({"user_metadata": {"colour": "red"}}), "content_type": "application/json"}

    own = client.patch(f"/api/v2/users/{chika.user_id}", **change, headers=authorization)
    others = [
        client.patch(f"/api/v2/users/{dov.user_id}", **change, headers=authorization),
        client.get(f"/api/v2/users/{dov.user_id}", headers=authorization),
        client.get("/api/v2/users", headers=authorization),
        client.get("/api/v2/users-by-email?email=dov@example.com", headers=authorization),
    ]

    assert (own.status_code, own.json()["user_metadata"]) == (200, {"colour": "red"})
    assert [answer.status_code for answer in others] == [403, 403, 403, 403]
    assert others[0].json()["errorCode"] == "another_user"


def test_own_token_links_no_second_customer(client: Any, chika: Profile, dov: Profile) -> None:
    save_rule("tells", script=TELLS)
    authorization = {"Authorization": f"Bearer {token_of(chika)}"}
    link = {"data": json.dumps({"provider": "auth0", "user_id": "dov"}), "content_type": "application/json"}

    answer = client.post(f"/api/v2/users/{chika.user_id}/identities", **link, headers=authorization)

    assert (answer.status_code, answer.json()["errorCode"]) == (403, "another_user")
    assert not Profile.objects.exclude(merged_into=None).exists()


@pytest.mark.parametrize(
    "change", [{"email": "boss@example.com"}, {"email_verified": True}, {"password": "a few words"}, {"blocked": False}]
)
def test_own_token_writes_metadata_only_as_the_rule_itself(client: Any, chika: Profile, change: Any) -> None:
    save_rule("tells", script=TELLS)
    authorization = {"Authorization": f"Bearer {token_of(chika)}"}
    body = {"user_metadata": {"colour": "red"}, **change}

    answer = client.patch(
        f"/api/v2/users/{chika.user_id}", json.dumps(body), content_type="application/json", headers=authorization
    )

    assert (answer.status_code, answer.json()["errorCode"]) == (403, "insufficient_scope")
    assert not chika.facts.exists()


@pytest.mark.parametrize("method", ["get", "patch"])
def test_own_token_reads_no_more_than_the_rule_sees(client: Any, chika: Profile, method: str) -> None:
    """A rule could put the word of a public key, or data for another purpose than the login, into a token."""
    save_rule("tells", script=TELLS)
    authorization = {"Authorization": f"Bearer {token_of(chika)}"}
    with changes(chika, "test") as c:
        c.learn([NewFact("given_name", "Mallory", "observed", "app:shop", asserter=Asserter.PUBLIC_KEY)])
        c.learn([NewFact("user_metadata.colour", "red", "declared", "app:shop")])
    body = {"data": json.dumps({"user_metadata": {"size": 4}}), "content_type": "application/json"}

    answer = getattr(client, method)(
        f"/api/v2/users/{chika.user_id}", **(body if method == "patch" else {}), headers=authorization
    ).json()

    assert answer["user_metadata"]["colour"] == "red"
    assert "given_name" not in answer


def test_metadata_by_the_own_token_is_a_rules_word(client: Any, chika: Profile) -> None:
    save_rule("tells", script=TELLS)
    authorization = {"Authorization": f"Bearer {token_of(chika)}"}
    body = json.dumps({"user_metadata": {"colour": "red"}})
    client.patch(f"/api/v2/users/{chika.user_id}", body, content_type="application/json", headers=authorization)

    assert chika.facts.get().source == "rule:tells@1"


def test_rule_cannot_get_a_token_of_another_user(chika: Profile, dov: Profile) -> None:
    save_rule("pretends", script=PRETENDS)
    save_rule("tells", script=TELLS)

    assert verify(token_of(chika))["only_user"] == chika.user_id


def test_rule_that_does_not_mention_the_token_gets_none(chika: Profile) -> None:
    save_rule("tells", script=TELLS)
    recorded = run("login", {"user_id": chika.user_id}, {}, profile_id=chika.pk)
    tried = try_rule(TELLS, {"user_id": chika.user_id}, {}, lambda request, seconds: {"error": {}})

    assert replay(recorded.run_id).outcome.id_token_claims["t"] == ""
    assert tried.outcome.id_token_claims["t"] == ""


@pytest.mark.parametrize("part", ["facts", "timeline"])
def test_own_token_reads_no_facts_and_no_events(client: Any, chika: Profile, part: str) -> None:
    """They have words that no rule sees: of a public key, withdrawn ones, and those for other purposes."""
    save_rule("tells", script=TELLS)
    authorization = {"Authorization": f"Bearer {token_of(chika)}"}

    answer = client.get(f"/api/regulars/v1/profiles/{chika.user_id}/{part}", headers=authorization)

    assert answer.status_code == 403


def test_own_token_removes_no_login_method(client: Any, chika: Profile, dov: Profile) -> None:
    save_rule("tells", script=TELLS)
    link(chika, dov, "test")
    authorization = {"Authorization": f"Bearer {token_of(chika)}"}

    answer = client.delete(f"/api/v2/users/{chika.user_id}/identities/auth0/dov", headers=authorization)

    assert (answer.status_code, answer.json()["errorCode"]) == (403, "another_user")
    assert chika.identities.count() == 2
