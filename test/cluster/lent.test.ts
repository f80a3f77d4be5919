// R2 on whole machines, where chunks of a page are lent (kernel/coherence/loans.ts): one of those who use it dies, and nobody touches the page
// meanwhile. Whoever reads it next is told, whether the page has rested until then, or the other one has left the cluster.
import { afterAll, describe, expect, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { broken } from "../support/lent.js";

describe.skipIf(!hasMusl)(`one who borrows dies, or lends${missing("musl")}`, { timeout: 120_000 }, () => {
  let losses = 0;
  test.each([
    { home: 3, seed: 1, leaves: false },
    { home: 1, seed: 2, leaves: false },
    { home: 2, seed: 5, leaves: true },
    { home: 1, seed: 4, leaves: true },
  ])("R2: home $home, seed $seed, the other leaves: $leaves", async (lending) => {
    const { wrong, lost } = await broken(lending);
    expect(wrong).toBeNull();
    if (lost) losses++;
  });
  afterAll(() => expect(losses).toBeGreaterThan(0));
});
