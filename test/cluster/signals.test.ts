// Signals that wait, are awaited, and are taken along (test/c/signals.c): what Linux does is right.
import { describe, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { expectSame } from "../support/same-as-linux.js";

describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64")(
  `signals as on Linux${missing("musl")}`,
  { timeout: 60_000 },
  () => {
    test.each([
      { machines: 1, cores: 2, seed: 1 },
      { machines: 3, cores: 2, seed: 2, spread: true },
      { machines: 2, cores: 1, seed: 3, spread: true },
    ])("%o", (shape) => expectSame("signals", ["4"], shape));
  },
);
