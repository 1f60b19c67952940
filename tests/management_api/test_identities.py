"""Linking and unlinking users by the Management API."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.utils import timezone

from regulars.accounts.factors import authenticator_codes
from regulars.accounts.models import Account
from regulars.base.tokens.jwt import sign
from regulars.clients.models import Client
from regulars.oauth.models import SessionClient
from regulars.profiles.assertions import Asserter
from regulars.profiles.document import user
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Identity, Profile
from regulars.profiles.upstream_tokens import keep_token
from regulars.rules.models import Rule, RuleRun
from regulars.rules.run import run
from regulars.usecases.renew_upstream_tokens import show_tokens
from tests.login.device import code_of

from .conftest import make_token


@pytest.fixture
def two_users(standard_setup):
    google, _ = get_or_create_by_identity("google-oauth2", "1", connection="google-oauth2", is_social=True)
    facebook, _ = get_or_create_by_identity("facebook", "2", connection="facebook", is_social=True)
    learn(facebook, [NewFact("user_metadata.shoe", 38, "declared", "app:shop")])
    return google, facebook


PATH = "/v2/users/google-oauth2%7C1/identities"


@pytest.mark.parametrize("user_id", ["2", "facebook|2"])
def test_linking_keeps_the_metadata_of_both_users(api_client, two_users, user_id):
    answer = api_client.call("POST", PATH, {"provider": "facebook", "user_id": user_id})

    user = api_client.get("/v2/users/google-oauth2%7C1")
    assert answer.status_code == 201
    assert [(each["provider"], each["user_id"]) for each in answer.json()] == [
        ("google-oauth2", "1"),
        ("facebook", "2"),
    ]
    assert user["user_metadata"] == {"shoe": 38}
    assert len(api_client.get("/v2/users")) == 1


def test_unlinked_user_exists_again(api_client, two_users):
    api_client.call("POST", PATH, {"provider": "facebook", "user_id": "2"})
    answer = api_client.call("DELETE", f"{PATH}/facebook/2")

    assert (answer.status_code, [each["provider"] for each in answer.json()]) == (200, ["google-oauth2"])
    assert api_client.get("/v2/users/facebook%7C2")["user_metadata"] == {"shoe": 38}
    assert "user_metadata" not in api_client.get("/v2/users/google-oauth2%7C1")


@pytest.fixture
def spa(two_users) -> Client:
    """The shop's own app, at which both users have a session."""
    made = Client.objects.create(client_id="spa", name="The shop's app")
    for sid, profile in zip(("own", "other"), two_users, strict=True):
        SessionClient.objects.create(sid=sid, client=made, profile=profile)
    return made


def own_token(**claims: Any) -> str:
    """Return a customer's access token of the app, after a sign-in just now."""
    standard = {"sub": "google-oauth2|1", "azp": "spa", "auth_time": int(time.time()), "amr": ["fed"], "sid": "own"}
    return make_token("update:current_user_identities", **{**standard, **claims})


def id_token(**claims: Any) -> str:
    """Return an ID token that another customer got in the app, after a sign-in just now."""
    standard = {"aud": "spa", "sub": "facebook|2", "exp": 4_000_000_000, "auth_time": int(time.time())}
    return sign({**standard, "amr": ["fed"], "sid": "other", **claims})


def test_customer_links_an_account_by_its_id_token(api_client, two_users, spa):
    other = {"provider": "facebook", "user_id": "2"}

    body, elsewhere = {"link_with": id_token()}, "/v2/users/facebook%7C2/identities"

    assert api_client.call("POST", PATH, other, token=own_token()).status_code == 403
    assert api_client.call("POST", elsewhere, body, token=own_token()).status_code == 403
    assert api_client.call("POST", PATH, body, token=own_token()).status_code == 201
    assert api_client.call("DELETE", f"{PATH}/facebook/2", token=own_token()).status_code == 200


def give_second_factor(profile: Profile) -> None:
    profile.account = profile.account or Account.objects.create_user()
    profile.save()
    authenticator_codes.add_app(profile.account, secret := authenticator_codes.new_secret(), code_of(secret))


STALE = int(time.time()) - 700


@pytest.mark.parametrize(
    ("own", "other", "code"),
    [
        ({"auth_time": STALE}, {}, "login_required"),
        ({"auth_time": None}, {}, "login_required"),
        ({"auth_time": 4_000_000_000}, {}, "login_required"),
        ({}, {"auth_time": STALE}, "login_required"),
        ({}, {"auth_time": None}, "login_required"),
        ({}, {"auth_time": "now"}, "login_required"),
        ({"sid": "ended"}, {}, "login_required"),
        ({"sid": None}, {}, "login_required"),
        ({}, {"sid": "ended"}, "login_required"),
        ({"azp": "partner"}, {"aud": "partner"}, "first_party_only"),
    ],
)
def test_customers_token_links_only_for_own_apps_after_two_fresh_sign_ins(api_client, two_users, spa, own, other, code):
    Client.objects.create(client_id="partner", name="Partner", first_party=False)
    SessionClient.objects.create(sid="ended", client=spa, profile=two_users[0], ended_at=timezone.now())
    answer = api_client.call("POST", PATH, {"link_with": id_token(**other)}, token=own_token(**own))

    assert (answer.status_code, answer.json()["errorCode"]) == (403, code)
    assert Profile.objects.filter(merged_into=None).count() == 2


@pytest.mark.parametrize("whose", [0, 1])
def test_customers_token_links_only_with_the_second_factor_of_both(api_client, two_users, spa, whose):
    give_second_factor(two_users[whose])
    with_both = ["fed", "mfa", "otp"]
    amr = [{"amr": with_both}, {"amr": with_both}]
    tokens = [{}, amr[1]] if whose == 0 else [amr[0], {}]
    refused = api_client.call("POST", PATH, {"link_with": id_token(**tokens[1])}, token=own_token(**tokens[0]))
    linked = api_client.call("POST", PATH, {"link_with": id_token(**amr[1])}, token=own_token(**amr[0]))

    assert (refused.status_code, refused.json()["errorCode"]) == (403, "mfa_required")
    assert linked.status_code == 201


@pytest.mark.parametrize(
    ("claims", "code"), [({"auth_time": STALE}, "login_required"), ({"azp": "partner"}, "first_party_only")]
)
def test_customers_token_unlinks_only_as_it_links(api_client, two_users, spa, claims, code):
    Client.objects.create(client_id="partner", name="Partner", first_party=False)
    api_client.call("POST", PATH, {"provider": "facebook", "user_id": "2"})
    refused = api_client.call("DELETE", f"{PATH}/facebook/2", token=own_token(**claims))
    give_second_factor(two_users[0])
    without = api_client.call("DELETE", f"{PATH}/facebook/2", token=own_token())

    assert (refused.status_code, refused.json()["errorCode"]) == (403, code)
    assert (without.status_code, without.json()["errorCode"]) == (403, "mfa_required")
    assert two_users[0].identities.count() == 2


def test_block_of_linked_accounts_holds_for_both_after_an_unlink(api_client, two_users):
    api_client.call("POST", PATH, {"provider": "facebook", "user_id": "2"})
    api_client.call("PATCH", "/v2/users/google-oauth2%7C1", {"blocked": True})

    assert api_client.call("DELETE", f"{PATH}/facebook/2").status_code == 200

    assert api_client.get("/v2/users/facebook%7C2")["blocked"] is True
    assert api_client.get("/v2/users/google-oauth2%7C1")["blocked"] is True


def test_blocked_customers_token_unlinks_nothing(api_client, two_users, spa):
    api_client.call("POST", PATH, {"provider": "facebook", "user_id": "2"})
    Profile.objects.filter(pk=two_users[0].pk).update(blocked=True)

    assert api_client.call("DELETE", f"{PATH}/facebook/2", token=own_token()).status_code == 403


def test_rules_token_links_no_second_customer(api_client, two_users):
    """A rule's token is good for one customer; with the id of another it would hand over their account."""
    rules = {"sub": "rules@clients", "azp": "rules", "only_user": "google-oauth2|1"}
    token = make_token("read:users update:users", **rules)
    by_id = api_client.call("POST", PATH, {"provider": "facebook", "user_id": "2"}, token=token)
    by_token = api_client.call("POST", PATH, {"link_with": id_token(aud="rules")}, token=token)
    elsewhere = api_client.call(
        "POST", "/v2/users/facebook%7C2/identities", {"provider": "google-oauth2", "user_id": "1"}, token=token
    )

    assert [each.status_code for each in (by_id, by_token, elsewhere)] == [403, 403, 403]
    assert {each.json()["errorCode"] for each in (by_id, by_token, elsewhere)} == {"another_user"}
    assert Profile.objects.filter(merged_into=None).count() == 2


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        {"aud": "another app", "sub": "facebook|2", "exp": 4_000_000_000},
        {"aud": "spa", "sub": "facebook|2", "exp": 1},
        {"aud": "spa", "sub": "unknown", "exp": 4_000_000_000},
    ],
)
def test_invalid_id_token_links_nothing(api_client, two_users, spa, token):
    body = {"link_with": token if isinstance(token, str) else sign(token)}

    assert api_client.call("POST", PATH, body, token=own_token()).status_code == 400
    assert Profile.objects.filter(merged_into=None).count() == 2


def test_access_token_is_not_accepted_as_id_token(api_client, two_users, spa):
    access = sign({"aud": "spa", "sub": "facebook|2", "exp": 4_000_000_000}, "at+jwt")

    assert api_client.call("POST", PATH, {"link_with": access}, token=own_token()).status_code == 400


def test_impossible_link_or_unlink_is_refused_by_name(api_client, two_users):
    itself = api_client.call("POST", PATH, {"provider": "google-oauth2", "user_id": "1"})
    unknown = api_client.call("POST", PATH, {"provider": "facebook", "user_id": "404"})
    unknown_user = api_client.call("POST", "/v2/users/unknown/identities", {"provider": "facebook", "user_id": "2"})
    main = api_client.call("DELETE", f"{PATH}/google-oauth2/1")
    none = api_client.call("DELETE", f"{PATH}/github/9")

    assert [each.status_code for each in (itself, unknown, unknown_user, main, none)] == [409, 400, 404, 400, 400]
    assert itself.json()["errorCode"] == "identity_already_linked"
    assert api_client.call("POST", PATH, {}).status_code == 400


def test_provider_tokens_need_a_scope_of_their_own(api_client, two_users):
    keep_token(two_users[1].identities.get().pk, {"access_token": "EAAB-secret", "expires_in": 3600}, ["email"])
    may = make_token("read:users read:user_idp_tokens")

    for path in ("/v2/users/facebook%7C2", "/v2/users"):
        assert "EAAB-secret" not in api_client.call("GET", path).content.decode()
        assert "EAAB-secret" in api_client.call("GET", path, token=may).content.decode()


def test_rule_may_use_a_provider_token_and_its_record_hides_it(chika):
    keep_token(chika.identities.get().pk, {"access_token": "ya29-secret"}, [])
    script = (
        "function (user, context, callback) { console.log(user.identities[0].access_token);"
        " context.idToken['https://x/t'] = user.identities[0].access_token.length; callback(null, user, context); }"
    )
    Rule.objects.create(slug="t", name="T", moment="login", language="javascript", script=script, enabled=True)
    shown = user(chika)
    show_tokens(shown, chika)

    outcome = run("login", shown, {"idToken": {}, "accessToken": {}}, profile_id=chika.pk)

    assert outcome.id_token_claims == {"https://x/t": len("ya29-secret")}
    assert "ya29-secret" not in str(RuleRun.objects.get().steps)


def test_linking_shows_no_identity_that_the_user_itself_does_not_show(api_client, two_users):
    Identity.objects.create(
        profile=two_users[0], provider="anonymous", provider_user_id="a-1", asserted_by=Asserter.PUBLIC_KEY
    )
    linked = api_client.call("POST", PATH, {"provider": "facebook", "user_id": "2"}).json()
    shown = api_client.get("/v2/users/google-oauth2%7C1")["identities"]
    unlinked = api_client.call("DELETE", f"{PATH}/facebook/2").json()

    assert [each["user_id"] for each in linked] == [each["user_id"] for each in shown] == ["1", "2"]
    assert [each["user_id"] for each in unlinked] == ["1"]
