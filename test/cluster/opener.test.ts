// R1: a file is opened by its name while a machine leaves and all homes are frozen for it: what is asked about it at once is answered.
import { describe, expect, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { openedBehindMark, openedMany, opener } from "../support/names.js";

describe.skipIf(!hasMusl)(
  `a file is opened while a machine leaves${missing("musl")}`,
  { timeout: 60_000 },
  () => {
    test.each(Array.from({ length: 9 }, (_, i) => i + 1))(
      "whoever opens it goes on (seed %i)",
      async (seed) => {
        const run = await opener(seed);
        expect(run.said(3, /^cluster: this machine has left$/).length, run.text()).toBe(1);
        expect(openedMany(run), run.text()).toBe(true);
      },
    );

    test.each([1, 8, 9])("R8: nothing is asked of homes while a view is flushed (seed %i)", async (seed) => {
      expect(await openedBehindMark(seed)).toEqual([]);
    });
  },
);
