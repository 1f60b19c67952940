// `auth0` (the part of the Management API a rule may use: the one who signs in) and `@auth0/rule-utilities`.
(function (realm, builtins) {
  'use strict';
  const { define, turn, updater } = builtins;

  // Both a promise and a callback, as the SDK offers.
  function answered(work, done) {
    let going;
    try { going = Promise.resolve(work()); } catch (thrown) { going = Promise.reject(thrown); }
    if (typeof done !== 'function') return going;
    going.then(function (value) { done(null, value); }, function (error) { done(error); });
    return undefined;
  }
  function mine(params) {
    const id = typeof params === 'string' ? params : (params || {}).id || (params || {}).user_id;
    if (id !== turn().userId) throw new Error('a rule may read and update only the user who signs in');
    return id;
  }
  function bag(name) { return function (params, data, done) { return answered(function () { return updater(name)(mine(params), data); }, done); }; }
  class ManagementClient {
    constructor() {
      this.users = this;
      this.updateUserMetadata = bag('user_metadata');
      this.updateAppMetadata = bag('app_metadata');
      this.updateUser = this.update = function (params, data, done) {
        return answered(function () {
          const id = mine(params), other = Object.keys(data).filter(function (key) { return key !== 'user_metadata' && key !== 'app_metadata'; });
          if (other.length) throw new Error('a rule may update user_metadata and app_metadata, not ' + other[0]);
          return Promise.all(Object.keys(data).map(function (key) { return updater(key)(id, data[key]); })).then(function () { return turn().user; });
        }, done);
      };
      this.getUser = this.get = function (params, done) { return answered(function () { mine(params); return turn().user; }, done); };
    }
  }
  define('auth0', function (module) { module.exports = { ManagementClient }; });

  const SILENT = ['oauth2-resource-owner', 'oauth2-resource-owner-jwt-bearer', 'oauth2-refresh-token', 'oauth2-password', 'oauth2-device-code', 'redirect-callback', 'delegation'];
  class Auth0RedirectRuleUtilities {
    constructor(user, context, configuration) {
      Object.assign(this, { user: user || {}, context: context || {}, tokenSecret: (configuration || {}).SESSION_TOKEN_SECRET });
    }
    get queryParams() { return (this.context.request || {}).query || {}; }
    get protocol() { return this.context.protocol || 'unknown'; }
    get redirectUrl() { return (this.context.redirect || {}).url; }
    get isRedirectCallback() { return this.protocol === 'redirect-callback'; }
    get canRedirect() { return !this.redirectUrl && !SILENT.includes(this.protocol) && this.queryParams.prompt !== 'none'; }
    createSessionToken(payload, options) {
      if (!this.tokenSecret) throw new Error('SESSION_TOKEN_SECRET is not defined in configuration.');
      const request = this.context.request || {};
      return realm.require('jsonwebtoken').sign(Object.assign({}, payload, { ip: request.ip, iss: request.hostname, sub: this.user.user_id }),
        this.tokenSecret, Object.assign({ expiresIn: '3 days' }, options));
    }
    doRedirect(url, token) {
      if (!url) throw new Error('url is required');
      if (!this.canRedirect) throw new Error('Cannot redirect');
      const made = typeof token === 'string' ? token : token === false ? '' : this.createSessionToken(typeof token === 'object' ? token : {});
      this.context.redirect = { url: made ? url + (url.includes('?') ? '&' : '?') + 'session_token=' + made : url };
    }
    validateSessionToken() {
      const body = (this.context.request || {}).body || {}, token = this.queryParams.session_token || body.session_token;
      const payload = realm.require('jsonwebtoken').verify(token, this.tokenSecret, { algorithms: ['HS256'] });
      if (payload.sub !== this.user.user_id) throw new Error('Token sub mismatch');
      return payload;
    }
  }
  class Auth0UserUpdateUtilities {
    constructor(user, auth0, namespace) { Object.assign(this, { user, auth0, namespace: namespace || '' }); }
    _bag(name, make) {
      const whole = this.user[name] || (make ? (this.user[name] = {}) : {});
      if (!this.namespace) return whole;
      return whole[this.namespace] || (make ? (whole[this.namespace] = {}) : {});
    }
    _get(name, key, otherwise) { const value = this._bag(name)[key]; return value === undefined ? otherwise : value; }
    _write(name) { return this.namespace ? { [this.namespace]: this._bag(name) } : this._bag(name); }
    getUserMeta(key, otherwise) { return this._get('user_metadata', key, otherwise); }
    getAppMeta(key, otherwise) { return this._get('app_metadata', key, otherwise); }
    setUserMeta(key, value) { this._bag('user_metadata', true)[key] = value; }
    setAppMeta(key, value) { this._bag('app_metadata', true)[key] = value; }
    updateUserMeta() { return this.auth0.users.updateUserMetadata(this.user.user_id, this._write('user_metadata')); }
    updateAppMeta() { return this.auth0.users.updateAppMetadata(this.user.user_id, this._write('app_metadata')); }
  }
  define('@auth0/rule-utilities', function (module) { module.exports = { Auth0RedirectRuleUtilities, Auth0UserUpdateUtilities }; });
})(globalThis, __builtins);
