// js-libp2p and quoin's host, each dialling the other: identify, ping, perf. Prints one JSON line for tests/peers/libp2p.sh.
//   libp2p.mjs TOOL     TOOL is build/test_host
import { multiaddr } from "@multiformats/multiaddr";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { makeNode, perf } from "./libp2p_node.mjs";

const BYTES = 8 << 20;
const tool = process.argv[2];
const out = {};

process.on("unhandledRejection", (e) => { console.error(e); process.exit(1); });
const js = await makeNode();

// js dials
const server = spawn(tool, ["serve"], { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
const { addr } = JSON.parse((await lines.next()).value);
const identified = once(js, "peer:identify");
const conn = await js.dial(multiaddr(addr));
out.dialled = conn.remotePeer.toString() === addr.split("/p2p/")[1];
out.muxer = conn.multiplexer;
const [{ detail }] = await identified;
out.agent = detail.agentVersion;
out.speaks = detail.protocols.includes("/ipfs/ping/1.0.0") && detail.protocols.includes("/ipfs/id/push/1.0.0");
out.record = detail.signedPeerRecord !== undefined;
out.observed = detail.observedAddr !== undefined;
out.ping = (await js.services.ping.ping(conn.remotePeer)) >= 0;
out.perf = (await perf(js, conn.remotePeer, BYTES, BYTES)).ok;
const many = await Promise.all(Array.from({ length: 6 }, (_, i) => perf(js, conn.remotePeer, i * 1000, i * 70000).catch((e) => ({ ok: String(e) }))));
out.parallel = many.filter((m) => m.ok === true).length;
try {
  await js.dialProtocol(conn.remotePeer, "/nobody/speaks/this");
  out.refused = false;
} catch (e) {
  out.refused = e.name;
}
server.stdin.end();
out.server = JSON.parse((await lines.next()).value);

// js is dialled
const client = spawn(tool, ["dial", js.getMultiaddrs()[0].toString(), String(BYTES)], { stdio: ["ignore", "pipe", "inherit"] });
let text = "";
client.stdout.on("data", (d) => (text += d));
await once(client, "close");
out.client = JSON.parse(text);
out.client.id = out.client.id === js.peerId.toString();
// a wrong identity is refused before anything goes up
const wrong = spawn(tool, ["dial", js.getMultiaddrs()[0].toString().replace(/p2p\/.*/, "p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"), "0"], { stdio: ["ignore", "pipe", "inherit"] });
text = "";
wrong.stdout.on("data", (d) => (text += d));
await once(wrong, "close");
out.wrong = JSON.parse(text).dial;
await js.stop();
console.log(JSON.stringify(out));
process.exit(0);
