"""Auth0's contract, row by row, in every language that can say it: JavaScript, actions, Python installed and typed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from regulars.rules.models import RuleRun
from regulars.rules.run import RulesOutcome, run
from regulars.rules.save import save_rule, set_setting

CHIKA = {
    "user_id": "auth0|chika",
    "email": "chika@example.com",
    "identities": [{"provider": "google-oauth2", "access_token": "g-token"}],
}
CONTEXT = {
    "clientID": "shop", "clientName": "Harbour & Pine", "connection": "google-oauth2", "protocol": "oidc-basic-profile",
    "stats": {"loginsCount": 3}, "sessionID": "s1", "authorization": {"roles": ["buyer"]}, "authentication": {"methods": [{"name": "federated", "timestamp": 1}]},
    "request": {"ip": "192.0.2.1", "hostname": "id.shop.example", "userAgent": "x", "query": {"scope": "openid email", "prompt": "login"}, "body": {}, "geoip": {"country_code": "SE", "city_name": "Lund"}},
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A rule in some languages and what must come of it. `js` and `action` are bodies, `py` the lines of a body."""

    expect: dict[str, Any]
    js: str = ""
    action: str = ""
    py: str = ""
    user: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)

    def script(self, language: str) -> str:
        match language:
            case "javascript":
                return (
                    self.js if self.js.startswith("async") else f"function (user, context, callback) {{ {self.js}\n}}"
                )
            case "action":
                return f"exports.onExecutePostLogin = async (event, api) => {{ {self.action}\n}};"
        return "def rule(user, context, api):\n" + "".join(f"    {line}\n" for line in self.py.split("\n"))


GOLD = {"id_token": {"tier": "gold"}}
ROWS = {
    # user
    "the user is the profile": Row({"id_token": {"who": "auth0|chika"}}, "context.idToken.who = user.user_id; callback(null, user, context);",
        "api.idToken.setCustomClaim('who', event.user.user_id);", "context['idToken']['who'] = user['user_id']"),
    "rules read the provider's token": Row({"id_token": {"t": "g-token"}}, "context.idToken.t = user.identities[0].access_token; callback(null, user, context);",
        py="context['idToken']['t'] = user['identities'][0]['access_token']"),
    "actions do not": Row({}, action="api.idToken.setCustomClaim('t', event.user.identities[0].access_token);"),
    "empty metadata is undefined for rules": Row({"id_token": {"no": True}}, "context.idToken.no = user.user_metadata === undefined; callback(null, user, context);",
        py="context['idToken']['no'] = 'user_metadata' not in user"),
    "and an empty object for actions": Row({"id_token": {"n": 0}}, action="api.idToken.setCustomClaim('n', Object.keys(event.user.user_metadata).length);"),
    "app_metadata is at the root too and replaces nothing": Row({"id_token": {"p": "gold", "id": "auth0|chika"}}, "context.idToken = {p: user.plan, id: user.user_id}; callback(null, user, context);",
        py="context['idToken'] = {'p': user['plan'], 'id': user['user_id']}", user={"app_metadata": {"plan": "gold", "user_id": "auth0|dov"}}),
    "the event cannot be changed": Row({"id_token": {"who": "auth0|chika"}}, action="try { event.user.user_id = 'x'; } catch (e) {} api.idToken.setCustomClaim('who', event.user.user_id);"),
    # context
    "the context says who, where and how": Row({"id_token": {"a": ["shop", "google-oauth2", 3, "SE", "buyer", "federated"]}},
        "context.idToken.a = [context.clientID, context.connection, context.stats.loginsCount, context.request.geoip.country_code, context.authorization.roles[0], context.authentication.methods[0].name]; callback(null, user, context);",
        "api.idToken.setCustomClaim('a', [event.client.client_id, event.connection.name, event.stats.logins_count, event.request.geoip.countryCode, event.authorization.roles[0], event.authentication.methods[0].name]);",
        "r = context['request']\ncontext['idToken']['a'] = [context['clientID'], context['connection'], context['stats']['loginsCount'], r['geoip']['country_code'], context['authorization']['roles'][0], context['authentication']['methods'][0]['name']]"),
    "the protocol is said": Row({"id_token": {"p": "oauth2-refresh-token"}}, "context.idToken.p = context.protocol; callback(null, user, context);",
        "api.idToken.setCustomClaim('p', event.transaction.protocol);", "context['idToken']['p'] = context['protocol']", context={"protocol": "oauth2-refresh-token"}),
    "the request may be missing": Row({"id_token": {"ip": "none"}}, "context.idToken.ip = (context.request || {}).ip || 'none'; callback(null, user, context);",
        "api.idToken.setCustomClaim('ip', event.request.ip || 'none');", "context['idToken']['ip'] = (context.get('request') or {}).get('ip', 'none')", context={"request": None}),
    "claims of both tokens": Row({"id_token": {"a": 1}, "access_token": {"b": [2]}}, "context.idToken.a = 1; context.accessToken.b = [2]; callback(null, user, context);",
        "api.idToken.setCustomClaim('a', 1); api.accessToken.setCustomClaim('b', [2]);", "context['idToken']['a'] = 1\ncontext['accessToken']['b'] = [2]"),
    "reserved claims are filtered": Row(GOLD, "Object.assign(context.idToken, {sub: 'x', aud: 'x', iss: 'x', nonce: 'x', amr: [], tier: 'gold'}); callback(null, user, context);",
        "for (const c of ['sub', 'aud', 'iss', 'exp']) api.idToken.setCustomClaim(c, 'x'); api.idToken.setCustomClaim('tier', 'gold');", "context['idToken'].update({'sub': 'x', 'aud': 'x', 'tier': 'gold'})"),
    "standard claims can be taken over": Row({"id_token": {"name": "Chika"}}, "context.idToken.name = 'Chika'; callback(null, user, context);", "api.idToken.setCustomClaim('name', 'Chika');", "context['idToken']['name'] = 'Chika'"),
    "scopes are replaced": Row({"scopes": ["openid", "gold"]}, "context.accessToken.scope = ['openid', 'gold']; callback(null, user, context);",
        "api.accessToken.removeScope('email'); api.accessToken.addScope('gold');", "context['accessToken']['scope'] = ['openid', 'gold']"),
    "a redirect is asked for": Row({"redirect": "https://form.example/?a=1"}, "context.redirect = {url: 'https://form.example/?a=1'}; callback(null, user, context);",
        "api.redirect.sendUserTo('https://form.example/', {query: {a: 1}});", "context['redirect'] = {'url': 'https://form.example/?a=1'}"),
    "a second redirect is ignored": Row({}, "context.redirect = {url: 'https://form.example/'}; callback(null, user, context);",
        py="context['redirect'] = {'url': 'https://form.example/'}", context={"protocol": "redirect-callback"}),
    "an action's second redirect is on record": Row({"ignored": ["api.redirect.sendUserTo"]}, action="api.redirect.sendUserTo('https://form.example/');", context={"protocol": "redirect-callback"}),
    "a second factor is demanded": Row({"second_factor": True}, "context.multifactor = {provider: 'any'}; callback(null, user, context);", "api.multifactor.enable('any');", "context['multifactor'] = {'provider': 'any'}"),
    "provider none demands none": Row({}, "context.multifactor = {provider: 'none'}; callback(null, user, context);", "api.multifactor.enable('none');", "context['multifactor'] = {'provider': 'none'}"),
    "an action's challenge is a demand": Row({"second_factor": True}, action="api.authentication.challengeWithAny([{type: 'otp'}]);"),
    "an action's enrolment is a demand too": Row({"second_factor": True}, action="if (!event.user.enrolledFactors.length) api.authentication.enrollWith({type: 'otp'});"),
    "samlConfiguration may be written and is ignored": Row({"ignored": ["context.samlConfiguration"]}, "context.samlConfiguration.mappings = {a: 'b'}; callback(null, user, context);", py="context['samlConfiguration']['mappings'] = {'a': 'b'}"),
    "changes to identifiers do not count": Row({"id_token": {"t": "gold"}}, "user.user_id = 'auth0|dov'; context.clientID = 'x'; context.idToken.t = 'gold'; callback(null, user, context);", py="user['user_id'] = 'auth0|dov'\ncontext['idToken']['t'] = 'gold'"),
    # how a rule ends
    "callback(null) keeps the objects": Row(GOLD, "context.idToken.tier = 'gold'; callback(null);"),
    "callback() too": Row(GOLD, "context.idToken.tier = 'gold'; callback();"),
    "other objects may be given back": Row(GOLD, "callback(null, {}, {idToken: {tier: 'gold'}});"),
    "an async function may call back": Row(GOLD, "async function named(user, context, callback) { await null; context.idToken.tier = 'gold'; return callback(null, user, context); }"),
    "an async function may end without": Row(GOLD, "async (user, context) => { await null; context.idToken.tier = 'gold'; }"),
    "a callback later": Row(GOLD, "setTimeout(() => { context.idToken.tier = 'gold'; callback(null, user, context); }, 50);"),
    "only the first callback counts": Row({}, "callback(null, user, context); callback(new Error('late'));"),
    "code after callback has no effect on the result": Row({}, "callback(null, Object.assign({}, user), JSON.parse(JSON.stringify(context))); context.idToken.tier = 'gold';"),
    "no callback is a fault": Row({"fault": "never_called_back"}, "if (false) callback();"),
    "a throw is a fault": Row({"fault": "threw"}, "throw new Error('x');", "throw new Error('x');", "1 / 0"),
    "a rejected promise is a fault": Row({"fault": "threw"}, "async (user, context) => { await Promise.reject(new Error('x')); }", "await Promise.reject(new Error('x'));"),
    "an error denies": Row({"denied": ("access_denied", "not today")}, "callback(new Error('not today'));", "api.access.deny('not today');"),
    "UnauthorizedError is unauthorized": Row({"denied": ("unauthorized", "Members only.")}, "callback(new UnauthorizedError('Members only.'));", py="raise Unauthorized('Members only.')"),
    "thrown, it denies as well": Row({"denied": ("unauthorized", "Members only.")}, "throw new UnauthorizedError('Members only.');"),
    # the globals
    "configuration": Row({"id_token": {"k": "v"}}, "context.idToken.k = configuration.KEY; callback(null, user, context);", "api.idToken.setCustomClaim('k', event.secrets.KEY);", "context['idToken']['k'] = api.configuration['KEY']"),
    "user metadata is written": Row({"metadata": [("user_metadata", {"size": "M"})]}, "auth0.users.updateUserMetadata(user.user_id, {size: 'M'}).then(() => callback(null, user, context));",
        "api.user.setUserMetadata('size', 'M');", "api.update_user_metadata({'size': 'M'})"),
    "app metadata is written, with a callback too": Row({"metadata": [("app_metadata", {"plan": "gold"})]}, "auth0.users.updateAppMetadata(user.user_id, {plan: 'gold'}, e => callback(e, user, context));",
        "api.user.setAppMetadata('plan', 'gold');", "api.update_app_metadata({'plan': 'gold'})"),
    "what is learned before a denial stays": Row({"denied": ("unauthorized", "no"), "metadata": [("app_metadata", {"tries": 1})]}, "auth0.users.updateAppMetadata(user.user_id, {tries: 1}); callback(new UnauthorizedError('no'));",
        py="api.update_app_metadata({'tries': 1})\nraise Unauthorized('no')"),
    "metadata of another user": Row({"fault": "threw"}, "async (user, context) => { await auth0.users.updateUserMetadata('auth0|dov', {a: 1}); }"),
    "auth0 says where it is": Row({"id_token": {"b": True}}, "context.idToken.b = auth0.baseUrl === 'https://' + auth0.domain + '/api/v2'; callback(null, user, context);"),
    "global": Row({"id_token": {"n": 1}}, "global.n = (global.n || 0) + 1; context.idToken.n = global.n; callback(null, user, context);"),
    "an enrichment is asked for": Row({"enrichments": ["us-census-acs"]}, "regulars.enrich('us-census-acs'); callback(null, user, context);", "api.regulars.enrich('us-census-acs');", "api.enrich('us-census-acs')"),
    "a module that is not there is a fault": Row({"fault": "threw"}, "const load = require; load('fs');"),
    # actions
    "the cache keeps for the next login": Row({"id_token": {"n": "1"}}, action="const had = api.cache.get('n'); api.cache.set('n', '1', {ttl: 1000}); api.idToken.setCustomClaim('n', api.cache.get('n').value);"),
    "the cache has limits": Row({"id_token": {"a": ["error", "error", "error"]}}, action="const big = api.cache.set('a', 'x'.repeat(5000)), long = api.cache.set('k'.repeat(65), 'x'); let full; for (let n = 0; n < 21; n++) full = api.cache.set('n' + n, 'x'); api.idToken.setCustomClaim('a', [big.type, long.type, full.type]);"),
    "a deleted entry is gone": Row({"id_token": {"gone": True}}, action="api.cache.set('a', 'x'); api.cache.delete('a'); api.idToken.setCustomClaim('gone', api.cache.get('a') === undefined);"),
    "an action that handles nothing is no fault": Row({}, action="void event;"),
}  # fmt: skip
CASES = [
    pytest.param(name, language, id=f"{name} [{language}]")
    for name, row in ROWS.items()
    for language, body in (("javascript", row.js), ("action", row.action), ("python", row.py), ("monty", row.py))
    if body
]


def outcome_of(row: Row, language: str, home: Path) -> RulesOutcome:
    script = row.script(language)
    if language == "python":
        (home / "rules").mkdir(mode=0o700, exist_ok=True)
        path = home / "rules" / "contract.py"
        path.write_text(f"from regulars.rules.python import Unauthorized\n\n\n{script}")
        script = path.stem
    saved = save_rule("contract", script=script, language="javascript" if language == "action" else language)
    assert saved.language == language
    given = {name: value for name, value in {**CONTEXT, **row.context}.items() if value is not None}
    return run("login", {**CHIKA, **row.user}, given, profile_id=None)


@pytest.mark.parametrize(("name", "language"), CASES)
def test_the_contract_is_kept(db: None, settings: Any, name: str, language: str) -> None:
    row = ROWS[name]
    set_setting("KEY", "v")

    outcome = outcome_of(row, language, Path(settings.HOME))

    assert _summary(outcome) == row.expect


def _summary(outcome: RulesOutcome) -> dict[str, Any]:
    everything = {
        "id_token": outcome.id_token_claims,
        "access_token": {name: value for name, value in outcome.access_token_claims.items() if name != "scope"},
        "scopes": outcome.scopes,
        "redirect": outcome.redirect_url,
        "second_factor": outcome.second_factor,
        "denied": outcome.denied and (outcome.denied.error, outcome.denied.description),
        "metadata": [(update.bag, update.data) for update in outcome.metadata_updates],
        "enrichments": outcome.enrichments,
        "ignored": outcome.ignored,
        "fault": RuleRun.objects.get().steps[0]["fault"],
    }
    return {name: value for name, value in everything.items() if value}


GOES_AWAY = """
exports.onExecutePostLogin = async (event, api) => {
  if (event.user.app_metadata.size) return;
  const token = api.redirect.encodeToken({secret: event.secrets.KEY, payload: {asks: 'size'}, expiresInSeconds: 60});
  api.redirect.sendUserTo('https://form.example/size', {query: {session_token: token}});
};
exports.onContinuePostLogin = async (event, api) => {
  const said = api.redirect.validateToken({secret: event.secrets.KEY, tokenParameterName: 'answer'});
  api.user.setAppMetadata('size', said.size);
};
"""


def test_redirecting_action_continues_after_the_redirect(db: None, chika: Any) -> None:
    set_setting("KEY", "long-enough-secret")
    save_rule(
        "before", script="exports.onExecutePostLogin = async (event, api) => { api.idToken.setCustomClaim('a', 1); };"
    )
    save_rule("ask", script=GOES_AWAY)
    save_rule("after", script="function (u, c, cb) { c.idToken.late = 1; cb(null, u, c); }")
    signing = "function (u, c, cb) { c.idToken.t = jwt.sign({size: 'M', sub: u.user_id}, configuration.KEY); cb(null, u, c); }"

    away = run("login", CHIKA, CONTEXT, profile_id=chika.pk)
    save_rule("sign", script=signing)
    token = run("login", {**CHIKA, "app_metadata": {"size": "M"}}, CONTEXT, profile_id=None).id_token_claims["t"]
    back = {**CONTEXT, "protocol": "redirect-callback", "request": {"query": {"answer": token}}}
    returned = run("login", CHIKA, back, profile_id=chika.pk, before=away)

    assert (away.redirect_url or "").startswith("https://form.example/size?session_token=ey")
    assert "late" not in away.id_token_claims
    assert RuleRun.objects.get(pk=away.run_id).effects["redirect_by"] == "ask"
    assert [(update.bag, update.data) for update in returned.metadata_updates] == [("app_metadata", {"size": "M"})]
    assert (returned.id_token_claims["a"], returned.id_token_claims["late"]) == (1, 1)


def test_token_with_a_foreign_signature_does_not_resume_an_action(db: None, chika: Any) -> None:
    set_setting("KEY", "long-enough-secret")
    save_rule("ask", script=GOES_AWAY)
    away = run("login", CHIKA, CONTEXT, profile_id=chika.pk)
    back = {**CONTEXT, "protocol": "redirect-callback", "request": {"query": {"answer": "ey.ey.x"}}}

    outcome = run("login", CHIKA, back, profile_id=chika.pk, before=away)

    assert outcome.metadata_updates == []
    assert RuleRun.objects.get(pk=outcome.run_id).steps[0]["fault"] == "threw"


def test_after_a_redirect_rules_run_again_and_done_actions_do_not(db: None) -> None:
    save_rule("rule", script="function (u, c, cb) { c.idToken.rule = c.protocol; cb(null, u, c); }")
    save_rule(
        "done",
        script="exports.onExecutePostLogin = async (e, api) => { api.accessToken.addScope('gold');"
        " api.idToken.setCustomClaim('done', e.transaction.protocol); };",
    )
    save_rule(
        "ask",
        script="exports.onExecutePostLogin = async (e, api) => { api.redirect.sendUserTo('https://a.example'); };",
    )
    away = run("login", CHIKA, CONTEXT, profile_id=None)

    back = run("login", CHIKA, {**CONTEXT, "protocol": "redirect-callback"}, profile_id=None, before=away)

    assert [step["rule"] for step in RuleRun.objects.get(pk=back.run_id).steps] == ["rule", "ask"]
    assert back.id_token_claims == {"rule": "redirect-callback", "done": "oidc-basic-profile"}
    assert back.scopes == ["openid", "email", "gold"]
