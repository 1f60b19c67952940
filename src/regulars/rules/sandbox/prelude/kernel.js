// What a rule sees, and the three functions the house calls: __compile, __run, __step.
// Runs once; its state is frozen into the image, so nothing random may happen while it loads.
(function (realm) {
  'use strict';
  const { parse, stringify } = JSON;
  const evaluate = realm.eval;
  const later = Promise.prototype.then;
  const MAX_LINES = 100, MAX_LINE = 500;
  let turn = null;

  class UnauthorizedError extends Error {
    constructor(message) { super(message); this.name = 'UnauthorizedError'; }
  }

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

  function settle(how, error, user, context) {
    if (turn.how) return;
    turn.how = how;
    turn.error = error;
    if (user !== null && typeof user === 'object') turn.user = user;
    if (context !== null && typeof context === 'object') turn.context = context;
  }

  // `throw new UnauthorizedError()` is a decision of the rule; any other throw is its fault.
  function fail(thrown) {
    const error = describe(thrown);
    settle(thrown instanceof UnauthorizedError ? 'denied' : 'threw', error);
  }

  function callback(error, user, context) {
    if (error === null || error === undefined) settle('done', null, user, context);
    else settle('denied', describe(error));
  }

  // Math.random of a frozen image would repeat itself in every login: seeded by the house, per rule (mulberry32).
  let random = 1;
  Math.random = function () {
    random = (random + 0x6D2B79F5) | 0;
    let mixed = Math.imul(random ^ (random >>> 15), 1 | random);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };

  // Time does not pass while a rule waits: timers fire in order of their delay, at once.
  let timers = [], timerId = 0;
  realm.setTimeout = function (action, delay, ...values) {
    timerId += 1;
    timers.push({ id: timerId, at: turn.now + Math.max(0, Number(delay) || 0), action, values });
    return timerId;
  };
  realm.clearTimeout = function (id) { timers = timers.filter(function (timer) { return timer.id !== id; }); };

  function fireNext() {
    const next = timers.reduce(function (first, timer) { return timer.at < first.at ? timer : first; });
    timers = timers.filter(function (timer) { return timer !== next; });
    turn.now = next.at;
    next.action(...next.values);
  }

  function write(...values) {
    if (turn.console.length < MAX_LINES) turn.console.push(values.map(textOf).join(' ').slice(0, MAX_LINE));
  }
  realm.console = { log: write, info: write, warn: write, error: write, debug: write };

  function updater(bag) {
    return function (userId, data, done) {
      let error = null;
      if (userId !== turn.userId) error = new Error('a rule may update only the user who signs in');
      else if (data === null || typeof data !== 'object') error = new Error('metadata must be an object');
      else turn.updates.push({ bag, data: parse(stringify(data)) });
      if (typeof done === 'function') { done(error); return undefined; }
      return error ? Promise.reject(error) : Promise.resolve();
    };
  }

  realm.UnauthorizedError = UnauthorizedError;
  realm.global = {};
  realm.regulars = { enrich(source) { turn.enrichments.push(String(source)); } };
  realm.require = function (name) {
    const error = new Error("Cannot find module '" + name + "'");
    error.code = 'MODULE_NOT_FOUND';
    throw error;
  };

  realm.__compile = function (script) {
    try {
      const rule = evaluate('(' + script + '\n)');
      return stringify(typeof rule === 'function' ? null : { name: 'TypeError', message: 'not a function', stack: '' });
    } catch (thrown) { return stringify(describe(thrown)); }
  };

  // {script, user, context, configuration, domain, seed} -> '' ; __step tells how it went
  realm.__run = function (text) {
    const given = parse(text);
    turn = { user: given.user, context: given.context, userId: given.user.user_id, now: 0, how: '', error: null,
      updates: [], enrichments: [], console: [] };
    timers = [];
    random = given.seed;
    realm.configuration = given.configuration;
    realm.auth0 = { domain: given.domain, baseUrl: 'https://' + given.domain + '/api/v2',
      users: { updateUserMetadata: updater('user_metadata'), updateAppMetadata: updater('app_metadata') } };
    try {
      const rule = evaluate('(' + given.script + '\n)');
      const returned = rule(turn.user, turn.context, callback);
      if (returned instanceof Promise) {
        // An async rule that takes no callback has ended when it returns.
        later.call(returned, function () { if (rule.length < 3) callback(null); }, fail);
      }
    } catch (thrown) { fail(thrown); }
    return '';
  };

  // Fire the next timer, if the rule still waits for one, and report.
  realm.__step = function () {
    if (timers.length) {
      try { fireNext(); } catch (thrown) { fail(thrown); }
      return stringify({ how: 'waiting' });
    }
    const { how, error, user, context, updates, enrichments, console } = turn;
    try {
      return stringify({ how: how || 'silent', error, user, context, updates, enrichments, console });
    } catch (thrown) {
      return stringify({ how: 'threw', error: describe(thrown), user: {}, context: {}, updates: [], enrichments: [], console });
    }
  };
})(globalThis);
