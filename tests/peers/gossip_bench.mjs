// Messages a second from one js-libp2p process to another, for core/net/bench_net_gossip_host.c: prints one number.
//   gossip_bench.mjs COUNT BYTES
import { gossipsub, StrictNoSign } from "@libp2p/gossipsub";
import { multiaddr } from "@multiformats/multiaddr";
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { makeNode } from "./libp2p_node.mjs";

const [count, bytes] = process.argv.slice(2).map(Number);
const topic = "/quoin/00000000/tx/1";
const msgIdFn = (msg) => createHash("sha256").update(msg.topic).update(msg.data).digest().subarray(0, 20);
const node = await makeNode({ services: { pubsub: gossipsub({ globalSignaturePolicy: StrictNoSign, msgIdFn, emitSelf: false }) } });
const pubsub = node.services.pubsub;
pubsub.subscribe(topic);

if (process.send) { // the receiving end
  let got = 0;
  pubsub.addEventListener("message", () => { if (++got === count) process.send("done"); });
  process.send(node.getMultiaddrs()[0].toString());
} else {
  const child = fork(fileURLToPath(import.meta.url), process.argv.slice(2), { execArgv: process.execArgv });
  const [addr] = await once(child, "message");
  await node.dial(multiaddr(addr));
  while (pubsub.getMeshPeers(topic).length === 0) await new Promise((go) => setTimeout(go, 20));
  const done = once(child, "message");
  const begin = performance.now();
  for (let i = 0; i < count; i++) {
    const data = new Uint8Array(bytes);
    new DataView(data.buffer).setUint32(0, i, true);
    await pubsub.publish(topic, data);
    if (i % 64 === 63) await new Promise((go) => setImmediate(go)); // else nothing is written before the end
  }
  await done;
  console.log(Math.round(count / ((performance.now() - begin) / 1000)));
  child.kill();
  process.exit(0);
}
