// What names cost: counts by the frames on the wire, of the object that has the names of a file system (kernel/fs/names.ts).
import { describe, expect, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { subtree } from "../support/names.js";

/** The most messages when a machine makes its first directories beside another's; when it looks into a page that another has written. */
const TOUCH = 23;
const LOOK = 5;

describe.skipIf(!hasMusl)(`a directory and what is below it${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each([
    { directory: "/tmp", machines: 2, seed: 1 },
    { directory: "/tmp", machines: 3, seed: 2 },
    { directory: "/", machines: 3, seed: 3 },
    { directory: "/", machines: 4, seed: 4 },
  ])(
    "promise 72: one grant covers the sub-tree: in $directory of $machines machines (seed $seed)",
    async ({ directory, machines, seed }) => {
      const { run, sent } = await subtree(directory, machines, seed);
      const [alone, beside] = [sent(1, "alone"), sent(machines, "beside")];
      // 39 directories made, looked into, renamed and removed, and as many files, by each.
      expect(alone, run.text).toEqual([]);
      expect(beside, run.text).toEqual([]);
      // The other one comes to a directory that the first has all of: two directories made in it, and the right to all below.
      expect(sent(1, "touch").length, run.text).toBeLessThanOrEqual(6);
      expect(sent(machines, "touch").length, run.text).toBeLessThanOrEqual(TOUCH);
      expect(
        sent(machines, "touch").some((each) => each.includes("RECALL")),
        run.text,
      ).toBe(true);
      // Both go on in their own: they look once more into what they share.
      for (const machine of [1, machines])
        expect(sent(machine, "both").length, run.text).toBeLessThanOrEqual(LOOK);
    },
  );
});
