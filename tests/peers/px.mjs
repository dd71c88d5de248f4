// Peer exchange with stock js-libp2p gossipsub, both ways. Prints one JSON line for tests/peers/px.sh.
//   px.mjs TOOL     TOOL is build/test_gossip_host
import { gossipsub, StrictNoSign } from "@libp2p/gossipsub";
import { multiaddr } from "@multiformats/multiaddr";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { makeNode } from "./libp2p_node.mjs";

const topic = "/quoin/00000000/js/1";
const sleep = (ms) => new Promise((go) => setTimeout(go, ms));
const until = async (ok) => { for (let i = 0; i < 200 && !(await ok()); i++) await sleep(50); return ok(); };
const out = {};
process.on("unhandledRejection", (e) => { console.error(e); process.exit(1); });

const all = [];
async function makeGossip() {
  const node = await makeNode({ services: { pubsub: gossipsub({ globalSignaturePolicy: StrictNoSign, doPX: true, scoreThresholds: { acceptPXThreshold: 0 } }) } });
  node.services.pubsub.subscribe(topic);
  all.push(node);
  return node;
}
const meshed = (node, id) => node.services.pubsub.getMeshPeers(topic).includes(id);
const knows = (node, id) => node.getPeers().some((p) => p.toString() === id.toString());

function makeQuoin() {
  const tool = spawn(process.argv[2], ["px"], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: tool.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value);
  return { next, say: (word) => tool.stdin.write(word), end: () => tool.stdin.end(), info: () => (tool.stdin.write("i"), next()) };
}

// quoin leaves, and names each of two js nodes to the other.
{
  const quoin = makeQuoin();
  const { addr } = await quoin.next();
  const id = addr.split("/p2p/")[1];
  const [a, b] = [await makeGossip(), await makeGossip()];
  for (const node of [a, b]) await node.dial(multiaddr(addr));
  out.meshed = await until(() => meshed(a, id) && meshed(b, id));
  await sleep(300); // identify
  out.apart = !knows(a, b.peerId);
  quoin.say("l");
  out.js_met = await until(() => knows(a, b.peerId) || knows(b, a.peerId));
  out.said = (await quoin.info()).out;
  quoin.end();
}
// A js node leaves, and names another to quoin.
{
  const quoin = makeQuoin();
  const { addr } = await quoin.next();
  const id = addr.split("/p2p/")[1];
  const [a, b] = [await makeGossip(), await makeGossip()];
  await a.dial(multiaddr(addr));
  await b.dial(a.getMultiaddrs());
  await until(async () => meshed(a, id) && meshed(a, b.peerId.toString()) && (await quoin.info()).mesh === 1);
  await sleep(300);
  out.apart = out.apart && !knows(b, id);
  a.services.pubsub.unsubscribe(topic);
  out.quoin_met = await until(() => knows(b, id));
  out.quoin_meshed = await until(() => meshed(b, id));
  out.took = (await quoin.info()).in;
  quoin.end();
}
for (const node of all) await node.stop();
console.log(JSON.stringify(out));
process.exit(0);
