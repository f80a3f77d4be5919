// Protection, tasks and paging against two reference machines, Bochs and QEMU: random cases, of which each ends with the same
// events, registers, frames and memory as on one of them at least. Longer in references.soak.ts.

import { describe, expect, test } from "vitest";
import { judge } from "./judge.js";
import { absent } from "./machines.js";
import { paging } from "./paging.js";
import type { Mode } from "./layout.js";
import type { Case } from "./rom.js";
import { transfers } from "./transfers.js";

const why = absent === "" ? "" : ` (not installed: ${absent})`;
const CASES = 60;
const tried: readonly [string, (mode: Mode, seed: number, count: number) => Case[], Mode][] = [
  ["transfers", transfers, "legacy"],
  ["transfers", transfers, "long"],
  ["paging", paging, "long"],
];

describe("against two reference machines", () => {
  for (const [name, make, mode] of tried)
    test.skipIf(why !== "")(`${name} in ${mode} mode, seed 1${why}`, { timeout: 240_000 }, async () => {
      const { judged, alone } = await judge(mode, make(mode, 1, CASES));
      expect(alone.join("\n")).toBe("");
      expect(judged).toBeGreaterThan(CASES * 0.9);
    });
});
