// HTTP as rules know it: `request` and its promises, `fetch`, `axios`, `slack-notify`. One operation, four manners.
(function (realm, builtins) {
  'use strict';
  const { define, offer, ask, parse, stringify, querystring, bytes } = builtins;
  const Buffer = realm.Buffer;
  const REASONS = { 200: 'OK', 201: 'Created', 202: 'Accepted', 204: 'No Content', 301: 'Moved Permanently', 302: 'Found', 304: 'Not Modified', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 409: 'Conflict', 422: 'Unprocessable Entity', 429: 'Too Many Requests', 500: 'Internal Server Error', 502: 'Bad Gateway', 503: 'Service Unavailable' };

  // {method, url, headers, body, redirects, timeout} -> {status, headers, text | base64, url}
  function send(method, url, headers, body, redirects, timeout) {
    const arg = { method: String(method || 'GET').toUpperCase(), url: String(url), headers: {}, redirects, timeout: Number(timeout) || 0 };
    for (const name of Object.keys(headers)) if (headers[name] !== undefined && headers[name] !== null) arg.headers[name] = String(headers[name]);
    if (typeof body === 'string') arg.text = body;
    else if (body !== undefined && body !== null) arg.base64 = Buffer.from(body).toString('base64');
    return ask('http', arg);
  }
  function bodyOf(answer) { return 'text' in answer ? Buffer.from(answer.text) : Buffer.from(answer.base64, 'base64'); }
  function textOf(answer) { return 'text' in answer ? answer.text : bodyOf(answer).toString(); }
  function has(headers, name) { return Object.keys(headers).find(function (one) { return one.toLowerCase() === name; }); }
  function basic(user, password) { return 'Basic ' + Buffer.from(user + ':' + (password === undefined ? '' : password)).toString('base64'); }
  function withQuery(url, query) {
    if (!query || query === '?') return url;
    const [place, hash] = String(url).split('#');
    return place + (place.includes('?') ? '&' : '?') + query + (hash ? '#' + hash : '');
  }
  // Nested objects as forms write them: a[b]=1, a[0]=2.
  function nested(object, prefix, brackets) {
    return Object.entries(object).flatMap(function ([key, value]) {
      const name = prefix ? prefix + '[' + key + ']' : key;
      if (value !== null && typeof value === 'object' && !Buffer.isBuffer(value)) return nested(value, name, brackets);
      return [encodeURIComponent(name) + '=' + encodeURIComponent(value === null || value === undefined ? '' : value)];
    });
  }

  // --- request

  function optionsOf(defaults, url, more) {
    const given = typeof url === 'string' ? Object.assign({ url }, more) : Object.assign({}, url, more);
    return Object.assign({}, defaults, given, { headers: Object.assign({}, (defaults || {}).headers, given.headers) });
  }
  function sending(options) {
    const headers = Object.assign({}, options.headers);
    let url = options.url || options.uri, body = options.body;
    if (url && typeof url === 'object') url = url.href || realm.require('url').format(url);
    if (options.baseUrl) url = options.baseUrl.replace(/\/$/, '') + '/' + String(url).replace(/^\//, '');
    if (!url) throw new Error('options.uri is a required argument');
    if (options.formData || options.multipart) throw new builtins.NotHere('request with formData', 'Send `form` or `json`.');
    if (options.qs) url = withQuery(url, nested(options.qs).join('&'));
    if (options.form) {
      body = typeof options.form === 'string' ? options.form : nested(options.form).join('&');
      headers[has(headers, 'content-type') || 'content-type'] = 'application/x-www-form-urlencoded';
    } else if (options.json !== undefined && options.json !== false) {
      if (!has(headers, 'accept')) headers.accept = 'application/json';
      const wanted = options.json === true ? body : options.json;
      if (wanted !== undefined) {
        body = stringify(wanted);
        if (!has(headers, 'content-type')) headers['content-type'] = 'application/json';
      }
    }
    if (options.auth && options.auth.bearer !== undefined) {
      headers.authorization = 'Bearer ' + (typeof options.auth.bearer === 'function' ? options.auth.bearer() : options.auth.bearer);
    } else if (options.auth) {
      const { user, username, pass, password } = options.auth;
      headers.authorization = basic(user === undefined ? username : user, pass === undefined ? password : pass);
    }
    const method = options.method || 'GET', reads = /^(get|head|options)$/i.test(method);
    const follows = options.followRedirect === false || (!reads && !options.followAllRedirects) ? 0 : Math.min(10, options.maxRedirects || 10);
    return send(method, url, headers, body, follows, options.timeout);
  }
  function received(options, answer) {
    let body = options.encoding === null ? bodyOf(answer) : textOf(answer);
    if (options.json !== undefined && options.json !== false) { try { body = parse(body); } catch { /* stays a text, as with request */ } }
    return { statusCode: answer.status, statusMessage: REASONS[answer.status] || '', headers: answer.headers, body, request: { href: answer.url },
      toJSON() { return { statusCode: answer.status, headers: answer.headers, body }; } };
  }

  class Request extends builtins.EventEmitter {
    constructor(options, done) {
      super();
      const self = this, call = builtins.guarded();
      this.promise = new Promise(function (resolve, reject) {
        realm.process.nextTick(function () {
          let sent;
          try { sent = sending(options); } catch (thrown) { sent = Promise.reject(thrown); }
          sent.then(function (answer) {
            const response = received(options, answer);
            resolve(response);
            call(function () {
              self.emit('response', response);
              self.emit('data', bodyOf(answer));
              self.emit('end');
              self.emit('complete', response, response.body);
            });
            if (done) call(done, null, response, response.body);
          }, function (error) {
            reject(error);
            if (self.listenerCount('error')) call(function () { self.emit('error', error); });
            if (done) call(done, error);
          });
        });
      });
      this.promise.catch(function () {});
      this.options = options;
    }
    form(values) { this.options.form = values; return this; }
    json(value) { this.options.json = value; return this; }
    auth(user, pass, _, bearer) { this.options.auth = bearer ? { bearer } : { user, pass }; return this; }
    setHeader(name, value) { this.options.headers[name] = value; return this; }
    pipe() { throw new builtins.NotHere('request().pipe', 'Read the body in the callback.'); }
    abort() {}
    end() {}
  }
  function client(defaults, make) {
    function of(method) {
      return function (url, more, done) {
        if (typeof more === 'function') [more, done] = [undefined, more];
        const options = optionsOf(defaults, url, more);
        if (method) options.method = method;
        return make(options, done || options.callback);
      };
    }
    const made = of('');
    for (const method of ['get', 'post', 'put', 'patch', 'delete', 'head', 'options']) made[method] = of(method.toUpperCase());
    made.del = made.delete;
    made.defaults = function (more) { return client(optionsOf(defaults, more), make); };
    made.jar = function () { return {}; };
    made.cookie = String;
    return made;
  }
  const request = client({}, function (options, done) { return new Request(options, done); });
  define('request', function (module) { module.exports = request; });
  offer('request', 'request');

  class StatusCodeError extends Error {
    constructor(response, options) {
      super(response.statusCode + ' - ' + stringify(response.body));
      Object.assign(this, { name: 'StatusCodeError', statusCode: response.statusCode, error: response.body, options, response });
    }
  }
  class RequestError extends Error {
    constructor(cause, options) {
      super(String(cause));
      Object.assign(this, { name: 'RequestError', cause, error: cause, options });
    }
  }
  const promised = client({}, function (options, done) {
    const sent = new Request(options, done);
    const answer = sent.promise.then(function (response) {
      if (options.simple !== false && !(response.statusCode >= 200 && response.statusCode < 300)) throw new StatusCodeError(response, options);
      if (typeof options.transform === 'function') return options.transform(response.body, response, options.resolveWithFullResponse);
      return options.resolveWithFullResponse ? response : response.body;
    }, function (cause) { throw new RequestError(cause, options); });
    if (done) answer.catch(function () {});
    return Object.assign(sent, { then: answer.then.bind(answer), catch: answer.catch.bind(answer), finally: answer.finally.bind(answer), promise() { return answer; } });
  });
  define(['request-promise', 'request-promise-native', 'request-promise-any'], function (module) { module.exports = promised; });
  define(['request-promise/errors', 'request-promise-native/errors', 'request-promise-core/errors'], function (module) { module.exports = { StatusCodeError, RequestError }; });

  // --- fetch

  class Headers {
    constructor(init) {
      Object.defineProperty(this, '_map', { value: {} });
      const pairs = init instanceof Headers ? Object.entries(init._map) : Array.isArray(init) ? init : Object.entries(init || {});
      for (const [name, value] of pairs) this.append(name, value);
    }
    append(name, value) { const key = String(name).toLowerCase(); this._map[key] = key in this._map ? this._map[key] + ', ' + value : String(value); }
    set(name, value) { this._map[String(name).toLowerCase()] = String(value); }
    get(name) { const value = this._map[String(name).toLowerCase()]; return value === undefined ? null : value; }
    has(name) { return String(name).toLowerCase() in this._map; }
    delete(name) { delete this._map[String(name).toLowerCase()]; }
    forEach(action) { for (const name in this._map) action(this._map[name], name, this); }
    entries() { return Object.entries(this._map)[Symbol.iterator](); }
    keys() { return Object.keys(this._map)[Symbol.iterator](); }
    values() { return Object.values(this._map)[Symbol.iterator](); }
    raw() { return Object.fromEntries(Object.entries(this._map).map(function ([k, v]) { return [k, [v]]; })); }
    [Symbol.iterator]() { return this.entries(); }
  }
  class Response {
    constructor(body, about) {
      Object.defineProperty(this, '_bytes', { value: Buffer.from(body === undefined || body === null ? '' : body) });
      Object.assign(this, { status: 200, statusText: '', url: '', redirected: false, bodyUsed: false }, about);
      this.headers = new Headers((about || {}).headers);
      this.ok = this.status >= 200 && this.status < 300;
    }
    text() { return Promise.resolve(this._bytes.toString()); }
    json() { const self = this; return this.text().then(function (text) { try { return parse(text); } catch (error) { throw Object.assign(new Error('invalid json response body at ' + self.url + ' reason: ' + error.message), { type: 'invalid-json', name: 'FetchError' }); } }); }
    buffer() { return Promise.resolve(this._bytes); }
    arrayBuffer() { return Promise.resolve(this._bytes.buffer.slice(this._bytes.byteOffset, this._bytes.byteOffset + this._bytes.byteLength)); }
    clone() { return new Response(this._bytes, this); }
  }
  class FetchError extends Error { constructor(url, cause) { super('request to ' + url + ' failed, reason: ' + cause.message); Object.assign(this, { name: 'FetchError', type: 'system', code: cause.code, errno: cause.code }); } }
  class FetchRequest { constructor(url, init) { Object.assign(this, { method: 'GET' }, init, { url: String(url.url || url), headers: new Headers((init || {}).headers || url.headers) }); } }
  function fetch(url, init) {
    const options = url instanceof FetchRequest ? Object.assign({}, url, init) : init || {}, place = String(url.url || url);
    const headers = Object.fromEntries(new Headers(options.headers).entries());
    let body = options.body;
    if (body instanceof realm.URLSearchParams) { body = body.toString(); if (!headers['content-type']) headers['content-type'] = 'application/x-www-form-urlencoded;charset=UTF-8'; }
    if (typeof body === 'string' && !headers['content-type']) headers['content-type'] = 'text/plain;charset=UTF-8';
    const follows = options.redirect === 'manual' || options.redirect === 'error' || options.follow === 0 ? 0 : Math.min(options.follow || 10, 10);
    return send(options.method, place, headers, body, follows, options.timeout).then(function (answer) {
      if (options.redirect === 'error' && answer.status >= 300 && answer.status < 400) throw new FetchError(place, new Error('redirect mode is set to error'));
      return new Response(bodyOf(answer), { status: answer.status, statusText: REASONS[answer.status] || '', headers: answer.headers, url: answer.url, redirected: answer.url !== place });
    }, function (cause) { throw new FetchError(place, cause); });
  }
  Object.assign(realm, { fetch, Headers, Response, Request: FetchRequest });
  realm.AbortController = class AbortController { constructor() { this.signal = { aborted: false, addEventListener() {} }; } abort() { this.signal.aborted = true; } };
  define(['node-fetch', 'cross-fetch', 'isomorphic-fetch'], function (module) { module.exports = Object.assign(fetch, { default: fetch, Headers, Response, Request: FetchRequest, FetchError }); });

  // --- axios

  class Interceptors {
    constructor() { this.list = []; }
    use(done, failed) { this.list.push({ done, failed }); return this.list.length - 1; }
    eject(at) { this.list[at] = null; }
    all() { return this.list.filter(Boolean); }
  }
  class Cancel { constructor(message) { this.message = message; this.__CANCEL__ = true; } toString() { return 'Cancel' + (this.message ? ': ' + this.message : ''); } }
  function axiosError(message, config, code, response, sent) {
    const error = Object.assign(new Error(message), { name: 'AxiosError', config, request: sent || {}, response, isAxiosError: true, code });
    if (response) error.status = response.status;
    error.toJSON = function () { return { message, name: error.name, code, config: { url: config.url, method: config.method } }; };
    return error;
  }
  const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];
  function merged(base, more) {
    const headers = {}, method = String(more.method || base.method || 'get').toLowerCase();
    for (const from of [base.headers, more.headers]) {
      for (const [name, value] of Object.entries(from || {})) {
        if (name === 'common' || name === method) Object.assign(headers, value);
        else if (!METHODS.includes(name) || typeof value !== 'object') headers[name] = value;
      }
    }
    return Object.assign({}, base, more, { headers, method, params: Object.assign({}, base.params, more.params instanceof realm.URLSearchParams ? Object.fromEntries(more.params) : more.params) });
  }
  function dispatch(config) {
    const headers = Object.assign({}, config.headers);
    let url = config.url || '', data = config.data;
    if (config.baseURL && !/^([a-z][a-z\d+.-]*:)?\/\//i.test(url)) url = config.baseURL.replace(/\/+$/, '') + (url ? '/' + url.replace(/^\/+/, '') : '');
    const query = typeof config.paramsSerializer === 'function' ? config.paramsSerializer(config.params) : Object.entries(config.params || {})
      .filter(function ([, value]) { return value !== null && value !== undefined; })
      .flatMap(function ([key, value]) { return [].concat(value).map(function (one) { return encodeURIComponent(key) + (Array.isArray(value) ? '[]' : '') + '=' + encodeURIComponent(one !== null && typeof one === 'object' ? stringify(one) : one).replace(/%20/g, '+').replace(/%3A/gi, ':').replace(/%24/g, '$').replace(/%2C/gi, ','); }); }).join('&');
    for (const change of [].concat(config.transformRequest || [])) data = change(data, headers);
    if (data instanceof realm.URLSearchParams) { data = data.toString(); if (!has(headers, 'content-type')) headers['content-type'] = 'application/x-www-form-urlencoded;charset=utf-8'; }
    else if (data !== null && typeof data === 'object' && !(data instanceof Uint8Array)) {
      const type = has(headers, 'content-type');
      if (type && String(headers[type]).includes('x-www-form-urlencoded')) data = nested(data).join('&');
      else { data = stringify(data); if (!type) headers['content-type'] = 'application/json'; }
    } else if (typeof data === 'string' && !has(headers, 'content-type')) headers['content-type'] = 'application/x-www-form-urlencoded';
    if (config.auth) headers.authorization = basic(config.auth.username || '', config.auth.password || '');
    if (!has(headers, 'accept')) headers.accept = 'application/json, text/plain, */*';
    if (config.method === 'get' || config.method === 'head') data = undefined;
    const follows = config.maxRedirects === undefined ? 5 : Math.min(config.maxRedirects, 10);
    return send(config.method, withQuery(url, query), headers, data, follows, config.timeout).then(function (answer) {
      let body = config.responseType === 'arraybuffer' ? bodyOf(answer) : textOf(answer);
      if (typeof body === 'string' && config.responseType !== 'text') { try { body = parse(body); } catch { /* not JSON, stays a text */ } }
      for (const change of [].concat(config.transformResponse || [])) body = change(body, answer.headers);
      const response = { data: body, status: answer.status, statusText: REASONS[answer.status] || '', headers: answer.headers, config, request: {} };
      const fine = config.validateStatus === null ? true : (config.validateStatus || function (status) { return status >= 200 && status < 300; })(answer.status);
      if (!fine) throw axiosError('Request failed with status code ' + answer.status, config, answer.status < 500 ? 'ERR_BAD_REQUEST' : 'ERR_BAD_RESPONSE', response);
      return response;
    }, function (cause) {
      const late = cause.code === 'ETIMEDOUT';
      throw axiosError(late && config.timeout ? 'timeout of ' + config.timeout + 'ms exceeded' : cause.message, config, late ? 'ECONNABORTED' : cause.code);
    });
  }
  function axiosOf(defaults) {
    const interceptors = { request: new Interceptors(), response: new Interceptors() };
    function ask(url, more) {
      const config = merged(made.defaults, typeof url === 'string' ? Object.assign({}, more, { url }) : url || {});
      let going = Promise.resolve(config);
      for (const one of interceptors.request.all().reverse()) going = going.then(one.done, one.failed);
      going = going.then(dispatch);
      for (const one of interceptors.response.all()) going = going.then(one.done, one.failed);
      return going;
    }
    const made = Object.assign(function axios(url, more) { return ask(url, more); }, { request: ask, interceptors, defaults: Object.assign({ headers: { common: {} } }, defaults) });
    for (const method of METHODS) made.defaults.headers[method] = made.defaults.headers[method] || {};
    for (const method of ['get', 'delete', 'head', 'options']) made[method] = function (url, more) { return ask(Object.assign({}, more, { url, method })); };
    for (const method of ['post', 'put', 'patch']) made[method] = function (url, data, more) { return ask(Object.assign({}, more, { url, method, data })); };
    made.getUri = function (config) { return withQuery(config.url, nested(config.params || {}).join('&')); };
    return made;
  }
  define('axios', function (module) {
    const axios = axiosOf({ timeout: 0 });
    axios.create = function (more) { return axiosOf(merged(axios.defaults, more || {})); };
    axios.all = function (list) { return Promise.all(list); };
    axios.spread = function (action) { return function (list) { return action(...list); }; };
    axios.isAxiosError = function (thrown) { return !!thrown && thrown.isAxiosError === true; };
    axios.isCancel = function (thrown) { return !!thrown && thrown.__CANCEL__ === true; };
    axios.Cancel = Cancel;
    axios.CancelToken = { source() { return { token: {}, cancel() {} }; } };
    axios.default = axios;
    module.exports = axios;
  });

  // --- slack-notify

  define('slack-notify', function (module) {
    module.exports = function (hook) {
      function post(message, done) {
        const text = stringify(message);
        const sent = new Promise(function (resolve, reject) {
          request.post({ url: hook, form: { payload: text } }, function (error, response) {
            const problem = error || (response.statusCode >= 400 ? new Error('Slack answered ' + response.statusCode) : null);
            if (done) done(problem);
            if (problem) reject(problem); else resolve(response.body);
          });
        });
        sent.catch(function () {});
        return sent;
      }
      function extend(defaults) {
        return function (message, done) {
          const given = typeof message === 'string' ? { text: message } : message || {};
          const whole = Object.assign({}, defaults, given);
          if (given.fields) {
            const fields = Array.isArray(given.fields) ? given.fields : Object.entries(given.fields).map(function ([title, value]) { return { title, value, short: String(value).length < 25 }; });
            whole.attachments = [{ fallback: whole.text, color: whole.color, fields }];
            delete whole.fields;
          }
          return post(whole, done);
        };
      }
      return { send: extend({}), request: post, extend, note: extend({ channel: '#alerts', icon_emoji: ':bulb:', username: 'Note' }), success: extend({ channel: '#alerts', icon_emoji: ':trophy:', username: 'Success' }),
        bug: extend({ channel: '#bugs', icon_emoji: ':bomb:', username: 'Bug' }), alert: extend({ channel: '#alerts', icon_emoji: ':warning:', username: 'Alert' }), onError() {} };
    };
  });
})(globalThis, __builtins);
