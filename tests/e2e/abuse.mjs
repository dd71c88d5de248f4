// A client that behaves badly: abuse.mjs HOST PORT COOKIE. Opens 1,000 connections and keeps them, asks for events and for large answers and
// reads none of it, sends requests a byte at a time; meanwhile asks properly and prints how many of those were answered and how slowly.
import net from "node:net";
const [host, port, cookie] = process.argv.slice(2);
const auth = `Host: ${host}:${port}\r\nAuthorization: Bearer ${cookie}\r\n`;
const open = [];
let refused = 0;
function connect(onOpen) {
  return new Promise((done) => {
    const s = net.connect({ host, port: Number(port) }, () => { onOpen?.(s); done(s); });
    s.on("error", () => { refused++; done(null); });
    open.push(s);
  });
}
function ask() {
  return new Promise((done) => {
    const begun = Date.now();
    let text = "";
    const s = net.connect({ host, port: Number(port) }, () => s.write(`GET /v1/node/status HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`));
    s.setTimeout(5000, () => { s.destroy(); done(null); });
    s.on("data", (d) => (text += d));
    s.on("error", () => done(null));
    s.on("close", () => done(text.startsWith("HTTP/1.1 200") ? Date.now() - begun : null));
  });
}
for (let i = 0; i < 1000; i++) await connect();
for (let i = 0; i < 50; i++) { // slow readers: a long pipeline of answers, never read
  await connect((s) => {
    s.pause();
    s.write(`GET /openapi.json HTTP/1.1\r\n${auth}\r\n`.repeat(200));
  });
}
for (let i = 0; i < 50; i++) await connect((s) => { s.pause(); s.write(`GET /v1/events HTTP/1.1\r\n${auth}\r\n`); });
for (let i = 0; i < 50; i++) await connect((s) => { s.write("POST /rpc HTTP/1.1\r\nContent-Le"); const t = setInterval(() => s.destroyed ? clearInterval(t) : s.write("n"), 100); t.unref(); });
const took = [];
for (let i = 0; i < 50; i++) { took.push(await ask()); await new Promise((r) => setTimeout(r, 20)); }
const ok = took.filter((t) => t !== null);
console.log(JSON.stringify({ open: open.length, refused, asked: took.length, answered: ok.length, slowest_ms: Math.max(...ok) }));
process.stdin.resume(); // stays until its input ends, so that the node's memory can be looked at
process.stdin.on("end", () => process.exit(0));
