// The self-test in ring 0 over many seeds and numbers of cores: QEMU runs each core on a thread of its own, so every run
// is another interleaving; on our own machine the seed draws it.
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { kernelPath } from "../../emulator/images.js";
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

describe("self-test on our own machine", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const cores = [2, 3, 4, 8][seed % 4]!;
    test(`seed ${seed} on ${cores} cores`, () => {
      const { stdout, status } = spawnSync(
        process.execPath,
        [
          ...[
            "dist/emulator/cli.js",
            "boot",
            "--kernel",
            kernelPath,
            "--seed",
            `${seed}`,
            "--cores",
            `${cores}`,
          ],
          ...["--append", `exit=f4 selftest seed=${seed}`, "--limit", "120"],
        ],
        { encoding: "utf8", timeout: 500_000 },
      );
      expect(stdout).not.toMatch(/panic/);
      expect(stdout).toMatch(/^stats: /m);
      expect(status, stdout).toBe(0);
    }, 600_000);
  }
});
