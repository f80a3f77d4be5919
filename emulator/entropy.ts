// Where a virtio entropy device has its bytes from: in seeded mode the run's seed, so that the run repeats, in live
// mode the host.

import { randomFillSync } from "node:crypto";
import type { Entropy } from "./devices/virtio-rng.js";
import { Random } from "./random.js";

export function seededEntropy(seed: number): Entropy {
  const random = new Random(seed).fork("virtio-rng");
  return {
    fill: (bytes) => {
      for (let at = 0; at < bytes.length; at++) bytes[at] = random.bits() >>> 24;
    },
    snapshot: () => ({ random: random.snapshot() }),
    restore: (state) => random.restore((state as { random: number[] }).random),
  };
}

export const hostEntropy = (): Entropy => ({
  fill: (bytes) => void randomFillSync(bytes),
  snapshot: () => ({}),
  restore: () => {},
});
