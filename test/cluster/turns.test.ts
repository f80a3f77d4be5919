// What files hold: machines read, write, lengthen, shorten, map, name and remove the same files at random, one call after the other
// (test/c/turns.c), and each call says what it says on Linux. More seeds, and the bugs that they show: as-linux.soak.ts.
import { describe, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { sameTurns, turnRows } from "../support/turns.js";

const here = describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64");

here(`files at random${missing("musl")}`, { timeout: 200_000 }, () => {
  test.each(turnRows.map((row, i) => [i + 1, row] as const))("promises 59, 60: %i, %o", (seed, row) =>
    sameTurns(row, seed),
  );
});
