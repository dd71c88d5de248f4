// A light client that knows nothing of quoin but docs/ref/proof.md: noble for BLAKE3 and Ed25519, no other code.
//   light.mjs FILE HASH       checks a proof file for who trusts HASH (a chain's or a block's): {"height", "present" or "cnt", "rows"}
//   light.mjs fuzz FILE HASH  changes one byte after the other: none may give other rows, or the same under another block
import { ed25519 } from "@noble/curves/ed25519";
import { blake3 } from "@noble/hashes/blake3";
import { bytesToHex as hex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils";
import { readFileSync } from "node:fs";

const H = (label, ...parts) => blake3(concatBytes(...parts), { context: "quoin " + label });
const need = (ok, what) => { if (!ok) throw new Error(what); };
const le = (n, len) => Uint8Array.from({ length: len }, (_, i) => Number((BigInt(n) >> BigInt(8 * i)) & 255n));
const same = (a, b) => hex(a) === hex(b);

class Reader {
  constructor(bytes) { this.bytes = bytes; this.at = 0; }
  take(n) {
    need(this.at + n <= this.bytes.length, "cut off");
    return this.bytes.subarray(this.at, (this.at += n));
  }
  num(n) { return this.take(n).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n); }
  u8() { return Number(this.num(1)); }
  u16() { return Number(this.num(2)); }
  u32() { return Number(this.num(4)); }
  u64() { return this.num(8); }
  hash() { return this.take(32); }
  vec(read) { return Array.from({ length: this.u32() }, () => read(this)); }
  end() { return this.at === this.bytes.length; }
}

// --- records; a header is kept with its bytes, of which the block's hash is made ---
const genesis_of = (r) => ({
  name: r.take(r.u32()), t_ms: r.u64(), validators: r.vec((x) => x.hash()), grants: r.vec((x) => x.take(40)), dev: r.u8(),
  bonds: r.vec((x) => ({ owner: x.hash(), amount: x.u64(), commission_ppm: x.u32() })), fast_ppm: r.u32(), epoch_ms: r.u64(),
});
function header_of(r) {
  const start = r.at;
  const h = {
    ver: r.u16(), chain: r.hash(), epoch: r.u32(), height: r.u64(), view: r.u64(), t_ms: r.u64(), parent: r.hash(), body_root: r.hash(),
    state_root: r.hash(), beacon: r.hash(), vrf: r.take(80), set_root: r.hash(), signers: r.hash(), proposer: r.hash(),
  };
  return { ...h, id: H("header", r.bytes.subarray(start, r.at)) };
}
const vote_of = (r) => ({ signer: r.u16(), sig: r.take(64) });
const cert_of = (r) => ({ kind: r.u8(), epoch: r.u32(), view: r.u64(), block: r.hash(), votes: r.vec(vote_of), extras: r.vec(vote_of) });

// --- from trust to the block ---
const weigh = (set) => set.reduce((sum, v) => sum + v.weight, 0n);
const min = (a, b) => (a < b ? a : b), max = (a, b) => (a > b ? a : b);
function quorum(set, fast_ppm) {
  const W = weigh(set), P = set.length < 21 ? 0n : (W * BigInt(fast_ppm)) / 1000000n, F = (W - 1n - 2n * P) / 3n;
  return { fast: W - P, traitors: F, slow: W - F - P };
}
function first_set(g) {
  const sum = g.bonds.reduce((all, b) => all + b.amount, 0n), n = BigInt(g.validators.length);
  need(n >= 1n && (g.bonds.length === 0 || g.bonds.length === g.validators.length), "a bond for each validator, or none");
  return g.validators.map((key, i) => ({ key, weight: g.bonds.length ? min(g.bonds[i].amount, max(sum / 10n, sum / n)) : 1n }));
}
const set_bytes = (set) => concatBytes(...set.flatMap((v) => [v.key, le(v.weight, 8)]));

function check_cert(cert, header, set, q) {
  const kind = { 2: 1, 3: 3 }[cert.kind];
  need(kind && same(cert.block, header.id) && cert.epoch === header.epoch, "the certificate makes this block not final");
  need(cert.extras.length === 0, "votes of a kind that makes nothing final");
  const msg = concatBytes(utf8ToBytes("quoin vote"), Uint8Array.of(0), header.chain, le(kind, 1), le(cert.epoch, 4), le(cert.view, 8), cert.block);
  let sum = 0n, last = -1;
  for (const v of cert.votes) {
    need(v.signer > last && v.signer < set.length, "signers must rise and be of the set");
    last = v.signer;
    need(ed25519.verify(v.sig, msg, set[v.signer].key, { zip215: false }), "a signature does not verify");
    sum += set[v.signer].weight;
  }
  need(sum >= (cert.kind === 2 ? q.fast : q.slow), "too few votes");
}

// Whether the state of the block before names these validators for the epoch after its own.
function named(before, header, set) {
  if (header.epoch !== before.header.epoch + 1) return false;
  const key = concatBytes(Uint8Array.of(0x0c), le(header.epoch, 4).reverse());
  try {
    const row = { key, value: concatBytes(le(set.length, 4), set_bytes(set)) };
    check_rows(before.header.state_root, key, concatBytes(key, Uint8Array.of(0)), [row], new Reader(before.edge));
    return true;
  } catch { return false; }
}

function check_steps(r, trust) {
  const bytes = r.take(r.u32()), g = new Reader(bytes), genesis = genesis_of(g), chain = H("genesis", bytes);
  need(g.end(), "bytes behind the genesis");
  let known = first_set(genesis), believe = hex(chain) === trust, height = 0n, header, before = null;
  const cnt = r.u16();
  need(cnt >= 1 && cnt <= 1024, "1 to 1,024 steps");
  for (let i = 0; i < cnt; i++) {
    const set = Array.from({ length: r.u16() }, () => ({ key: r.hash(), weight: r.u64() }));
    need(set.length >= 1 && set.length <= 200 && set.every((v) => v.weight >= 1n), "a set of validators");
    header = header_of(r);
    const cert = cert_of(r), edge = r.take(r.u32());
    need(same(header.chain, chain) && header.height > height, "one chain, rising");
    height = header.height;
    need(same(header.set_root, H("set", set_bytes(set))), "other validators than the header's");
    check_cert(cert, header, set, quorum(set, genesis.fast_ppm));
    if (hex(header.id) === trust) believe = true;
    else if (believe) {
      const signed = new Set(cert.votes.map((v) => hex(set[v.signer].key)));
      const by_name = before?.edge.length > 0;
      need(by_name ? named(before, header, set) : same(set_bytes(known), set_bytes(set)) ||
        weigh(known.filter((v) => signed.has(hex(v.key)))) > quorum(known, genesis.fast_ppm).traitors, "signed by strangers");
    }
    if (!believe) continue;
    known = set;
    before = { header, edge };
  }
  need(believe, "of another chain");
  need(before.edge.length === 0, "the last step hands on to none");
  return header;
}

// --- from the rows to the root ---
const bit_of = (key, bit) => (bit >> 3 < key.length ? (key[bit >> 3] >> (7 - (bit & 7))) & 1 : 0);
function diff(a, b) {
  for (let i = 0; i < 8 * Math.max(a.length, b.length); i++) if (bit_of(a, i) !== bit_of(b, i)) return i;
  return Infinity;
}
const cmp = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const leaf = (key, value_hash) => H("leaf", le(key.length, 2), key, value_hash);
const inner = (left, right, bit) => H("inner", left.subarray(0, 31), right.subarray(0, 31), le(bit, 2));

function check_rows(root, from, to, rows, edge) {
  const inside = (key) => cmp(key, from) >= 0 && (to.length === 0 || cmp(key, to) < 0);
  // Keys that begin with `bits` bits of `like` and then turn: -1 all below bound, 1 all at or above it, 0 unknown.
  const side_of = (like, bits, turn, bound) => {
    const at = Math.min(diff(like, bound), bits);
    const bit = at < bits ? bit_of(like, at) : turn;
    return bit === bit_of(bound, at) ? 0 : bit ? 1 : -1;
  };
  const outside = (like, bits, turn) => side_of(like, bits, turn, from) < 0 || (to.length > 0 && side_of(like, bits, turn, to) > 0);
  const hash_rows = (list, above) => {
    if (list.length === 1) return leaf(list[0].key, H("value", list[0].value));
    const bit = diff(list[0].key, list.at(-1).key);
    need(bit > above && bit < 4088, "rows do not part here");
    const cut = list.findIndex((row) => bit_of(row.key, bit) === 1);
    need(cut > 0, "rows out of order");
    return inner(hash_rows(list.slice(0, cut), bit), hash_rows(list.slice(cut), bit), bit);
  };
  let next = 0;
  const node = (above) => {
    const kind = edge.u8();
    if (kind === 1) return { hash: edge.take(31), key: null };
    if (kind === 2) {
      const cnt = edge.u32();
      need(cnt >= 1 && next + cnt <= rows.length, "more rows than there are");
      const list = rows.slice(next, (next += cnt));
      need(list.every((row, i) => inside(row.key) && (i === 0 || cmp(list[i - 1].key, row.key) < 0)), "a row out of range or order");
      return { hash: hash_rows(list, above), key: list[0].key };
    }
    if (kind === 3) {
      const key = edge.take(edge.u16());
      need(key.length >= 1 && key.length <= 511 && !inside(key), "a row of the range as a leaf beside it");
      return { hash: leaf(key, edge.hash()), key };
    }
    need(kind === 4, "no such node");
    const bit = edge.u16();
    need(bit > above && bit < 4088, "bits must rise");
    const side = [node(bit), node(bit)], like = side[0].key ?? side[1].key;
    need(like, "nothing shows where it lies");
    side.forEach((s, i) => need(s.key ? bit_of(s.key, bit) === i : outside(like, bit, i), "room for other rows"));
    if (side[0].key && side[1].key) need(diff(side[0].key, side[1].key) === bit, "keys part elsewhere");
    return { hash: inner(side[0].hash, side[1].hash, bit), key: like };
  };
  if (edge.bytes[0] === 0) {
    need(edge.bytes.length === 1 && rows.length === 0 && root.every((b) => b === 0), "the map is not empty");
    return;
  }
  const top = node(-1);
  need(edge.end() && next === rows.length, "something is left over");
  need(top.key && same(top.hash, root), "the rows do not lead to the root");
}

function verify(file, trust) {
  const r = new Reader(file);
  need(same(r.take(5), Uint8Array.of(0x51, 0x4e, 0x4c, 0x50, 4)), "no proof");
  const header = check_steps(r, trust);
  const from = r.take(r.u16()), to = r.take(r.u16());
  const bytes = new Reader(r.take(r.u32())), rows = [];
  while (!bytes.end()) {
    const key = bytes.take(bytes.u16());
    need(key.length >= 1 && key.length <= 511, "a key has 1 to 511 bytes");
    rows.push({ key, value: bytes.take(bytes.u32()) });
  }
  check_rows(header.state_root, from, to, rows, new Reader(file.subarray(r.at)));
  return { header, from, to, rows };
}

const fuzz = process.argv[2] === "fuzz";
const [path, trust] = process.argv.slice(fuzz ? 3 : 2);
const file = new Uint8Array(readFileSync(path));
const show = ({ header, from, to, rows }) => ({
  ...(same(header.signers, new Uint8Array(32)) && same(header.body_root, H("body")) ? { maybe_filler: true } : {}),
  height: Number(header.height), t_ms: Number(header.t_ms), block: hex(header.id), from: hex(from), to: hex(to), cnt: rows.length,
  rows: rows.map(({ key, value }) => ({ key: hex(key), value: hex(value) })),
});
if (fuzz) {
  // What the file says; only the range may become another with the same rows, and then it says that one.
  const good = show(verify(file, trust)), say = ({ block, rows }) => JSON.stringify({ block, rows });
  let refused = 0;
  for (let i = 0; i < file.length; i += 1 + (i % 8)) { // a signature takes milliseconds here
    const bad = Uint8Array.from(file);
    bad[i] ^= 1 << i % 8;
    try {
      const other = show(verify(bad, trust));
      need(say(other) === say(good) && (other.from !== good.from || other.to !== good.to), `byte ${i}: believed`);
    } catch (e) {
      if (/believed/.test(e.message)) throw e;
      refused++;
    }
    if (i % 5) continue;
    let short = true;
    try { verify(file.subarray(0, i), trust); } catch { short = false; }
    need(!short, `the first ${i} bytes: believed`);
  }
  console.log(JSON.stringify({ bytes: file.length, refused }));
} else {
  console.log(JSON.stringify(show(verify(file, trust))));
}
