// Litmus tests at random between the cores of one machine (test/support/litmus-random.ts): no outcome may be seen that the model
// does not allow. Between machines: test/cluster/litmus-random.test.ts. More of both: test/cluster/litmus.soak.ts.
import { describe, expect, test } from "vitest";
import { LitmusMachine } from "../support/litmus.js";
import { onOneMachine, runAtRandom } from "../support/litmus-random.js";
import { inStoreBuffer } from "../support/plants/store-buffer.js";

const TESTS = 20;

// SDM vol. 3A, 9.2.3
describe.each([0, 1, 4])("cores with %i entries", (entries) => {
  test.each(onOneMachine)("%o", async (bounds) => {
    const { forbidden, share } = runAtRandom(await LitmusMachine.create(entries), entries, bounds, TESTS);
    expect(forbidden).toEqual([]);
    expect(share).toBeGreaterThan(0.2);
  });
});

test.each(inStoreBuffer)("planted, and seen: %s", async (_, __, plant) => {
  const litmus = await LitmusMachine.create(4);
  plant(litmus.machine);
  const shows = onOneMachine.some((bounds) => runAtRandom(litmus, 4, bounds, 100).forbidden.length > 0);
  expect(shows).toBe(true);
});
