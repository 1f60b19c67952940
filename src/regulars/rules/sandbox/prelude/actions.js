// Actions: `exports.onExecutePostLogin = async (event, api)` over the same user and context that rules get.
(function (realm, builtins) {
  'use strict';
  const ENTRIES = 20, KEY = 64, VALUE = 4096, DAY = 86400000;
  const DEMANDS = ['challengeWith', 'challengeWithAny', 'enrollWith', 'enrollWithAny'];  // of api.authentication
  const IGNORED = ['authentication.recordMethod', 'authentication.setPrimaryUser', 'prompt.render', 'samlResponse.setAttribute',
    'session.revoke', 'session.setExpiresAt', 'session.setIdleExpiresAt', 'refreshToken.revoke', 'refreshToken.setExpiresAt', 'validation.error', 'transaction.setMetadata'];

  function camel(object) {
    return Object.fromEntries(Object.entries(object || {}).map(function ([key, value]) {
      return [key.replace(/_([a-z0-9])/g, function (_, letter) { return letter.toUpperCase(); }), value];
    }));
  }
  function without(object, names) { return Object.fromEntries(Object.entries(object || {}).filter(function ([key]) { return !names.includes(key); })); }
  function frozen(value) {
    if (value !== null && typeof value === 'object' && !Object.isFrozen(value)) { Object.freeze(value); Object.values(value).forEach(frozen); }
    return value;
  }

  function scopesAsked(context) {  // after a redirect or for a refresh token the request does not repeat them
    return [...(context.requested_scopes || String(((context.request || {}).query || {}).scope || '').split(' ').filter(Boolean))];
  }

  function eventOf(given) {
    const { user, context, configuration } = builtins.parse(builtins.stringify(given)), request = context.request || {}, query = request.query || {};
    const secrets = ['access_token', 'access_token_secret', 'refresh_token'];
    return frozen({
      user: Object.assign({}, user, { identities: (user.identities || []).map(function (one) { return without(one, secrets); }),
        user_metadata: user.user_metadata || {}, app_metadata: user.app_metadata || {}, multifactor: user.multifactor || [], enrolledFactors: [] }),
      client: { client_id: context.clientID, name: context.clientName, metadata: context.clientMetadata || {} },
      connection: { id: context.connectionID, name: context.connection, strategy: context.connectionStrategy, metadata: context.connectionMetadata || {} },
      tenant: { id: context.tenant }, organization: context.organization,
      request: { ip: request.ip, method: request.method || 'GET', query, body: request.body || {}, hostname: request.hostname,
        language: request.language, user_agent: request.userAgent, geoip: camel(request.geoip) },
      transaction: { id: context.sessionID, acr_values: query.acr_values ? query.acr_values.split(' ') : [], locale: query.ui_locales || '', login_hint: query.login_hint, prompt: query.prompt ? query.prompt.split(' ') : [],
        protocol: context.protocol, redirect_uri: query.redirect_uri, requested_scopes: scopesAsked(context), response_mode: query.response_mode,
        response_type: query.response_type ? query.response_type.split(' ') : [], state: query.state, ui_locales: query.ui_locales ? query.ui_locales.split(' ') : [], metadata: {} },
      authentication: { methods: (context.authentication || {}).methods || [], riskAssessment: context.riskAssessment },
      authorization: { roles: (context.authorization || {}).roles || [] }, session: { id: context.sessionID },
      stats: { logins_count: (context.stats || {}).loginsCount }, secrets: configuration,
      resource_server: query.audience ? { identifier: query.audience } : undefined,
    });
  }

  function bagOf(one, name) {
    return function (key, value) {
      if (typeof key !== 'string' || !key) throw new TypeError('metadata needs a name');
      one.updates.push({ bag: name, data: builtins.parse(builtins.stringify({ [key]: value === undefined ? null : value })) });
      one.user[name] = Object.assign({}, one.user[name], { [key]: value });
      return api(one);
    };
  }
  function claim(one, token) {
    return function (name, value) { one.context[token] = Object.assign({}, one.context[token], { [name]: value }); return api(one); };
  }
  function scopes(one) {
    const token = one.context.accessToken || (one.context.accessToken = {});
    if (!Array.isArray(token.scope)) token.scope = scopesAsked(one.context);
    return token;
  }
  function demand(one, provider, options) {  // one page asks for whichever second factor the customer has, or lets them set one up
    one.context.multifactor = { provider: String(provider || 'any'), allowRememberBrowser: (options || {}).allowRememberBrowser === true };
    return api(one);
  }
  function secretOf(options) { if (!options || !options.secret) throw new Error('a secret is needed'); return options.secret; }

  function redirectOf(one) {
    const jwt = realm.require('jsonwebtoken'), request = one.context.request || {};
    return {
      canRedirect() { return !['oauth2-refresh-token', 'oauth2-password', 'oauth2-resource-owner', 'redirect-callback'].includes(one.context.protocol) && (request.query || {}).prompt !== 'none'; },
      sendUserTo(url, options) {
        if (one.context.protocol === 'redirect-callback') { one.ignored.push('api.redirect.sendUserTo'); return api(one); }
        const place = new realm.URL(url);
        for (const [name, value] of Object.entries((options || {}).query || {})) place.searchParams.set(name, value);
        one.context.redirect = { url: place.href };
        one.paused = true;
        return api(one);
      },
      encodeToken(options) {
        return jwt.sign(Object.assign({}, options.payload, { iss: realm.auth0.domain, sub: one.userId, ip: request.ip }), secretOf(options), { expiresIn: options.expiresInSeconds || 900 });
      },
      validateToken(options) {
        const name = (options || {}).tokenParameterName || 'session_token', token = (request.query || {})[name] || (request.body || {})[name];
        const payload = jwt.verify(token, secretOf(options), { algorithms: ['HS256', 'HS384', 'HS512'] });
        if (payload.sub !== undefined && payload.sub !== one.userId) throw new Error('the token is not for this user');
        return payload;
      },
    };
  }

  function cacheOf(one) {
    function size(entries) { return Object.values(entries).reduce(function (sum, entry) { return sum + entry.value.length; }, 0); }
    function refused(code) { return { type: 'error', code }; }
    function set(key, value, options) {
      const { ttl, expires_at: until } = options || {};
      if (key.length > KEY) return refused('CacheKeySizeExceeded');
      if (String(value).length > VALUE) return refused('CacheValueSizeExceeded');
      const at = Math.min(Date.now() + DAY, until || Date.now() + (ttl === undefined ? 900000 : ttl));
      const next = Object.assign({}, one.cacheNow, { [key]: { value: String(value), expires_at: at } });
      if (Object.keys(next).length > ENTRIES || size(next) > 2 * VALUE) return refused('ItemLimitExceeded');
      one.cacheNow = one.cache = next;
      return { type: 'success', record: next[key] };
    }
    return {
      get(key) { const entry = one.cacheNow[key]; return entry && entry.expires_at > Date.now() ? entry : undefined; },
      set(key, value, options) { return set(String(key), value, options); },
      delete(key) { one.cacheNow = one.cache = without(one.cacheNow, [key]); return { type: 'success' }; },
    };
  }

  class Denial extends Error {}
  function api(one) { return one.api; }
  function apiOf(one) {
    const made = {
      access: { deny(reason, more) { const reasonGiven = more === undefined ? reason : more; one.denial = one.denial || new Denial(String(reasonGiven)); one.paused = true; return made; } },
      idToken: { setCustomClaim: claim(one, 'idToken') },
      accessToken: { setCustomClaim: claim(one, 'accessToken'),
        addScope(scope) { const token = scopes(one); if (!token.scope.includes(scope)) token.scope.push(scope); return made; },
        removeScope(scope) { const token = scopes(one); token.scope = token.scope.filter(function (other) { return other !== scope; }); return made; } },
      user: { setUserMetadata: bagOf(one, 'user_metadata'), setAppMetadata: bagOf(one, 'app_metadata') },
      multifactor: { enable(provider, options) { return demand(one, provider, options); } },
      authentication: Object.fromEntries(DEMANDS.map(function (verb) { return [verb, function () { return demand(one); }]; })),
      redirect: redirectOf(one), cache: cacheOf(one), rules: { wasExecuted() { return false; } },
      regulars: realm.regulars,
    };
    for (const path of IGNORED) {
      const [object, verb] = path.split('.');
      made[object] = made[object] || {};
      made[object][verb] = function () { one.ignored.push('api.' + path); return made; };
    }
    return made;
  }

  builtins.action = function (exported, given, one) {
    one.cacheNow = given.cache || {};
    one.api = apiOf(one);
    const back = given.context.protocol === 'redirect-callback' && given.resumes;
    const handler = back ? exported.onContinuePostLogin : exported.onExecutePostLogin;
    if (typeof handler !== 'function') return undefined;
    return Promise.resolve(handler(eventOf(given), one.api)).then(function () { if (one.denial) throw one.denial; });
  };
  builtins.Denial = Denial;
})(globalThis, __builtins);
