// The far end of the measurement of raw bulk speed (scan.ts): a process that takes frames from the bridge and answers every
// so many with a short one. Usage: node sink.js URL EVERY; prints "ready" once it is at the bridge.
import { BridgeClient } from "../../netbridge/client.js";

const ADDRESS = [2, 0, 0, 0, 0, 2];
const every = Number(process.argv[3] ?? 1);
let count = 0;

const client = new BridgeClient({
  url: process.argv[2] ?? "",
  onFrame: (frame) => {
    if (++count % every !== 0) return;
    const reply = frame.slice(0, 64);
    reply.set(frame.subarray(6, 12), 0);
    reply.set(ADDRESS, 6);
    client.send(reply);
  },
});
await client.connect();
console.log("ready");
