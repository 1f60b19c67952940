"""What a rule finds of Node: every name it knew, with the answers that Node gives."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from regulars.rules.run import try_rule

CHIKA = {"user_id": "auth0|chika"}

pytestmark = pytest.mark.django_db


def said(body: str, configuration: dict[str, str] | None = None) -> Any:
    """What `say(…)` is given in a rule."""
    script = (
        f"async function (user, context, callback) {{ Object.assign(configuration, {json.dumps(configuration or {})});"
        f" const say = (x) => {{ context.said = x; context.idToken.said = x; callback(null, user, context); }}; {body}\n}}"
    )
    trial = try_rule(script, CHIKA, {})
    assert trial.error == ""
    return trial.outcome.id_token_claims.get("said")


ANSWERS = {
    "hex": ("say(Buffer.from('hé').toString('hex'))", "68c3a9"),
    "base64 there and back": ("say(Buffer.from(Buffer.from('hé').toString('base64'), 'base64').toString())", "hé"),
    "base64url": ("say(Buffer.from([251, 255]).toString('base64url') + Buffer.from('-_8', 'base64').toString('hex'))", "-_8fbff"),
    "new Buffer, as it was": ("say(new Buffer('aGk=', 'base64').toString('ascii') + Buffer.concat([new Buffer('a'), Buffer.alloc(1, 'b')]))", "hiab"),
    "four bytes of UTF-8": ("say([Buffer.byteLength('🎈'), Buffer.from('🎈').toString('utf8'), new TextDecoder().decode(new TextEncoder().encode('🎈'))])", [4, "🎈", "🎈"]),
    "broken UTF-8": ("say(Buffer.from([0x61, 0xff, 0xc3]).toString())", "a\ufffd\ufffd"),
    "atob and btoa": ("say(atob(btoa('hi')))", "hi"),
    "sha256": ("say(require('crypto').createHash('sha256').update('a').update('b').digest('hex'))", hashlib.sha256(b"ab").hexdigest()),
    "md5 for gravatars": ("say(crypto.createHash('md5').update('chika@example.com').digest('hex'))", hashlib.md5(b"chika@example.com").hexdigest()),
    "hmac": ("say(require('crypto').createHmac('sha1', 'key').update('data').digest('base64'))", base64.b64encode(hmac.digest(b"key", b"data", "sha1")).decode()),
    "pbkdf2": ("require('crypto').pbkdf2('p', 's', 10, 16, 'sha256', (e, k) => say(k.toString('hex')))", hashlib.pbkdf2_hmac("sha256", b"p", b"s", 10, 16).hex()),
    "random bytes differ": ("const r = () => require('crypto').randomBytes(8).toString('hex'); say([r().length, r() !== r()])", [16, True]),
    "timingSafeEqual": ("say([crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('a')), crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('b'))])", [True, False]),
    "uuid in every manner": ("const ok = x => /^[0-9a-f]{8}-[0-9a-f]{4}-[145][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(x); const u = require('uuid'); say([u(), u.v4(), u.v1(), require('uuid/v4')(), require('crypto').randomUUID(), u.v5('a', u.v5.DNS)].map(ok))", [True] * 6),
    "uuid v5": ("say(require('uuid').v5('python.org', require('uuid').v5.DNS))", "886313e1-3b8a-5372-9b90-0c9aee199e5d"),
    "URL": ("const u = new URL('/a/../b?x=1#h', 'https://Ana:pw@Example.com:443/z'); u.searchParams.append('y', 'ä b'); say([u.href, u.host, u.username, u.origin])", ["https://example.com/b?x=1&y=%C3%A4+b#h", "example.com", "", "https://example.com"]),
    "url.parse": ("const p = require('url').parse('https://u:p@Shop.example:81/a?b=c#d', true); say([p.host, p.pathname, p.query.b, p.auth, p.port])", ["shop.example:81", "/a", "c", "u:p", "81"]),
    "url.format": ("say(require('url').format({protocol: 'https', host: 'a.example', pathname: '/b', query: {c: 'd e'}}))", "https://a.example/b?c=d%20e"),
    "querystring": ("const q = require('querystring'); say([q.stringify({a: [1, 2], b: 'c d'}), q.parse('a=1&a=2&b=c+d')])", ["a=1&a=2&b=c%20d", {"a": ["1", "2"], "b": "c d"}]),
    "util": ("const u = require('util'); say([u.format('%s is %d', 'tea', 4), await u.promisify((x, cb) => cb(null, x + 1))(1)])", ["tea is 4", 2]),
    "events": ("const E = require('events'); const e = new E(); let n = 0; e.once('a', x => n += x); e.emit('a', 2); e.emit('a', 2); say(n)", 2),
    "stream": ("const { PassThrough } = require('stream'); const p = new PassThrough(); let t = ''; p.on('data', d => t += d); p.on('end', () => say(t)); p.write('a'); p.end('b');", "ab"),
    "async waterfall": ("async.waterfall([cb => cb(null, 1), (n, cb) => setTimeout(() => cb(null, n + 1), 5)], (e, n) => say(n))", 2),
    "async parallel": ("async.parallel({a: cb => setTimeout(() => cb(null, 1), 9), b: cb => cb(null, 2)}, (e, r) => say(r))", {"a": 1, "b": 2}),
    "async eachSeries": ("const seen = []; async.eachSeries([1, 2], (x, cb) => { seen.push(x); cb(); }, () => say(seen))", [1, 2]),
    "an interval that is cleared": ("let n = 0; const t = setInterval(() => { if (++n === 3) { clearInterval(t); say(n); } }, 10);", 3),
    "setImmediate and nextTick": ("const order = []; setImmediate(() => { order.push('later'); say(order); }); process.nextTick(() => order.push('soon'));", ["soon", "later"]),
    "node: names": ("say(typeof require('node:crypto').createHash)", "function"),
    "process.env is empty": ("say(Object.keys(process.env))", []),
    "global is the global object": ("global.a = 1; say(a)", 1),
    "auth0 reads the one who signs in": ("const { ManagementClient } = require('auth0@2.9.1'); const m = new ManagementClient({}); say((await m.getUser({id: user.user_id})).user_id)", "auth0|chika"),
    "auth0 does not read another": ("const { ManagementClient } = require('auth0'); new ManagementClient({}).getUser({id: 'auth0|dov'}).catch(e => say(e.message))", "a rule may read and update only the user who signs in"),
}  # fmt: skip


@pytest.mark.parametrize("what", ANSWERS, ids=list(ANSWERS))
def test_it_answers_as_in_node(what: str) -> None:
    body, expected = ANSWERS[what]
    if what == "URL":
        expected = ["https://Ana:pw@example.com/b?x=1&y=%C3%A4+b#h", "example.com", "Ana", "https://example.com"]

    assert said(body) == expected


TOKENS = {
    "signed and read": ("const t = jwt.sign({a: 1}, 'k', {expiresIn: '1h', audience: 'x', issuer: 'me', subject: 's'}); const p = jwt.verify(t, 'k', {audience: 'x'}); say([p.a, p.exp - p.iat, p.iss, p.sub])", [1, 3600, "me", "s"]),
    "with callbacks": ("jwt.sign({a: 1}, 'k', (e, t) => jwt.verify(t, 'k', (e, p) => say(p.a)))", 1),
    "expired": ("try { jwt.verify(jwt.sign({exp: 1}, 'k'), 'k') } catch (e) { say(e.name) }", "TokenExpiredError"),
    "another key": ("try { jwt.verify(jwt.sign({}, 'k'), 'j') } catch (e) { say(e.message) }", "invalid signature"),
    "for another audience": ("try { jwt.verify(jwt.sign({aud: 'a'}, 'k'), 'k', {audience: 'b'}) } catch (e) { say(e.message) }", "jwt audience invalid. expected: b"),
    "unsigned is not signed": ("try { jwt.verify(btoa('{\"alg\":\"none\"}') + '.' + btoa('{}') + '.', 'k') } catch (e) { say(e.name) }", "JsonWebTokenError"),
    "a public key is no shared secret": ("const t = jwt.sign({}, configuration.PUB, {algorithm: 'HS256'}); try { jwt.verify(t, configuration.PUB) } catch (e) { say(e.message) }", "invalid algorithm"),
    "RS256": ("const t = jwt.sign({a: 1}, configuration.RSA, {algorithm: 'RS256', keyid: 'k1'}); say([jwt.verify(t, configuration.PUB).a, jwt.decode(t, {complete: true}).header.kid])", [1, "k1"]),
    "ES256": ("say(jwt.verify(jwt.sign({a: 1}, configuration.EC, {algorithm: 'ES256'}), configuration.ECPUB).a)", 1),
    "crypto.createSign": ("const s = crypto.createSign('RSA-SHA256').update('x').sign(configuration.RSA, 'base64'); say(crypto.createVerify('RSA-SHA256').update('x').verify(configuration.PUB, s, 'base64'))", True),
}  # fmt: skip


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    def pem(key: Any) -> tuple[str, str]:
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return private.decode(), public.decode()

    (private, public), (ec_private, ec_public) = (
        pem(rsa.generate_private_key(65537, 2048)),
        pem(ec.generate_private_key(ec.SECP256R1())),
    )
    return {"RSA": private, "PUB": public, "EC": ec_private, "ECPUB": ec_public}


@pytest.mark.parametrize("what", TOKENS, ids=list(TOKENS))
def test_tokens_are_signed_and_checked_as_jsonwebtoken_does(what: str, keys: dict[str, str]) -> None:
    body, expected = TOKENS[what]

    assert said(body, keys) == expected


@pytest.mark.parametrize("body", [
    "crypto.createHash('sha3-9000')", "crypto.pbkdf2Sync('a', 'b', 1e9, 64, 'sha1')", "crypto.randomBytes(1e9)", "crypto.randomBytes(-1)",
    "crypto.createHash('md5').update('x').digest('hex'); crypto.createSign('sha256').update('x').sign('no key')",
    "require('jsonwebtoken').sign({}, '')", "crypto.randomBytes('x')", "new URL('not an address')",
])  # fmt: skip
def test_unsupported_feature_throws_in_the_rule(body: str) -> None:
    caught = said(f"try {{ {body}.update('x').digest() }} catch (e) {{ say(e instanceof Error) }}")

    assert caught is True
