// Many more cases than references.test.ts has time for. SEED=n tries another lot of each kind, CASES=n of that many.

import { describe, expect, test } from "vitest";
import { kinds } from "./cases/index.js";
import { judge } from "./judge.js";
import { absent } from "./machines.js";

const why = absent === "" ? "" : ` (not installed: ${absent})`;
const first = Number(process.env.SEED ?? 100);
const seeds = process.env.SEED === undefined ? 3 : 1;
const count = Number(process.env.CASES ?? 800);

describe("against two reference machines", () => {
  for (const kind of kinds)
    for (let seed = first; seed < first + seeds; seed++)
      test.skipIf(why !== "")(
        `${kind.name} in ${kind.mode} mode, seed ${seed}${why}`,
        { timeout: 600_000 },
        async () => {
          const { judged, alone } = await judge(kind, kind.make(seed, count));
          expect(alone.join("\n")).toBe("");
          // Tables on pages without rights shut many a machine down.
          expect(judged).toBeGreaterThan(count * (kind.name === "implicit accesses" ? 0.2 : 0.7));
        },
      );
});
