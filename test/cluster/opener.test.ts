// Promise 115, R1: a file is opened by its name while a machine leaves and all homes are frozen for it: what is asked about it at once is answered.
import { describe, expect, test } from "vitest";
import { withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";

describe.skipIf(!hasMusl)(
  `a file is opened while a machine leaves${missing("musl")}`,
  { timeout: 60_000 },
  () => {
    test.each(Array.from({ length: 12 }, (_, i) => i + 1))(
      "whoever opens it goes on (seed %i)",
      async (seed) => {
        const run = await withFaults(
          cProgram("opener").host,
          [40],
          [[25 + seed * 0.37, ({ nodes }) => nodes[2]!.machine.pressPowerButton()]],
          { machines: 3, seed, append: "linkloss=3000 blocked=60 leave=1000" },
          150,
        );
        expect(run.said(3, /^cluster: this machine has left$/).length, run.text()).toBe(1);
        for (const machine of [1, 2])
          expect(run.said(machine, new RegExp(`^opener: ${machine} opened many$`)), run.text()).toHaveLength(
            1,
          );
      },
    );
  },
);
