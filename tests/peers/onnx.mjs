// onnx.mjs - onnxruntime on an exported model. `node onnx.mjs MODEL.onnx IMAGES.qnds CNT`: a JSON line an image, with its class and
// logits; the graph gets the raw pixels.
import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";

const [file, data, cnt] = process.argv.slice(2);
const set = readFileSync(data), recBytes = set.readUInt32LE(8), values = set.readUInt32LE(16) * set.readUInt32LE(20) * set.readUInt32LE(24);
const session = await ort.InferenceSession.create(file, { graphOptimizationLevel: process.env.ORT_LEVEL ?? "all" });
const batch = 100;
for (let at = 0; at < Number(cnt); at += batch) {
    const rows = Math.min(batch, Number(cnt) - at), pixels = new Uint8Array(rows * values);
    for (let r = 0; r < rows; r++) {
        const from = 64 + (at + r) * recBytes;
        pixels.set(set.subarray(from, from + values), r * values);
    }
    const out = await session.run({ [session.inputNames[0]]: new ort.Tensor("uint8", pixels, [rows, values]) });
    const width = out.logits.dims[1];
    for (let r = 0; r < rows; r++)
        console.log(JSON.stringify({ class: Number(out.class.data[r]), logits: Array.from(out.logits.data.slice(r * width, (r + 1) * width)) }));
}
