// `crypto` and `jsonwebtoken`: the host computes, on the rule's time.
(function (realm, builtins) {
  'use strict';
  const { absent, define, doNow, offer, parse, stringify } = builtins;
  const Buffer = realm.Buffer;
  function bytesOf(value, encoding) { return typeof value === 'string' ? Buffer.from(value, encoding) : Buffer.from(value); }
  function wire(value) { return bytesOf(value).toString('base64'); }
  function back(text, encoding) { const bytes = Buffer.from(text, 'base64'); return encoding ? bytes.toString(encoding) : bytes; }

  class Digest {
    constructor(finish) { this._parts = []; this._finish = finish; }
    update(data, encoding) { this._parts.push(bytesOf(data, encoding)); return this; }
    digest(encoding) { return back(this._finish(wire(Buffer.concat(this._parts))), encoding); }
  }
  class Signer extends Digest {
    sign(key, encoding) { return back(doNow('sign', { hash: this._hash, key: pem(key), data: wire(Buffer.concat(this._parts)) }), encoding); }
    verify(key, signature, encoding) {
      const given = typeof signature === 'string' ? Buffer.from(signature, encoding) : signature;
      return doNow('verify', { hash: this._hash, key: pem(key), data: wire(Buffer.concat(this._parts)), signature: wire(given) });
    }
  }
  function pem(key) { return String(key !== null && typeof key === 'object' && key.key ? key.key : key); }
  function signer(name) { const made = new Signer(); made._hash = String(name).replace(/^RSA-/i, ''); return made; }
  function randomBytes(size, done) {
    const bytes = Buffer.from(doNow('random', { size }), 'base64');
    if (done) { realm.process.nextTick(done, null, bytes); return undefined; }
    return bytes;
  }
  function pbkdf2Sync(password, salt, iterations, length, digest) {
    return back(doNow('pbkdf2', { password: wire(password), salt: wire(salt), iterations, length, hash: digest || 'sha1' }));
  }
  const crypto = {
    createHash(name) { return new Digest(function (data) { return doNow('hash', { hash: String(name), data }); }); },
    createHmac(name, key) { return new Digest(function (data) { return doNow('hmac', { hash: String(name), key: wire(key), data }); }); },
    createSign: signer, createVerify: signer, randomBytes, pbkdf2Sync,
    pbkdf2(password, salt, iterations, length, digest, done) {
      if (typeof digest === 'function') [digest, done] = ['sha1', digest];
      let error = null, key;
      try { key = pbkdf2Sync(password, salt, iterations, length, digest); } catch (thrown) { error = thrown; }
      realm.process.nextTick(done, error, key);
    },
    timingSafeEqual(a, b) {
      if (a.length !== b.length) throw new RangeError('Input buffers must have the same byte length');
      let different = 0;
      for (let at = 0; at < a.length; at++) different |= a[at] ^ b[at];
      return different === 0;
    },
    randomUUID() { return realm.require('uuid').v4(); },
    randomInt(low, high) { if (high === undefined) [low, high] = [0, low]; return low + randomBytes(6).reduce(function (n, b) { return n * 256 + b; }, 0) % (high - low); },
    getHashes() { return ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512']; },
    getRandomValues(array) { const bytes = randomBytes(array.byteLength); new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(bytes); return array; },
  };
  crypto.pseudoRandomBytes = randomBytes;
  const CIPHERS = 'Sign with createHmac, or let a service of yours do it.';
  for (const name of ['createCipher', 'createCipheriv', 'createDecipher', 'createDecipheriv', 'publicEncrypt', 'publicDecrypt', 'privateEncrypt', 'privateDecrypt']) crypto[name] = absent('crypto.' + name, CIPHERS);
  for (const name of ['createDiffieHellman', 'createECDH', 'generateKey', 'generateKeySync', 'generateKeyPair', 'generateKeyPairSync', 'createPublicKey', 'createPrivateKey', 'createSecretKey']) crypto[name] = absent('crypto.' + name, 'Keys are given as PEM texts.');
  for (const name of ['scrypt', 'scryptSync', 'hkdf', 'hkdfSync']) crypto[name] = absent('crypto.' + name, 'Derive keys with pbkdf2.');
  const subtle = {};
  for (const name of ['digest', 'sign', 'verify', 'encrypt', 'decrypt', 'importKey', 'exportKey', 'generateKey', 'deriveBits', 'deriveKey', 'wrapKey', 'unwrapKey']) subtle[name] = absent('crypto.subtle.' + name, 'Use require("crypto"): createHash, createHmac, createSign.');
  crypto.subtle = subtle;
  crypto.webcrypto = { getRandomValues: crypto.getRandomValues, randomUUID: crypto.randomUUID, subtle };
  define('crypto', function (module) { module.exports = crypto; });
  offer('crypto', 'crypto');
  define('pbkdf2', function (module) { module.exports = { pbkdf2: crypto.pbkdf2, pbkdf2Sync }; });

  class JsonWebTokenError extends Error { constructor(message) { super(message); this.name = 'JsonWebTokenError'; } }
  class TokenExpiredError extends JsonWebTokenError { constructor(message, at) { super(message); this.name = 'TokenExpiredError'; this.expiredAt = at; } }
  class NotBeforeError extends JsonWebTokenError { constructor(message, at) { super(message); this.name = 'NotBeforeError'; this.date = at; } }

  const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31557600 };
  function seconds(span) {
    if (typeof span === 'number') return span;
    const [, number, unit] = /^(-?[\d.]+)\s*([a-z]*)$/i.exec(String(span)) || [];
    if (number === undefined) throw new JsonWebTokenError('"expiresIn" should be a number of seconds or string representing a timespan eg: "1d", "20h", 60');
    const letter = /^(ms|millis)/i.test(unit) ? 'ms' : unit ? unit[0].toLowerCase() : 'ms';
    return Math.floor(Number(number) * (UNITS[letter] || 1));
  }
  function wait(value) { return wire(value).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, ''); }
  function signature(algorithm, key, data) {
    const kind = algorithm.slice(0, 2), hash = 'sha' + algorithm.slice(2);
    if (kind === 'HS') return crypto.createHmac(hash, key).update(data).digest('base64url');
    return back(doNow('sign', { hash, key: pem(key), data: wire(data), kind }), 'base64url');
  }
  const ALGORITHMS = /^(HS|RS|ES|PS)(256|384|512)$/;
  const NAMED = { issuer: 'iss', subject: 'sub', audience: 'aud', jwtid: 'jti' };
  function sign(payload, key, options) {
    const given = options || {}, algorithm = given.algorithm || 'HS256';
    if (!key && algorithm !== 'none') throw new Error('secretOrPrivateKey must have a value');
    if (!ALGORITHMS.test(algorithm)) throw new Error('"algorithm" must be a valid string enum value');
    let body = payload;
    if (payload !== null && typeof payload === 'object' && !Buffer.isBuffer(payload)) {
      body = given.mutatePayload ? payload : Object.assign({}, payload);
      const at = body.iat || Math.floor(Date.now() / 1000);
      if (given.noTimestamp) delete body.iat; else body.iat = at;
      if (given.expiresInMinutes) body.exp = at + given.expiresInMinutes * 60;
      if (given.expiresIn !== undefined) body.exp = at + seconds(given.expiresIn);
      if (given.notBefore !== undefined) body.nbf = at + seconds(given.notBefore);
      for (const name in NAMED) if (given[name] !== undefined) body[NAMED[name]] = given[name];
    }
    const header = Object.assign({ alg: algorithm, typ: 'JWT' }, given.keyid ? { kid: given.keyid } : {}, given.header);
    const data = wait(stringify(header)) + '.' + wait(typeof body === 'string' ? body : stringify(body));
    return data + '.' + signature(algorithm, key, data);
  }
  function decode(token, options) {
    const [head, body, mark] = String(token).split('.');
    if (mark === undefined) return null;
    try {
      const header = parse(Buffer.from(head, 'base64').toString());
      const text = Buffer.from(body, 'base64').toString();
      let payload = text;
      try { payload = parse(text); } catch { /* a token may carry plain text */ }
      return options && options.complete ? { header, payload, signature: mark } : payload;
    } catch { return null; }
  }
  function allowed(key, options) {
    if (options.algorithms) return options.algorithms;
    const text = String(key);
    return text.includes('BEGIN CERTIFICATE') || text.includes('BEGIN PUBLIC KEY') || text.includes('BEGIN RSA PUBLIC KEY')
      ? ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'] : ['HS256', 'HS384', 'HS512'];
  }
  function verify(token, key, options) {
    if (!token) throw new JsonWebTokenError('jwt must be provided');
    if (typeof token !== 'string') throw new JsonWebTokenError('jwt must be a string');
    if (token.split('.').length !== 3) throw new JsonWebTokenError('jwt malformed');
    const found = decode(token, { complete: true });
    if (!found || !found.header) throw new JsonWebTokenError('invalid token');
    const { header, payload, signature: mark } = found;
    if (!mark) throw new JsonWebTokenError('jwt signature is required');
    if (!key) throw new JsonWebTokenError('secret or public key must be provided');
    if (!ALGORITHMS.test(header.alg) || !allowed(key, options).includes(header.alg)) throw new JsonWebTokenError('invalid algorithm');
    if (!isSigned(header.alg, key, token.slice(0, token.lastIndexOf('.')), mark)) throw new JsonWebTokenError('invalid signature');
    const problem = claimsProblem(payload, options);
    if (problem) throw problem;
    return options.complete ? found : payload;
  }
  function isSigned(algorithm, key, data, mark) {
    if (algorithm.startsWith('HS')) {
      const expected = Buffer.from(signature(algorithm, key, data)), given = Buffer.from(mark);
      return expected.length === given.length && crypto.timingSafeEqual(expected, given);
    }
    return doNow('verify', { hash: 'sha' + algorithm.slice(2), key: pem(key), data: wire(data), signature: wire(Buffer.from(mark, 'base64')), kind: algorithm.slice(0, 2) });
  }
  function claimsProblem(payload, options) {
    const now = options.clockTimestamp || Math.floor(Date.now() / 1000), leeway = options.clockTolerance || 0;
    if (payload.nbf !== undefined && !options.ignoreNotBefore && payload.nbf > now + leeway) return new NotBeforeError('jwt not active', new Date(payload.nbf * 1000));
    if (payload.exp !== undefined && !options.ignoreExpiration && !(now < payload.exp + leeway)) return new TokenExpiredError('jwt expired', new Date(payload.exp * 1000));
    if (options.maxAge !== undefined && !(payload.iat + seconds(options.maxAge) + leeway > now)) return new TokenExpiredError('maxAge exceeded', new Date(payload.iat * 1000));
    function fits(wanted, given) { return wanted instanceof RegExp ? wanted.test(given) : wanted === given; }
    const audiences = [].concat(payload.aud === undefined ? [] : payload.aud);
    if (options.audience && ![].concat(options.audience).some(function (one) { return audiences.some(function (aud) { return fits(one, aud); }); })) return new JsonWebTokenError('jwt audience invalid. expected: ' + [].concat(options.audience).join(' or '));
    if (options.issuer && ![].concat(options.issuer).includes(payload.iss)) return new JsonWebTokenError('jwt issuer invalid. expected: ' + options.issuer);
    if (options.subject && options.subject !== payload.sub) return new JsonWebTokenError('jwt subject invalid. expected: ' + options.subject);
    if (options.jwtid && options.jwtid !== payload.jti) return new JsonWebTokenError('jwt jwtid invalid. expected: ' + options.jwtid);
    if (options.nonce && options.nonce !== payload.nonce) return new JsonWebTokenError('jwt nonce invalid. expected: ' + options.nonce);
    return null;
  }
  // Both forms: an answer at once, or a callback at the end.
  function either(work) {
    return function (first, key, options, done) {
      if (typeof options === 'function') [options, done] = [{}, options];
      if (!done) return work(first, key, options || {});
      let error = null, value;
      try { value = work(first, key, options || {}); } catch (thrown) { error = thrown; }
      realm.process.nextTick(done, error, value);
      return undefined;
    };
  }
  function verifyEither(token, key, options, done) {
    const act = either(verify);
    if (typeof key !== 'function') return act(token, key, options, done);
    if (typeof options === 'function') [options, done] = [{}, options];
    const found = decode(token, { complete: true });
    key(found && found.header, function (error, value) { if (error) done(new JsonWebTokenError('error in secret or public key callback: ' + error.message)); else act(token, value, options, done); });
    return undefined;
  }
  const jwt = { sign: either(sign), verify: verifyEither, decode, JsonWebTokenError, TokenExpiredError, NotBeforeError };
  define('jsonwebtoken', function (module) { module.exports = jwt; });
  offer('jwt', 'jsonwebtoken');
})(globalThis, __builtins);
