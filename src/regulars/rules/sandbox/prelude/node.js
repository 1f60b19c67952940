// The small parts of Node that rules lean on: util, events, stream, path, assert, timers, async, uuid.
(function (realm, builtins) {
  'use strict';
  const { define, offer, doNow } = builtins;

  function promisify(action) {
    return function (...values) {
      const self = this;
      return new Promise(function (resolve, reject) {
        action.call(self, ...values, function (error, value) { if (error) reject(error); else resolve(value); });
      });
    };
  }
  function callbackify(action) {
    return function (...values) {
      const done = values.pop();
      action.apply(this, values).then(function (value) { done(null, value); }, done);
    };
  }
  function inherits(child, parent) { child.super_ = parent; Object.setPrototypeOf(child.prototype, parent.prototype); }
  define('util', function (module) {
    module.exports = {
      promisify, callbackify, inherits, inspect: builtins.textOf, format(...values) { return builtins.format(values); },
      isArray: Array.isArray, deprecate(action) { return action; }, debuglog() { return function () {}; },
      isDeepStrictEqual(a, b) { return builtins.stringify(a) === builtins.stringify(b); },
      isString(v) { return typeof v === 'string'; }, isFunction(v) { return typeof v === 'function'; },
      isObject(v) { return v !== null && typeof v === 'object'; }, isDate(v) { return v instanceof Date; },
      isError(v) { return v instanceof Error; }, isRegExp(v) { return v instanceof RegExp; },
      types: { isPromise(v) { return v instanceof Promise; }, isDate(v) { return v instanceof Date; }, isRegExp(v) { return v instanceof RegExp; } },
      TextEncoder: realm.TextEncoder, TextDecoder: realm.TextDecoder,
    };
  });

  class EventEmitter {
    listeners(name) { return [...((this._events || {})[name] || [])].map(function (one) { return one.listener || one; }); }
    listenerCount(name) { return this.listeners(name).length; }
    on(name, action) {
      if (!this._events) Object.defineProperty(this, '_events', { value: {}, configurable: true, writable: true });
      (this._events[name] = this._events[name] || []).push(action);
      return this;
    }
    once(name, action) {
      const self = this;
      function once(...values) { self.removeListener(name, once); action.apply(self, values); }
      once.listener = action;
      return this.on(name, once);
    }
    removeListener(name, action) {
      const list = (this._events || {})[name] || [];
      const at = list.findIndex(function (one) { return one === action || one.listener === action; });
      if (at >= 0) this._events[name] = list.filter(function (_, n) { return n !== at; });
      return this;
    }
    removeAllListeners(name) { if (this._events) { if (name) delete this._events[name]; else this._events = {}; } return this; }
    emit(name, ...values) {
      const list = (this._events || {})[name] || [];
      if (name === 'error' && !list.length) throw values[0];
      for (const action of [...list]) action.apply(this, values);
      return list.length > 0;
    }
    setMaxListeners() { return this; }
  }
  EventEmitter.prototype.addListener = EventEmitter.prototype.on;
  EventEmitter.prototype.off = EventEmitter.prototype.removeListener;
  EventEmitter.EventEmitter = EventEmitter;
  define('events', function (module) { module.exports = EventEmitter; });
  builtins.EventEmitter = EventEmitter;

  class Stream extends EventEmitter {
    write(chunk) { this.emit('data', chunk); return true; }
    end(chunk) { if (chunk !== undefined) this.write(chunk); this.emit('end'); this.emit('finish'); }
    push(chunk) { if (chunk === null) this.emit('end'); else this.emit('data', chunk); return true; }
    pipe(target) {
      this.on('data', function (chunk) { target.write(chunk); });
      this.on('end', function () { target.end(); });
      return target;
    }
    setEncoding() { return this; }
    resume() { return this; }
  }
  Object.assign(Stream, { Stream, Readable: Stream, Writable: Stream, Duplex: Stream, Transform: Stream, PassThrough: Stream });
  define('stream', function (module) { module.exports = Stream; });

  define('path', function (module) {
    function join(...parts) { return parts.filter(Boolean).join('/').replace(/\/{2,}/g, '/').replace(/\/\.(?=\/|$)/g, ''); }
    module.exports = { sep: '/', join, resolve: join, normalize: join,
      basename(path, end) { const name = path.replace(/\/+$/, '').split('/').pop(); return end && name.endsWith(end) ? name.slice(0, -end.length) : name; },
      dirname(path) { return path.split('/').slice(0, -1).join('/') || '.'; },
      extname(path) { return (/[^/](\.[^./]*)$/.exec(path) || ['', ''])[1]; } };
  });
  define('assert', function (module) {
    function assert(value, message) { if (!value) throw new Error(message || 'assertion failed'); }
    module.exports = Object.assign(assert, { ok: assert,
      equal(a, b, message) { assert(a == b, message); }, strictEqual(a, b, message) { assert(a === b, message); },
      notStrictEqual(a, b, message) { assert(a !== b, message); },
      deepEqual(a, b, message) { assert(builtins.stringify(a) === builtins.stringify(b), message); } });
  });
  define('timers', function (module) { module.exports = { setTimeout: realm.setTimeout, clearTimeout: realm.clearTimeout, setInterval: realm.setInterval, setImmediate: realm.setImmediate }; });
  define('os', function (module) { module.exports = { EOL: '\n', hostname() { return 'rules'; }, platform() { return 'linux'; } }; });
  define('punycode', function (module) { module.exports = { toASCII: String, toUnicode: String }; });

  // uuid of any version: called as a function, as `.v4`, or as `uuid/v4`.
  function hexBytes(length) { return realm.Buffer.from(doNow('random', { size: length }), 'base64'); }
  function laid(bytes, version) {
    bytes[6] = bytes[6] & 15 | version << 4;
    bytes[8] = bytes[8] & 63 | 128;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }
  function v4() { return laid(hexBytes(16), 4); }
  function v1() {
    const ticks = BigInt(Date.now()) * 10000n + 0x01b21dd213814000n, bytes = hexBytes(16);
    const time = realm.Buffer.from(ticks.toString(16).padStart(16, '0'), 'hex');
    bytes.set([time[4], time[5], time[6], time[7], time[2], time[3], time[0], time[1]]);
    return laid(bytes, 1);
  }
  function named(version, digest) {
    return function (name, space) {
      const from = realm.Buffer.concat([realm.Buffer.from(String(space).replace(/-/g, ''), 'hex'), realm.Buffer.from(String(name))]);
      return laid(realm.require('crypto').createHash(digest).update(from).digest().slice(0, 16), version);
    };
  }
  const v5 = Object.assign(named(5, 'sha1'), { DNS: '6ba7b810-9dad-11d1-80b4-00c04fd430c8', URL: '6ba7b811-9dad-11d1-80b4-00c04fd430c8' });
  const v3 = Object.assign(named(3, 'md5'), { DNS: v5.DNS, URL: v5.URL });
  function validate(text) { return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text); }
  const uuid = Object.assign(function () { return v4(); }, { v1, v3, v4, v5, validate });
  define(['uuid', 'node-uuid'], function (module) { module.exports = uuid; });
  for (const [name, made] of Object.entries({ v1, v3, v4, v5 })) define('uuid/' + name, function (module) { module.exports = made; });
  offer('uuid', 'uuid');

  // The callbacks of the `async` module that rules use.
  const flow = {};
  function collect(list, limit, work, done) {
    const keys = Object.keys(list), out = Array.isArray(list) ? [] : {};
    let next = 0, open = 0, over = false;
    function end(error) { if (!over) { over = true; if (done) done(error || null, out); } }
    function more() {
      if (!keys.length || next >= keys.length && !open) { end(); return; }
      while (!over && open < limit && next < keys.length) start(keys[next++]);
    }
    function start(key) {
      open += 1;
      let called = false;
      work(list[key], key, function (error, ...values) {
        if (called) throw new Error('Callback was already called.');
        called = true;
        open -= 1;
        out[key] = values.length > 1 ? values : values[0];
        if (error) end(error);
        else if (!over) more();
      });
    }
    more();
  }
  function item(limit) { return function (list, work, done) { collect(list, limit, function (one, _, next) { work(one, next); }, done); }; }
  function quiet(loop) { return function (list, work, done) { loop(list, work, function (error) { if (done) done(error); }); }; }
  function tasks(limit) { return function (list, done) { collect(list, limit, function (one, _, next) { one(next); }, done); }; }
  Object.assign(flow, {
    map: item(Infinity), mapSeries: item(1), each: quiet(item(Infinity)), eachSeries: quiet(item(1)), parallel: tasks(Infinity), series: tasks(1),
    mapLimit(list, limit, work, done) { item(limit)(list, work, done); }, eachLimit(list, limit, work, done) { quiet(item(limit))(list, work, done); },
    parallelLimit(list, limit, done) { tasks(limit)(list, done); },
    filter(list, work, done) { flow.map(list, work, function (error, kept) { done(error, error ? [] : list.filter(function (_, n) { return kept[n]; })); }); },
    reduce(list, memo, work, done) { flow.eachSeries(list, function (one, next) { work(memo, one, function (error, value) { memo = value; next(error); }); }, function (error) { done(error, memo); }); },
    waterfall(list, done) {
      (function next(at, values) {
        if (at === list.length) { if (done) done(null, ...values); return; }
        list[at](...values, function (error, ...more) { if (error) { if (done) done(error); } else next(at + 1, more); });
      })(0, []);
    },
    whilst(test, work, done) { (function again() { if (!test()) done(null); else work(function (error) { if (error) done(error); else again(); }); })(); },
  });
  flow.forEach = flow.each;
  flow.forEachSeries = flow.eachSeries;
  define('async', function (module) { module.exports = flow; });
  offer('async', 'async');
  for (const [name, module] of [['_', 'lodash'], ['moment', 'moment'], ['xmldom', 'xmldom'], ['xpath', 'xpath']]) offer(name, module);
})(globalThis, __builtins);
