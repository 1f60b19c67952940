// URL, URLSearchParams, and the modules `url` and `querystring`.
(function (realm, builtins) {
  'use strict';
  const PORTS = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443', 'ftp:': '21' };
  const WHOLE = /^([a-z][a-z0-9+.-]*:)(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/i;

  function escapeIn(text, more) {
    return text.replace(/[^!-~]+/g, function (part) { try { return encodeURIComponent(part); } catch { return '%EF%BF%BD'; } })
      .replace(more, function (c) { return '%' + c.charCodeAt(0).toString(16).toUpperCase(); });
  }
  function withoutDots(path) {
    const out = [];
    for (const part of path.split('/').slice(1)) {
      if (/^(\.|%2e)$/i.test(part)) continue;
      if (/^(\.|%2e){2}$/i.test(part)) out.pop();
      else out.push(part);
    }
    return '/' + out.join('/') + (/\/\.{1,2}$/.test(path) && out.length ? '/' : '');
  }
  function bad(text) { return Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL', input: text }); }

  function absolute(text, base) {
    text = String(text).trim().replace(/[\t\r\n]/g, '');
    if (WHOLE.test(text)) return text;
    if (base === undefined) throw bad(text);
    const from = new URL(base);
    if (text.startsWith('//')) return from.protocol + text;
    if (text.startsWith('/')) return from.protocol + '//' + authority(from) + text;
    if (text.startsWith('#')) return from.href.split('#')[0] + text;
    if (text.startsWith('?')) return from.protocol + '//' + authority(from) + from.pathname + text;
    return from.protocol + '//' + authority(from) + from.pathname.replace(/[^/]*$/, '') + text;
  }
  function authority(url) { return (url.username ? url.username + (url.password ? ':' + url.password : '') + '@' : '') + url.host; }

  class URL {
    constructor(text, base) {
      const [, scheme, place, path, query, hash] = WHOLE.exec(absolute(text, base));
      this.protocol = scheme.toLowerCase();
      const special = this.protocol in PORTS;
      const [, who, name, port] = /^(?:(.*)@)?(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(place || '') || [];
      if (special && (!name || /[\s<>^|%\\]/.test(name) || Number(port || 0) > 65535)) throw bad(text);
      const [username, ...password] = (who || '').split(':');
      this.username = escapeIn(username, /[/:;=@[\\\]^|]/g);
      this.password = escapeIn(password.join(':'), /[/:;=@[\\\]^|]/g);
      this.hostname = (name || '').toLowerCase();
      this.port = port && port !== PORTS[this.protocol] ? String(Number(port)) : '';
      this.pathname = special ? withoutDots(escapeIn(path || '/', /["<>`{}]/g).replace(/\\/g, '/')) : path;
      this.hash = hash && hash !== '#' ? escapeIn(hash, /["<>`]/g) : '';
      this.searchParams = new URLSearchParams(query || '');
      this._query = query && query !== '?' ? escapeIn(query, /["<>']/g) : '';
      this.searchParams._changed = () => { const q = this.searchParams.toString(); this._query = q ? '?' + q : ''; };
      for (const name of ['_query', 'searchParams']) Object.defineProperty(this, name, { enumerable: false });
    }
    get search() { return this._query; }
    set search(text) { const query = String(text).replace(/^\??/, '?'); this._query = query === '?' ? '' : query; this.searchParams._list = listOf(query.slice(1)); }
    get host() { return this.hostname + (this.port ? ':' + this.port : ''); }
    set host(text) { [this.hostname, this.port = ''] = String(text).split(':'); }
    get origin() { return this.protocol in PORTS ? this.protocol + '//' + this.host : 'null'; }
    get href() { return this.protocol + (this.protocol in PORTS || this.hostname ? '//' + authority(this) : '') + this.pathname + this._query + this.hash; }
    set href(text) { Object.assign(this, new URL(text)); }
    toString() { return this.href; }
    toJSON() { return this.href; }
    static canParse(text, base) { try { new URL(text, base); return true; } catch { return false; } }
  }

  function decode(text) { const plain = text.replace(/\+/g, ' '); try { return decodeURIComponent(plain); } catch { return plain; } }
  function encode(text) { return encodeURIComponent(text).replace(/[!'()~]/g, function (c) { return '%' + c.charCodeAt(0).toString(16).toUpperCase(); }).replace(/%20/g, '+'); }
  function listOf(text) {
    return text.split('&').filter(Boolean).map(function (pair) {
      const at = pair.indexOf('=');
      return at < 0 ? [decode(pair), ''] : [decode(pair.slice(0, at)), decode(pair.slice(at + 1))];
    });
  }

  class URLSearchParams {
    constructor(init) {
      const list = init === undefined || init === null ? [] : typeof init === 'string' ? listOf(init.replace(/^\?/, ''))
        : typeof init[Symbol.iterator] === 'function' ? Array.from(init, ([k, v]) => [String(k), String(v)])
        : Object.entries(init).map(([k, v]) => [k, String(v)]);
      Object.defineProperty(this, '_list', { value: list, writable: true });
      Object.defineProperty(this, '_changed', { value() {}, writable: true });
    }
    append(name, value) { this._list.push([String(name), String(value)]); this._changed(); }
    delete(name) { this._list = this._list.filter(([k]) => k !== name); this._changed(); }
    get(name) { const found = this._list.find(([k]) => k === name); return found ? found[1] : null; }
    getAll(name) { return this._list.filter(([k]) => k === name).map(([, v]) => v); }
    has(name) { return this._list.some(([k]) => k === name); }
    set(name, value) {
      const at = this._list.findIndex(([k]) => k === name);
      if (at < 0) { this.append(name, value); return; }
      this._list = this._list.filter(([k], n) => k !== name || n === at);
      this._list[at][1] = String(value);
      this._changed();
    }
    sort() { this._list.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0); this._changed(); }
    forEach(action, self) { this._list.forEach(([k, v]) => action.call(self, v, k, this)); }
    keys() { return this._list.map(([k]) => k)[Symbol.iterator](); }
    values() { return this._list.map(([, v]) => v)[Symbol.iterator](); }
    entries() { return this._list.map(([k, v]) => [k, v])[Symbol.iterator](); }
    [Symbol.iterator]() { return this.entries(); }
    toString() { return this._list.map(([k, v]) => encode(k) + '=' + encode(v)).join('&'); }
  }

  const querystring = {
    escape: encodeURIComponent, unescape: decode,
    stringify(object, between, equals) {
      return Object.entries(object || {}).flatMap(([key, value]) => [].concat(value).map((one) =>
        encodeURIComponent(key) + (equals || '=') + encodeURIComponent(one === null || one === undefined || typeof one === 'object' ? '' : String(one)))).join(between || '&');
    },
    parse(text, between, equals) {
      const out = {};
      for (const pair of String(text || '').split(between || '&').filter(Boolean)) {
        const [key, ...rest] = pair.split(equals || '=');
        const name = decode(key), value = decode(rest.join(equals || '='));
        out[name] = name in out ? [].concat(out[name], value) : value;
      }
      return out;
    },
  };
  querystring.encode = querystring.stringify;
  querystring.decode = querystring.parse;

  // The old `url.parse`, whose parts may be null.
  function parts(text, withQuery) {
    const [, scheme, , place, path, query, hash] = /^([a-z][a-z0-9+.-]*:)?(\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/i.exec(String(text).trim()) || [];
    const [, auth, name, port] = /^(?:(.*)@)?(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(place || '') || [];
    const pathname = path || (place !== undefined && place !== '' ? '/' : null);
    const out = { protocol: scheme ? scheme.toLowerCase() : null, slashes: place !== undefined ? true : null, auth: auth ? decode(auth) : null,
      host: name ? name.toLowerCase() + (port ? ':' + port : '') : null, port: port || null, hostname: name ? name.toLowerCase() : null, hash: hash || null,
      search: query || (withQuery ? '' : null), query: withQuery ? querystring.parse((query || '').slice(1)) : query ? query.slice(1) : null,
      pathname, path: pathname || query ? (pathname || '') + (query || '') : null };
    out.href = format(out);
    return out;
  }
  function format(url) {
    if (url instanceof URL) return url.href;
    if (typeof url === 'string') return format(parts(url));
    const protocol = url.protocol ? url.protocol.replace(/:?$/, ':') : '';
    const host = url.host || (url.hostname ? url.hostname + (url.port ? ':' + url.port : '') : '');
    const query = url.search || (url.query && typeof url.query === 'object' ? querystring.stringify(url.query) : '');
    const search = query ? query.replace(/^\??/, '?') : '', path = url.pathname || '';
    const place = host || url.slashes ? '//' + (url.auth ? encodeURIComponent(url.auth).replace(/%3A/i, ':') + '@' : '') + host : '';
    return protocol + place + (place && path && path[0] !== '/' ? '/' : '') + path + search + (url.hash ? url.hash.replace(/^#?/, '#') : '');
  }
  function resolve(from, to) { const made = new URL(to, new URL(from, 'relative://x')); return made.protocol === 'relative:' ? made.pathname + made.search + made.hash : made.href; }

  realm.URL = URL;
  realm.URLSearchParams = URLSearchParams;
  builtins.define('querystring', function (module) { module.exports = querystring; });
  builtins.define('url', function (module) { module.exports = { URL, URLSearchParams, parse: parts, format, resolve, fileURLToPath() { throw new Error('there are no files'); } }; });
  builtins.offer('querystring', 'querystring');
  builtins.offer('url', 'url');
  builtins.querystring = querystring;
})(globalThis, __builtins);
