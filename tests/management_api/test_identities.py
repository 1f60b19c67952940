"""Linking and unlinking by program."""

from __future__ import annotations

import pytest

from regulars.base.tokens.jwt import sign
from regulars.profiles.document import user
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Profile
from regulars.profiles.upstream_tokens import keep_token
from regulars.rules.models import Rule, RuleRun
from regulars.rules.run import run
from regulars.usecases.upstream_tokens import show_tokens

from .conftest import a_token


@pytest.fixture
def two(standard_setup):
    google, _ = get_or_create_by_identity("google-oauth2", "1", connection="google-oauth2", is_social=True)
    facebook, _ = get_or_create_by_identity("facebook", "2", connection="facebook", is_social=True)
    learn(facebook, [NewFact("user_metadata.shoe", 38, "declared", "app:shop")])
    return google, facebook


PATH = "/v2/users/google-oauth2%7C1/identities"


@pytest.mark.parametrize("user_id", ["2", "facebook|2"])
def test_a_program_links_two_users_and_keeps_the_metadata_of_both(program, two, user_id):
    answer = program.call("POST", PATH, {"provider": "facebook", "user_id": user_id})

    user = program.get("/v2/users/google-oauth2%7C1")
    assert answer.status_code == 201
    assert [(each["provider"], each["user_id"]) for each in answer.json()] == [
        ("google-oauth2", "1"),
        ("facebook", "2"),
    ]
    assert user["user_metadata"] == {"shoe": 38}
    assert len(program.get("/v2/users")) == 1


def test_unlinked_the_second_user_is_there_again(program, two):
    program.call("POST", PATH, {"provider": "facebook", "user_id": "2"})
    answer = program.call("DELETE", f"{PATH}/facebook/2")

    assert (answer.status_code, [each["provider"] for each in answer.json()]) == (200, ["google-oauth2"])
    assert program.get("/v2/users/facebook%7C2")["user_metadata"] == {"shoe": 38}
    assert "user_metadata" not in program.get("/v2/users/google-oauth2%7C1")


def test_she_links_an_account_that_she_has_an_id_token_of(program, two):
    hers = a_token("update:current_user_identities", sub="google-oauth2|1", azp="spa")
    id_token = sign({"aud": "spa", "sub": "facebook|2", "exp": 4_000_000_000})
    other = {"provider": "facebook", "user_id": "2"}

    assert program.call("POST", PATH, other, token=hers).status_code == 403
    assert (
        program.call("POST", "/v2/users/facebook%7C2/identities", {"link_with": id_token}, token=hers).status_code
        == 403
    )
    assert program.call("POST", PATH, {"link_with": id_token}, token=hers).status_code == 201
    assert program.call("DELETE", f"{PATH}/facebook/2", token=hers).status_code == 200


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        {"aud": "another app", "sub": "facebook|2", "exp": 4_000_000_000},
        {"aud": "spa", "sub": "facebook|2", "exp": 1},
        {"aud": "spa", "sub": "nobody", "exp": 4_000_000_000},
    ],
)
def test_a_token_that_proves_nothing_links_nothing(program, two, token):
    hers = a_token("update:current_user_identities", sub="google-oauth2|1", azp="spa")
    body = {"link_with": token if isinstance(token, str) else sign(token)}

    assert program.call("POST", PATH, body, token=hers).status_code == 400
    assert Profile.objects.filter(merged_into=None).count() == 2


def test_an_access_token_is_no_id_token(program, two):
    hers = a_token("update:current_user_identities", sub="google-oauth2|1", azp="spa")
    access = sign({"aud": "spa", "sub": "facebook|2", "exp": 4_000_000_000}, "at+jwt")

    assert program.call("POST", PATH, {"link_with": access}, token=hers).status_code == 400


def test_what_cannot_be_linked_or_unlinked_has_a_name(program, two):
    itself = program.call("POST", PATH, {"provider": "google-oauth2", "user_id": "1"})
    unknown = program.call("POST", PATH, {"provider": "facebook", "user_id": "404"})
    nobody = program.call("POST", "/v2/users/nobody/identities", {"provider": "facebook", "user_id": "2"})
    main = program.call("DELETE", f"{PATH}/google-oauth2/1")
    none = program.call("DELETE", f"{PATH}/github/9")

    assert [each.status_code for each in (itself, unknown, nobody, main, none)] == [409, 400, 404, 400, 400]
    assert itself.json()["errorCode"] == "identity_already_linked"
    assert program.call("POST", PATH, {}).status_code == 400


def test_a_program_sees_the_tokens_of_networks_only_with_a_scope_for_it(program, two):
    keep_token(two[1].identities.get().pk, {"access_token": "EAAB-hers", "expires_in": 3600}, ["email"])
    may = a_token("read:users read:user_idp_tokens")

    for path in ("/v2/users/facebook%7C2", "/v2/users"):
        assert "EAAB-hers" not in program.call("GET", path).content.decode()
        assert "EAAB-hers" in program.call("GET", path, token=may).content.decode()


def test_a_rule_may_use_her_token_and_its_record_hides_it(chika):
    keep_token(chika.identities.get().pk, {"access_token": "ya29-hers"}, [])
    script = (
        "function (user, context, callback) { console.log(user.identities[0].access_token);"
        " context.idToken['https://x/t'] = user.identities[0].access_token.length; callback(null, user, context); }"
    )
    Rule.objects.create(slug="t", name="T", moment="login", language="javascript", script=script, enabled=True)
    shown = user(chika)
    show_tokens(shown, chika)

    outcome = run("login", shown, {"idToken": {}, "accessToken": {}}, profile_id=chika.pk)

    assert outcome.id_token_claims == {"https://x/t": 9}
    assert "ya29-hers" not in str(RuleRun.objects.get().steps)
