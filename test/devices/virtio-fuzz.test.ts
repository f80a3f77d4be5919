import { expect, test } from "vitest";
import { fuzzDisk, fuzzRegisters, fuzzRings } from "./virtio-fuzz.js";

const seeds = Array.from({ length: 40 }, (_, index) => index + 1);

test("random rings, seeds 1 to 40: no throw, no hang, nothing outside of RAM", () => {
  const reached = { sent: 0, received: 0, broken: 0 };
  for (const seed of seeds) {
    const { sent, received, broken } = fuzzRings(seed);
    reached.sent += sent;
    reached.received += received;
    reached.broken += broken;
  }
  // The seeds must come through to frames and to broken drivers, or they show nothing.
  expect(Math.min(reached.sent, reached.received, reached.broken), JSON.stringify(reached)).toBeGreaterThan(
    100,
  );
});

test("random registers, seeds 1 to 40", () => {
  for (const seed of seeds) fuzzRegisters(seed);
});

test("random requests to a disk, seeds 1 to 40: nothing beyond the disk, nothing outside of RAM", () => {
  const reached = { served: 0, good: 0, broken: 0 };
  for (const seed of seeds) {
    const { served, good, broken } = fuzzDisk(seed);
    reached.served += served;
    reached.good += good;
    reached.broken += broken;
  }
  expect(Math.min(reached.served, reached.good, reached.broken), JSON.stringify(reached)).toBeGreaterThan(
    100,
  );
});
