// Buffer, TextEncoder, TextDecoder, atob and btoa.
(function (realm, builtins) {
  'use strict';
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const CODES = new Int8Array(128).fill(-1);
  for (let n = 0; n < 64; n++) CODES[ALPHABET.charCodeAt(n)] = n;
  CODES[45] = 62; CODES[95] = 63;

  function utf8(text) {
    const out = [];
    for (const character of String(text)) {
      let point = character.codePointAt(0);
      if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
      if (point < 0x80) out.push(point);
      else if (point < 0x800) out.push(0xc0 | point >> 6, 0x80 | point & 63);
      else if (point < 0x10000) out.push(0xe0 | point >> 12, 0x80 | point >> 6 & 63, 0x80 | point & 63);
      else out.push(0xf0 | point >> 18, 0x80 | point >> 12 & 63, 0x80 | point >> 6 & 63, 0x80 | point & 63);
    }
    return out;
  }

  function chunked(bytes, read) {
    let text = '';
    for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...read(bytes.subarray(at, at + 4096)));
    return text;
  }
  function latin1(bytes) { return chunked(bytes, function (part) { return part; }); }

  function utf8Text(bytes) {
    let text = '', units = [];
    for (let at = 0; at < bytes.length;) {
      const lead = bytes[at++];
      let more = lead < 0x80 ? 0 : lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xf0 && lead < 0xf5 ? 3 : -1;
      let point = more <= 0 ? lead : lead & (0x3f >> more);
      if (more < 0) { point = 0xfffd; more = 0; }
      while (more > 0) {
        if ((bytes[at] & 0xc0) !== 0x80) { point = 0xfffd; break; }
        point = point << 6 | bytes[at++] & 63;
        more -= 1;
      }
      if (point > 0xffff) units.push(0xd800 + (point - 0x10000 >> 10), 0xdc00 + (point - 0x10000 & 0x3ff));
      else units.push(point);
      if (units.length > 4000) { text += String.fromCharCode(...units); units = []; }
    }
    return text + String.fromCharCode(...units);
  }

  function base64(bytes, url) {
    let text = '';
    for (let at = 0; at < bytes.length; at += 3) {
      const bits = bytes[at] << 16 | (bytes[at + 1] || 0) << 8 | (bytes[at + 2] || 0), left = bytes.length - at;
      text += ALPHABET[bits >> 18] + ALPHABET[bits >> 12 & 63] + (left > 1 ? ALPHABET[bits >> 6 & 63] : '=') + (left > 2 ? ALPHABET[bits & 63] : '=');
    }
    return url ? text.replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '') : text;
  }

  function fromBase64(text) {
    const out = [];
    let bits = 0, held = 0;
    for (let at = 0; at < text.length; at++) {
      const code = CODES[text.charCodeAt(at)];
      if (text[at] === '=') break;
      if (!(code >= 0)) continue;
      bits = bits << 6 | code;
      held += 6;
      if (held >= 8) { held -= 8; out.push(bits >> held & 255); bits &= (1 << held) - 1; }
    }
    return out;
  }

  function encoded(text, encoding) {
    switch (String(encoding || 'utf8').toLowerCase()) {
      case 'hex': return (text.match(/^([0-9a-f]{2})*/i)[0].match(/../g) || []).map(function (pair) { return parseInt(pair, 16); });
      case 'base64': case 'base64url': return fromBase64(text);
      case 'latin1': case 'binary': case 'ascii': return Array.from(text, function (c) { return c.charCodeAt(0) & 255; });
      case 'utf8': case 'utf-8': return utf8(text);
      case 'ucs2': case 'ucs-2': case 'utf16le': case 'utf-16le': return text.split('').flatMap(function (c) { return [c.charCodeAt(0) & 255, c.charCodeAt(0) >> 8]; });
      default: throw new TypeError('Unknown encoding: ' + encoding);
    }
  }

  class Buffer extends Uint8Array {
    static from(value, encoding, length) {
      if (typeof value === 'string') return of(encoded(value, encoding));
      if (value instanceof ArrayBuffer) return new Buffer(value, encoding, length);
      if (value && value.type === 'Buffer' && Array.isArray(value.data)) return of(value.data);
      if (value && typeof value === 'object' && 'length' in value) return of(value);
      throw new TypeError('The first argument must be a string, an array or a Buffer.');
    }
    static alloc(size, fill, encoding) {
      const made = new Buffer(size);
      return fill === undefined ? made : made.fill(typeof fill === 'string' ? Buffer.from(fill, encoding)[0] : fill);
    }
    static allocUnsafe(size) { return new Buffer(size); }
    static isBuffer(value) { return value instanceof Buffer; }
    static isEncoding(name) { try { encoded('', name); return true; } catch { return false; } }
    static byteLength(value, encoding) { return typeof value === 'string' ? encoded(value, encoding).length : value.byteLength; }
    static concat(list, total) {
      const all = new Buffer(total === undefined ? list.reduce(function (sum, one) { return sum + one.length; }, 0) : total);
      let at = 0;
      for (const one of list) { all.set(one.subarray(0, Math.max(0, all.length - at)), at); at += one.length; }
      return all;
    }
    static compare(a, b) { return Buffer.from(a).compare(b); }
    toString(encoding, start, end) {
      const part = this.subarray(start || 0, end === undefined ? this.length : end);
      switch (String(encoding || 'utf8').toLowerCase()) {
        case 'hex': return Array.from(part, function (b) { return (b < 16 ? '0' : '') + b.toString(16); }).join('');
        case 'base64': return base64(part);
        case 'base64url': return base64(part, true);
        case 'latin1': case 'binary': return latin1(part);
        case 'ascii': return latin1(part.map(function (b) { return b & 127; }));
        default: return utf8Text(part);
      }
    }
    toJSON() { return { type: 'Buffer', data: Array.from(this) }; }
    equals(other) { return this.length === other.length && this.every(function (b, at) { return b === other[at]; }); }
    compare(other) {
      for (let at = 0; at < Math.min(this.length, other.length); at++) if (this[at] !== other[at]) return this[at] < other[at] ? -1 : 1;
      return Math.sign(this.length - other.length);
    }
    slice(start, end) { return this.subarray(start, end); }
    write(text, at, length, encoding) {
      const bytes = encoded(text, encoding).slice(0, this.length - (at || 0));
      this.set(bytes, at || 0);
      return bytes.length;
    }
    copy(target, at, start, end) { const part = this.subarray(start || 0, end === undefined ? this.length : end); target.set(part, at || 0); return part.length; }
    readUInt8(at) { return this[at || 0]; }
    readUInt16BE(at) { return this[at] << 8 | this[at + 1]; }
    readUInt32BE(at) { return ((this[at] << 24 | this[at + 1] << 16 | this[at + 2] << 8 | this[at + 3]) >>> 0); }
    writeUInt8(value, at) { this[at || 0] = value; return (at || 0) + 1; }
    writeUInt16BE(value, at) { this[at] = value >> 8; this[at + 1] = value; return at + 2; }
    writeUInt32BE(value, at) { this[at] = value >>> 24; this[at + 1] = value >>> 16; this[at + 2] = value >>> 8; this[at + 3] = value; return at + 4; }
  }
  function of(bytes) { const made = new Buffer(bytes.length); made.set(bytes); return made; }
  // `new Buffer('text', 'base64')` and `Buffer('text')` are how old rules write it.
  const Callable = new Proxy(Buffer, {
    construct(target, values, self) { return typeof values[0] === 'string' || Array.isArray(values[0]) ? Buffer.from(...values) : Reflect.construct(target, values, self); },
    apply(target, self, values) { return typeof values[0] === 'number' ? new Buffer(values[0]) : Buffer.from(...values); },
  });

  realm.Buffer = Callable;
  realm.TextEncoder = class TextEncoder { encode(text) { return Uint8Array.from(utf8(text === undefined ? '' : text)); } };
  realm.TextDecoder = class TextDecoder { decode(bytes) { return bytes ? utf8Text(new Uint8Array(bytes.buffer || bytes, bytes.byteOffset || 0, bytes.byteLength)) : ''; } };
  realm.btoa = function (text) { return base64(of(encoded(String(text), 'latin1'))); };
  realm.atob = function (text) { return latin1(of(fromBase64(String(text)))); };
  builtins.define(['buffer', 'safe-buffer'], function (module) { module.exports = { Buffer: Callable, SlowBuffer: Callable }; });
  builtins.bytes = { utf8Text, base64, fromBase64, of };
})(globalThis, __builtins);
