// What bench_net holds quoin against: js-libp2p's own figures for the same work, two processes of it. One number a line.
//   libp2p_bench.mjs bulk BYTES     bytes a second of one stream (perf upload)
//   libp2p_bench.mjs shakes MS      connections a second, dialled and closed one after the other
//   libp2p_bench.mjs dial ADDR      ms until a dial is done, the best of five
//   libp2p_bench.mjs idle COUNT     bytes of memory the listener takes for an idle peer
import { multiaddr } from "@multiformats/multiaddr";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { makeNode, perf } from "./libp2p_node.mjs";

const [mode, arg] = process.argv.slice(2);
const open = { connectionManager: { inboundConnectionThreshold: 1e6, maxIncomingPendingConnections: 1e4, maxConnections: 1e5 } };

if (mode === "serve") {
  const node = await makeNode(open);
  console.log(node.getMultiaddrs()[0].toString());
  for await (const line of createInterface({ input: process.stdin })) {
    global.gc?.();
    if (line === "rss") console.log(process.memoryUsage().rss);
  }
  process.exit(0);
}

if (mode === "dial") {
  let best = Infinity;
  for (let i = 0; i < 5; i++) {
    const node = await makeNode({ ...open, addresses: { listen: [] } });
    const begin = performance.now();
    await node.dial(multiaddr(arg));
    best = Math.min(best, performance.now() - begin);
    await node.stop();
  }
  console.log(best);
  process.exit(0);
}

const flags = ["--no-warnings", "--expose-gc", "--import", new URL("./polyfill.mjs", import.meta.url).pathname];
const server = spawn(process.execPath, [...flags, process.argv[1], "serve"], { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
const addr = multiaddr((await lines.next()).value);
const rss = async () => {
  server.stdin.write("rss\n");
  return Number((await lines.next()).value);
};

if (mode === "bulk") {
  const node = await makeNode(open);
  const conn = await node.dial(addr);
  await perf(node, conn.remotePeer, 8 << 20, 0);
  const { up_ms } = await perf(node, conn.remotePeer, Number(arg), 0);
  console.log(Math.round((Number(arg) * 1000) / up_ms));
} else if (mode === "shakes") {
  const node = await makeNode({ ...open, addresses: { listen: [] } });
  const begin = performance.now();
  let cnt = 0;
  while (performance.now() - begin < Number(arg)) {
    const conn = await node.dial(addr, { force: true });
    await conn.close();
    cnt++;
  }
  console.log(Math.round((cnt * 1000) / (performance.now() - begin)));
} else if (mode === "idle") {
  await (await (await makeNode(open)).dial(addr)).close();
  const before = await rss();
  for (let i = 0; i < Number(arg); i++) await (await makeNode({ ...open, addresses: { listen: [] } })).dial(addr);
  console.log(Math.round(((await rss()) - before) / Number(arg)));
}
server.kill();
process.exit(0);
