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

  // `@auth0/rule-utilities`, gone from npm: what rules of its versions 0.1.0 and 0.2.0 expect. Beyond it: an address with a
  // query of its own keeps it, a posted token counts, and the token may be the second argument itself, as rules of 0.1.0 do.
  const noRedirectProtocols = ['oauth2-resource-owner', 'oauth2-refresh-token', 'oauth2-password', 'redirect-callback'];
  class Auth0RedirectRuleUtilities {
    constructor(user, context, configuration) {
      const settings = configuration || {};
      Object.assign(this, { user: user || {}, context: context || {}, noRedirectProtocols,
        tokenSecret: settings.SESSION_TOKEN_SECRET, tokenExpiresIn: settings.SESSION_TOKEN_EXPIRES_IN || '3d' });
    }
    get queryParams() { return (this.context.request || {}).query || {}; }
    get redirectUrl() { return this.context.redirect && this.context.redirect.url; }
    get isRedirectCallback() { return this.context.protocol === 'redirect-callback'; }
    // A device shows no page of a rule here: a redirect would refuse the device.
    get protocolCanRedirect() { return ![...this.noRedirectProtocols, 'oauth2-device-code'].includes(this.context.protocol); }
    get canRedirect() { return !this.redirectUrl && !this.context.multifactor && this.queryParams.prompt !== 'none' && this.protocolCanRedirect; }
    get _issuer() { return 'https://' + this.context.request.hostname + '/'; }
    createSessionToken(claims) {
      const standard = { ip: this.context.request.ip, iss: this._issuer, sub: this.user.user_id };
      return realm.require('jsonwebtoken').sign({ ...standard, ...claims }, this.tokenSecret, { expiresIn: this.tokenExpiresIn });
    }
    validateSessionToken(options) {
      const token = this.queryParams.session_token || (this.context.request.body || {}).session_token;
      const payload = realm.require('jsonwebtoken').verify(token, this.tokenSecret, { ...options, subject: this.user.user_id, issuer: this._issuer });
      if (!payload.exp) throw new Error('Expired token');
      return payload;
    }
    doRedirect(url, options) {
      if (!url || !this.canRedirect) throw new Error('Cannot redirect');
      const { sessionToken, generateSessionToken = options !== false } = typeof options === 'string' ? { sessionToken: options } : options || {};
      const token = sessionToken && typeof sessionToken === 'string' ? sessionToken : generateSessionToken === true && this.createSessionToken();
      this.context.redirect = { url: token ? url + (url.includes('?') ? '&' : '?') + 'session_token=' + token : url };
    }
  }
  class Auth0UserUpdateUtilities {
    constructor(user, auth0, namespace) {
      const isNamespaced = Boolean(namespace) && typeof namespace === 'string';
      Object.assign(this, { user, userId: user.user_id, apiClient: new ManagementClient(auth0), updatedUserData: {}, isNamespaced });
      if (isNamespaced) this.namespace = namespace;
      for (const bag of ['user_metadata', 'app_metadata']) {
        user[bag] = user[bag] || {};
        if (isNamespaced) user[bag][namespace] = user[bag][namespace] || {};
      }
    }
    // The namespace's own name stands for all of it.
    _place(bag, key) { return this.isNamespaced && key !== this.namespace ? this.user[bag][this.namespace] : this.user[bag]; }
    setUser(key, value) { this.user[key] = this.updatedUserData[key] = value; }
    setUserMeta(key, value) { this._place('user_metadata', key)[key] = value; }
    setAppMeta(key, value) { this._place('app_metadata', key)[key] = value; }
    getUserMeta(key) { return this._place('user_metadata', key)[key]; }
    getAppMeta(key) { return this._place('app_metadata', key)[key]; }
    async updateUser() { await this.apiClient.updateUser({ id: this.userId }, this.updatedUserData); }
    async updateUserMeta() { await this.apiClient.updateUserMetadata({ id: this.userId }, this.user.user_metadata); }
    async updateAppMeta() { await this.apiClient.updateAppMetadata({ id: this.userId }, this.user.app_metadata); }
  }
  define('@auth0/rule-utilities', function (module) { module.exports = { Auth0RedirectRuleUtilities, Auth0UserUpdateUtilities, noRedirectProtocols }; });
})(globalThis, __builtins);
