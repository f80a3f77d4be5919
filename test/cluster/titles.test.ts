// Threads have names, wherever they run (test/c/titles.c).
import { describe, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { expectSame } from "../support/same-as-linux.js";

describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64")(
  `names of threads${missing("musl")}`,
  () => {
    test.each([{ machines: 1 }, { machines: 3, spread: true }])("as on Linux: %o", async (shape) => {
      await expectSame("titles", [], { cores: 2, ...shape });
    });
  },
);
