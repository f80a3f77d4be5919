// Protection, tasks and paging against two reference machines, Bochs and QEMU: random cases, of which each ends with the same
// events, registers, frames and memory as on one of them at least. Longer in references.soak.ts.

import { describe, expect, test } from "vitest";
import { kinds } from "./cases/index.js";
import { judge } from "./judge.js";
import { absent } from "./machines.js";

const why = absent === "" ? "" : ` (not installed: ${absent})`;
const CASES = 40;
/** One mode of each will do here. */
const here = kinds.filter(({ name, mode }) => mode === "long" || name === "transfers");

describe("against two reference machines", () => {
  for (const kind of here)
    test.skipIf(why !== "")(
      `${kind.name} in ${kind.mode} mode, seed 1${why}`,
      { timeout: 240_000 },
      async () => {
        const { judged, alone } = await judge(kind, kind.make(1, CASES));
        expect(alone.join("\n")).toBe("");
        expect(judged).toBeGreaterThan(CASES * 0.7);
      },
    );
});
