// reach.mjs ADDR: a js-libp2p node with AutoNAT v2 that dials ADDR, asks it whether it can be reached, and answers when it is asked. After 20 s,
// one line of JSON: {"asked": times it was asked, "dialled": connections that came from a name made for dialling back, "nonces": numbers brought,
// "verified": what it then holds for an address of its own}
import { createLibp2p } from "libp2p";
import { tcp } from "@libp2p/tcp";
import { noise } from "@libp2p/noise";
import { yamux } from "@libp2p/yamux";
import { identify } from "@libp2p/identify";
import { ping } from "@libp2p/ping";
import { autoNATv2 } from "@libp2p/autonat-v2";
import { multiaddr } from "@multiformats/multiaddr";

const said = { asked: 0, dialled: 0, nonces: 0 };
const node = await createLibp2p({
  addresses: { listen: ["/ip4/6.6.1.1/tcp/4001"] }, transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()],
  services: { identify: identify(), ping: ping(), reach: autoNATv2({}) },
});
const count = (protocol, key) => {
  const { handler, options } = node.components.registrar.getHandler(protocol);
  node.components.registrar.unhandle(protocol);
  return node.components.registrar.handle(protocol, (...args) => { said[key]++; return handler(...args); }, options);
};
await count("/libp2p/autonat/2/dial-request", "asked");
await count("/libp2p/autonat/2/dial-back", "nonces");
const quoin = multiaddr(process.argv[2]);
const id = (await node.dial(quoin)).remotePeer;
node.addEventListener("connection:open", (e) => { if (!e.detail.remotePeer.equals(id)) said.dialled++; });
await new Promise((done) => setTimeout(done, 20000));
said.verified = node.components.addressManager.getAddressesWithMetadata().filter((a) => a.verified).map((a) => a.multiaddr.toString());
console.log(JSON.stringify(said));
process.exit(0);
