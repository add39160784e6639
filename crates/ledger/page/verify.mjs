// Checks the export of an audit log without the program that wrote it, in a browser or in Node 20.
//
//     const { files, damage } = await untar(bytes);
//     const verdict = await verify(files, trustText, { damage });
//
// A file that `isOneRecord` is the proof of one record; `verifyOneRecord` checks its files.
// It has no dependencies and asks no network. Signatures are checked by the platform's WebCrypto; where that has no
// Ed25519, the verdict says so and is not good. "Format" is docs/bundle.md of the project, which specifies the bundle.
//
// The order: what a record may hold, how records hang together, who signed them, what sealed content is beside
// them and what was disposed of, what a time stamp is, who outside vouches for the log, the files, and last the proof
// of one record.

// ---- What a record may hold (Format, "Record") --------------------------------------------------------------

const MAX_RECORD_BYTES = 65_535;

const form = (pattern) => (value) => typeof value === 'string' && pattern.test(value);
const word = (...words) => (value) => words.includes(value);
const text = (value) => typeof value === 'string';
const flag = (value) => typeof value === 'boolean';
// The reader below takes no other numbers than integers from 0 to 2^53 - 1.
const number = (value) => typeof value === 'number';
const time = (value) => typeof value === 'string' && micros(value) !== null;
// A day as `2026-11-23`, so that the order of texts is that of days.
const day = (value) => typeof value === 'string' && time(`${value}T00:00:00.000000Z`);
const list = (check) => (value) => Array.isArray(value) && value.every(check);
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
// Lists and maps that are left out when they are empty.
const some = (check) => (value) => list(check)(value) && value.length > 0;
const map = (check) => (value) => isObject(value) && some(check)(Object.values(value));

/** An object of exactly the members of `must`, and perhaps those of `may`. */
const one = (must, may = {}) => (value) =>
  isObject(value) && Object.keys(must).every((key) => key in value) &&
  Object.entries(value).every(([key, item]) => (own(must, key) ?? own(may, key))?.(item) === true);

const own = (object, key) => (Object.hasOwn(object, key) ? object[key] : undefined);

const HASH = form(/^[0-9a-f]{64}$/);
const LOG = form(/^bulla\/dep_[0-9a-f]{32}\/ten_[0-9a-f]{32}$/);

const FIELDS = {
  actor: one({ id: text, kind: word('api_key', 'operator', 'system'), name: text }),
  agreement: text, alert: text, api: text, authority: text, batch: form(/^bat_[0-9a-f]{32}$/), before: day,
  changes: list(one({ change: word('added', 'changed', 'removed'), object: text })),
  classes: (value) => list(word('prompts', 'answers', 'surrogates'))(value) && new Set(value).size === value.length,
  code: text, conversation: form(/^cnv_[0-9a-f]{32}$/), copy: text, count: number, current: text,
  days: (value) => number(value) && value < 2 ** 32,
  decided: time, decision: text, deployment: form(/^dep_[0-9a-f]{32}$/), destination: text, detector: text,
  exchange: form(/^exc_[0-9a-f]{32}$/), expires: time, feed: text, file: text, filters: list(text), findings: map(number), former: text,
  from: number, held: number, hold: text, intent: number,
  key: form(/^key_[0-9a-f]{32}$/), key_day: day, kind: text, level: text, log: LOG,
  minimum: map(text), organisation: text, outcome: text, owner: text,
  categories: some(text), capabilities: map(text), considered: map(text), retry_of: form(/^exc_[0-9a-f]{32}$/),
  path: some(one({ by: word('inside', 'agreement', 'evidence', 'no_content'), hop: text }, { id: text, region: text })),
  reduced_by: form(/^exc_[0-9a-f]{32}$/), removed: map(number),
  patient: HASH, policy: HASH, prev: HASH, previous: form(/^exc_[0-9a-f]{32}$/), prompt: HASH, purpose: text, reason: text,
  reply: one({ bytes: number, digest: HASH, restored: number, unknown: number, windows: number },
    { findings: map(number) }),
  reviewer: text, role: text, root: HASH, route: text, rules: some(text), seq: number, sha256: HASH, signatories: some(text),
  signed: day, size: number, stamped: time, stream: flag,
  surface: text, surrogates: one({ minted: number, read: number }), tenant: form(/^ten_[0-9a-f]{32}$/), time,
  treatments: map(text), upstream_request: text, usage: one({ completion: number, prompt: number }),
  v: (value) => value === 1, verifier_key: text, version: (value) => text(value) || number(value),
};

const FRAME = 'v log seq prev time kind';
const ABOUT = 'exchange actor surface api stream';
const ABOUT_MAY = 'purpose conversation route policy detector findings treatments decision rules destination path '
  + 'prompt key_day patient categories considered retry_of decided minimum removed alert reduced_by previous capabilities batch';

// For each kind: the fields that it must have besides those of every record, and those that it may have.
const KINDS = {
  'log.opened': ['deployment tenant organisation verifier_key', ''],
  'exchange.intent': [`${ABOUT} surrogates`, ABOUT_MAY],
  'exchange.outcome': [`${ABOUT} outcome`, `${ABOUT_MAY} code reason intent reply upstream_request usage`],
  'configuration.applied': ['actor version sha256 changes', ''],
  'api_key.created': ['actor key owner', 'purpose expires role'],
  'api_key.revoked': ['actor key', ''],
  'audit.exported': ['actor size', ''],
  'audit.streamed': ['actor from', 'size'],
  'content.read': ['actor exchange reason', ''],
  'access.refused': ['count', ''],
  'service.started': ['actor version', ''],
  'service.stopped': ['actor', ''],
  'agreement.expiring': ['agreement expires days', ''],
  'agreement.filed': ['actor agreement sha256 size signatories signed', ''],
  'agreement.read': ['actor agreement sha256', ''],
  'agreement.disposed': ['actor agreement sha256 authority', ''],
  'log.anchored': ['size authority stamped sha256', ''],
  'anchor.failing': ['authority reason', ''],
  'clock.skewed': ['authority stamped', ''],
  'feed.failing': ['feed reason', ''],
  'copy.failing': ['copy reason', ''],
  'batch.file': ['batch destination outcome', 'file reason count sha256'],
  'access.denied': ['actor reason count', ''],
  'audit.tiles': ['actor size', ''],
  'audit.searched': ['actor filters count', ''],
  'activity.reported': ['actor from size sha256', ''],
  'activity.reviewed': ['actor reviewer from size sha256', 'reason'],
  'review.overdue': ['expires days', ''],
  'content.disposed': ['actor classes authority reason count held', 'exchange conversation before sha256'],
  'hold.placed': ['actor hold authority', 'exchange conversation'],
  'hold.released': ['actor hold authority', ''],
  'key.rotated': ['actor level former current', ''],
  'records.pruned': ['actor size root authority', 'sha256'],
  'answer.withdrawn': ['actor exchange', ''],
  'tenant.offboarded': ['actor authority sha256', ''],
  'selftest.passed': ['count', 'policy'],
  'selftest.failed': ['reason', 'route api policy'],
  'cache.mismatch': ['reason route', ''],
};

const FORMS = new Map(Object.entries(KINDS).map(([kind, [must, may]]) => {
  const words = `${FRAME} ${must}`.split(' ');
  return [kind, { must: words, all: new Set([...words, ...may.split(' ')]) }];
}));

const TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z$/;

/** Microseconds since 1970 of RFC 3339 in UTC with six decimals; null for every other text. Exact until 2255. */
function micros(value) {
  const match = TIME.exec(value);
  if (!match) return null;
  const [year, month, day, hour, minute, second, fraction] = match.slice(1).map(Number);
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const last = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  if (year < 1 || year > 9998 || day < 1 || day > last || hour > 23 || minute > 59 || second > 59) return null;
  // Date.UTC takes years below 100 for those of the twentieth century.
  const days = new Date(0).setUTCFullYear(year, month - 1, day) / 86_400_000;
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1e6 + fraction;
}

/** A time in microseconds as text. */
function shown(time) {
  const fraction = ((time % 1e6) + 1e6) % 1e6;
  return `${new Date((time - fraction) / 1000).toISOString().slice(0, 19)}.${String(fraction).padStart(6, '0')}Z`;
}

/** What is read is not of the form that it must have. */
class Refused extends Error {}

const refuse = (words = 'not of the form') => { throw new Refused(words); };

const PLAIN = /[^"\\\u0000-\u001f]*/y;
const INTEGER = /0|[1-9][0-9]*/y;
const SHORT_ESCAPES = { '"': '"', '\\': '\\', b: '\b', t: '\t', n: '\n', f: '\f', r: '\r' };
const MAX_DEPTH = 8;

/** Reads JSON in its one canonical form (RFC 8785), of what a record may hold: no fraction, no sign, no `null`. */
class Canonical {
  constructor(source) {
    this.source = source;
    this.at = 0;
  }

  take(character) {
    const hit = this.source[this.at] === character;
    if (hit) this.at += 1;
    return hit;
  }

  expect(character) {
    if (!this.take(character)) refuse();
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source)?.[0] ?? refuse();
    this.at += found.length;
    return found;
  }

  value(depth) {
    // No field of a record is deeper; a hostile line must not exhaust the stack.
    if (depth > MAX_DEPTH) refuse();
    switch (this.source[this.at]) {
      case '{': return this.object(depth);
      case '[': return this.array(depth);
      case '"': return this.string();
      case 't': return this.word('true', true);
      case 'f': return this.word('false', false);
      default: return this.integer();
    }
  }

  word(word, value) {
    if (!this.source.startsWith(word, this.at)) refuse();
    this.at += word.length;
    return value;
  }

  integer() {
    const value = Number(this.match(INTEGER));
    // RFC 8785 section 3.2.2.3: larger ones are not exact everywhere.
    return Number.isSafeInteger(value) ? value : refuse();
  }

  object(depth) {
    const members = Object.create(null);
    this.expect('{');
    if (this.take('}')) return members;
    let before = null;
    do {
      const key = this.string();
      // RFC 8785 section 3.2.3: sorted by UTF-16 code units, as this language compares texts; so none stands twice.
      if (before !== null && key <= before) refuse();
      before = key;
      this.expect(':');
      members[key] = this.value(depth + 1);
    } while (this.take(','));
    this.expect('}');
    return members;
  }

  array(depth) {
    const items = [];
    this.expect('[');
    if (this.take(']')) return items;
    do items.push(this.value(depth + 1)); while (this.take(','));
    this.expect(']');
    return items;
  }

  string() {
    this.expect('"');
    let value = this.match(PLAIN);
    while (!this.take('"')) value += this.escape() + this.match(PLAIN);
    return value;
  }

  /** One escape in its only canonical spelling (RFC 8785 section 3.2.2.2). */
  escape() {
    this.expect('\\');
    const letter = this.source[this.at++];
    if (letter !== 'u') return own(SHORT_ESCAPES, letter) ?? refuse();
    const digits = this.source.slice(this.at, this.at += 4);
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    const short = Object.values(SHORT_ESCAPES).includes(character);
    return /^00[01][0-9a-f]$/.test(digits) && !short ? character : refuse();
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of bytes in UTF-8; null when they are not. */
function decoded(bytes) {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

/** The record in these bytes; null when they are no record in its one canonical form. */
function readRecord(bytes) {
  const source = bytes.length > MAX_RECORD_BYTES ? null : decoded(bytes);
  if (source === null) return null;
  let record;
  try {
    const reader = new Canonical(source);
    record = reader.object(0);
    if (reader.at !== source.length) return null;
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
  const kind = FORMS.get(record.kind);
  const fields = Object.keys(record);
  const fits = kind && kind.must.every((field) => field in record) && fields.every((field) => kind.all.has(field));
  if (!fits || !fields.every((field) => FIELDS[field](record[field]))) return null;
  // The one field whose form depends on the kind: the number of a configuration, or the text of a program.
  const numbered = typeof record.version === 'number';
  if (numbered !== (record.kind === 'configuration.applied')) return null;
  // A disposal is of one thing, and a hold covers one thing or everything.
  const scopes = ['exchange', 'conversation', 'before'].filter((field) => field in record).length;
  const allowed = { 'content.disposed': [1], 'hold.placed': [0, 1] }[record.kind];
  return !allowed || allowed.includes(scopes) ? record : null;
}

// ---- Hashes -------------------------------------------------------------------------------------------------

// FIPS 180-4 section 4.2.2.
const ROUNDS = Uint32Array.of(
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
);
// FIPS 180-4 section 5.3.3.
const START = Uint32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
);

/**
 * SHA-256 (FIPS 180-4), piece by piece. WebCrypto hashes only what is whole in memory, and costs more for each call
 * than a record takes here. `selfTest` compares the two before anything is believed.
 */
class Sha256 {
  constructor() {
    this.state = START.slice();
    this.block = new Uint8Array(64);
    this.filled = 0;
    this.length = 0;
  }

  update(bytes) {
    this.length += bytes.length;
    let at = 0;
    if (this.filled > 0) {
      at = Math.min(64 - this.filled, bytes.length);
      this.block.set(bytes.subarray(0, at), this.filled);
      this.filled += at;
      if (this.filled < 64) return this;
      this.compress(this.block, 0);
      this.filled = 0;
    }
    for (; at + 64 <= bytes.length; at += 64) this.compress(bytes, at);
    this.block.set(bytes.subarray(at));
    this.filled = bytes.length - at;
    return this;
  }

  digest() {
    const bits = new DataView(new ArrayBuffer(8));
    bits.setUint32(0, Math.floor(this.length / 2 ** 29));
    bits.setUint32(4, (this.length * 8) % 2 ** 32);
    const padding = new Uint8Array(((119 - this.filled) % 64) + 1);
    padding[0] = 0x80;
    this.update(padding).update(new Uint8Array(bits.buffer));
    const out = new DataView(new ArrayBuffer(32));
    this.state.forEach((part, at) => out.setUint32(4 * at, part));
    return new Uint8Array(out.buffer);
  }

  compress(bytes, from) {
    const w = SCHEDULE;
    for (let t = 0, at = from; t < 16; t += 1, at += 4) {
      w[t] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (let t = 16; t < 64; t += 1) {
      const x = w[t - 15];
      const y = w[t - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[t] = (w[t - 16] + s0 + w[t - 7] + s1) | 0;
    }
    const s = this.state;
    let a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    for (let t = 0; t < 64; t += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (h + s1 + ((e & f) ^ (~e & g)) + ROUNDS[t] + w[t]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
    }
    s[0] += a; s[1] += b; s[2] += c; s[3] += d; s[4] += e; s[5] += f; s[6] += g; s[7] += h;
  }
}

const SCHEDULE = new Int32Array(64);

const sha256 = (...pieces) => pieces.reduce((hash, piece) => hash.update(piece), new Sha256()).digest();
const bytesOf = (string) => new TextEncoder().encode(string);
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

function unhex(digits) {
  const bytes = new Uint8Array(digits.length / 2);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}

const concat = (...pieces) => {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  pieces.reduce((at, piece) => (out.set(piece, at), at + piece.length), 0);
  return out;
};

/** Whether both are here and have the same bytes. */
function same(a, b) {
  let equal = Boolean(a && b) && a.length === b.length;
  for (let at = 0; equal && at < a.length; at += 1) equal = a[at] === b[at];
  return equal;
}

/** The bytes of base64 in its one spelling; null for every other text. */
function unbase64(value) {
  try {
    const binary = atob(value);
    return btoa(binary) === value ? Uint8Array.from(binary, (character) => character.charCodeAt(0)) : null;
  } catch {
    return null;
  }
}

// ---- How records hang together (Format, "Record") -----------------------------------------------------------

const ZERO = new Uint8Array(32);
const ZERO_BYTE = Uint8Array.of(0);
const ONE_BYTE = Uint8Array.of(1);
const MAX_OPEN_INTENTS = 1_000_000;
const MAX_STEP_BACK = 5e6; // Microseconds that a record may be dated before the latest one without a word.
const LEAF_BYTES = 32;
const RECENT = 1024; // Leaves that are remembered to recognise a record that stands twice.

const leafHash = (bytes) => sha256(ZERO_BYTE, bytes); // RFC 6962 section 2.1.
const nodeHash = (left, right) => sha256(ONE_BYTE, left, right);

/** The RFC 6962 tree over the leaves so far, as the roots of its full subtrees. */
class Tree {
  constructor(size = 0, roots = []) {
    this.size = size;
    this.roots = [...roots];
  }

  push(leaf) {
    let node = leaf;
    for (let size = this.size; size % 2 === 1; size = (size - 1) / 2) node = nodeHash(this.roots.pop(), node);
    this.roots.push(node);
    this.size += 1;
  }

  root() {
    return this.roots.length === 0 ? sha256() : this.roots.reduceRight((right, left) => nodeHash(left, right));
  }
}

/** What kinds of faults there are; the order in which faults at one position are told. */
export const PROBLEM_KINDS = ['edited', 'deleted', 'inserted', 'reordered', 'duplicated', 'truncated', 'rewritten',
  'inconsistent', 'content', 'misdated', 'anchor', 'signature', 'format'];
const MAX_PROBLEMS = 20;

/** What is wrong, and what is only worth knowing. */
class Findings {
  placed = [];
  unplaced = [];
  more = 0;
  warnings = [];

  fault(kind, words, at = null) {
    const problems = at === null ? this.unplaced : this.placed;
    if (problems.length < MAX_PROBLEMS) problems.push({ at, kind, words });
    else this.more += 1;
  }

  warn(words) {
    if (!this.warnings.includes(words)) this.warnings.push(words);
  }

  problems() {
    const kind = (problem) => PROBLEM_KINDS.indexOf(problem.kind);
    const order = (a, b) => a.at - b.at || kind(a) - kind(b);
    return [...this.placed.sort(order), ...this.unplaced.sort(order)];
  }
}

/**
 * A chain from its first line that does not fit.
 *
 * A chain shows that two neighbours do not fit, not which of them is wrong. The lines that follow, their number and
 * the signed root tell more: the smallest alteration that explains them is named.
 */
class Break {
  constructor(at, last, beforeLast, tree, recent, first) {
    Object.assign(this, { at, last, beforeLast, tree, recent, first, next: null, lines: at + 1, found: null });
  }

  add(line) {
    if (this.found === null && line.seq === this.at && same(line.prev, this.last)) this.found = this.lines;
    this.next ??= line;
    this.lines += 1;
  }

  /** Kind, position and words. `signed` is the checkpoint, null when there is none. */
  explain(signed) {
    const { at, found } = this;
    const { seq, leaf, prev, ended } = this.first;
    const asMany = signed?.size === this.lines;
    const elsewhere = seq !== null && seq !== at;
    if (!ended) return ['truncated', at, 'the file ends in the middle of this record'];
    const original = seq !== null && seq < at ? this.recent[this.recent.length - (at - seq)] : undefined;
    if (original && same(original, leaf) && (!asMany || found !== null)) {
      return ['duplicated', at, `record ${seq} stands here once more`];
    }
    if (signed && this.lines > signed.size) {
      if (seq === at - 1 && same(prev, this.beforeLast) && this.goesOn(signed, [leaf])) {
        return ['inserted', seq, 'two records claim this position; the log goes on from the second'];
      }
      if (at >= signed.size) return ['inserted', at, 'this line is beyond the signed size'];
      if (found !== null || elsewhere) return ['inserted', at, 'this line is no record of the log at this place'];
    }
    if (found !== null && elsewhere) {
      return ['reordered', at, `record ${seq} stands here; record ${at} stands in line ${found + 1}`];
    }
    if (found !== null) return ['inserted', at, 'this line is no record of the log; the right one follows'];
    if (seq !== null && seq > at && !asMany) {
      return ['deleted', at, `records ${at} to ${seq - 1} are missing; record ${seq} stands here`];
    }
    if (at > 0 && seq === at && this.goesOn(signed, [prev, leaf])) {
      return ['edited', at - 1, 'the records after it were made over other bytes than stand here'];
    }
    if (seq === null) return ['edited', at, 'the bytes are not a record in canonical form'];
    return ['edited', at, 'the record does not follow from the one before it, or claims another position'];
  }

  /** Whether the log goes on from the first line that did not fit. */
  goesOn(signed, leaves) {
    if (this.next) return this.next.prev !== null && same(this.next.prev, this.first.leaf);
    const tree = new Tree(this.tree.size, this.tree.roots);
    leaves.forEach((leaf) => tree.push(leaf));
    return signed !== null && tree.size === signed.size && same(tree.root(), signed.root);
  }
}

/** records.jsonl, line by line: the chain, the tree, and what the records say of each other. */
class Records {
  constructor(findings, marks, content, bounds, disposals) {
    Object.assign(this, { findings, content, bounds, disposals, tree: new Tree(), pending: null, recent: [] });
    Object.assign(this, { broken: null, count: 0, log: null, opening: null, open: new Map(), first: null, last: null });
    Object.assign(this, { intents: 0, outcomes: 0, stepsBack: 0, misdated: 0, pruned: new Pruned() });
    this.waiting = [...marks].sort((a, b) => a.size - b.size);
    this.checkMarks();
  }

  /** Format, "Pruned records": the leaf hash of the next of the log's first records. */
  hash(leaf) {
    this.pruned.first ??= leaf;
    this.fits(leaf);
  }

  endHashes(whole) {
    if (!whole || this.count < 2) {
      this.findings.fault('format', 'pruned does not hold the hashes of two records or more');
    }
    if (!this.pending) return;
    const tree = new Tree(this.tree.size, this.tree.roots);
    tree.push(this.pending[0]);
    Object.assign(this.pruned, { size: tree.size, root: tree.root() });
  }

  line(bytes, ended) {
    const leaf = leafHash(bytes);
    const record = ended ? readRecord(bytes) : null;
    const line = { seq: record?.seq ?? null, prev: record ? unhex(record.prev) : null, leaf, ended };
    const [last, beforeLast] = this.pending ?? [ZERO, null];
    if (this.pruned.lacksOpening()) {
      this.pruned.opened = true;
      if (line.seq === 0 && same(line.prev, ZERO) && same(leaf, this.pruned.first)) this.fitting(0, record);
      else this.findings.fault('edited', 'the first line is not the record whose hash stands first in pruned', 0);
    } else if (this.broken) {
      this.broken.add(line);
    } else if (record && line.seq === this.count && same(line.prev, last)) {
      this.fits(leaf);
      if (line.seq > 0) this.pruned.keptFrom ??= record.time;
      this.fitting(line.seq, record);
    } else {
      this.broken = new Break(this.count, last, beforeLast, this.tree, this.recent.slice(-RECENT), line);
    }
  }

  fits(leaf) {
    const last = this.pending?.[0] ?? ZERO;
    this.pushPending();
    this.pending = [leaf, last];
    this.recent.push(leaf);
    if (this.recent.length > 2 * RECENT) this.recent = this.recent.slice(-RECENT);
    this.count += 1;
  }

  /** Adds the last line that fitted. It waits for the next one, which may show that it was altered. */
  pushPending() {
    if (!this.pending) return;
    this.tree.push(this.pending[0]);
    this.pending = null;
    this.checkMarks();
  }

  /** Format, "Checkpoint": earlier checkpoints have the size and root of the first records. */
  checkMarks() {
    while (this.waiting.length > 0 && this.waiting[0].size <= this.tree.size) {
      const mark = this.waiting.shift();
      mark.fits = same(mark.root, this.tree.root());
    }
  }

  fitting(at, record) {
    const moment = micros(record.time);
    if (at === 0) this.begin(record);
    else if (record.log !== this.log) this.findings.fault('edited', 'the record is of another log', at);
    this.first ??= record.time;
    if (this.last !== null && moment + MAX_STEP_BACK < this.last) {
      this.stepsBack += 1;
      if (this.stepsBack === 1) this.findings.warn(`the clock stepped back at position ${at}, to ${record.time}`);
    }
    this.last = Math.max(this.last ?? moment, moment);
    this.misdated += this.bounds.see(at, moment) ? 1 : 0;
    this.body(at, record, moment);
  }

  body(at, record, moment) {
    const fault = (words) => this.findings.fault('inconsistent', words, at);
    switch (record.kind) {
      case 'log.opened':
        if (at > 0) fault('the log begins a second time');
        else this.pruned.begun = moment;
        break;
      case 'log.anchored': this.bounds.anchored(record.sha256, moment); break;
      case 'clock.skewed': this.bounds.skewed(at, moment, micros(record.stamped)); break;
      case 'content.disposed': case 'agreement.disposed': case 'hold.placed': case 'hold.released':
      case 'tenant.offboarded':
        this.disposals.take(at, record);
        break;
      case 'records.pruned': {
        const words = this.pruned.told(at, record, moment) ?? this.disposals.prune();
        if (words !== null) fault(words);
        break;
      }
      case 'exchange.intent':
        this.intents += 1;
        if (this.open.size < MAX_OPEN_INTENTS) this.open.set(at, record.exchange);
        else fault('too many intents are open at once');
        this.compareContent(at, record);
        break;
      case 'exchange.outcome':
        this.outcomes += 1;
        if (record.intent !== undefined) this.endIntent(at, record, fault);
        this.compareContent(at, record);
        break;
      default:
    }
  }

  compareContent(at, record) {
    for (const absent of this.content.compare(at, record)) this.disposals.misses(at, record, absent);
  }

  /** Format, "Record": record 0, and no other, is log.opened, and names the log and its key. */
  begin(record) {
    const fault = (words) => this.findings.fault('inconsistent', words, 0);
    this.log = record.log;
    if (record.kind !== 'log.opened') return fault('the log does not begin with log.opened');
    this.opening = record;
    this.log = `bulla/${record.deployment}/${record.tenant}`;
    if (this.log !== record.log) fault('the first record names two logs');
    if (readKey(record.verifier_key, ED25519)?.name !== this.log) fault('the first record names no key of this log');
    return undefined;
  }

  /** Format, "Record": an outcome ends an open intent of the same exchange. */
  endIntent(at, record, fault) {
    const open = this.open.get(record.intent);
    if (open === record.exchange) this.open.delete(record.intent);
    else if (open !== undefined) fault('the outcome names the intent of another exchange');
    else if (record.intent >= at) fault('the outcome names an intent that comes after it');
    else fault('the outcome names a position that is no intent, or one that has ended before');
  }
}

/** Records are kept for six years at the least, unless somebody signed that they are not. In microseconds. */
const SIX_YEARS = 2192 * 86_400 * 1_000_000;

/** Format, "Pruned records": what is absent was pruned by a record, and its leaf hashes are here. */
class Pruned {
  size = 0;
  first = null;
  root = null;
  opened = false;
  widest = null;
  keptFrom = null;
  begun = null;
  tooEarly = null;

  /** Whether record 0 is still to come after the hashes. */
  lacksOpening() {
    return this.size > 0 && !this.opened;
  }

  /** A record that says what was pruned; what is wrong with it, null when nothing is. */
  told(at, { size, root, authority, sha256 }, moment) {
    if (sha256 === undefined && this.begun !== null && moment < this.begun + SIX_YEARS) this.tooEarly ??= at;
    if (size < 2) return 'it prunes nothing';
    if (size > at) return 'it prunes what was still to come';
    if (!(size <= this.widest?.size)) this.widest = { size, at, authority };
    const other = size === this.size && !same(unhex(root), this.root);
    return other ? 'the root that it names is not that of the pruned records' : null;
  }

  /** What was pruned; null when nothing was. */
  verdict() {
    if (this.size === 0 || !(this.widest?.size >= this.size)) return null;
    const { at, authority } = this.widest;
    return { records: this.size - 1, at, authority, keptFrom: this.keptFrom };
  }
}

// ---- Who signed (Format, "Checkpoint"; C2SP signed-note, tlog-checkpoint, tlog-cosignature) ------------------

const ED25519 = 0x01;
const COSIGNATURE = 0x04;
const MAX_NOTE_BYTES = 64 * 1024;
const MAX_SIGNATURES = 100;
const NAME = /^[^\s\u0000-\u001f\u0085\u007f-\u009f+]+$/;
const SIZE = /^(0|[1-9][0-9]*)$/;

/** A note that is not accepted, in words. */
class Unsigned extends Error {}

/** No line of the note claims to be by the key. */
class NotByThisKey extends Unsigned {}

/** A key `name+hash+base64(kind || public key)` whose hash fits; null for any other text. */
function readKey(line, kind) {
  const [name, hash, ...rest] = line.split('+');
  const typed = unbase64(rest.join('+'));
  if (hash === undefined || typed?.length !== 33 || typed[0] !== kind || !NAME.test(name)) return null;
  const keyHash = sha256(bytesOf(`${name}\n`), typed).subarray(0, 4);
  return hex(keyHash) === hash ? { name, hash: keyHash, public: typed.subarray(1), line } : null;
}

/** The text of a signed note and its signatures; null in their place when a line is none. */
function splitNote(note) {
  const gap = note.lastIndexOf('\n\n');
  const lines = note.slice(gap + 2);
  const control = /[\u0000-\u0009\u000b-\u001f]/.test(note);
  if (bytesOf(note).length > MAX_NOTE_BYTES || control || !note.endsWith('\n') || gap < 0 || !lines) {
    throw new Unsigned('not a signed note');
  }
  const signatures = lines.slice(0, -1).split('\n').map((line) => {
    const [dash, name, encoded, more] = line.split(' ');
    const data = encoded === undefined || more !== undefined ? null : unbase64(encoded);
    return dash === '\u2014' && NAME.test(name) && data?.length > 4 ? { name, data } : null;
  });
  return { body: note.slice(0, gap + 1), signatures: signatures.length > MAX_SIGNATURES ? [null] : signatures };
}

/** Origin, size and root that a note claims, whoever signed it; null when it is no checkpoint of three lines. */
function claimed(note) {
  try {
    const lines = splitNote(note).body.split('\n');
    const root = unbase64(lines[2] ?? '');
    const size = Number(lines[1]);
    const fits = lines.length === 4 && lines[0] && SIZE.test(lines[1]) && Number.isSafeInteger(size);
    return fits && root?.length === 32 ? { origin: lines[0], size, root, note } : null;
  } catch (error) {
    if (error instanceof Unsigned) return null;
    throw error;
  }
}

/** The text, and each signature that claims to be by this key. Those by other keys are passed over. */
function signedParts(note, key) {
  const { body, signatures } = splitNote(note);
  if (signatures.includes(null)) throw new Unsigned('not a signed note');
  const own = signatures.filter(({ name, data }) => name === key.name && same(data.subarray(0, 4), key.hash));
  if (own.length === 0) throw new NotByThisKey('the note is not signed by this key');
  return { body, own: own.map(({ data }) => data.subarray(4)) };
}

/** The checkpoint in a note, when every signature that claims to be by this key holds, and there is one. */
async function opened(note, key) {
  const { body, own } = signedParts(note, key);
  for (const signature of own) await checkSignature(key.public, bytesOf(body), signature);
  const checkpoint = claimed(note);
  if (checkpoint?.origin !== key.name) throw new Unsigned("the signed text is not a checkpoint of the key's log");
  return checkpoint;
}

async function isBy(note, key) {
  try {
    return Boolean(await opened(note, key));
  } catch (error) {
    if (error instanceof Unsigned) return false;
    throw error;
  }
}

/** The first of these keys by which a note is signed; null when there is none. */
async function signerOf(note, keys) {
  for (const key of keys) if (await isBy(note, key)) return key;
  return null;
}

/** The latest time, in seconds since 1970, at which a witness cosigned a note. */
async function cosigned(note, witness) {
  const { body, own } = signedParts(note, witness);
  let latest = 0;
  for (const signature of own) {
    if (signature.length < 8) throw new Unsigned('the signature does not fit the text');
    const seconds = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
    if (seconds === 0n || seconds >= 2n ** 63n) throw new Unsigned('the signature does not fit the text');
    await checkSignature(witness.public, bytesOf(`cosignature/v1\ntime ${seconds}\n${body}`), signature.subarray(8));
    latest = Math.max(latest, Number(seconds));
  }
  return latest;
}

/** RFC 8032 Ed25519, by WebCrypto. */
async function checkSignature(publicKey, message, signature) {
  let fits = false;
  try {
    const key = await subtle().importKey('raw', publicKey, 'Ed25519', false, ['verify']);
    fits = await subtle().verify('Ed25519', key, signature, message);
  } catch (error) {
    // Fail closed: a key that cannot be taken, or a platform that has no Ed25519, is no signature that holds.
    if (error.name !== 'DataError') throw new Unsigned('the signature could not be checked here');
  }
  if (!fits) throw new Unsigned('the signature does not fit the text');
}

const subtle = () => globalThis.crypto?.subtle ?? refuse('WebCrypto is not here');

/**
 * What keeps signatures from being checked here, in words; null when nothing does. A platform must accept the
 * signature of RFC 8032 section 7.1, test 2, refuse an altered one, and hash as the code above does.
 */
async function selfTest() {
  if (!globalThis.crypto?.subtle) return 'this page has no WebCrypto: it needs a file, https, or localhost';
  const key = unhex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
  const signature = unhex('92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da'
    + '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00');
  const accepts = (message) => checkSignature(key, Uint8Array.of(message), signature).then(() => true, () => false);
  if (!await accepts(0x72) || await accepts(0x73)) return 'this browser has no Ed25519 in WebCrypto';
  const sample = Uint8Array.from({ length: 200 }, (_, at) => at);
  const hash = new Uint8Array(await subtle().digest('SHA-256', sample));
  return same(hash, sha256(sample)) ? null : 'the SHA-256 of this page is not that of the browser';
}

// ---- What the reader trusts (Format, "The trust file") -------------------------------------------------------

const MAX_TRUST_BYTES = 1 << 20;
const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';

/** What was handed over is not what was asked for: exit code 2. */
export class Unreadable extends Error {}

/** Keys, notes, root certificates and policies that the reader got elsewhere. */
class Trust {
  keys = [];
  witnesses = [];
  notes = [];
  roots = [];
  policies = [];

  constructor(source) {
    const lines = source.split('\n').map((line) => line.trimEnd());
    while (lines.length > 0) this.take(lines.shift(), lines);
    if (this.policies.length > 0 && this.roots.length === 0) {
      throw new Unreadable('the trust file has a policy and no root certificate');
    }
  }

  take(line, lines) {
    if (line === '' || line.startsWith('#')) return;
    const key = readKey(line, ED25519);
    const witness = readKey(line, COSIGNATURE);
    if (key) this.keys.push(key);
    else if (witness) this.witnesses.push(witness);
    else if (line.startsWith('policy ')) this.policies.push(readPolicy(line.slice(7).trim()));
    else if (line === BEGIN) this.takeRoot(line, lines);
    else this.takeNote(line, lines);
  }

  takeRoot(line, lines) {
    const block = [line];
    while (lines.length > 0 && block.at(-1) !== END) block.push(lines.shift());
    try {
      this.roots.push(Certificate.read(unpem(block.join('\n'), 'CERTIFICATE')[0] ?? refuse()));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      throw new Unreadable('the trust file has a certificate that cannot be read');
    }
  }

  takeNote(line, lines) {
    let note = `${line}\n`;
    while (lines.length > 0 && lines[0] !== '') note += `${lines.shift()}\n`;
    note += '\n';
    lines.shift();
    while (lines.length > 0 && lines[0].startsWith('\u2014')) note += `${lines.shift()}\n`;
    const mark = claimed(note);
    // A trust file that is understood in part would trust less than its owner thinks.
    if (!mark) throw new Unreadable(`the trust file has a line that is not understood: ${line.slice(0, 60)}`);
    this.notes.push(mark);
  }

  get isEmpty() {
    return [this.keys, this.witnesses, this.notes, this.roots].every((it) => it.length === 0);
  }

  static read(source) {
    const trust = new Trust(source);
    if (bytesOf(source).length > MAX_TRUST_BYTES || trust.isEmpty) {
      throw new Unreadable('the trust file is too long, or there is nothing to trust in it');
    }
    return trust;
  }
}

function readPolicy(dotted) {
  const arcs = /^[0-2](\.(0|[1-9][0-9]*))+$/.test(dotted) ? dotted.split('.').map(BigInt) : [];
  if (arcs.length < 2 || (arcs[0] < 2n && arcs[1] > 39n)) {
    throw new Unreadable('the trust file has a policy that is none');
  }
  return dotted;
}

// ---- Sealed content beside the records (Format, "Content") ---------------------------------------------------

const BLOB_HEAD = /^bulla-blob-1 kek_[0-9a-f]{32} ([0-9a-f]{64})\n$/;
const MAX_BLOB_HEAD_BYTES = 160;
const MAX_EXCHANGES_WITH_CONTENT = 4_000_000;

class Content {
  constructor(findings) {
    Object.assign(this, { findings, held: new Map(), open: null, exchange: null });
    Object.assign(this, { count: 0, size: 0, all: new Sha256() });
  }

  /** One file of content; `window` is -1 for the prompt. Files come in order of exchange and part. */
  async read(exchange, window, content) {
    const fault = (words) => this.findings.fault('content', `content of ${exchange}: ${words}`);
    this.count += 1;
    const sealed = new Sha256();
    let head = new Uint8Array(0);
    let inHead = true;
    for await (const piece of pieces(content)) {
      this.all.update(piece);
      this.size += piece.length;
      let rest = piece;
      if (inHead) {
        const room = MAX_BLOB_HEAD_BYTES - head.length;
        const feed = piece.subarray(0, room).indexOf(10);
        const end = feed < 0 ? Math.min(room, piece.length) : feed + 1;
        head = concat(head, piece.subarray(0, end));
        rest = piece.subarray(end);
        inHead = feed < 0 && head.length < MAX_BLOB_HEAD_BYTES;
      }
      sealed.update(rest);
    }
    const named = BLOB_HEAD.exec(decoded(head) ?? '');
    if (!named) return fault('a file is not sealed content');
    const digest = sha256(sealed.digest(), unhex(named[1]));
    if (exchange !== this.exchange) {
      this.close();
      if (this.held.size >= MAX_EXCHANGES_WITH_CONTENT) {
        return fault('more exchanges have content than one bundle may hold');
      }
      this.exchange = exchange;
      this.held.set(exchange, { prompt: null, reply: null, named: {} });
    }
    return window < 0 ? this.prompt(digest) : this.window(window, digest, fault);
  }

  prompt(digest) {
    this.held.get(this.exchange).prompt = hex(digest);
  }

  window(window, digest, fault) {
    this.open ??= { number: 0, digests: new Sha256() };
    if (this.open.number !== window) return fault('a window of the answer is missing');
    this.open.number += 1;
    this.open.digests.update(digest);
    return undefined;
  }

  /** Ends the windows of an answer: its digest is over the digests of the windows in order. */
  close() {
    if (this.open) this.held.get(this.exchange).reply = `${this.open.number} ${hex(this.open.digests.digest())}`;
    this.open = null;
  }

  /** Content that is here is what the record names. The classes of what is not here, named for the first time. */
  compare(at, record) {
    const held = this.held.get(record.exchange);
    const reply = record.reply?.windows > 0 ? `${record.reply.windows} ${record.reply.digest}` : undefined;
    const absent = [];
    for (const [part, named] of Object.entries({ prompt: record.prompt, reply })) {
      if (named !== undefined && held && held[part] !== null) {
        held.named[part] = true;
        if (held[part] !== named) {
          this.findings.fault('content', `the sealed ${part} is not the one that this record names`, at);
        }
      } else if (named !== undefined && (part === 'reply' || record.intent === undefined)) {
        // The prompt that an outcome names was named by its intent before.
        absent.push(part === 'reply' ? 'answers' : 'prompts');
      }
    }
    return absent;
  }

  /** The first exchange with content that no record names. */
  stray() {
    for (const [exchange, held] of this.held) {
      if (['prompt', 'reply'].some((part) => held[part] !== null && !held.named[part])) return exchange;
    }
    return null;
  }
}

// ---- What was disposed of, and what was held (Format, "Record" and "Content") --------------------------------

const CLAIM = 'all that was not disposed of\n';
const MAX_SINGLE = 1_000_000; // Holds in force, and units that were disposed of one by one.
const MAX_TOLD = 10_000; // Disposals that a verdict tells of; what goes by later ones is counted at the last of them.

/** What goes, or is held, together: a conversation, or an exchange outside of any; null for everything. */
const unitOf = (record) => record.conversation ?? record.exchange ?? null;

/** Whoever wants something gone could say that it was never kept. Therefore a bundle can claim that all is here. */
class Disposals {
  constructor(findings) {
    Object.assign(this, { findings, complete: false, holds: new Map(), units: new Map(), days: new Map() });
    Object.assign(this, { everything: null, told: [], missing: [] });
  }

  take(at, record) {
    const words = this.words(at, record, unitOf(record));
    if (words !== null) this.findings.fault('inconsistent', words, at);
  }

  /** Takes note of a record; what is wrong with it, null when nothing is. */
  words(at, record, unit) {
    const { kind, hold } = record;
    const inForce = this.holds.has(hold);
    if (kind === 'hold.placed') {
      if (this.holds.size >= MAX_SINGLE) return 'more holds are in force than one log may have';
      this.holds.set(hold, unit);
      return inForce ? `the hold ${hold} is placed a second time` : null;
    }
    if (kind === 'hold.released') {
      this.holds.delete(hold);
      return inForce ? null : `the hold ${hold} is released and was not in force`;
    }
    if (kind === 'agreement.disposed') {
      const over = [...this.holds].find(([, held]) => held === null);
      return over ? `it was disposed of while the hold ${over[0]} covered it` : null;
    }
    return this.dispose(at, record, unit);
  }

  dispose(at, record, unit) {
    if (record.before > record.time.slice(0, 10)) return `it disposes of what was still to come, before ${record.before}`;
    const number = Math.min(this.told.length, MAX_TOLD - 1);
    if (this.told.length < MAX_TOLD) this.told.push({ at, authority: record.authority, payloads: 0 });
    if (record.kind === 'tenant.offboarded') {
      this.everything = number;
      const [hold] = this.holds.keys();
      return hold === undefined ? null : `everything was disposed of under the hold ${hold}`;
    }
    if (record.before !== undefined) {
      for (const name of record.classes) {
        // The first disposal of something counts, so a later one matters only for days that are later still.
        const days = this.days.get(name) ?? [];
        if (!(record.before <= days.at(-1)?.before)) days.push({ before: record.before, number });
        this.days.set(name, days);
      }
    } else if (this.units.size >= MAX_SINGLE) {
      return 'more was disposed of piece by piece than one log may tell';
    } else {
      this.units.set(unit, [...this.units.get(unit) ?? [], { classes: record.classes, number }]);
    }
    const over = [...this.holds].find(([, held]) => held === null || held === unit);
    return over ? `it was disposed of while the hold ${over[0]} covered it` : null;
  }

  /** What is wrong with pruning records now; null when nothing is. */
  prune() {
    const [hold] = this.holds.keys();
    return hold === undefined ? null : `records were pruned under the hold ${hold}`;
  }

  /** A record names content of a class, and the bundle does not hold it. */
  misses(at, record, name) {
    if (!this.complete) return;
    if (this.missing.length >= MAX_EXCHANGES_WITH_CONTENT) {
      this.findings.fault('content', 'more content is absent than one bundle may tell of', at);
      return;
    }
    // An answer is sealed under the keys of its intent.
    const since = name === 'answers' ? record.intent ?? at : at;
    this.missing.push({ since, exchange: record.exchange, unit: unitOf(record), day: record.key_day, name });
  }

  /** The first disposal by which such content went, and that comes after it; Infinity when there is none. */
  disposalOf({ since, unit, day, name }) {
    const later = (number) => this.told[number].at > since;
    const alone = this.units.get(unit)?.find(({ classes, number }) => classes.includes(name) && later(number));
    const days = day === undefined ? [] : this.days.get(name) ?? [];
    let [low, high] = [0, days.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (days[middle].before > day) high = middle;
      else low = middle + 1;
    }
    const everything = this.everything !== null && later(this.everything) ? this.everything : Infinity;
    return Math.min(alone?.number ?? Infinity, days[low]?.number ?? Infinity, everything);
  }

  finish(broken) {
    let first = null;
    for (const missing of this.missing) {
      const disposal = this.told[this.disposalOf(missing)];
      if (disposal) disposal.payloads += 1;
      else first ??= missing;
    }
    if (first && !broken) {
      this.findings.fault('content', `${first.name} of ${first.exchange}: named by a record, not in the bundle, and no `
        + 'record says that it was disposed of');
    }
  }
}

// ---- DER (ITU-T X.690), strict in the form of lengths, integers and truth values ------------------------------

const BOOLEAN = 0x01;
const NUMBER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const NULL = 0x05;
const OID = 0x06;
const ENUMERATED = 0x0a;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
const primitive = (n) => 0x80 | n;
const constructed = (n) => 0xa0 | n;

/** Takes one element after another and never looks into one unasked. */
class Der {
  constructor(bytes) {
    this.rest = bytes;
  }

  /** Exactly one element of a tag, and what is inside. */
  static only(bytes, tag) {
    const reader = new Der(bytes);
    const inside = reader.inside(tag);
    reader.end();
    return inside;
  }

  get isEmpty() {
    return this.rest.length === 0;
  }

  any() {
    const [tag, first] = this.rest;
    // Tags of more than one byte stand in none of the structures that are read here.
    if (first === undefined || (tag & 0x1f) === 0x1f) refuse();
    let head = 2;
    let length = first;
    if (first >= 0x80) {
      // The indefinite form is BER. One length has one form: no leading zero, no long form for what is short.
      head += first & 0x7f;
      const digits = this.rest.subarray(2, head);
      length = digits.reduce((sum, byte) => sum * 256 + byte, 0);
      if (first === 0x80 || first > 0x84 || digits[0] === 0 || length < 0x80) refuse();
    }
    if (this.rest.length < head + length) refuse();
    const whole = this.rest.subarray(0, head + length);
    this.rest = this.rest.subarray(head + length);
    return { tag, whole, content: whole.subarray(head), reader: () => new Der(whole.subarray(head)) };
  }

  element(tag) {
    const element = this.any();
    return element.tag === tag ? element : refuse();
  }

  take(tag) {
    return this.element(tag).content;
  }

  optional(tag) {
    return this.rest[0] === tag ? this.element(tag) : null;
  }

  inside(tag) {
    return this.element(tag).reader();
  }

  oid() {
    return dotted(this.take(OID));
  }

  /** The bytes of an INTEGER in their one form (X.690 section 8.3.2). */
  integer(tag = NUMBER) {
    const bytes = this.take(tag);
    const [first, second] = bytes;
    const superfluous = (first === 0 && second < 0x80) || (first === 0xff && second >= 0x80);
    return bytes.length === 0 || superfluous ? refuse() : bytes;
  }

  /** A number from 0 to 2^53 - 1. */
  unsigned(tag = NUMBER) {
    return unsigned(this.integer(tag));
  }

  /** A DEFAULT FALSE truth value: DER writes no default, and truth as `ff`. */
  truth() {
    const bytes = this.optional(BOOLEAN)?.content;
    if (bytes && !(bytes.length === 1 && bytes[0] === 0xff)) refuse();
    return bytes !== undefined;
  }

  end() {
    if (!this.isEmpty) refuse();
  }
}

function unsigned(bytes) {
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return bytes[0] > 0x7f || !Number.isSafeInteger(value) ? refuse() : value;
}

/** An object identifier with dots. */
function dotted(bytes) {
  const arcs = [];
  let arc = 0n;
  let begun = false;
  for (const byte of bytes) {
    if (!begun && byte === 0x80) refuse();
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    begun = byte >= 0x80;
    if (!begun) {
      const first = arcs.length === 0 ? [arc < 80n ? arc / 40n : 2n] : [];
      arcs.push(...first, arc - 40n * (first[0] ?? 0n));
      arc = 0n;
    }
  }
  return begun || arcs.length === 0 ? refuse() : arcs.join('.');
}

const MOMENT = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,18}))?Z$/;

/** `YYYYMMDDhhmmss[.f...]Z` in microseconds (RFC 3161 section 2.4.2); what is finer is cut off. */
function longMoment(bytes) {
  const match = MOMENT.exec(String.fromCharCode(...bytes)) ?? refuse();
  const [year, month, day, hour, minute, second, fraction = ''] = match.slice(1);
  const text = `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(6, '0').slice(0, 6)}Z`;
  return micros(text) ?? refuse();
}

/** A `Time` of a certificate: short ones are of the years 1950 to 2049 (RFC 5280 section 4.1.2.5). */
function certificateMoment(reader) {
  const { tag, content } = reader.any();
  if (tag === GENERALIZED_TIME) return longMoment(content);
  return tag === UTC_TIME ? longMoment(concat(bytesOf(content[0] < 0x35 ? '20' : '19'), content)) : refuse();
}

const PEM = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g;

/** The blocks of a kind in a PEM text (RFC 7468). A block of any kind that cannot be read is refused. */
function unpem(source, label) {
  const blocks = [...source.matchAll(PEM)].map(([, of, body]) => [of, unbase64(body.replace(/\s/g, '')) ?? refuse()]);
  if (blocks.length !== source.split('-----BEGIN').length - 1) refuse();
  return blocks.filter(([of]) => of === label).map(([, bytes]) => bytes);
}

// ---- Certificates and revocation lists (RFC 5280) ------------------------------------------------------------

const EXTENSIONS = { keyIdentifier: '2.5.29.14', keyUsage: '2.5.29.15', otherNames: '2.5.29.17', basic: '2.5.29.19',
  reason: '2.5.29.21', invalidity: '2.5.29.24', listNumber: '2.5.29.20', distribution: '2.5.29.28',
  points: '2.5.29.31', authorityKey: '2.5.29.35', purposes: '2.5.29.37' };
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
const COMMON_NAME = '2.5.4.3';
const ORGANISATION = '2.5.4.10';

/** Extensions by their object identifiers: whether they are critical, and their values. */
function readExtensions(reader) {
  const all = new Map();
  while (!reader.isEmpty) {
    const extension = reader.inside(SEQUENCE);
    const oid = extension.oid();
    const critical = extension.truth();
    all.set(oid, { critical, value: extension.take(OCTET_STRING) });
    extension.end();
  }
  return all;
}

const KEY_CERT_SIGN = 0x04;
const CRL_SIGN = 0x02;
const KNOWN_CRITICAL = ['keyUsage', 'otherNames', 'basic', 'points', 'purposes'].map((name) => EXTENSIONS[name]);

class Certificate {
  static read(whole) {
    const outer = Der.only(whole, SEQUENCE);
    const tbs = outer.element(SEQUENCE);
    const algorithm = outer.take(SEQUENCE);
    const signature = bitString(outer);
    outer.end();
    const reader = tbs.reader();
    // Version 3, which alone has extensions.
    if (reader.inside(constructed(0)).unsigned() !== 2) refuse();
    const it = new Certificate();
    Object.assign(it, { whole, signed: tbs.whole, algorithm, signature, serial: reader.integer() });
    // The algorithm stands inside and outside of what is signed, and must be the same (section 4.1.1.2).
    if (!same(reader.take(SEQUENCE), algorithm)) refuse();
    it.issuer = reader.element(SEQUENCE).whole;
    const validity = reader.inside(SEQUENCE);
    it.notBefore = certificateMoment(validity);
    it.notAfter = certificateMoment(validity);
    validity.end();
    it.subject = reader.element(SEQUENCE).whole;
    it.publicKey = reader.element(SEQUENCE).whole;
    it.extensions = new Map();
    while (!reader.isEmpty) {
      const element = reader.any();
      if (element.tag === constructed(3)) it.extensions = readExtensions(element.reader().inside(SEQUENCE));
    }
    // Read at once, so that a certificate that cannot be understood is none, wherever it stands.
    Object.assign(it, { purposes: it.readPurposes(), authority: it.readAuthority(), usage: it.readUsage() });
    return it;
  }

  value(name) {
    return this.extensions.get(EXTENSIONS[name])?.value;
  }

  get keyIdentifier() {
    const value = this.value('keyIdentifier');
    return value && new Der(value).take(OCTET_STRING);
  }

  /** Whether it is for time stamps and nothing else, and says so critically (RFC 3161 section 2.3). */
  get isForTimeStampsOnly() {
    const usage = this.extensions.get(EXTENSIONS.purposes);
    return Boolean(usage?.critical) && this.purposes.length === 1 && this.purposes[0] === TIME_STAMPING;
  }

  readPurposes() {
    const value = this.value('purposes');
    const purposes = [];
    for (const reader = value ? Der.only(value, SEQUENCE) : new Der([]); !reader.isEmpty;) purposes.push(reader.oid());
    return purposes;
  }

  /** RFC 5280 section 4.2.1.9: whether it may sign others, and how many may stand below it but the last. */
  readAuthority() {
    const reader = this.value('basic') ? Der.only(this.value('basic'), SEQUENCE) : new Der([]);
    const is = reader.truth();
    return { is, below: reader.isEmpty ? Infinity : reader.unsigned() };
  }

  readUsage() {
    const value = this.value('keyUsage');
    return value ? new Der(value).take(BIT_STRING)[1] ?? 0 : null;
  }

  /** RFC 5280 section 4.2.1.3. Without the extension, all is allowed. */
  mayUseKeyFor(bit) {
    return this.usage === null || (this.usage & bit) !== 0;
  }

  get hasUnknownCritical() {
    return [...this.extensions].some(([oid, { critical }]) => critical && !KNOWN_CRITICAL.includes(oid));
  }

  isValidAt(time) {
    return this.notBefore <= time && time <= this.notAfter;
  }

  /** Whether the subject has this `GeneralName`. */
  isNamed(name) {
    const names = this.value('otherNames') ? Der.only(this.value('otherNames'), SEQUENCE) : new Der([]);
    let found = name.tag === constructed(4) && same(name.content, this.subject);
    while (!names.isEmpty) found = same(names.any().whole, name.whole) || found;
    return found;
  }

  /** The common name of the subject, else its organisation, for people. */
  get called() {
    const names = {};
    for (const sets = Der.only(this.subject, SEQUENCE); !sets.isEmpty;) {
      const pair = sets.inside(SET).inside(SEQUENCE);
      const kind = pair.oid();
      names[kind] ??= new TextDecoder().decode(pair.any().content);
    }
    return names[COMMON_NAME] ?? names[ORGANISATION] ?? '';
  }
}

/** The bytes of a BIT STRING of whole bytes. */
function bitString(reader) {
  const bits = reader.take(BIT_STRING);
  return bits[0] === 0 ? bits.subarray(1) : refuse();
}

/** A revocation list of version 2: its issuer, and its entries by serial number. */
function readList(whole) {
  const outer = Der.only(whole, SEQUENCE);
  const tbs = outer.element(SEQUENCE);
  const list = { signed: tbs.whole, algorithm: outer.take(SEQUENCE), signature: bitString(outer), entries: new Map() };
  outer.end();
  const reader = tbs.reader();
  if (reader.unsigned() !== 1 || !same(reader.take(SEQUENCE), list.algorithm)) refuse();
  list.issuer = reader.element(SEQUENCE).whole;
  certificateMoment(reader);
  if (reader.rest[0] === UTC_TIME || reader.rest[0] === GENERALIZED_TIME) certificateMoment(reader);
  const entries = reader.optional(SEQUENCE)?.reader();
  while (entries && !entries.isEmpty) {
    const entry = entries.inside(SEQUENCE);
    const serial = hex(entry.integer());
    const dates = [certificateMoment(entry)];
    const extensions = entry.isEmpty ? new Map() : readExtensions(entry.inside(SEQUENCE));
    const reason = extensions.get(EXTENSIONS.reason)?.value;
    const invalid = extensions.get(EXTENSIONS.invalidity)?.value;
    if (invalid) dates.push(longMoment(new Der(invalid).take(GENERALIZED_TIME)));
    list.entries.set(serial, { dates, reason: reason ? new Der(reason).unsigned(ENUMERATED) : null });
  }
  const extensions = reader.optional(constructed(0));
  const known = ['listNumber', 'authorityKey', 'distribution'].map((name) => EXTENSIONS[name]);
  for (const [oid, { critical }] of extensions ? readExtensions(extensions.reader().inside(SEQUENCE)) : []) {
    if (critical && !known.includes(oid)) refuse();
  }
  return list;
}

// ---- Signatures of authorities, by WebCrypto ----------------------------------------------------------------

const SHA2 = {
  '2.16.840.1.101.3.4.2.1': 'SHA-256', '2.16.840.1.101.3.4.2.2': 'SHA-384', '2.16.840.1.101.3.4.2.3': 'SHA-512',
};
// RFC 8017 appendix A.2.4 and RFC 5758 section 3.2. The first takes the digest of the signer (RFC 3370 section 3.2).
const ALGORITHMS = {
  '1.2.840.113549.1.1.1': { name: 'RSA', hash: null }, '1.2.840.113549.1.1.11': { name: 'RSA', hash: 'SHA-256' },
  '1.2.840.113549.1.1.12': { name: 'RSA', hash: 'SHA-384' }, '1.2.840.113549.1.1.13': { name: 'RSA', hash: 'SHA-512' },
  '1.2.840.10045.4.3.2': { name: 'ECDSA', hash: 'SHA-256' }, '1.2.840.10045.4.3.3': { name: 'ECDSA', hash: 'SHA-384' },
  '1.2.840.10045.4.3.4': { name: 'ECDSA', hash: 'SHA-512' }, '1.3.101.112': { name: 'Ed25519', hash: null },
};
const CURVES = { '1.2.840.10045.3.1.7': ['P-256', 32], '1.3.132.0.34': ['P-384', 48], '1.3.132.0.35': ['P-521', 66] };
const MIN_RSA_BITS = 2048;

/** Object identifier of an `AlgorithmIdentifier` whose parameters are absent or NULL. */
function algorithmOf(content) {
  const reader = new Der(content);
  const oid = reader.oid();
  if (reader.optional(NULL)?.content.length > 0) refuse();
  reader.end();
  return oid;
}

/** Whether a signature holds. `digest` is that of the signer where the algorithm does not state one. */
async function holds(publicKey, algorithm, digest, message, signature) {
  try {
    const { name, hash } = ALGORITHMS[algorithmOf(algorithm)] ?? refuse();
    const identifier = Der.only(publicKey, SEQUENCE).inside(SEQUENCE);
    identifier.oid();
    if (name === 'Ed25519') return await verifiedBy(publicKey, 'Ed25519', 'Ed25519', signature, message);
    if (name === 'RSA') {
      const scheme = { name: 'RSASSA-PKCS1-v1_5', hash: hash ?? digest };
      return await verifiedBy(publicKey, scheme, scheme, signature, message);
    }
    const [namedCurve, size] = CURVES[identifier.oid()] ?? refuse();
    const raw = rawSignature(signature, size);
    return await verifiedBy(publicKey, { name, namedCurve }, { name, hash }, raw, message);
  } catch {
    // Fail closed: a key or a signature that cannot be taken apart does not hold.
    return false;
  }
}

async function verifiedBy(publicKey, imported, used, signature, message) {
  const key = await subtle().importKey('spki', publicKey, imported, false, ['verify']);
  return !(key.algorithm.modulusLength < MIN_RSA_BITS) && subtle().verify(used, key, signature, message);
}

/** WebCrypto takes both numbers of an ECDSA signature side by side, not as DER (RFC 3279 section 2.2.3). */
function rawSignature(der, size) {
  const reader = Der.only(der, SEQUENCE);
  const numbers = [reader.integer(), reader.integer()].map((bytes) => {
    const digits = bytes[0] === 0 ? bytes.subarray(1) : bytes;
    return bytes[0] > 0x7f || digits.length > size ? refuse() : concat(new Uint8Array(size - digits.length), digits);
  });
  reader.end();
  return concat(...numbers);
}

// ---- RFC 3161 time stamps (docs/decisions/014-time-stamps.md) -------------------------------------------------

const MAX_TOKEN_BYTES = 64 * 1024;
const SIGNED_DATA = '1.2.840.113549.1.7.2';
const TST_INFO = '1.2.840.113549.1.9.16.1.4';
const ATTRIBUTES = { kind: '1.2.840.113549.1.9.3', digest: '1.2.840.113549.1.9.4',
  first: '1.2.840.113549.1.9.16.2.12', second: '1.2.840.113549.1.9.16.2.47' };
const MAX_PATH = 6; // Certificates between the signer's and a root.
const MAX_TRIED = 100; // Signatures that one search for a path may cost.
// unspecified, affiliationChanged, superseded, cessationOfOperation: RFC 3161 section 4, item 1.
const HARMLESS_REASONS = [0, 3, 4, 5];

/** Why a token does not hold: a short `reason` and words. */
export class NotAStamp extends Error {
  constructor(reason, words) {
    super(words);
    this.reason = reason;
  }
}

const WORDS = {
  malformed: 'not a time-stamp token', not_a_time_stamp: 'the signed content is not a time stamp',
  signers: 'the token has not exactly one signature', attributes: 'the signed attributes are not those of a time stamp',
  no_certificate_id: 'the signature does not name its certificate (RFC 5816)',
  no_certificate: 'the certificate that the signature names is not here',
  other_certificate: "the token names two different certificates as its signer's",
  algorithm: 'the token uses an algorithm that is not accepted', other_message: 'the time stamp is over other bytes',
  policy: 'the policy of the time stamp is not one that is accepted',
  extension: 'the time stamp has a critical extension that is not known', signature: 'the signature does not hold',
  purpose: 'the certificate is not for time stamps alone (RFC 3161 section 2.3)',
  name: 'the name in the time stamp is not that of the certificate',
  expired: 'a certificate was not valid at the time of the time stamp', revoked: 'a certificate is revoked',
  path: 'no path leads from the certificate to a trusted root',
};

const fail = (reason, words = WORDS[reason]) => { throw new NotAStamp(reason, words); };

/** A digest algorithm of SHA-2; undefined for others. Parameters are absent or NULL (RFC 5754 section 2). */
const readDigest = (reader) => SHA2[algorithmOf(reader.take(SEQUENCE))];

/** CMS `SignedData` (RFC 5652 section 5), as RFC 3161 section 2.4.2 narrows it. Nothing in it is believed yet. */
function readSigned(token) {
  const info = Der.only(token, SEQUENCE);
  if (info.oid() !== SIGNED_DATA) fail('not_a_time_stamp');
  const data = Der.only(info.take(constructed(0)), SEQUENCE);
  info.end();
  const version = data.unsigned();
  for (const digests = data.inside(SET); !digests.isEmpty;) readDigest(digests);
  const content = data.inside(SEQUENCE);
  if (content.oid() !== TST_INFO) fail('not_a_time_stamp');
  // Content that is not plain data makes it version 3 (RFC 5652 section 5.1).
  if (version !== 3) refuse();
  const explicit = content.inside(constructed(0));
  const signed = { content: explicit.take(OCTET_STRING), certificates: [] };
  explicit.end();
  content.end();
  const set = data.optional(constructed(0))?.reader();
  while (set && !set.isEmpty) signed.certificates.push(set.element(SEQUENCE).whole);
  // Revocation lists inside a token are not used: those that count are archived beside it.
  data.optional(constructed(1));
  const signers = data.inside(SET);
  data.end();
  const signer = signers.inside(SEQUENCE);
  if (!signers.isEmpty) fail('signers');
  return { ...signed, ...readSigner(signer) };
}

function readSigner(reader) {
  const version = reader.unsigned();
  const key = reader.optional(primitive(0))?.content;
  const sid = key ? { key } : readIssuerAndSerial(reader.inside(SEQUENCE));
  if (version !== (key ? 3 : 1)) refuse();
  const digest = readDigest(reader);
  const attributes = reader.optional(constructed(0)) ?? fail('attributes');
  const algorithm = reader.take(SEQUENCE);
  const signature = reader.take(OCTET_STRING);
  // Unsigned attributes say nothing that could be believed.
  reader.optional(constructed(1));
  reader.end();
  // The signature is over the attributes as a SET, and they stand as `[0]` (RFC 5652 section 5.4).
  const signedBytes = concat(Uint8Array.of(SET), attributes.whole.subarray(1));
  return { sid, digest, algorithm, signature, signedBytes, ...readAttributes(attributes.reader()) };
}

function readIssuerAndSerial(reader) {
  const sid = { issuer: reader.element(SEQUENCE).whole, serial: reader.integer() };
  reader.end();
  return sid;
}

/** The digest of the content, and the certificates that the signer names. */
function readAttributes(reader) {
  const found = {};
  while (!reader.isEmpty) {
    const attribute = reader.inside(SEQUENCE);
    const oid = attribute.oid();
    const values = attribute.inside(SET);
    attribute.end();
    const name = Object.keys(ATTRIBUTES).find((key) => ATTRIBUTES[key] === oid);
    if (name) {
      // Each of these stands once and has one value (RFC 5652 section 11).
      const value = values.any();
      if (!values.isEmpty || found[name]) fail('attributes');
      found[name] = value;
    }
  }
  const isInfo = found.kind?.tag === OID && dotted(found.kind.content) === TST_INFO;
  if (!isInfo || found.digest?.tag !== OCTET_STRING) fail('attributes');
  // Where both stand, the newer decides.
  const named = found.second ?? found.first ?? fail('no_certificate_id');
  return { messageDigest: found.digest.content, named: readNamed(named, Boolean(found.second)) };
}

/** `SigningCertificate` (RFC 2634 section 5.4, SHA-1) or `SigningCertificateV2` (RFC 5035 section 4). */
function readNamed(value, newer) {
  if (value.tag !== SEQUENCE) refuse();
  const reader = value.reader();
  const ids = reader.inside(SEQUENCE);
  // The policies that may follow restrict how the certificate is used, not who signed.
  reader.optional(SEQUENCE);
  reader.end();
  const named = [];
  while (!ids.isEmpty) {
    const id = ids.inside(SEQUENCE);
    // An octet string comes first where the digest is the default, SHA-256.
    const stated = newer && id.rest[0] === SEQUENCE;
    const byDefault = newer ? 'SHA-256' : 'SHA-1';
    const digest = stated ? readDigest(id) ?? fail('no_certificate_id') : byDefault;
    const hash = id.take(OCTET_STRING);
    const both = id.optional(SEQUENCE)?.reader();
    id.end();
    named.push({ digest, hash, ...(both && readGeneralIssuer(both)) });
  }
  return named.length === 0 ? fail('no_certificate_id') : named;
}

/** `IssuerSerial` (RFC 5035 section 5): the issuer as the one directory name among general names. */
function readGeneralIssuer(reader) {
  const names = reader.inside(SEQUENCE);
  const directory = names.inside(constructed(4));
  const issuer = directory.element(SEQUENCE).whole;
  directory.end();
  names.end();
  const serial = reader.integer();
  reader.end();
  return { issuer, serial };
}

/** What a time stamp says: the `TSTInfo` of RFC 3161 section 2.4.2. */
function readInfo(bytes) {
  const reader = Der.only(bytes, SEQUENCE);
  if (reader.unsigned() !== 1) refuse();
  const policy = reader.oid();
  const imprint = reader.inside(SEQUENCE);
  const info = { policy, digest: readDigest(imprint), imprint: imprint.take(OCTET_STRING) };
  imprint.end();
  reader.integer();
  info.time = longMoment(reader.take(GENERALIZED_TIME));
  const accuracy = reader.optional(SEQUENCE);
  // Absent means unknown, not zero.
  info.accuracy = accuracy && readAccuracy(accuracy.reader());
  reader.truth();
  if (reader.rest[0] === NUMBER) reader.integer();
  const name = reader.optional(constructed(0))?.reader();
  info.name = name?.any();
  name?.end();
  const extensions = reader.optional(constructed(1));
  const critical = extensions ? [...readExtensions(extensions.reader()).values()] : [];
  info.unknownCritical = critical.some((extension) => extension.critical);
  reader.end();
  return info;
}

/** Seconds, and 1 to 999 thousandths and millionths of one, in microseconds. */
function readAccuracy(reader) {
  const seconds = reader.rest[0] === NUMBER ? reader.unsigned() : 0;
  const part = (n) => {
    const count = reader.rest[0] === primitive(n) ? reader.unsigned(primitive(n)) : null;
    return count === 0 || count > 999 ? refuse() : count ?? 0;
  };
  const all = seconds * 1e6 + part(0) * 1000 + part(1);
  reader.end();
  return Number.isSafeInteger(all) ? all : refuse();
}

/** Whose time stamps are believed, and what is archived of others. */
export class Authorities {
  certificates = [];
  lists = [];

  constructor(roots, policies = []) {
    Object.assign(this, { roots, policies });
  }

  static fromPem(source, policies = []) {
    return new Authorities(unpem(source, 'CERTIFICATE').map(Certificate.read), policies);
  }

  /** Certificates and revocation lists of an authority. None of them is believed for being here. */
  archive(pem) {
    const certificates = unpem(pem, 'CERTIFICATE');
    const lists = unpem(pem, 'X509 CRL').map(readList);
    this.certificates.push(...certificates);
    this.lists.push(...lists);
  }
}

/** What a token over a message says, at the time that it states; or `NotAStamp`, the first reason that applies. */
export async function checkToken(token, message, authorities) {
  try {
    return await checkedToken(token, message, authorities);
  } catch (error) {
    if (error instanceof Refused) fail('malformed');
    throw error;
  }
}

async function checkedToken(token, message, authorities) {
  if (token.length > MAX_TOKEN_BYTES) refuse();
  const signed = readSigned(token);
  const info = readInfo(signed.content);
  const digestOf = async (digest, bytes) => new Uint8Array(await subtle().digest(digest, bytes));
  // Two messages with one SHA-1 can be made, so only SHA-2 is accepted.
  if (!info.digest || !signed.digest) fail('algorithm');
  if (!same(await digestOf(info.digest, message), info.imprint)) fail('other_message');
  if (authorities.policies.length > 0 && !authorities.policies.includes(info.policy)) fail('policy');
  if (info.unknownCritical) fail('extension');
  if (!same(await digestOf(signed.digest, signed.content), signed.messageDigest)) fail('signature');
  const others = [...signed.certificates, ...authorities.roots.map((root) => root.whole), ...authorities.certificates];
  const signer = await namedSigner(signed.named, others, digestOf);
  const { key, issuer, serial } = signed.sid;
  const fits = key ? same(key, signer.keyIdentifier) : same(issuer, signer.issuer) && same(serial, signer.serial);
  if (!fits) fail('other_certificate');
  if (!signer.isForTimeStampsOnly) fail('purpose');
  if (info.name && !signer.isNamed(info.name)) fail('name');
  const algorithm = ALGORITHMS[algorithmOf(signed.algorithm)] ?? fail('algorithm');
  if (algorithm.hash && algorithm.hash !== signed.digest) fail('algorithm');
  if (!await holds(signer.publicKey, signed.algorithm, signed.digest, signed.signedBytes, signed.signature)) {
    fail('signature');
  }
  await checkPath(signer, others, info.time, authorities);
  const authority = signer.called;
  return { time: info.time, accuracy: info.accuracy, authority, certificateEnds: signer.notAfter, policy: info.policy };
}

/** The certificate that the signer names first; each other that it names must be here too. */
async function namedSigner(named, others, digestOf) {
  const found = [];
  for (const id of named) {
    let certificate = null;
    for (const other of others) {
      // SHA-1 only picks a certificate of an older token. Its signature and its path are what is believed.
      if (!certificate && same(await digestOf(id.digest, other), id.hash)) certificate = Certificate.read(other);
    }
    if (!certificate) fail('no_certificate');
    const fits = !id.issuer || (same(id.issuer, certificate.issuer) && same(id.serial, certificate.serial));
    if (!fits) fail('other_certificate');
    found.push(certificate);
  }
  return found[0];
}

/** A path to a root (RFC 5280 section 6), valid at the time of the stamp and not revoked. */
async function checkPath(signer, others, time, authorities) {
  // Certificates state whole seconds.
  const at = Math.floor(time / 1e6) * 1e6;
  const between = [];
  for (const other of others) {
    try {
      between.push(Certificate.read(other));
    } catch (error) {
      // One that cannot be read leads nowhere; a token may carry any.
      if (!(error instanceof Refused)) throw error;
    }
  }
  if (signer.hasUnknownCritical) fail('path');
  if (!signer.isValidAt(at)) fail('expired');
  if (signer.authority.is) fail('path');
  const search = { at, time, between, authorities, left: MAX_TRIED, expired: false };
  const path = await pathToRoot(signer, [signer], search) ?? fail(search.expired ? 'expired' : 'path');
  await askLists(path, time, authorities.lists);
}

/** Follows issuers upwards; null when no root is there. `below` is the path so far, the signer's certificate first. */
async function pathToRoot(certificate, below, search) {
  for (const root of search.authorities.roots.filter((it) => same(it.subject, certificate.issuer))) {
    if (await isIssued(certificate, root, search)) return [...below, root];
  }
  if (below.length > MAX_PATH) return null;
  for (const issuer of search.between.filter((it) => same(it.subject, certificate.issuer))) {
    const fresh = !below.some((it) => same(it.whole, issuer.whole));
    if (fresh && isFit(issuer, below.length - 1, search) && await isIssued(certificate, issuer, search)) {
      const path = await pathToRoot(issuer, [...below, issuer], search);
      if (path) return path;
    }
  }
  return null;
}

/** Whether a certificate may stand between, with so many others below it but the signer's. */
function isFit(issuer, count, search) {
  const purposes = issuer.purposes;
  const fit = !issuer.hasUnknownCritical && issuer.authority.is && issuer.authority.below >= count
    && issuer.mayUseKeyFor(KEY_CERT_SIGN) && (purposes.length === 0 || purposes.includes(TIME_STAMPING));
  if (fit && !issuer.isValidAt(search.at)) search.expired = true;
  return fit && issuer.isValidAt(search.at);
}

async function isIssued(certificate, issuer, search) {
  search.left -= 1;
  if (search.left < 0) return false;
  return holds(issuer.publicKey, certificate.algorithm, null, certificate.signed, certificate.signature);
}

/** Asks every archived list about the certificates of a path below its root. */
async function askLists(path, time, lists) {
  for (const list of lists) {
    for (const [at, certificate] of path.slice(0, -1).entries()) {
      if (!same(list.issuer, certificate.issuer)) continue;
      const issuer = path[at + 1];
      const signed = await holds(issuer.publicKey, list.algorithm, null, list.signed, list.signature);
      if (!signed || !issuer.mayUseKeyFor(CRL_SIGN)) {
        // Whoever altered the list may hide by it that the certificate is revoked.
        fail('list', `stamp of ${path[0].called}: a revocation list in authorities/ is not signed by its issuer`);
      }
      const entry = list.entries.get(hex(certificate.serial));
      const later = entry?.dates.every((date) => date > time) && HARMLESS_REASONS.includes(entry.reason);
      if (entry && !(at === 0 && later)) fail('revoked');
    }
  }
}

// ---- Who outside of the deployment vouches for the log (Format, "Anchors") ------------------------------------

const MAX_SKEW_SECONDS = 60;
const SECOND = 1e6;
const [CHECKPOINT_FILE, COSIGNATURES_FILE, INCLUSION_FILE] = [0, 1, 2];
const MAX_PROOF_HASHES = 128;

/** RFC 9162 section 2.1.3.2. */
function isIncluded(leaf, index, size, path, root) {
  if (index >= size) return false;
  let [node, at, last] = [leaf, index, size - 1];
  const halve = () => { at = Math.floor(at / 2); last = Math.floor(last / 2); };
  for (const other of path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      node = nodeHash(other, node);
      while (at % 2 === 0 && at !== 0) halve();
    } else {
      node = nodeHash(node, other);
    }
    halve();
  }
  return last === 0 && same(node, root);
}

const INCLUSION = /^checkpoint (0|[1-9][0-9]*)\nindex (0|[1-9][0-9]*)\n((?:[^\n]+\n)*)$/;

/** Which checkpoint, its position, and the proof; null when the text is not of the one form. */
function readInclusion(source) {
  const match = INCLUSION.exec(source ?? '');
  if (!match) return null;
  const [of, index] = [Number(match[1]), Number(match[2])];
  const path = match[3].split('\n').slice(0, -1).map(unbase64);
  const fits = Number.isSafeInteger(of) && Number.isSafeInteger(index) && path.length <= MAX_PROOF_HASHES;
  return fits && path.every((hash) => hash?.length === 32) ? { of, index, path } : null;
}

class Anchors {
  constructor(trust, findings) {
    const authorities = new Authorities(trust.roots, trust.policies);
    Object.assign(this, { trust, findings, authorities, current: null, origins: [], tokens: new Map() });
    Object.assign(this, { stamps: [], cosignatures: [], unchecked: 0, untrusted: 0 });
  }

  archive(bytes) {
    if (this.trust.roots.length === 0) return;
    try {
      this.authorities.archive(new TextDecoder().decode(bytes));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const words = 'the archive of an authority: a certificate or a revocation list cannot be read';
      this.findings.fault('anchor', words);
    }
  }

  /** One file of an anchor; `findNote` finds the signed note of this log by its number of records. */
  async file(size, kind, bytes, findNote) {
    const fault = (words) => this.findings.fault('anchor', `the anchor of size ${size}: ${words}`);
    if (kind === CHECKPOINT_FILE) return this.checkpoint(size, decoded(bytes) ?? '', fault);
    if (this.current?.size !== size) return fault('it has no checkpoint');
    if (kind === COSIGNATURES_FILE) this.current.cosignatures = decoded(bytes) ?? '';
    else if (kind === INCLUSION_FILE) await this.inclusion(readInclusion(decoded(bytes)), findNote, fault);
    else await this.stamp(bytes, fault);
    return undefined;
  }

  async checkpoint(size, note, fault) {
    this.current = null;
    const checkpoint = claimed(note);
    if (checkpoint?.size !== size) return fault('not a signed checkpoint of that size');
    const keys = this.trust.keys.filter((key) => key.name === checkpoint.origin);
    if (keys.length > 0 && !await signerOf(note, keys)) return fault("not signed by the deployment's key");
    this.origins.push(checkpoint.origin);
    this.current = { ...checkpoint, covers: null, cosignatures: '' };
    return undefined;
  }

  /** The second link: the note of this log is a leaf of the deployment's log. */
  async inclusion(proof, findNote, fault) {
    if (!proof) return fault('the inclusion is not of its form');
    const note = findNote(proof.of);
    if (!note) return fault(`its checkpoint of ${proof.of} is not here`);
    const { size, root } = this.current;
    if (!isIncluded(leafHash(bytesOf(note)), proof.index, size, proof.path, root)) {
      return fault('the proof does not lead to the root');
    }
    this.current.covers = proof.of;
    for (const witness of this.trust.witnesses) {
      try {
        const seconds = await cosigned(this.current.note + this.current.cosignatures, witness);
        this.cosignatures.push({ size: proof.of, time: seconds * SECOND, witness: witness.name });
      } catch (error) {
        if (!(error instanceof Unsigned)) throw error;
        if (!(error instanceof NotByThisKey)) return fault(`${witness.name}: ${error.message}`);
      }
    }
    return undefined;
  }

  /** The third link: an authority says when the deployment's checkpoint was there. */
  async stamp(token, fault) {
    const size = this.current.covers;
    if (size === null) return fault('it has a stamp and no inclusion');
    if (this.trust.roots.length === 0) {
      this.unchecked += 1;
      return undefined;
    }
    try {
      const stamp = await checkToken(token, bytesOf(this.current.note), this.authorities);
      this.tokens.set(hex(sha256(token)), stamp);
      this.stamps.push({ size, ...stamp });
    } catch (error) {
      if (!(error instanceof NotAStamp)) throw error;
      // Another authority's word is nothing to who does not trust it, and no fault.
      if (error.reason !== 'path') return fault(error.message);
      this.untrusted += 1;
    }
    return undefined;
  }
}

/** How far a stamp may be from the true time, in whole seconds; of an unknown accuracy, one. */
const leeway = (stamp) => (stamp.accuracy === null ? 1 : Math.floor(stamp.accuracy / SECOND) + 1);
const slack = (stamp) => (MAX_SKEW_SECONDS + leeway(stamp)) * SECOND;

/** What the times of records are held to: earlier than the stamps over them, later than the tokens before them. */
class Bounds {
  constructor(findings, anchors) {
    Object.assign(this, { findings, tokens: anchors.tokens, upper: [], next: 0, floor: null, skew: 0 });
    Object.assign(this, { late: null, early: null, longest: null, told: false });
    const upper = anchors.stamps.map((it) => ({ size: it.size, limit: it.time + slack(it), stamped: it.time }));
    const before = (a, b) => a.limit - b.limit || a.stamped - b.stamped;
    upper.sort((a, b) => b.size - a.size || before(b, a));
    // A record is held to the earliest of all stamps that cover it.
    let least = null;
    for (const { size, ...limit } of upper) {
      if (least === null || before(limit, least) < 0) least = limit;
      this.upper.unshift({ size, ...least });
    }
  }

  /** Whether the time of the record at a position contradicts a stamp. */
  see(at, time) {
    while (this.upper[this.next]?.size <= at) this.next += 1;
    const over = this.upper[this.next];
    if (over) {
      const seconds = Math.max(Math.floor((over.stamped - time) / SECOND), 0);
      if (seconds > (this.longest?.seconds ?? -1)) this.longest = { seconds, at };
    }
    if (over && time > over.limit) {
      const by = time - over.limit;
      const words = `a stamp over ${over.size} records shows that it was there by ${shown(over.stamped)}`;
      if (by > (this.late?.by ?? 0)) this.late = { at, by, words: `the record says ${shown(time)}; ${words}` };
      return true;
    }
    if (this.floor === null || time >= this.floor) return false;
    const by = time - this.floor;
    const words = `it stands after a record that could not be written before ${shown(this.floor)}`;
    if (by < (this.early?.by ?? 0)) this.early = { at, by, words: `the record says ${shown(time)}; ${words}` };
    return true;
  }

  /** A record names a token: what follows is later than its stamp, and shows how the clock stands. */
  anchored(token, time) {
    const stamp = this.tokens.get(token);
    if (!stamp) return;
    // That the clock is wrong has to be said; how wrong it is by then, every stamp shows.
    const right = Math.abs(time - stamp.time) <= slack(stamp);
    this.settle(right || this.skew === 0 ? 0 : time - stamp.time);
    this.floor = Math.max(stamp.time - slack(stamp), this.floor ?? -Infinity);
  }

  /** The log says that its clock is wrong. It counts when there was such a stamp, as far as the bundle shows. */
  skewed(at, time, stamped) {
    const over = this.upper[this.next];
    const between = over?.size > at && stamped <= over.limit && stamped >= (this.floor ?? -Infinity);
    const known = [...this.tokens.values()].some((stamp) => stamp.time === stamped);
    if (between || known) this.settle(time - stamped);
  }

  /** What contradicts a stamp is a fault, but for what a wrong clock explains of which the log told. */
  settle(skew) {
    const [least, most] = [Math.min(this.skew, skew), Math.max(this.skew, skew)];
    this.skew = skew;
    for (const held of [this.late, this.early]) {
      if (held && !(held.by > 0 ? held.by <= most : held.by >= least)) {
        this.findings.fault('misdated', held.words, held.at);
      } else if (held && !this.told) {
        this.told = true;
        this.findings.warn(`the clock was wrong, as the log says itself; position ${held.at}: ${held.words}`);
      }
    }
    this.late = null;
    this.early = null;
  }
}

// ---- The files (Format, "Files, in this order" and "Manifest") -----------------------------------------------

const MAX_SMALL_FILE_BYTES = 1 << 20;
const MAX_FILES = 20_000;
const PIECE_BYTES = 1 << 20;
const DIGITS = '(\\d{10}|[1-9]\\d{10,})';
const AUTHORITY = '[a-z0-9_-]{1,64}';
// The forms of names, in the order of the files.
const PARTS = ['VERIFY\\.md', 'verify\\.html', 'verify\\.py', 'checkpoint', `checkpoints/${DIGITS}`,
  `authorities/${AUTHORITY}\\.pem`,
  `anchors/${DIGITS}\\.(?:(checkpoint)|(cosignatures)|(inclusion)|(${AUTHORITY}\\.tst))`,
  'content', 'blobs/(exc_[0-9a-f]{32})/(?:prompt|window-(\\d{6}|[1-9]\\d{6,9}))', 'pruned', 'records\\.jsonl',
  'manifest\\.json',
].map((pattern) => new RegExp(`^${pattern}$`));
const [INSTRUCTIONS, PAGE, SCRIPT, LAST, EARLIER, ARCHIVE, ANCHOR, WHOLE, BLOB, PRUNED, RECORDS, MANIFEST] = PARTS.keys();
// Carried for people. Who checks takes no program from what is checked.
const CARRIED = [INSTRUCTIONS, PAGE, SCRIPT];

/** What a file is by its name, as values in the order of the files; null when it is no part of a bundle. */
function partOf(name) {
  for (const [part, pattern] of PARTS.entries()) {
    const [, first, ...rest] = pattern.exec(name) ?? [];
    if (!pattern.test(name)) continue;
    if (part === BLOB) {
      const window = rest[0] === undefined ? -1 : Number(rest[0]);
      return window < 2 ** 32 ? [part, first, window] : null;
    }
    if (first === undefined) return [part];
    const kind = rest.findIndex((group) => group !== undefined);
    return Number.isSafeInteger(Number(first)) ? [part, Number(first), kind] : null;
  }
  return null;
}

/** Orders names as the files of a bundle stand; others come last. */
function compareNames(a, b) {
  const keys = [a, b].map((name) => [...(partOf(name) ?? [PARTS.length]), name]);
  const at = keys[0].findIndex((value, index) => value !== keys[1][index]);
  if (at < 0) return 0;
  return keys[0][at] < keys[1][at] ? -1 : 1;
}

/** The files of a folder, as [name, content] pairs, in the order of a bundle. */
export const inOrder = (files) => [...files].sort(([a], [b]) => compareNames(a, b));

/** The content of a file, which is a Uint8Array or a Blob, in pieces that fit into memory. */
async function* pieces(content) {
  const size = content.size ?? content.length;
  for (let at = 0; at < size; at += PIECE_BYTES) {
    yield await sliceOf(content, at, Math.min(at + PIECE_BYTES, size));
  }
}

async function sliceOf(content, from, to) {
  if (content instanceof Uint8Array) return content.subarray(from, to);
  return new Uint8Array(await content.slice(from, to).arrayBuffer());
}

/**
 * The plain files of a tar (POSIX.1-1988 ustar) in its order, as [name, content] pairs; `damage` says in words where
 * the archive breaks off. Of a Blob, only the headers are read here.
 */
export async function untar(archive) {
  const files = [];
  const size = archive.size ?? archive.length;
  for (let at = 0; at < size;) {
    const header = await sliceOf(archive, at, at + 512);
    if (header.length === 512 && header.every((byte) => byte === 0)) break;
    const until = (bytes) => bytes.subarray(0, bytes.indexOf(0) < 0 ? bytes.length : bytes.indexOf(0));
    const field = (from, to) => until(header.subarray(from, to));
    const octal = (from, to) => {
      const digits = String.fromCharCode(...field(from, to)).trim();
      return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : NaN;
    };
    const summed = header.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 32 : byte), 0);
    const length = octal(124, 136);
    if (header.length < 512 || octal(148, 156) !== summed || Number.isNaN(length)) {
      return { files, damage: 'a header is damaged' };
    }
    const prefix = field(345, 500);
    const ustar = String.fromCharCode(...field(257, 262)) === 'ustar' && prefix.length > 0;
    const name = decoded(ustar ? concat(prefix, bytesOf('/'), field(0, 100)) : field(0, 100));
    const kind = String.fromCharCode(header[156]);
    const content = archive instanceof Uint8Array ? archive.subarray(at + 512, at + 512 + length)
      : archive.slice(at + 512, at + 512 + length);
    const plain = name?.replace(/^\.\//, '') ?? '(a name that is not UTF-8)';
    if (kind === '0' || kind === '\0') files.push([plain, content]);
    // Folders and extension headers are passed over; links and devices are no part of a bundle.
    else if (!'5xg'.includes(kind)) files.push(['(not a plain file)', content]);
    at += 512 + Math.ceil(length / 512) * 512;
    if (at > size) return { files, damage: 'it breaks off' };
  }
  return { files, damage: null };
}

const MANIFEST_FORM = one({
  format: word('bulla-bundle-1'), log: LOG, organisation: text, verifier_key: text, records: whole, created: time,
  files: list(one({ name: text, size: whole }, { sha256: HASH })),
  blobs: one({ count: whole, size: whole, sha256: HASH }),
});
const MANIFEST_ORDER = 'format log organisation verifier_key records created files blobs';

function whole(value) {
  return Number.isSafeInteger(value) && value >= 0;
}

/** The manifest, in the one layout in which it is written; null for any other text. */
function readManifest(source) {
  try {
    const manifest = JSON.parse(source);
    const same = `${JSON.stringify(manifest, null, 2)}\n` === source;
    return same && MANIFEST_FORM(manifest) && Object.keys(manifest).join(' ') === MANIFEST_ORDER ? manifest : null;
  } catch {
    return null;
  }
}

/** A check under way. Files are handed over in their order; `finish` says what can be said only at the end. */
class Bundle {
  constructor(trust, progress) {
    const findings = new Findings();
    Object.assign(this, { trust, progress, findings, seen: new Map(), parts: new Set() });
    Object.assign(this, { content: new Content(findings), anchors: new Anchors(trust, findings) });
    Object.assign(this, { disposals: new Disposals(findings) });
    Object.assign(this, { last: null, note: null, checkpoint: null, manifest: null, strangers: [] });
    Object.assign(this, { keySource: null, earlierTrusted: [], earlierInside: 0 });
    this.marks = trust.notes.map((mark) => ({ ...mark, trusted: true }));
    this.bounds = new Bounds(findings, this.anchors);
    this.records = new Records(findings, this.marks, this.content, this.bounds, this.disposals);
  }

  async file(name, content) {
    const part = partOf(name);
    if (!part) return this.strangers.push(name);
    if (this.last !== null && compareNames(this.last, name) >= 0) {
      return this.findings.fault('format', `${name} stands twice or out of order`);
    }
    this.last = name;
    if (part[0] === BLOB) return this.content.read(part[1], part[2], content);
    if (this.seen.size >= MAX_FILES) {
      return this.findings.fault('format', 'there are more files than a bundle may hold');
    }
    const size = content.size ?? content.length;
    if (part[0] === PRUNED) await this.readHashes(content);
    else if (part[0] === RECORDS) await this.readRecords(content);
    else if (!CARRIED.includes(part[0])) await this.smallFile(part, name, await this.small(name, size, content));
    this.parts.add(part[0]);
    const digest = part[0] === RECORDS ? {} : { sha256: hex(await digestOf(content)) };
    this.seen.set(name, { name, size, ...digest });
    return undefined;
  }

  beginRecords() {
    this.content.close();
    this.bounds = new Bounds(this.findings, this.anchors);
    this.records = new Records(this.findings, this.marks, this.content, this.bounds, this.disposals);
  }

  async readHashes(content) {
    this.beginRecords();
    let rest = new Uint8Array(0);
    for await (const piece of pieces(content)) {
      const bytes = rest.length === 0 ? piece : concat(rest, piece);
      const whole = bytes.length - (bytes.length % LEAF_BYTES);
      for (let at = 0; at < whole; at += LEAF_BYTES) this.records.hash(bytes.slice(at, at + LEAF_BYTES));
      rest = bytes.slice(whole);
    }
    this.records.endHashes(rest.length === 0);
  }

  async readRecords(content) {
    if (!this.parts.has(PRUNED)) this.beginRecords();
    const lines = new Lines((bytes, ended) => this.records.line(bytes, ended));
    let done = 0;
    for await (const piece of pieces(content)) {
      lines.push(piece);
      done += piece.length;
      await this.progress(done / (content.size ?? content.length));
    }
    lines.end();
    if (!this.records.broken) this.records.pushPending();
  }

  async small(name, size, content) {
    if (size <= MAX_SMALL_FILE_BYTES) return sliceOf(content, 0, size);
    this.findings.fault('format', `${name} is too long`);
    return new Uint8Array(0);
  }

  async smallFile(part, name, bytes) {
    if (part[0] === ANCHOR) return this.anchors.file(part[1], part[2], bytes, (size) => this.findNote(size));
    if (part[0] === ARCHIVE) return this.anchors.archive(bytes);
    const source = decoded(bytes);
    if (source === null) this.findings.fault('format', `${name} is not UTF-8`);
    return this.textFile(part, name, source ?? '');
  }

  textFile(part, name, source) {
    const claim = part[0] === MANIFEST ? null : claimed(source);
    if (part[0] === LAST) {
      this.note = source;
      this.checkpoint = claim;
    } else if (part[0] === WHOLE) {
      this.disposals.complete = source === CLAIM;
      if (source !== CLAIM) this.findings.fault('format', 'content does not say what it must say');
    } else if (part[0] === MANIFEST) {
      this.manifest = readManifest(source);
      if (!this.manifest) this.findings.fault('format', 'manifest.json is not a manifest');
    } else if (claim?.size === part[1]) {
      this.marks.push({ ...claim, trusted: false });
    } else {
      this.findings.fault('format', `${name} is not a checkpoint of that size`);
    }
  }

  /** The first link of an anchor: the signed note of this log over so many records. */
  findNote(size) {
    const notes = [this.checkpoint, ...this.marks.filter((mark) => !mark.trusted)];
    return notes.find((note) => note?.size === size)?.note ?? null;
  }

  async finish() {
    this.bounds.settle(this.bounds.skew);
    this.finishChain();
    await this.finishSignature();
    await this.finishMarks();
    this.finishAnchors();
    this.finishFiles();
    const { records, findings } = this;
    const stray = this.content.stray();
    const [firstOpen] = records.open.keys();
    if (records.count > 0 && !records.broken && stray) {
      findings.fault('content', `content of ${stray}: no record commits to it`);
    }
    this.disposals.finish(records.broken);
    const { pruned } = records;
    if (pruned.size > 0 && pruned.verdict() === null && !records.broken) {
      const words = 'are not here, and no record says that they were pruned';
      findings.fault('deleted', `records 1 to ${pruned.size - 1} ${words}`);
    }
    if (pruned.size > 0 && pruned.tooEarly !== null) {
      const words = 'less than six years after the log began, and no decision is named';
      findings.warn(`records were pruned at ${pruned.tooEarly}, ${words}`);
    }
    if (firstOpen !== undefined && !records.broken) {
      findings.warn(`${records.open.size} intent(s) have no outcome; the first is ${firstOpen}`);
    }
    const [stranger, ...others] = this.strangers;
    if (stranger !== undefined) {
      // The first is named and the others are counted, so that they cannot crowd out another warning.
      const more = others.length > 0 ? ` and ${others.length} other files` : '';
      findings.warn(`${stranger}${more}: no part of a bundle; not looked at`);
    }
    if (records.stepsBack > 1) findings.warn(`the clock stepped back ${records.stepsBack} times`);
    return this.verdict();
  }

  /** Format, "Checkpoint": size and root of `checkpoint` equal those of the records. */
  finishChain() {
    const { records, checkpoint, findings } = this;
    if (!this.parts.has(RECORDS)) {
      findings.fault('format', 'records.jsonl is missing');
      return;
    }
    if (records.pruned.lacksOpening()) findings.fault('deleted', 'record 0 is missing', 0);
    if (records.broken) {
      records.count = records.broken.lines;
      const [kind, at, words] = records.broken.explain(checkpoint);
      findings.fault(kind, words, at);
    } else if (checkpoint && records.count !== checkpoint.size) {
      const [kind, at] = records.count < checkpoint.size ? ['truncated', records.count] : ['inserted', checkpoint.size];
      findings.fault(kind, `the checkpoint signs ${checkpoint.size} records; ${records.count} are here`, at);
    } else if (checkpoint && !same(records.tree.root(), checkpoint.root)) {
      findings.fault('edited', 'the chain is whole and the signed root differs: the last record was edited, or all '
        + 'records from some earlier position on were written anew', Math.max(checkpoint.size - 1, 0));
    }
  }

  /** The key that the first record names. */
  get ownKey() {
    return this.records.opening && readKey(this.records.opening.verifier_key, ED25519);
  }

  /** The key that signs is the trusted one when one is given, and the one that the first record names. */
  async finishSignature() {
    const fault = (words, at) => this.findings.fault('signature', words, at);
    const { note, ownKey, trust } = this;
    if (note === null) return this.findings.fault('format', 'the checkpoint is missing');
    if (trust.keys.length === 0) {
      if (!ownKey) return fault('the key of the checkpoint is unknown');
      try {
        await opened(note, ownKey);
        this.keySource = 'bundle_only';
      } catch (error) {
        if (!(error instanceof Unsigned)) throw error;
        fault(`the checkpoint: ${error.message}`);
      }
      return undefined;
    }
    const key = await signerOf(note, trust.keys.filter(({ name }) => name === (this.checkpoint?.origin ?? '')));
    if (!key) return fault('the checkpoint is not signed by a key that you trust');
    this.keySource = 'trusted';
    if (ownKey?.line !== key.line && !this.records.broken) {
      fault('the first record names another key than the trusted one', 0);
    }
    return undefined;
  }

  /** Format, "Checkpoint" and "The trust file": every earlier note of this log fits its beginning. */
  async finishMarks() {
    const { records, trust, ownKey } = this;
    const fault = (...words) => this.findings.fault(...words);
    if (this.checkpoint && records.opening && this.checkpoint.origin !== records.log) {
      fault('signature', 'the checkpoint is of another log than the records');
    }
    const keys = this.keySource === 'trusted' ? trust.keys : [ownKey].filter(Boolean);
    let vouched = 0;
    let foreign = 0;
    for (const mark of [...this.marks].sort((a, b) => a.size - b.size)) {
      const which = `the earlier checkpoint of ${mark.size} records`;
      if (mark.origin !== records.log) {
        foreign += 1;
      } else if (!await signerOf(mark.note, keys)) {
        fault('signature', `${which} is not signed by this log's key`);
      } else if (mark.fits) {
        vouched = mark.size;
        if (mark.trusted) this.earlierTrusted.push(mark.size);
        else this.earlierInside += 1;
      } else if (mark.fits === false) {
        const words = `${which} has another root: the log was written anew from some position before ${mark.size}`;
        fault('rewritten', words, vouched);
      } else if (!records.broken) {
        fault('truncated', `${which} exists; ${records.count} are here`, records.count);
      }
    }
    if (foreign > 0) this.findings.warn(`${foreign} earlier checkpoint(s) of another log; not looked at`);
    if (this.keySource === 'bundle_only' && this.earlierTrusted.length > 0) this.keySource = 'earlier_checkpoint';
    // Fail closed: someone who gave a trust file must not read "good" when none of it applied.
    const given = trust.keys.length > 0 || trust.notes.length > 0;
    if (given && this.keySource === 'bundle_only' && !records.broken) {
      fault('signature', 'nothing in the trust file vouches for this log');
    }
  }

  finishAnchors() {
    const { anchors, records, findings } = this;
    const deployment = records.log?.split('/').slice(0, 2).join('/');
    if (anchors.origins.some((origin) => origin !== deployment) && !records.broken) {
      findings.fault('anchor', 'an anchor is of another deployment than the log');
    }
    if (anchors.unchecked > 0) {
      findings.warn(`${anchors.unchecked} time stamps were not checked: no authority is in the trust file`);
    }
    if (anchors.untrusted > 0) {
      findings.warn(`${anchors.untrusted} time stamps are by authorities that are not in the trust file`);
    }
    if (records.misdated > 1) findings.warn(`${records.misdated} records are dated against a time stamp`);
  }

  /** Format, "Manifest": nothing in it is believed, and whatever it says, the log must say too. */
  finishFiles() {
    const { manifest, records, content, findings } = this;
    if (!manifest) {
      const words = 'manifest.json is missing: the bundle is not whole';
      if (!this.parts.has(MANIFEST)) findings.fault('format', words);
      return;
    }
    this.seen.delete('manifest.json');
    const equal = (a, b) => JSON.stringify(a) === JSON.stringify(b);
    if (!equal(manifest.files, [...this.seen.values()])) {
      const at = manifest.files.findIndex((file) => !equal(file, this.seen.get(file.name)));
      const which = manifest.files[at]?.name;
      findings.fault('format', which ? `${which} is not as the manifest lists it` : 'the manifest lists other files');
    }
    const blobs = { count: content.count, size: content.size, sha256: hex(content.all.digest()) };
    const says = ({ log, organisation, verifier_key: key, records: count }) => [log, organisation, key, count];
    const log = { ...records.opening, log: records.log, records: records.count };
    if (!equal(says(manifest), says(log)) || !equal(manifest.blobs, blobs)) {
      findings.fault('format', 'the manifest says something else than the log');
    }
  }

  verdict() {
    const { records, anchors, checkpoint, findings, earlierTrusted, earlierInside, keySource } = this;
    const problems = findings.problems();
    const order = (a, b) => a.size - b.size || a.time - b.time;
    return {
      good: problems.length === 0, problems, moreProblems: findings.more, warnings: findings.warnings,
      log: records.opening && records.log, organisation: records.opening?.organisation ?? null,
      verifierKey: records.opening?.verifier_key ?? null, keySource, records: records.count,
      checkpointSize: checkpoint?.size ?? null, checkpointRoot: checkpoint && hex(checkpoint.root),
      earlierTrusted, earlierInside, stamps: anchors.stamps.sort(order).map(withMoments), exposure: this.bounds.longest,
      cosignatures: anchors.cosignatures.map(withMoments), first: records.first,
      last: records.last === null ? null : shown(records.last), intents: records.intents,
      outcomes: records.outcomes, openIntents: records.open.size, blobs: this.content.count,
      pruned: records.pruned.verdict(), disposed: this.disposals.told,
    };
  }
}

/** A stamp or a cosignature with its times as text. */
const withMoments = (it) => ({ ...it, time: shown(it.time),
  ...(it.certificateEnds === undefined ? {} : { certificateEnds: shown(it.certificateEnds) }) });

async function digestOf(content) {
  const hash = new Sha256();
  for await (const piece of pieces(content)) hash.update(piece);
  return hash.digest();
}

/** Cuts pieces into lines. Of a line that is longer than any record, only the first byte is kept. */
class Lines {
  constructor(each) {
    Object.assign(this, { each, begun: new Uint8Array(0), tooLong: false });
  }

  push(piece) {
    let from = 0;
    for (let feed = piece.indexOf(10); feed >= 0; feed = piece.indexOf(10, from)) {
      this.add(piece.subarray(from, feed));
      this.finish(true);
      from = feed + 1;
    }
    if (from < piece.length) this.add(piece.subarray(from));
  }

  add(bytes) {
    const line = this.begun.length === 0 ? bytes : concat(this.begun, bytes);
    this.tooLong ||= line.length > MAX_RECORD_BYTES;
    this.begun = this.tooLong ? line.slice(0, 1) : line;
  }

  finish(ended) {
    // A byte that is no JSON stands for a line whose bytes are not kept.
    this.each(this.begun, ended);
    this.begun = new Uint8Array(0);
    this.tooLong = false;
  }

  end() {
    if (this.begun.length > 0) this.finish(false);
  }
}

/**
 * Checks a bundle: `files` are [name, content] pairs in their order (a Map will do), content a Uint8Array or a Blob;
 * `trustText` is the text of a trust file, or null. `damage` comes from `untar`; `progress` is awaited now and then
 * with the part of the records that is done, so that a page can draw.
 */
export async function verify(files, trustText = null, { damage = null, progress = async () => {} } = {}) {
  const obstacle = await selfTest();
  const trust = trustText === null ? new Trust('') : Trust.read(trustText);
  const bundle = new Bundle(trust, progress);
  for await (const [name, content] of files) await bundle.file(name, content);
  if (bundle.last === null) throw new Unreadable('this is no export of a log');
  if (damage) bundle.findings.fault('format', `the archive is damaged: ${damage}`);
  // Fail closed: records that hang together under a signature that nobody checked are not good.
  if (obstacle) bundle.findings.fault('signature', `signatures could NOT be checked: ${obstacle}`);
  return { ...await bundle.finish(), signaturesChecked: obstacle === null };
}

// ---- The proof of one record (Format, "The proof of one record"; C2SP tlog-proof) ------------------------------

const ONE = 'record';
const PROOF = 'record.tlog-proof';
const TLOG_PROOF = /^c2sp\.org\/tlog-proof@v1\nindex (0|[1-9][0-9]*)((?:\n[^\n]+)*)\n\n/;

/** Whether a file is the proof of one record: a tar whose first file is the record. */
export const isOneRecord = async (archive) =>
  same(await sliceOf(archive, 0, ONE.length + 1), bytesOf(`${ONE}\0`));

/** Position, proof and signed note, without extra data; null for any other text. */
function readProof(source) {
  const match = TLOG_PROOF.exec(source ?? '');
  if (!match) return null;
  const index = Number(match[1]);
  const path = match[2].split('\n').slice(1).map(unbase64);
  const fits = Number.isSafeInteger(index) && path.length <= MAX_PROOF_HASHES;
  const note = source.slice(match[0].length);
  return fits && path.every((hash) => hash?.length === 32) ? { index, path, note } : null;
}

/** A check under way of a record, its place under a signed checkpoint, and who vouches for that checkpoint. */
class OneRecord {
  constructor(trust) {
    Object.assign(this, { trust, problems: [], warnings: [], data: null, proof: null, last: null });
    Object.assign(this, { log: null, seq: null, time: null, leaf: null, checkpointSize: null, keyTrusted: false });
    this.anchors = new Anchors(trust, this);
  }

  fault(kind, words, at = null) {
    this.problems.push({ at, kind, words });
  }

  async file(name, content) {
    const size = content.size ?? content.length;
    if (size > MAX_SMALL_FILE_BYTES) return this.fault('format', `${name} is too long`);
    const bytes = await sliceOf(content, 0, size);
    const late = this.last === null ? this.proof === null : compareNames(this.last, name) >= 0;
    if (late && name !== ONE && name !== PROOF) return this.fault('format', `${name} stands twice or out of order`);
    const part = partOf(name);
    if (name === ONE && this.data === null) {
      this.data = bytes;
    } else if (name === PROOF && this.proof === null) {
      this.proof = readProof(decoded(bytes));
      if (!this.proof) this.fault('format', `${name} is not a proof`);
    } else if (part?.[0] === ARCHIVE || part?.[0] === ANCHOR) {
      this.last = name;
      if (part[0] === ARCHIVE) this.anchors.archive(bytes);
      else await this.anchors.file(part[1], part[2], bytes, (of) => this.findNote(of));
    } else {
      this.fault('format', `${name} is no part of a receipt`);
    }
    return undefined;
  }

  findNote(size) {
    return this.proof && claimed(this.proof.note)?.size === size ? this.proof.note : null;
  }

  async finish() {
    const record = this.data && readRecord(this.data);
    const { anchors } = this;
    if (!this.data || !this.proof) this.fault('format', 'the record or its proof is missing');
    else if (!record) this.fault('edited', 'the bytes are not a record');
    else await this.check(record);
    if (anchors.unchecked > 0) this.warnings.push('time stamps were not checked: trust no authority');
    if (anchors.untrusted > 0) this.warnings.push('time stamps are by authorities that you do not trust');
    const deployment = this.log?.split('/').slice(0, 2).join('/');
    if (anchors.origins.some((origin) => origin !== deployment)) {
      this.fault('anchor', 'an anchor is of another deployment than the log', this.seq);
    }
    const bounds = new Bounds(this, anchors);
    if (this.time !== null && bounds.see(0, micros(this.time))) this.fault('misdated', bounds.late.words, this.seq);
    const { problems, warnings, log, seq, time, leaf, checkpointSize, keyTrusted } = this;
    return { good: problems.length === 0, problems, warnings, log, seq, time, leaf, checkpointSize, keyTrusted,
      stamps: anchors.stamps.map(withMoments), cosignatures: anchors.cosignatures.map(withMoments) };
  }

  /** The record is at its own position of the log that it names, under a checkpoint that a trusted key signed. */
  async check(record) {
    const { index, path, note } = this.proof;
    const leaf = leafHash(this.data);
    const checkpoint = claimed(note);
    const keys = this.trust.keys.filter(({ name }) => name === record.log);
    const keyTrusted = Boolean(await signerOf(note, keys));
    Object.assign(this, { log: record.log, seq: record.seq, time: record.time, leaf: hex(leaf), keyTrusted });
    this.checkpointSize = checkpoint?.size ?? null;
    const its = checkpoint?.origin === record.log && index === record.seq;
    if (!its || !isIncluded(leaf, index, checkpoint.size, path, checkpoint.root)) {
      this.fault('edited', 'the record is not under the checkpoint', record.seq);
    }
    const words = 'no trusted key signed the checkpoint';
    if (!keyTrusted && this.trust.isEmpty) this.warnings.push(`${words}: give the log's key`);
    else if (!keyTrusted) this.fault('signature', words, record.seq);
  }
}

/** Checks the proof of one record, as `verify` checks a bundle. */
export async function verifyOneRecord(files, trustText = null, { damage = null } = {}) {
  const obstacle = await selfTest();
  const check = new OneRecord(trustText === null ? new Trust('') : Trust.read(trustText));
  for await (const [name, content] of files) await check.file(name, content);
  if (damage) check.fault('format', `the archive is damaged: ${damage}`);
  if (obstacle) check.fault('signature', `signatures could NOT be checked: ${obstacle}`);
  return { ...await check.finish(), signaturesChecked: obstacle === null };
}
