// R2: a machine dies while the home takes a page from it that it offers (GIVE_BACK, kernel/coherence/budget.ts), before each of the frames that
// it then sends. No thread waits for the page; whoever asks for it next is told, if it was lost.
import { describe, expect, test } from "vitest";
import { withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { homeOf } from "../support/homes.js";

const FRAMES = [2, 3, 4, 5];
const [first, second] = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i)).filter(
  (name) => homeOf(name, [1, 2]) === 1,
);

describe.skipIf(!hasMusl)(`a page that nobody waits for${missing("musl")}`, { timeout: 60_000 }, () => {
  test.each(FRAMES)("R2: who offers it dies before frame %i", async (frame) => {
    let [frames, died] = [0, 0];
    const run = await withFaults(
      cProgram("offered").host,
      [140, first!, second!],
      [
        [
          // Between the two writes.
          31,
          ({ network }) =>
            network.tap((from, _frame, now) => {
              if (from !== 2 || ++frames !== frame) return;
              died = now / 1e6;
              network.partition([[1, 3], [2]]);
            }),
        ],
      ],
      { machines: 2, seed: frame, append: "linkloss=60 blocked=600 records=1" },
      200,
    );
    expect(run.said(2, /^offered: writes/)[0]?.at, run.text()).toBeGreaterThan(31);
    const said = run.said(1, /^offered: /).map(({ text }) => text);
    expect(said.length, run.text()).toBe(2);
    const written = run.said(2, /^offered: written/).some(({ at }) => at <= died);
    expect(said[0], run.text()).toMatch(/ 1, told 0$| 0, told 1$/);
    expect(said[1], run.text()).toMatch(written ? / 1, told 0$| 0, told 1$/ : / 0, told/);
  });
});
