// LOCKed instructions that travel to the owner of a page that is hot, one kind after the other (test/c/shipped.c): words and flags are
// as the instructions leave them.
import { describe, expect, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { shipped, shippedKinds } from "../support/shipped.js";

describe.skipIf(!hasMusl)(`operations that are shipped${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each(shippedKinds)("promise 61: LOCK %s is done by the owner of a hot page", async (kind) => {
    const { right, counts, text } = await shipped(kind);
    expect(right, text).toBe(true);
    for (const count of counts) expect(count, text).toBeGreaterThan(20);
  });
});
