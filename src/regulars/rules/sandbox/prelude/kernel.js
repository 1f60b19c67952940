// What a rule sees, and the functions that the host calls: __compile, __run, __step, __report.
// Runs once; its state is frozen into the image, so nothing random may happen while it loads.
// `__builtins` is what the files beside this one build on; rules never see it.
(function (realm) {
  'use strict';
  const { parse, stringify } = JSON;
  const evaluate = realm.eval;
  const later = Promise.prototype.then;
  const MAX_LINES = 100, MAX_LINE = 500, MAX_ASKS = 30;
  // A rule has a turn. `running` is the one that the login waits for; `turn` is the one whose code runs now: what a rule
  // goes on doing after its callback, in its requests and timers, is its own and not that of the rule after it.
  let turn = null, running = null, turns = [];
  function enter(one) {
    turn = one;
    realm.configuration = one.configuration;
    realm.auth0 = one.auth0;
  }

  class UnauthorizedError extends Error {
    constructor(message) { super(message); this.name = 'UnauthorizedError'; }
  }

  // Features of Node that rules lack fail with their name, instead of "not a function".
  class NotHere extends Error {
    constructor(what, instead) {
      super(what + ' is not there for rules.' + (instead ? ' ' + instead : ''));
      this.name = 'NotHere';
      this.code = 'ERR_NOT_HERE';
    }
  }
  function absent(what, instead) { return function () { throw new NotHere(what, instead); }; }

  function textOf(value) {
    try {
      if (typeof value === 'string') return value;
      if (value instanceof Error) return value.name + ': ' + value.message;
      const text = stringify(value);
      return text === undefined ? String(value) : text;
    } catch { return '[unprintable]'; }
  }

  function describe(thrown) {
    try {
      const isError = thrown instanceof Error;
      return {
        name: isError ? String(thrown.name) : 'Error',
        message: String(isError ? thrown.message : textOf(thrown)).slice(0, MAX_LINE),
        stack: isError ? String(thrown.stack).slice(0, 1000) : '',
      };
    } catch { return { name: 'Error', message: '[unprintable]', stack: '' }; }
  }

  // Each rule settles its own turn: one that calls back late does not speak for the rule after it.
  function settle(one, how, error, user, context) {
    if (one.how) return;
    one.how = how;
    one.error = error;
    if (user !== null && typeof user === 'object') one.user = user;
    if (context !== null && typeof context === 'object') one.context = context;
  }

  // `throw new UnauthorizedError()` is a decision of the rule; any other throw is its fault.
  function fail(one, thrown) {
    if (one.how) { note(one, 'after the callback: ' + textOf(thrown)); return; }
    settle(one, thrown instanceof UnauthorizedError || thrown instanceof builtins.Denial ? 'denied' : 'threw', describe(thrown));
  }

  function callbackOf(one) {
    return function (error, user, context) {
      if (error === null || error === undefined) settle(one, 'done', null, user, context);
      else settle(one, 'denied', describe(error));
    };
  }

  // Math.random of a frozen image would repeat itself in every login: seeded by the host, per rule (mulberry32).
  let random = 1, draws = 0;
  Math.random = function () {
    draws += 1;
    random = (random + 0x6D2B79F5) | 0;
    let mixed = Math.imul(random ^ (random >>> 15), 1 | random);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };

  // Time does not pass while no request is pending: timers fire in order of their delay, at once. While an answer from
  // outside is pending the host reports how much time passed (`passed`).
  let timers = [], timerId = 0, now = 0;
  class Timeout {
    constructor(id) { this.id = id; }
    ref() { return this; }
    unref() { return this; }
    hasRef() { return true; }
    [Symbol.toPrimitive]() { return this.id; }
  }
  function start(action, delay, values, every) {
    if (typeof action !== 'function') throw new TypeError('a timer needs a function');
    timerId += 1;
    const wait = Math.max(0, Number(delay) || 0);
    timers.push({ id: timerId, turn, at: now + wait, action, values, every: every ? Math.max(1, wait) : 0 });
    return new Timeout(timerId);
  }
  function stop(timer) { timers = timers.filter(function (one) { return one.id !== Number(timer); }); }
  realm.setTimeout = function (action, delay, ...values) { return start(action, delay, values); };
  realm.setInterval = function (action, delay, ...values) { return start(action, delay, values, true); };
  realm.setImmediate = function (action, ...values) { return start(action, 0, values); };
  realm.clearTimeout = realm.clearInterval = realm.clearImmediate = stop;

  // The next timer of the rule that the login waits for; after the login, of any rule. An interval does not outlive it.
  function nextTimer(mode) {
    let next = null;  // no methods of arrays: a rule may have replaced them
    for (let at = 0; at < timers.length; at += 1) {
      const timer = timers[at], isOurs = mode === 'after' ? !timer.every : timer.turn === running;
      if (isOurs && (!next || timer.at < next.at)) next = timer;
    }
    return next;
  }

  function fire(timer) {
    enter(timer.turn);
    now = Math.max(now, timer.at);
    if (timer.every) timer.at += timer.every;
    else stop(timer.id);
    timer.action(...timer.values);
  }

  function format(values) {
    if (typeof values[0] !== 'string' || !values[0].includes('%')) return values.map(textOf).join(' ');
    const rest = values.slice(1);
    const text = values[0].replace(/%([sdifjoO%])/g, function (whole, kind) {
      if (kind === '%') return '%';
      if (!rest.length) return whole;
      const value = rest.shift();
      return kind === 'd' || kind === 'f' ? String(Number(value)) : kind === 'i' ? String(parseInt(value, 10)) : textOf(value);
    });
    return [text, ...rest.map(textOf)].join(' ');
  }
  function note(one, line) { if (one.console.length < MAX_LINES) one.console.push(line.slice(0, MAX_LINE)); }
  function write(...values) { note(turn, format(values)); }
  realm.console = { log: write, info: write, warn: write, error: write, debug: write, dir: write, trace: write };
  realm.queueMicrotask = function (action) { later.call(Promise.resolve(), action); };

  // Operations that leave the sandbox are queued here; the host performs them between turns.
  let asks = [], pending = {}, asked = 0;
  function ask(op, arg) {
    return new Promise(function (resolve, reject) {
      turn.asks += 1;
      if (turn.asks > MAX_ASKS) {
        reject(Object.assign(new Error('a rule may make at most ' + MAX_ASKS + ' requests'), { code: 'ETOOMANY' }));
        return;
      }
      asked += 1;
      pending[asked] = { resolve, reject, turn };
      asks.push({ id: asked, op, arg, rule: turn.rule });
    });
  }
  function settleRequest(answer) {
    const waiting = pending[answer.id];
    if (!waiting) return;
    delete pending[answer.id];
    enter(waiting.turn);
    if (!answer.error) { waiting.resolve(answer.value); return; }
    waiting.reject(Object.assign(new Error(answer.error.message), { code: answer.error.code, errno: answer.error.code }));
  }

  // What the host computes at once, on the rule's own time: random bytes, digests, signatures.
  const host = realm.__host;
  delete realm.__host;
  let frozen = false;
  function doNow(op, arg) {
    if (!frozen) throw new Error('the host is not available while the image is made');
    const answer = parse(host(op, stringify(arg)));
    if (answer.error) throw new Error(answer.error);
    return answer.value;
  }

  // Calls a rule's own callbacks: what they throw is the fault of the rule that handed them over.
  function guarded() {
    const one = turn;
    return function (action, ...values) { try { action(...values); } catch (thrown) { fail(one, thrown); } };
  }

  // `require`: ours by name whatever version is asked for, the library's by name and major version.
  const modules = { __proto__: null };
  function define(names, make, version) {
    const module = { make, version, made: false, exports: {} };
    for (const name of [].concat(names)) modules[name] = module;
  }
  function load(module) {
    if (!module.made) {
      module.made = true;
      const shell = { exports: module.exports };
      module.make(shell, shell.exports, realm.require);
      module.exports = shell.exports;
    }
    return module.exports;
  }
  realm.require = function (name) {
    const [, plain, version] = /^(?:node:)?(@?[^@]+)(?:@(.*))?$/.exec(String(name)) || [];
    const module = modules[plain];
    if (module && (!version || !module.version || major(version) === major(module.version))) return load(module);
    const part = partOf(String(name));
    if (part) return part;
    const error = new Error("Cannot find module '" + name + "'");
    error.code = 'MODULE_NOT_FOUND';
    throw error;
  };
  // lodash/get: each of its functions is a file there too.
  function partOf(name) {
    const [, verb] = /^lodash(?:@[^/]*)?\/(\w+)(?:\.js)?$/.exec(name) || [], whole = modules.lodash && verb ? load(modules.lodash) : {};
    return Object.prototype.hasOwnProperty.call(whole, verb) ? whole[verb] : undefined;
  }
  function major(version) { return String(version).replace(/^[^0-9]*/, '').split('.')[0]; }

  // Legacy globals that need no require. Each is loaded on first use.
  function offer(name, module) {
    Object.defineProperty(realm, name, {
      configurable: true, enumerable: false,
      get() { return frozen || modules[module] ? realm.require(module) : undefined; },
      set(value) { Object.defineProperty(realm, name, { value, writable: true, configurable: true }); },
    });
  }

  function updater(bag, owner) {
    return function (userId, data, done) {
      const one = owner || turn;
      let error = null;
      if (userId !== one.userId) error = new Error('a rule may update only the user who signs in');
      else if (data === null || typeof data !== 'object') error = new Error('metadata must be an object');
      else one.updates.push({ bag, data: parse(stringify(data)) });
      if (typeof done === 'function') { done(error); return undefined; }
      return error ? Promise.reject(error) : Promise.resolve(one.user);
    };
  }

  realm.UnauthorizedError = UnauthorizedError;
  realm.global = realm;
  realm.regulars = { enrich(source) { turn.enrichments.push(String(source)); } };
  const process = { env: {}, version: 'v18.0.0', versions: { node: '18.0.0' }, platform: 'linux', argv: [], uptime() { return 1; },
    nextTick(action, ...values) { later.call(Promise.resolve(), function () { action(...values); }); },
    hrtime() { const ms = Date.now(); return [Math.floor(ms / 1000), (ms % 1000) * 1e6]; },
    cwd() { return '/'; }, on() { return this; }, emitWarning() {} };
  realm.process = process;

  const ACTION = /(^|[\s;])(module\.)?exports\.on(Execute|Continue)PostLogin\s*=/;
  function ruleOf(script) { return evaluate('(' + script + '\n)'); }
  // The wrapper stays on the script's first line, so that lines in errors are the script's own.
  function actionOf(script) {
    const module = { exports: {} };
    evaluate('(function (exports, module, require) {' + script + '\n})')(module.exports, module, realm.require);
    return module.exports;
  }

  realm.__compile = function (script) {
    try {
      if (ACTION.test(script)) {
        evaluate('(function (exports, module, require) {' + script + '\n})');
        return 'null';
      }
      return stringify(typeof ruleOf(script) === 'function' ? null : { name: 'TypeError', message: 'not a function', stack: '' });
    } catch (thrown) { return stringify(describe(thrown)); }
  };

  const builtins = { NotHere, absent, define, ask, doNow, offer, textOf, format, parse, stringify, turn() { return turn; }, updater, guarded };

  // {rule, script, user, context, configuration, domain, accessToken, seed, resumes, cache} -> '' ; __report tells how it went
  realm.__run = function (text) {
    const given = parse(text);
    const one = { rule: given.rule, user: given.user, context: given.context, userId: given.user.user_id, how: '', error: null, asks: 0,
      updates: [], enrichments: [], ignored: [], cache: null, paused: false, console: [], configuration: given.configuration };
    one.auth0 = { domain: given.domain, baseUrl: 'https://' + given.domain + '/api/v2', accessToken: given.accessToken,
      users: { updateUserMetadata: updater('user_metadata', one), updateAppMetadata: updater('app_metadata', one) } };
    turns[turns.length] = one;
    running = one;
    enter(one);
    const callback = callbackOf(one);
    random = given.seed;
    function failed(thrown) { fail(one, thrown); }
    try {
      if (ACTION.test(given.script)) {
        const returned = builtins.action(actionOf(given.script), given, one);
        later.call(Promise.resolve(returned), function () { callback(null); }, failed);
        return '';
      }
      const rule = ruleOf(given.script);
      const returned = rule(one.user, one.context, callback);
      if (returned instanceof Promise) {
        // An async rule that takes no callback has ended when it returns.
        later.call(returned, function () { if (rule.length < 3) callback(null); }, failed);
      }
    } catch (thrown) { failed(thrown); }
    return '';
  };

  function left() { const taken = asks; asks = []; return taken; }

  // {mode, passed, answer}: the time since the last step, and the answer to one request or null. One at a time, so that
  // the promises that follow from it run in the turn of its rule.
  realm.__step = function (text) {
    const { mode, passed, answer } = parse(text);
    now += passed;
    try {
      if (answer) { settleRequest(answer); return ''; }
      const timer = mode === 'after' || !running.how ? nextTimer(mode) : null;
      if (timer && (timer.at <= now || Object.keys(pending).length === 0)) fire(timer);
    } catch (thrown) { fail(turn, thrown); }
    return '';
  };

  // What rules did since they were reported: after their callback, or after the login stopped waiting for them.
  function takeLate(but) {
    const late = [];
    for (let at = 0; at < turns.length; at += 1) {
      const one = turns[at];
      const { rule, updates, enrichments, console } = one;
      if (one === but || !(updates.length || enrichments.length || console.length)) continue;
      late[late.length] = { rule, updates, enrichments, console };
      clear(one);
    }
    return late;
  }
  function clear(one) { one.updates = []; one.enrichments = []; one.console = []; }

  // The state after every promise that was ready has run. Mode '': of the running rule. 'after': the login went on, and
  // what rules left running still goes on. `left`: there is such work.
  realm.__report = function (mode) {
    const wanted = left(), waiting = Object.keys(pending).length, timer = nextTimer(mode);
    if (mode === 'after' ? waiting || timer : !running.how && (waiting || timer)) {
      const late = mode === 'after' ? takeLate(null) : [];
      return stringify({ how: 'waiting', asks: wanted, waiting, timer: timer ? Math.max(0, timer.at - now) : null, late });
    }
    if (mode === 'after') return stringify({ how: 'over', asks: wanted, late: takeLate(null) });
    const { how, error, user, context, updates, enrichments, ignored, cache, paused, console } = running;
    const late = takeLate(running), more = Boolean(waiting || nextTimer('after'));
    clear(running);
    const end = { how: how || 'silent', error, updates, enrichments, ignored, cache, paused, console, asks: wanted, waiting, late, left: more };
    try {
      return stringify({ ...end, user, context });
    } catch (thrown) {
      return stringify({ how: 'threw', error: describe(thrown), user: {}, context: {}, updates: [], enrichments: [], console,
        asks: wanted, waiting, late, left: more });
    }
  };

  // The library is loaded before the freeze, so that a login does not pay for it; what draws at load would repeat itself.
  realm.__freeze = function () {
    for (const name in modules) {
      try { if (modules[name].version) load(modules[name]); } catch (thrown) { return name + ': ' + textOf(thrown); }
      if (draws) return name + ' draws random numbers while it loads';
    }
    frozen = true;
    return '';
  };
  realm.__define = function (text) {
    const { name, version, code } = parse(text);
    try {
      define(name, evaluate('(function (module, exports, require) {' + code + '\n})'), version);
      return '';
    } catch (thrown) { return name + ': ' + textOf(thrown); }
  };
  realm.__builtins = builtins;
})(globalThis);
