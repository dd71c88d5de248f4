// A client that knows nothing of quoin but docs/ref/wire.md: npm's borsh for the bytes, noble for BLAKE3 and Ed25519.
//   borsh.mjs address                      the account of the key in $SEED
//   borsh.mjs send CHAIN TO UQN NOW_MS     a signed transfer: {"tx": hex of its bytes, "id": hex}
//   borsh.mjs block < HEX                  what is in a block
import { ed25519 } from "@noble/curves/ed25519";
import { blake3 } from "@noble/hashes/blake3";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils";
import * as borsh from "borsh";
import { readFileSync } from "node:fs";

const hash = { array: { type: "u8", len: 32 } };
const sig = { array: { type: "u8", len: 64 } };
const bytes = { array: { type: "u8" } };
const H = (label, data) => blake3(data, { context: "quoin " + label });

const head = {
  ver: "u8", chain: hash, kind: "u16", sender: hash, salt: "u64", from_ms: "u64", until_ms: "u64", gas_max: "u32",
  fee_max: "u64", tip: "u64", mandate: { option: hash }, body: bytes,
};
const auth = { struct: { acct: hash, policy: bytes, sigs: { array: { type: { struct: { key: "u8", sig } } } } } };
const tx = { struct: { ...head, auths: { array: { type: auth } } } };
const block = {
  struct: {
    header: {
      struct: {
        ver: "u16", chain: hash, epoch: "u32", height: "u64", view: "u64", t_ms: "u64", parent: hash, body_root: hash,
        state_root: hash, beacon: hash, vrf: { array: { type: "u8", len: 80 } }, set_root: hash, signers: hash, proposer: hash,
      },
    },
    txs: { array: { type: tx } },
  },
};
const send = { struct: { to: hash, amount: "u64", memo: "string" } };

const hex = (list) => bytesToHex(Uint8Array.from(list));
const tx_id = (one) => H("tx", borsh.serialize({ struct: head }, one));

const seed = hexToBytes(process.env.SEED ?? "00".repeat(32));
const pub = ed25519.getPublicKey(seed);
const policy = concatBytes(Uint8Array.of(0), pub);
const acct = H("acct", policy);

const [verb, ...args] = process.argv.slice(2);
if (verb === "address") {
  console.log(bytesToHex(acct));
} else if (verb === "send") {
  const [chain, to, uqn, now_ms] = args;
  const body = borsh.serialize(send, { to: hexToBytes(to), amount: BigInt(uqn), memo: "from npm" });
  const one = {
    ver: 1, chain: hexToBytes(chain), kind: 1, sender: acct, salt: 7n, from_ms: BigInt(now_ms) - 1000n,
    until_ms: BigInt(now_ms) + 60000n, gas_max: 1000000, fee_max: 100000n, tip: 0n, mandate: null, body,
  };
  const id = tx_id(one);
  const msg = concatBytes(utf8ToBytes("quoin tx"), Uint8Array.of(0), hexToBytes(chain), id);
  one.auths = [{ acct, policy, sigs: [{ key: 0, sig: ed25519.sign(msg, seed) }] }];
  console.log(JSON.stringify({ tx: bytesToHex(borsh.serialize(tx, one)), id: bytesToHex(id) }));
} else if (verb === "block") {
  const raw = hexToBytes(readFileSync(0, "utf8").trim());
  const b = borsh.deserialize(block, raw);
  if (bytesToHex(borsh.serialize(block, b)) !== bytesToHex(raw)) throw new Error("other bytes when encoded again");
  const ids = b.txs.map(tx_id);
  const whole = b.txs.map((one) => H("tx whole", borsh.serialize(tx, one)));
  if (hex(H("body", concatBytes(...whole))) !== hex(b.header.body_root)) throw new Error("body_root is not of these transactions");
  for (const [i, one] of b.txs.entries()) {
    const key = Uint8Array.from(one.auths[0].policy).slice(1);
    const msg = concatBytes(utf8ToBytes("quoin tx"), Uint8Array.of(0), Uint8Array.from(one.chain), ids[i]);
    if (!ed25519.verify(Uint8Array.from(one.auths[0].sigs[0].sig), msg, key)) throw new Error("a signature does not verify");
  }
  const header = borsh.serialize(block.struct.header, b.header);
  console.log(JSON.stringify({
    height: Number(b.header.height), t_ms: Number(b.header.t_ms), hash: bytesToHex(H("header", header)),
    state_root: hex(b.header.state_root), txs: ids.map(bytesToHex),
    sends: b.txs.filter((one) => one.kind === 1).map((one) => {
      const s = borsh.deserialize(send, Uint8Array.from(one.body));
      return { to: hex(s.to), amount_uqn: Number(s.amount), memo: s.memo };
    }),
  }));
} else {
  console.error("borsh.mjs address | send CHAIN TO UQN NOW_MS | block");
  process.exit(2);
}
