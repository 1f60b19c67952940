"""Access tokens are in the profile of their API, and no other kind of token is taken for one, or one for another kind."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.conf import settings
from joserfc import jws, jwt
from joserfc.jwk import OctKey

from regulars.base.tokens.jwt import sign, verify
from regulars.base.tokens.kinds import MARK, TokenKind
from regulars.clients import register
from regulars.clients.models import Client, ClientGrant, ResourceServer
from regulars.oauth.backchannel_logout import logout_token
from regulars.oauth.tokens import signed_userinfo
from regulars.rules.run import run
from regulars.rules.save import save_rule
from tests.oidc.app import App, fragment_of, make_client

pytestmark = pytest.mark.any_database

SCOPES = "openid read:orders"
PROFILES = ["access_token", "access_token_authz", "rfc9068_profile", "rfc9068_profile_authz"]
TELLS = "function (user, context, callback) { context.idToken.t = auth0.accessToken; callback(null, user, context); }"


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token."""
    return dict(jws.extract_compact(token.encode()).headers()), verify(token)


def set_profile(profile: str) -> None:
    ResourceServer.objects.update(token_dialect=profile)


@pytest.fixture
def robot(client, orders) -> App:
    made = make_client("robot", grant_types=["client_credentials"])
    ClientGrant.objects.create(client=made, resource_server=orders, scopes=["read:orders"])
    return App(client, "robot")


def machine_token(robot, audience="https://orders.example/") -> str:
    token: str = robot.token(grant_type="client_credentials", audience=audience).json()["access_token"]
    return token


# Profiles of access tokens


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("whose", ["customer", "machine"])
def test_an_access_token_has_the_profile_of_its_api(signed_in, robot, orders, profile, whose):
    """Spring and Nimbus refuse `at+jwt` unless they are set up for RFC 9068."""
    set_profile(profile)
    if whose == "customer":
        token, app = signed_in.tokens(audience=orders.identifier, scope=SCOPES)["access_token"], "shop"
    else:
        token, app = machine_token(robot), "robot"
    header, claims = read(token)
    names = {name: claims.get(name) for name in ("azp", "client_id")}

    if profile.startswith("rfc9068"):
        assert (header["typ"], names, bool(claims["jti"])) == ("at+jwt", {"azp": None, "client_id": app}, True)
    else:
        assert (header["typ"], names) == ("JWT", {"azp": app, "client_id": None})
    assert claims.get("permissions") == (["read:orders"] if profile.endswith("_authz") else None)
    assert {"iss", "sub", "aud", "iat", "exp", "scope"} <= claims.keys()


def test_without_an_api_the_token_has_auth0s_profile(signed_in):
    header, claims = read(signed_in.tokens()["access_token"])

    assert (header["typ"], claims["azp"], claims["aud"]) == ("JWT", "shop", settings.ISSUER + "userinfo")


@pytest.mark.parametrize("profile", PROFILES)
def test_tokens_of_every_profile_work_everywhere(signed_in, robot, customer, orders, profile):
    ResourceServer.objects.create(identifier=f"{settings.ISSUER}api/v2/", name="Management", scopes=["read:users"])
    management = ResourceServer.objects.get(name="Management")
    ClientGrant.objects.create(client_id="robot", resource_server=management, scopes=["read:users"])
    ResourceServer.objects.create(identifier=f"{settings.ISSUER}api/me/", name="Me", scopes=["answer:questions"])
    set_profile(profile)
    own = signed_in.tokens(audience=orders.identifier, scope=SCOPES)["access_token"]
    in_app = signed_in.tokens(audience=f"{settings.ISSUER}api/me/", scope="openid answer:questions")["access_token"]

    assert at_userinfo(signed_in, own) == 200
    assert at_management_api(signed_in, machine_token(robot, f"{settings.ISSUER}api/v2/")) == 200
    assert at_customers_api(signed_in, in_app) == 200
    assert introspected(signed_in, own)["client_id"] == "shop"
    assert introspected(robot, own)["active"] is True


@pytest.mark.parametrize("profile", ["access_token", "rfc9068_profile"])
def test_settings_of_the_app_are_found_by_tokens_of_every_profile(signed_in, orders, profile):
    """Auth0's profile names the app as `azp`, RFC 9068's as `client_id`: signed /userinfo, a token in the address."""
    set_profile(profile)
    Client.objects.filter(pk="shop").update(userinfo_algorithm="RS256", token_in_query=True)
    token = signed_in.tokens(audience=orders.identifier, scope=SCOPES)["access_token"]
    answer = signed_in.browser.get("/userinfo", {"access_token": token})

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/jwt")


def test_tokens_of_before_the_profiles_go_on_working(signed_in, customer, orders):
    """They have `at+jwt` and no mark."""
    claims = {"sub": customer.user_id, "exp": int(time.time()) + 60, "azp": "shop", "client_id": "shop"}
    own = sign({**claims, "aud": f"{settings.ISSUER}userinfo", "scope": "openid"}, "at+jwt")
    in_app = sign({**claims, "aud": f"{settings.ISSUER}api/me/", "scope": "answer:questions"}, "at+jwt")
    machine = {**claims, "sub": "shop@clients", "aud": f"{settings.ISSUER}api/v2/", "scope": "read:users"}

    assert at_userinfo(signed_in, own) == 200
    assert at_customers_api(signed_in, in_app) == 200
    assert at_management_api(signed_in, sign(machine, "at+jwt")) == 200
    assert introspected(signed_in, own)["active"] is True


# Places that take access tokens, each with status 401 or an inactive answer for everything else


def at_userinfo(app, token) -> int:
    by_get = app.browser.get("/userinfo", headers={"Authorization": f"Bearer {token}"})
    form = "application/x-www-form-urlencoded"
    by_post = app.browser.post("/userinfo", f"access_token={token}", content_type=form)
    assert by_get.status_code == by_post.status_code
    return by_get.status_code


def at_management_api(app, token) -> int:
    return app.browser.get("/api/v2/users", headers={"Authorization": f"Bearer {token}"}).status_code


def at_own_api(app, token) -> int:
    return app.browser.get("/api/regulars/v1/segments", headers={"Authorization": f"Bearer {token}"}).status_code


def at_customers_api(app, token) -> int:
    send = {"content_type": "application/json", "headers": {"Authorization": f"Bearer {token}"}}
    return app.browser.post("/api/me/question", "{}", **send).status_code


def introspected(app, token) -> dict[str, Any]:
    body = {"client_id": app.client_id, "client_secret": app.secret, "token": token}
    found: dict[str, Any] = app.browser.post("/oauth/introspect", body).json()
    return found


def at_introspection(app, token) -> int:
    return 200 if introspected(app, token)["active"] else 401


PLACES = {
    "userinfo": (at_userinfo, "userinfo"),
    "management": (at_management_api, "api/v2/"),
    "regulars": (at_own_api, "api/v2/"),
    "customers": (at_customers_api, "api/me/"),
    "introspection": (at_introspection, "userinfo"),
}


@pytest.fixture
def others(signed_in, customer) -> dict[str, str]:
    """Tokens of this installation that are no access tokens, as they are issued."""
    make_client("lock", grant_types=["implicit", "authorization_code"])
    save_rule("tells", script=TELLS)
    by_rule = run("login", {"user_id": customer.user_id}, {}, profile_id=customer.pk).id_token_claims["t"]
    save_rule("tells", script="(user, context, cb) => cb(null, user, context)")
    in_browser = App(signed_in.browser, "lock").authorize(response_type="id_token token", scope="openid profile")
    hs256 = {"sub": customer.user_id, "iss": settings.ISSUER, "exp": int(time.time()) + 60}
    return {
        "id": signed_in.tokens(nonce=None)["id_token"],
        "id with a nonce": signed_in.tokens()["id_token"],
        "id with at_hash": fragment_of(in_browser["Location"])["id_token"],
        "logout": logout_token("shop", customer.user_id, "a" * 32),
        "signed userinfo": signed_userinfo({"sub": customer.user_id, "exp": int(time.time()) + 60}, "shop"),
        "rule": by_rule,
        "session token of a rule": jwt.encode({"alg": "HS256"}, hs256, OctKey.import_key("a secret of the rule" * 3)),
    }


KINDS = ["id", "id with a nonce", "id with at_hash", "logout", "signed userinfo", "rule", "session token of a rule"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_other_kind_is_taken_for_an_access_token(signed_in, others, place, kind):
    """A rule's own token is good for one customer of the Management API, and for nothing else there."""
    ask, _ = PLACES[place]
    expected = 403 if kind == "rule" and place in ("management", "regulars") else 401

    assert ask(signed_in, others[kind]) == expected


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["id", "id with a nonce", "id with at_hash", "logout", "signed userinfo"])
def test_not_even_with_the_audience_and_the_scopes_of_the_place(signed_in, others, place, kind):
    """The audience alone must not be what keeps them out: the same token, signed again for the place."""
    ask, path = PLACES[place]
    header, claims = read(others[kind])
    aimed = {
        **claims,
        "aud": settings.ISSUER + path,
        "client_id": "shop",
        "azp": "shop",
        "scope": "openid read:users read:segments answer:questions",
        "sub": claims["sub"] if path != "api/v2/" else "shop@clients",
        "exp": int(time.time()) + 60,
    }

    assert ask(signed_in, sign(aimed, header["typ"])) == 401


@pytest.mark.parametrize("place", ["userinfo", "customers", "introspection"])
def test_a_rules_token_is_good_for_the_management_api_alone_whatever_its_audience(signed_in, others, place):
    ask, path = PLACES[place]
    header, claims = read(others["rule"])
    aimed = {**claims, "aud": settings.ISSUER + path, "sub": claims["only_user"], "azp": "shop"}

    assert ask(signed_in, sign({**aimed, "scope": "openid answer:questions"}, header["typ"])) == 401


@pytest.mark.parametrize("extra", [{"nonce": "n"}, {"at_hash": "h"}, {"c_hash": "h"}, {MARK: "id"}, {MARK: True}])
def test_a_marked_token_with_a_claim_of_id_tokens_is_neither(signed_in, customer, extra):
    claims = {"sub": customer.user_id, "aud": f"{settings.ISSUER}userinfo", "scope": "openid", "azp": "shop"}
    token = sign({**claims, MARK: "access", "exp": int(time.time()) + 60, **extra})

    assert at_userinfo(signed_in, token) == at_introspection(signed_in, token) == 401


def test_rules_cannot_make_one_kind_of_another(signed_in, customer):
    save_rule(
        "forges",
        script="""(user, context, cb) => {
          Object.assign(context.idToken, {token_use: 'access', mine: 1});
          Object.assign(context.accessToken,
            {nonce: 'n', at_hash: 'h', c_hash: 'h', only_user: user.user_id, token_use: 'id', dialect: 'auth0', mine: 1});
          cb(null, user, context);
        }""",
    )
    tokens = signed_in.tokens()
    access = verify(tokens["access_token"], kinds=[TokenKind.ACCESS])

    assert MARK not in verify(tokens["id_token"], kinds=[TokenKind.ID])
    assert (access[MARK], access["dialect"], access["mine"]) == ("access", "openid", 1)
    assert at_userinfo(signed_in, tokens["id_token"]) == 401
    assert at_userinfo(signed_in, tokens["access_token"]) == 200


# Places that take ID tokens


@pytest.mark.parametrize("profile", ["access_token", "rfc9068_profile"])
def test_an_access_token_is_no_hint_of_who_is_signed_in(signed_in, customer, orders, profile):
    """/oidc/logout signs out at once for the session's own ID token, and asks for anything else."""
    set_profile(profile)
    tokens = signed_in.tokens(audience=orders.identifier, scope="openid read:orders")

    asked = signed_in.browser.get("/oidc/logout", {"id_token_hint": tokens["access_token"]})
    still_there = signed_in.answer(prompt="none")
    signed_in.browser.get("/oidc/logout", {"id_token_hint": tokens["id_token"]})

    assert asked.status_code == 200
    assert "code" in still_there
    assert signed_in.answer(prompt="none")["error"] == "login_required"


def test_an_access_token_proves_no_second_account_to_link(signed_in, customer):
    """`link_with` takes an ID token of the caller's app, so that audience is tried with an access token's mark."""
    token = sign({"sub": customer.user_id, "aud": "shop", "exp": int(time.time()) + 60, MARK: "access"})
    caller = {"sub": customer.user_id, "azp": "shop", "scope": "update:current_user_identities"}
    bearer = sign({**caller, "aud": f"{settings.ISSUER}api/v2/", "exp": int(time.time()) + 60}, "at+jwt")
    send = {"content_type": "application/json", "headers": {"Authorization": f"Bearer {bearer}"}}
    path = f"/api/v2/users/{customer.user_id}/identities"
    answer = signed_in.browser.post(path, json.dumps({"link_with": token}), **send)

    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "Payload validation error: link_with: This is another kind of token.",
    )


# No API has the name of a client


@pytest.mark.parametrize("name", ["shop", f"{settings.ISSUER}userinfo"])
def test_an_api_cannot_be_named_as_a_client(signed_in, name):
    claims = {"sub": "shop@clients", "azp": "shop", "aud": f"{settings.ISSUER}api/v2/", "exp": int(time.time()) + 60}
    bearer = sign({**claims, "scope": "create:resource_servers"}, "at+jwt")
    send = {"content_type": "application/json", "headers": {"Authorization": f"Bearer {bearer}"}}
    refused = signed_in.browser.post("/api/v2/resource-servers", json.dumps({"identifier": name}), **send)
    made = signed_in.browser.post("/api/v2/resource-servers", json.dumps({"identifier": f"{name}-api"}), **send)

    assert (refused.status_code, refused.json()["errorCode"]) == (409, "identifier_is_taken")
    assert made.status_code == 201
    assert list(ResourceServer.objects.values_list("identifier", flat=True)) == [f"{name}-api"]


def test_a_client_never_gets_the_name_of_an_api_as_its_id(orders, monkeypatch):
    names = iter([orders.identifier, "free"])
    with monkeypatch.context() as patched:
        patched.setattr(register, "random_secret", lambda length: next(names, "s" * length))
        client, _ = register.register(register.ClientSpec("New"))

    assert client.pk == "free"


def test_an_api_that_has_the_name_of_a_client_all_the_same_gets_no_tokens(signed_in, robot):
    """It was stored before this was checked, or by another road: its access token would have an ID token's audience."""
    api = ResourceServer.objects.create(identifier="shop", name="Shop", scopes=["read:orders"])
    ClientGrant.objects.create(client_id="robot", resource_server=api, scopes=["read:orders"])
    by_machine = robot.token(grant_type="client_credentials", audience="shop")

    assert signed_in.answer(audience="shop")["error_description"] == "Service not found: shop"
    assert (by_machine.status_code, by_machine.json()["error"]) == (400, "invalid_target")
    assert Client.objects.filter(pk="shop").exists()
