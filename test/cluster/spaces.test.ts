// One address space that threads change and use at random (test/c/spaces.c), on one machine and on several: what each step returned and read is what
// it is on Linux.
import { describe, expect, test } from "vitest";
import type { SeededOptions } from "../../emulator/cluster.js";
import { plantedKernel } from "../bugs/plant.js";
import { hasMusl, missing } from "../support/guest.js";
import { expectSame } from "../support/same-as-linux.js";

const rows: readonly (Partial<SeededOptions> & { readonly mode: string; readonly signals?: true })[] = [
  { mode: "turns", machines: 1, cores: 2 },
  { mode: "own", machines: 1, cores: 2, signals: true },
  { mode: "turns", machines: 2, cores: 1, signals: true },
  { mode: "own", machines: 3, cores: 1 },
  {
    mode: "turns",
    machines: 4,
    cores: 1,
    network: { delay: [1, 300], faults: { loss: 0.03, duplicate: 0.03 }, reorder: true },
  },
  { mode: "own", machines: 2, cores: 2, signals: true, stall: 200_000 },
  { mode: "turns", machines: 2, cores: 1, append: "records=100" },
  { mode: "own", machines: 3, cores: 1, mirror: 1 },
  { mode: "turns", machines: 2, cores: 2, append: "bytes=0 ahead=0 guess=0" },
  { mode: "own", machines: 1, cores: 2, storeBuffer: 8 },
];

describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64")(
  `an address space at random${missing("musl")}`,
  { timeout: 200_000 },
  () => {
    test.each(rows.map((row, i) => ({ ...row, seed: i + 1 })))("promises 59, 75: $seed, %o", async (row) => {
      const { mode, signals, ...options } = row;
      const all = options.machines! * options.cores!;
      const words = [mode, `${row.seed}`, "250", "4", `${all}`, ...(signals ? ["signals"] : [])];
      await expectSame("spaces", words, { spread: options.machines! > 1, ...options });
    });

    test.each([
      [
        "who was shown a mapping is not told that it is gone",
        "  if (machines !== 0) tellForget(currentLwp().process, machines, start, end);\n",
        "",
      ],
      ["what was unmapped is there again", "  if (map.memory) memoryClear(map, start, end);\n", ""],
    ])("planted, and seen: %s", async (_, from, to) => {
      const kernel = (await plantedKernel({
        kernel: { file: "kernel/process/memory-map.ts", changes: [[from, to]] },
      }))!;
      const all = async () => {
        for (let seed = 1; seed <= 4; seed++) {
          const shape = { machines: 3, cores: 1, spread: true, limit: 5e9, seed, kernel };
          await expectSame("spaces", ["turns", `${seed}`, "250", "4", "3"], shape);
        }
      };
      await expect(all()).rejects.toThrow();
    });
  },
);
