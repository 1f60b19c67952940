"""`@auth0/rule-utilities` behaves in the sandbox as the module did that Auth0 published, in both of its versions."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from regulars.rules.decide import MetadataUpdate
from regulars.rules.run import RuleTrial, try_rule

CHIKA = {"user_id": "auth0|chika"}
REQUEST = {"hostname": "id.shop.example", "ip": "192.0.2.1", "query": {}}
SECRET = "a secret of thirty-two characters"
ISSUER = "https://id.shop.example/"
DAY = 86400

pytestmark = pytest.mark.django_db


def tried(body: str, user: dict[str, Any] | None = None, **context: Any) -> RuleTrial:
    script = f"""async function (user, context, callback) {{
      const say = (x) => {{ context.idToken.said = x; }};
      const caught = (work) => {{ try {{ return work(); }} catch (e) {{ return e.message; }} }};
      const {{ Auth0RedirectRuleUtilities, Auth0UserUpdateUtilities, noRedirectProtocols }} = require('@auth0/rule-utilities@0.2.0');
      const settings = {{ SESSION_TOKEN_SECRET: '{SECRET}' }};
      const util = new Auth0RedirectRuleUtilities(user, context, settings);
      {body}
      callback(null, user, context);
    }}"""
    return try_rule(script, user or CHIKA, {"request": REQUEST, **context})


def said(body: str, user: dict[str, Any] | None = None, **context: Any) -> Any:
    trial = tried(body, user, **context)
    assert trial.error == ""
    return trial.outcome.id_token_claims.get("said")


def with_token(token: str, **more: Any) -> dict[str, Any]:
    return {"protocol": "redirect-callback", "request": {**REQUEST, "query": {"session_token": token}, **more}}


def signed(**claims: Any) -> str:
    standard = {"sub": "auth0|chika", "iss": ISSUER, "exp": int(time.time()) + 999, "prop": "kept"}
    return jwt.encode({name: value for name, value in {**standard, **claims}.items() if value}, SECRET, "HS256")


@pytest.mark.parametrize("version", ["", "@0.1.0", "@0.2.0"])
def test_every_version_is_found(version: str) -> None:
    assert said(f"say(Object.keys(require('@auth0/rule-utilities{version}')).sort())") == [
        "Auth0RedirectRuleUtilities",
        "Auth0UserUpdateUtilities",
        "noRedirectProtocols",
    ]


# may it redirect?


REFUSED = ["oauth2-resource-owner", "oauth2-refresh-token", "oauth2-password", "redirect-callback"]


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, True),
        ({"redirect": {"url": "https://elsewhere.example"}}, False),
        ({"redirect": {}}, True),
        ({"multifactor": {"provider": "any"}}, False),
        ({"request": {"query": {"prompt": "none"}}}, False),
        ({"request": {"query": {"prompt": "login"}}, "protocol": "oidc-basic-profile"}, True),
        ({"request": {}, "protocol": "oidc-basic-profile"}, True),
        ({"protocol": "oauth2-device-code"}, False),  # here a device shows no page of a rule
        ({"protocol": "delegation"}, True),
        *[({"protocol": protocol}, False) for protocol in REFUSED],
    ],
)
def test_can_redirect(context: dict[str, Any], expected: bool) -> None:
    assert said("say(util.canRedirect)", **context) is expected


def test_protocols_that_refuse_a_redirect_are_those_four() -> None:
    assert said("say([noRedirectProtocols, util.noRedirectProtocols])") == [REFUSED, REFUSED]


def test_getters_tell_the_state_of_the_login() -> None:
    state = "say([util.isRedirectCallback, util.protocolCanRedirect, util.redirectUrl || '', util.queryParams])"

    assert said(state) == [False, True, "", {}]
    assert said(state, protocol="redirect-callback", request={"query": {"a": "b"}}) == [True, False, "", {"a": "b"}]


def test_nothing_given_is_nothing_known() -> None:
    assert said(
        "const u = new Auth0RedirectRuleUtilities(); say([u.user, u.context, u.canRedirect, u.queryParams])"
    ) == [
        {},
        {},
        True,
        {},
    ]


# session tokens


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, SECRET, algorithms=["HS256"], issuer=ISSUER)


def test_session_token_names_user_issuer_and_address_and_lasts_three_days() -> None:
    claims = claims_of(said("say(util.createSessionToken())"))

    assert (claims["sub"], claims["iss"], claims["ip"]) == ("auth0|chika", ISSUER, "192.0.2.1")
    assert claims["exp"] - claims["iat"] == 3 * DAY


@pytest.mark.parametrize(
    ("setting", "lifetime"), [("'1h'", 3600), ("900", 900), ("'2 days'", 2 * DAY), ("''", 3 * DAY)]
)
def test_session_token_expires_as_configured(setting: str, lifetime: int) -> None:
    claims = claims_of(said("settings.SESSION_TOKEN_EXPIRES_IN = " + setting + ";"
                            "say(new Auth0RedirectRuleUtilities(user, context, settings).createSessionToken())"))  # fmt: skip

    assert claims["exp"] - claims["iat"] == lifetime


def test_session_token_has_additional_claims_which_win() -> None:
    claims = claims_of(said("say(util.createSessionToken({ other: { size: 'M' }, ip: 'hidden' }))"))

    assert (claims["other"], claims["ip"]) == ({"size": "M"}, "hidden")


def test_session_token_needs_a_secret() -> None:
    assert said("say(caught(() => new Auth0RedirectRuleUtilities(user, context, {}).createSessionToken()))") == (
        "secretOrPrivateKey must have a value"
    )


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({"exp": 0}, "Expired token"),
        ({"exp": time.time() - 1}, "jwt expired"),
        ({"sub": "auth0|dov"}, "jwt subject invalid. expected: auth0|chika"),
        ({"sub": ""}, "jwt subject invalid. expected: auth0|chika"),
        ({"iss": "https://other.example/"}, f"jwt issuer invalid. expected: {ISSUER}"),
        ({"iss": "id.shop.example"}, f"jwt issuer invalid. expected: {ISSUER}"),
        ({"iss": ""}, f"jwt issuer invalid. expected: {ISSUER}"),
    ],
)
def test_session_token_that_does_not_fit_is_refused(claims: dict[str, Any], problem: str) -> None:
    validated = "say(caught(() => util.validateSessionToken()))"

    assert said(validated, **with_token(signed(**claims))) == problem


def test_session_token_that_fits_is_returned() -> None:
    validated = "say(util.validateSessionToken().prop)"

    assert said(validated, **with_token(signed())) == "kept"
    assert said(validated, **with_token("", body={"session_token": signed()})) == "kept"


def test_session_token_of_its_own_is_accepted_on_return() -> None:
    token = said("say(util.createSessionToken({ prop: 'kept' }))")

    assert said("say(util.validateSessionToken().prop)", **with_token(token)) == "kept"


def test_options_of_validation_reach_the_library() -> None:
    context = with_token(signed(exp=time.time() - 60))

    assert said("say(util.validateSessionToken({ ignoreExpiration: true }).prop)", **context) == "kept"
    assert said(
        "say(caught(() => util.validateSessionToken({ audience: 'x', ignoreExpiration: true })))", **context
    ) == ("jwt audience invalid. expected: x")
    assert said("say(caught(() => util.validateSessionToken()))") == "jwt must be provided"


# redirecting


@pytest.mark.parametrize("context", [{"protocol": "oauth2-password"}, {"request": {"query": {"prompt": "none"}}}])
def test_redirect_that_is_impossible_throws(context: dict[str, Any]) -> None:
    assert said("say(caught(() => util.doRedirect('https://form.example')))", **context) == "Cannot redirect"


def test_redirect_without_an_address_throws() -> None:
    assert said("say(caught(() => util.doRedirect()))") == "Cannot redirect"


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ("'https://form.example/a', { sessionToken: 'own' }", "https://form.example/a?session_token=own"),
        ("'https://form.example/a', 'own'", "https://form.example/a?session_token=own"),  # 0.1.0
        ("'https://form.example/a?b=1', { sessionToken: 'own' }", "https://form.example/a?b=1&session_token=own"),
        ("'https://form.example/a', { generateSessionToken: false }", "https://form.example/a"),
    ],
)
def test_redirect_with_options(arguments: str, address: str) -> None:
    assert tried(f"util.doRedirect({arguments});").outcome.redirect_url == address


@pytest.mark.parametrize("options", ["", ", {}", ", null", ", { generateSessionToken: true }", ", { sessionToken: 7 }"])
def test_redirect_carries_a_token_unless_switched_off(options: str) -> None:
    url = tried(f"util.doRedirect('https://form.example/a'{options});").outcome.redirect_url or ""
    address, _, token = url.partition("?session_token=")

    assert address == "https://form.example/a"
    assert claims_of(token)["sub"] == "auth0|chika"


# updating the user


METADATA = {
    **CHIKA,
    "user_metadata": {"prop": "u", "ns": {"prop": "un"}},
    "app_metadata": {"prop": "a", "ns": {"prop": "an"}},
}
PLAIN = "const update = new Auth0UserUpdateUtilities(user, auth0);"
SPACED = "const update = new Auth0UserUpdateUtilities(user, auth0, 'ns');"


def test_metadata_is_read_with_and_without_a_namespace() -> None:
    read = "say([update.getUserMeta('prop'), update.getAppMeta('prop'), String(update.getUserMeta('x')), update.getAppMeta('ns')])"

    assert said(PLAIN + read, METADATA) == ["u", "a", "undefined", {"prop": "an"}]
    assert said(SPACED + read, METADATA) == ["un", "an", "undefined", {"prop": "an"}]


def test_metadata_is_set_on_the_user_with_and_without_a_namespace() -> None:
    write = "update.setUserMeta('n', 1); update.setAppMeta('n', 2); say([user.user_metadata, user.app_metadata])"

    assert said(PLAIN + write) == [{"n": 1}, {"n": 2}]
    assert said(SPACED + write) == [{"ns": {"n": 1}}, {"ns": {"n": 2}}]


def test_namespace_itself_is_replaced_by_its_own_name() -> None:
    write = "update.setUserMeta('ns', {a: 1}); update.setAppMeta('ns', {b: 2}); say([user.user_metadata, user.app_metadata])"

    assert said(SPACED + write, METADATA) == [{"prop": "u", "ns": {"a": 1}}, {"prop": "a", "ns": {"b": 2}}]


def test_constructor_creates_what_is_missing() -> None:
    assert said(PLAIN + "say([user.user_metadata, user.app_metadata])") == [{}, {}]
    assert said(SPACED + "say([user.user_metadata, user.app_metadata])") == [{"ns": {}}, {"ns": {}}]


def test_set_user_changes_the_user_and_collects_the_update() -> None:
    assert said(PLAIN + "update.setUser('nickname', 'Chi'); say([user.nickname, update.user.nickname, update.updatedUserData])") == [
        "Chi", "Chi", {"nickname": "Chi"}]  # fmt: skip


def test_updates_are_handed_to_the_client_with_the_whole_bag() -> None:
    calls = """const calls = [], note = (name) => (params, data) => calls.push([name, params, data]);
      update.apiClient = { updateUser: note('user'), updateUserMetadata: note('um'), updateAppMetadata: note('am') };
      update.setUser('nickname', 'Chi'); update.userId = 'x|1';
      await update.updateUser(); await update.updateUserMeta(); await update.updateAppMeta(); say(calls)"""

    assert said(SPACED + calls, METADATA) == [
        ["user", {"id": "x|1"}, {"nickname": "Chi"}],
        ["um", {"id": "x|1"}, METADATA["user_metadata"]],
        ["am", {"id": "x|1"}, METADATA["app_metadata"]],
    ]


def test_updates_are_asked_of_the_login() -> None:
    outcome = tried(SPACED + "update.setAppMeta('seen', true); await update.updateAppMeta();").outcome

    assert outcome.metadata_updates == [MetadataUpdate("trial", "app_metadata", {"ns": {"seen": True}})]


def test_update_of_root_attributes_is_refused_by_name() -> None:
    """Different on purpose: a rule writes metadata only."""
    body = "update.setUser('email', 'x@example.com'); await update.updateUser().catch((e) => say(e.message));"

    assert said(PLAIN + body) == "a rule may update user_metadata and app_metadata, not email"
