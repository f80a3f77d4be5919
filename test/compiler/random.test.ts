// Random programs, by V8 and by the back end on the processor. A failure names its seed:
//   SEED=417 npx vitest run --project quick test/compiler/random
import { expect, test } from "vitest";
import { randomProgram } from "./generator.js";
import { difference, hostRunsPrograms, whyNot } from "./run.js";

const only = process.env["SEED"];
const seeds = only === undefined ? Array.from({ length: 120 }, (_, n) => n) : [Number(only)];

test.skipIf(!hostRunsPrograms)(
  `random programs give what V8 gives${hostRunsPrograms ? "" : ` (skipped: ${whyNot})`}`,
  () => {
    for (const seed of seeds) {
      const found = difference(randomProgram(seed, seed % 4 === 0));
      if (found !== undefined) expect.fail(`seed ${seed}: ${found}`);
    }
  },
);
