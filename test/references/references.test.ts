// Transfers, paging, real and virtual-8086 mode, limits, debug exceptions, system registers and floating-point exceptions
// against two reference machines, Bochs and QEMU: random cases, of which each ends with the same events, registers, frames
// and memory as on one of them at least. Longer in references.soak.ts.

import { describe, expect, test } from "vitest";
import { kinds } from "./cases/index.js";
import { judge } from "./judge.js";
import { absent } from "./machines.js";

const why = absent === "" ? "" : ` (not installed: ${absent})`;
/** Of each kind; all kinds of a mode are one ROM. */
const CASES = 10;

describe("against two reference machines", () => {
  for (const mode of ["legacy", "long"] as const)
    test.skipIf(why !== "")(
      `every kind of case in ${mode} mode, seed 1${why}`,
      { timeout: 240_000 },
      async () => {
        const here = kinds.filter((kind) => kind.mode === mode && kind.model === "ryzen");
        const cases = here.flatMap((kind) => kind.make(1, CASES));
        const { judged, alone } = await judge({ mode, model: "ryzen" }, cases);
        expect(alone.join("\n")).toBe("");
        expect(judged).toBeGreaterThan(cases.length * 0.8);
      },
    );
});
