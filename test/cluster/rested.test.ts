// Promise 115, R1: a machine that was the home of a page leaves when the page's record has merged (kernel/coherence/merge.ts): the page is
// another machine's, and what is left of it in the former home's frame is not the page.
import { describe, expect, test } from "vitest";
import { withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { homeOf } from "../support/homes.js";

const names = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

describe.skipIf(!hasMusl)(
  `a page that rests while its home leaves${missing("musl")}`,
  { timeout: 60_000 },
  () => {
    test.each([
      { heir: 3, seed: 1 },
      { heir: 2, seed: 2 },
    ])("its heir is machine $heir (seed $seed)", async ({ heir, seed }) => {
      const name = names.find((name) => homeOf(name, [1, 2, 3]) === 1 && homeOf(name, [2, 3]) === heir)!;
      const run = await withFaults(
        cProgram("rested").host,
        [120, name],
        [[80, (cluster) => cluster.nodes[0]!.machine.pressPowerButton()]],
        { machines: 3, seed, append: "linkloss=3000 blocked=60 leave=1000" },
        300,
      );
      expect(run.said(1, /^cluster: this machine has left$/).length, run.text()).toBe(1);
      expect(
        run.said(3, /^rested: /).map(({ text }) => text),
        run.text(),
      ).toEqual(["rested: 3 finds 2"]);
    });
  },
);
