// The far end of the measurement of R: a process of its own, as a machine is one, that sends every frame back.
// Usage: node echo.js URL; prints "ready" once it is at the bridge.

import { BridgeClient } from "../../netbridge/client.js";

const ADDRESS = [2, 0, 0, 0, 0, 2];

const client = new BridgeClient({
  url: process.argv[2] ?? "",
  onFrame: (frame) => {
    const reply = frame.slice();
    reply.set(frame.subarray(6, 12), 0);
    reply.set(ADDRESS, 6);
    client.send(reply);
  },
});
await client.connect();
console.log("ready");
