// A stock js-libp2p client visits a running node, as docs/why/network.md tells it to: dials, pings, listens to what is gossiped until it has heard
// votes of every validator, and a certificate, and checks each as docs/why/consensus.md draws it. Then it waits to be dialled. JSON lines for tests/peers/visit.sh.
//   visit.mjs ADDRESS CHAIN KEY..     KEY: the validators' public keys, hex
import { gossipsub, StrictNoSign } from "@libp2p/gossipsub";
import { identify } from "@libp2p/identify";
import { noise } from "@libp2p/noise";
import { ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { ed25519 } from "@noble/curves/ed25519";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createLibp2p } from "libp2p";

const [address, chain, ...keys] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));
const hash = (...parts) => parts.reduce((h, part) => h.update(part), createHash("sha256")).digest();
const js = await createLibp2p({
  addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    pubsub: gossipsub({
      globalSignaturePolicy: StrictNoSign,
      msgIdFn: ({ topic, data }) => hash("quoin-gossip", Uint8Array.of(topic.length), topic, data).subarray(0, 20),
    }),
  },
});

// kind 3, then the vote: kind u8 | epoch u32 | view u64 | block[32] | signer u16 | signature[64]
function voter(vote) {
  const signed = Buffer.concat([Buffer.from("quoin vote\0"), Buffer.from(chain, "hex"), vote.subarray(0, 45)]);
  return keys.findIndex((key) => ed25519.verify(vote.subarray(47), signed, key, { zip215: false }));
}

// kind 4, then the certificate: kind u8 | epoch u32 | view u64 | block[32], and two lists: n u32 | n times signer u16 | signature[64]
function certified(cert) {
  const kinds = { 1: [1, 2], 2: [1], 3: [3] }[cert[0]];
  let at = 45;
  for (let list = 0; list < 2; list++) {
    const n = cert.readUInt32LE(at);
    at += 4;
    for (let i = 0, last = -1; i < n; i++, at += 66) {
      const signer = cert.readUInt16LE(at), head = Buffer.concat([Buffer.of(kinds[list]), cert.subarray(1, 45)]);
      const whose = voter(Buffer.concat([head, cert.subarray(at, at + 66)]));
      if (signer <= last || whose < 0) return false;
      last = signer;
    }
  }
  return at === cert.length;
}

const heard = new Map(); // signer -> whose key
let votes = 0, certs = 0, wrong = 0;
const all = new Promise((done) => {
  js.services.pubsub.addEventListener("message", ({ detail: { data } }) => {
    if (data[0] === 4 && !certified(Buffer.from(data.subarray(1)))) wrong++;
    if (data[0] === 4) certs++;
    if (data[0] !== 3) return;
    const vote = Buffer.from(data.subarray(1)), whose = voter(vote), signer = vote.readUInt16LE(45);
    votes++;
    if (vote.length !== 111 || whose < 0 || (heard.get(signer) ?? whose) !== whose) wrong++;
    heard.set(signer, whose);
    if (heard.size >= keys.length && votes >= 20 && certs > 0) done();
  });
});
js.services.pubsub.subscribe(`/quoin/${chain.slice(0, 8)}/vote/2`);
const conn = await js.dial(multiaddr(address));
say({ dialled: conn.remotePeer.toString(), ping: (await js.services.ping.ping(conn.remotePeer)) >= 0 });
await all;
say({ heard: heard.size, keys: new Set(heard.values()).size, certs, wrong });
await js.handle(`/quoin/${chain.slice(0, 8)}/ledger/9`, () => {}); // from now on it is of a later version
await js.hangUp(conn.remotePeer);
const dialled = once(js, "peer:connect");
say({ listens: js.getMultiaddrs()[0].toString() });
await dialled;
process.stdin.on("end", () => process.exit(0)).resume();
