// Two stock js-libp2p gossipsub nodes that know only quoin's host, in one mesh with it: COUNT messages from each of the three to the others, so
// that what one js node says reaches the other through quoin. Prints one JSON line for tests/peers/gossip.sh.
//   gossip.mjs TOOL COUNT BYTES     TOOL is build/test_gossip_host
import { gossipsub, StrictNoSign } from "@libp2p/gossipsub";
import { multiaddr } from "@multiformats/multiaddr";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { makeNode } from "./libp2p_node.mjs";

const [tool, countText, bytesText] = process.argv.slice(2);
const count = Number(countText), bytes = Number(bytesText);
const topic = "/quoin/00000000/js/1";
const sleep = (ms) => new Promise((go) => setTimeout(go, ms));
const out = {};
process.on("unhandledRejection", (e) => { console.error(e); process.exit(1); });

// id = SHA-256("quoin-gossip" || u8 topic_len || topic || data)[0..20]
const msgIdFn = (msg) => createHash("sha256").update("quoin-gossip").update(Uint8Array.of(msg.topic.length)).update(msg.topic).update(msg.data).digest().subarray(0, 20);
out.id = msgIdFn({ topic: "/quoin/00000000/tx/1", data: new TextEncoder().encode("hello") }).toString("hex");

async function makeGossip() {
  const node = await makeNode({ services: { pubsub: gossipsub({ globalSignaturePolicy: StrictNoSign, msgIdFn, emitSelf: false, allowPublishToZeroTopicPeers: false, floodPublish: true }) } });
  const got = new Map();
  let twice = 0;
  node.services.pubsub.addEventListener("message", ({ detail }) => {
    const number = new DataView(detail.data.buffer, detail.data.byteOffset).getUint32(0, true);
    if (got.has(number)) twice++;
    got.set(number, detail.data.length);
  });
  node.services.pubsub.subscribe(topic);
  return { node, got, twice: () => twice };
}

const server = spawn(tool, ["serve", String(count), String(bytes), "2"], { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
const { addr } = JSON.parse((await lines.next()).value);
const js = [await makeGossip(), await makeGossip()];
const quoin = addr.split("/p2p/")[1];
for (const j of js) await j.node.dial(multiaddr(addr));
const meshed = (j) => j.node.services.pubsub.getMeshPeers(topic).includes(quoin);
for (let i = 0; i < 200 && !js.every(meshed); i++) await sleep(50);
out.meshed = js.every(meshed);
out.protocol = js[0].node.services.pubsub.streamsOutbound.get(quoin)?.rawStream.protocol;

// quoin sends 0 .. count - 1, the first js node count .., the second 2 * count ..
const begin = performance.now();
async function send(j, first, cnt) {
  for (let i = 0; i < cnt; i++) {
    const data = new Uint8Array(bytes).map((_, n) => n);
    new DataView(data.buffer).setUint32(0, first + i, true);
    await j.node.services.pubsub.publish(topic, data);
    if (i % 20 === 19) await sleep(10);
  }
}
await Promise.all(js.map((j, k) => send(j, (k + 1) * count, count)));
for (let i = 0; i < 400 && js.some((j) => j.got.size < 2 * count); i++) await sleep(50);
out.ms = Math.round(performance.now() - begin);
const from = (j, k) => [...j.got.keys()].filter((n) => Math.floor(n / count) === k).length;
out.js = js.map((j, k) => ({ quoin: from(j, 0), other: from(j, 2 - k), twice: j.twice(), whole: [...j.got.values()].every((n) => n === bytes) }));
// A triangle: what comes twice is said to be not wanted.
await js[0].node.dial(js[1].node.getMultiaddrs());
for (let i = 0; i < 200 && js.some((j) => j.node.services.pubsub.getMeshPeers(topic).length < 2); i++) await sleep(50);
await send(js[0], 3 * count, 100);
for (let i = 0; i < 200 && from(js[1], 3) < 100; i++) await sleep(50);
out.triangle = from(js[1], 3);
await sleep(500);
out.score = js.map((j) => j.node.services.pubsub.getScore(quoin) >= 0);
server.stdin.end();
out.quoin = JSON.parse((await lines.next()).value);
for (const j of js) await j.node.stop();
console.log(JSON.stringify(out));
process.exit(0);
