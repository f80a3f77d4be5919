// Does the judge see? Bugs are planted in the compiled table, one at a time (test/support/plants/rows.ts), and each must be caught by
// a few random runs, or by a small exhaustive search. planted.soak.ts prints which proof finds which, and how soon.
import { expect, test } from "vitest";
import { wander } from "../support/coherence.js";
import { events } from "../support/page-table.js";
import { rowBugs } from "../support/plants/rows.js";
import { fresh, rowAtRandom, rowBySearch } from "../support/plants/rows-found.js";

test("the intact table is not suspected", () => {
  for (let seed = 1; seed <= 400; seed++)
    for (const [world, saved] of fresh) {
      world.load(saved);
      wander(world, seed, seed % 3);
    }
});

test.each(rowBugs.map((bug) => [bug.name, bug] as const))("caught: %s", (_, bug) => {
  for (const row of bug.rows) expect(events).toContain(row[1]);
  const found = rowAtRandom(bug);
  expect(found.length > 0 ? found : rowBySearch(bug), "the bug was not found").not.toEqual([]);
});
