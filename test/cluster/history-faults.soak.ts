// history-faults.test.ts with two hundred seeds of each kind and fault. About forty minutes of a core.
import { describe, expect, test } from "vitest";
import { historyKinds } from "../support/history.js";
import { struckHistory } from "../support/history-faults.js";

const SEEDS = 200;
/** So many seeds a test, to stay within a test's time on a slow host. */
const SHARE = 50;

const faults = [
  { name: "a machine dies, writes have mirrors", mirror: 1, dies: true },
  { name: "a machine dies", mirror: 0, dies: true },
  { name: "a wire that loses, doubles and reorders", mirror: 0, dies: false },
];

describe.each(historyKinds)("%s", (kind) => {
  // The queue's page is lost with its lock.
  describe.each(faults.filter((o) => kind !== "queue" || !o.dies || o.mirror > 0))(
    "$name",
    ({ mirror, dies }) => {
      for (let first = 1; first <= SEEDS; first += SHARE)
        test(`seeds ${first} to ${first + SHARE - 1}`, async () => {
          let operations = 0;
          let unknown = 0;
          for (let seed = first; seed < first + SHARE; seed++) {
            const fault = dies ? { victim: 1 + (seed % 3), mirror } : { lossy: true as const };
            const run = await struckHistory({ kind, seed, ...fault });
            expect(run.problem).toBeUndefined();
            operations += run.history.length;
            unknown += run.unknown;
          }
          console.info(`${kind}: ${operations} operations, ${unknown} of unknown outcome`);
        }, 1_800_000);
    },
  );
});
