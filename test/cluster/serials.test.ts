// Serial numbers on whole clusters in virtual time (promise 85): a page comes back to a machine that still has its bytes
// without them.
import { expect, test } from "vitest";
import { REVALIDATED_BYTES } from "../support/goals.js";
import { revalidated } from "../support/revalidated.js";

test.each([1, 2])(
  "promise 85: who lost a page that nobody wrote since gets the right alone, in at most 128 bytes (machine %i)",
  { timeout: 120_000 },
  async (writer) => {
    const each = await revalidated(writer);
    // But for how often the meetings happen to pass.
    expect(each.revalidated).toBeGreaterThanOrEqual(62 / 64);
    // There with its bytes, back without them: two requests, two answers.
    expect(each.sent).toBeLessThanOrEqual(66 / 64);
    expect(each.spareBytes / 2).toBeLessThanOrEqual(2 * REVALIDATED_BYTES);
  },
);
