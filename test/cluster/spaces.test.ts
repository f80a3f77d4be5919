// One address space that threads change and use at random (test/c/spaces.c), on one machine and on several: what each step returned and read is what
// it is on Linux.
import { describe, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { sameSpace, spaceRows } from "../support/spaces.js";

describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64")(
  `an address space at random${missing("musl")}`,
  { timeout: 200_000 },
  () => {
    test.each(spaceRows.map((row, i) => [i + 1, row] as const))("promises 59, 75: %i, %o", (seed, row) =>
      sameSpace(row, seed),
    );
  },
);
