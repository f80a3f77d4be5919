// The self-test in ring 0 over many seeds and numbers of cores: QEMU runs each core on a thread of its own, so every run
// is another interleaving.
import { describe, expect, test } from "vitest";
import { qemu } from "../support/qemu.js";

describe.skipIf(qemu.missing)(`self-test under QEMU ${qemu.missing}`, () => {
  for (let seed = 1; seed <= 40; seed++) {
    const cores = [2, 3, 4, 8][seed % 4]!;
    test(`seed ${seed} on ${cores} cores`, async () => {
      const run = await qemu.run({ cores, append: `exit=f4 selftest seed=${seed}`, seconds: 200 });
      expect(run.output).not.toMatch(/panic/);
      expect(run.status).toBe(1);
    }, 240_000);
  }
});
