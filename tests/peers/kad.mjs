// js-libp2p's kad-dht and quoin's hash table in one network: find and provide, both ways. Prints one JSON line for tests/peers/kad.sh.
//   kad.mjs TOOL     TOOL is build/test_discover
import { kadDHT, passthroughMapper } from "@libp2p/kad-dht";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { CID } from "multiformats/cid";
import { sha256 } from "multiformats/hashes/sha2";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { makeNode } from "./libp2p_node.mjs";

const PROTOCOL = "/quoin/00112233/kad/1.0.0";
const out = {};
const sleep = (ms) => new Promise((go) => setTimeout(go, ms));
process.on("unhandledRejection", (e) => { console.error(e); process.exit(1); });

const dht = () => kadDHT({ protocol: PROTOCOL, clientMode: false, peerInfoMapper: passthroughMapper, allowQueryWithZeroPeers: true, initialQuerySelfInterval: 200 });
const make = () => makeNode({ services: { dht: dht() } });
async function until(what, ms = 20000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(200)) {
    try {
      const got = await what();
      if (got) return got;
    } catch (e) {
      if (process.env.DEBUG_KAD) console.error(e);
    }
  }
  return false;
}
const key = async (text) => CID.createV1(0x55, await sha256.digest(new TextEncoder().encode(text)));
const hex = (bytes) => Buffer.from(bytes).toString("hex");
async function providers(node, cid) {
  const got = [];
  for await (const p of node.contentRouting.findProviders(cid, { signal: AbortSignal.timeout(5000) })) got.push(p.id.toString());
  return got;
}

const quoin = spawn(process.argv[2], ["peer"], { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: quoin.stdout })[Symbol.asyncIterator]();
const next = async () => JSON.parse((await lines.next()).value);
const say = async (line) => { quoin.stdin.write(line + "\n"); return next(); };
const { addr, id } = await next();
const at = multiaddr(addr.includes("/p2p/") ? addr : `${addr}/p2p/${id}`);
const q = peerIdFromString(id);

// a and b know quoin alone, c knows a alone
const [a, b, c] = await Promise.all([make(), make(), make()]);
await a.dial(at);
await b.dial(at);
await c.dial(a.getMultiaddrs()[0]);

out.in_js_table = await until(() => a.services.dht.routingTable.kb.toIterable && [...a.services.dht.routingTable.kb.toIterable()].some((p) => p.peerId.equals(q)));
out.js_finds = await until(async () => (await a.peerRouting.findPeer(b.peerId, { signal: AbortSignal.timeout(5000), useCache: false })).multiaddrs.length > 0);
out.quoin_finds = await until(async () => (await say(`find ${c.peerId}`)).find === "OK");

const one = await key("of js");
await until(async () => { await a.contentRouting.provide(one, { signal: AbortSignal.timeout(5000) }); return true; });
out.js_provides = await until(async () => (await say(`providers ${hex(one.multihash.bytes)}`)).providers.includes(a.peerId.toString()));
out.js_finds_js = await until(async () => (await providers(b, one)).includes(a.peerId.toString()));

const two = await key("of quoin");
out.provide = (await say(`provide ${hex(two.multihash.bytes)}`)).provide;
out.quoin_provides = await until(async () => (await providers(b, two)).includes(id));
// and not only because quoin itself was asked
const kept = await until(async () => (await a.services.dht.providers.getProviders(two)).some((p) => p.equals(q)));
out.js_keeps = kept;

out.alive = (await say(`find ${b.peerId}`)).find;
quoin.stdin.end();
out.quoin = await next();
console.log(JSON.stringify(out));
process.exit(0);
