// R3 of mirrored machines that are short of memory: who writes waits until there is room for mirrors, or is told that there is none; a machine
// without room is not asked. None of them stops, and what was said is there when the writer dies.
import { describe, expect, test } from "vitest";
import { crowd, crowds, wrongOfCrowd } from "../support/crowded.js";
import { hasMusl, missing } from "../support/guest.js";

describe.skipIf(!hasMusl)(`mirrors where memory is short${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each(crowds)("R3: $what (seed $seed)", async (each) => {
    const run = await crowd(each);
    expect(wrongOfCrowd(each, run), run.text()).toBeUndefined();
  });
});
