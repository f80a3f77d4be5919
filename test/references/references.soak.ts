// Many more cases than references.test.ts has time for. SEED=n tries another thousand of each kind.

import { describe, expect, test } from "vitest";
import { judge } from "./judge.js";
import { absent } from "./machines.js";
import { paging } from "./paging.js";
import { transfers } from "./transfers.js";

const why = absent === "" ? "" : ` (not installed: ${absent})`;
const first = Number(process.env.SEED ?? 100);
const seeds = process.env.SEED === undefined ? 5 : 1;
const CASES = 1000;

describe("against two reference machines", () => {
  for (const [name, make] of Object.entries({ transfers, paging }))
    for (const mode of ["legacy", "long"] as const)
      for (let seed = first; seed < first + seeds; seed++)
        test.skipIf(why !== "")(
          `${name} in ${mode} mode, seed ${seed}${why}`,
          { timeout: 600_000 },
          async () => {
            const { judged, alone } = await judge(mode, make(mode, seed, CASES));
            expect(alone.join("\n")).toBe("");
            expect(judged).toBeGreaterThan(CASES * 0.9);
          },
        );
});
