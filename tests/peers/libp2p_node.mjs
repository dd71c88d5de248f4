// A stock js-libp2p node with perf, which it has no package for: /perf/1.0.0 is u64 BE wanted, upload, FIN, download.
import { noise } from "@libp2p/noise";
import { identify, identifyPush } from "@libp2p/identify";
import { ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { createLibp2p } from "libp2p";

export const PERF = "/perf/1.0.0";
const PIECE = 65536;

async function push(stream, bytes) {
  const zeros = new Uint8Array(PIECE);
  for (let left = bytes; left > 0; left -= PIECE) {
    if (!stream.send(zeros.subarray(0, Math.min(left, PIECE)))) await new Promise((go) => stream.addEventListener("drain", go, { once: true }));
  }
  await stream.close();
}

export async function perf(node, peer, up, down) {
  const stream = await node.dialProtocol(peer, PERF);
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(down));
  let got = 0;
  const begin = performance.now();
  let first = 0;
  const read = (async () => {
    for await (const piece of stream) {
      first ||= performance.now();
      got += piece.byteLength;
    }
  })();
  stream.send(head);
  await push(stream, up);
  await read;
  const end = performance.now();
  first ||= end;
  if (got !== down) console.error("got", got, "of", down);
  return { ok: got === down, up_ms: first - begin, down_ms: end - first };
}

async function serve(stream) {
  const head = [];
  for await (const piece of stream) if (head.length < 8) head.push(...piece.subarray(0, 8 - head.length));
  const want = new DataView(Uint8Array.from(head).buffer).getBigUint64(0);
  await push(stream, Number(want));
}

export async function makeNode(more = {}) {
  const node = await createLibp2p({
    addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    connectionManager: { inboundConnectionThreshold: 1000 },
    ...more,
    services: { identify: identify(), push: identifyPush(), ping: ping(), ...more.services },
  });
  await node.handle(PERF, serve, { maxInboundStreams: 8 });
  return node;
}
