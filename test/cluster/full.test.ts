// R2, R8, promise 115: machines whose memory is mostly shared pages survive a death, a cut and a leave, as those with room to spare do.
import { describe, expect, test } from "vitest";
import { fulls, tellFull, wrongOfFull } from "../support/full.js";
import { hasMusl, missing } from "../support/guest.js";

describe.skipIf(!hasMusl)(`memory is full of shared pages${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each(fulls)("$how, $pages pages, $machines machines: $happens (seed $seed)", async (full) => {
    const run = await tellFull(full);
    expect(wrongOfFull(full, run), run.text()).toBeUndefined();
  });
});
