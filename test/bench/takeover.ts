// Takeover after a crash, in figures: a machine falls silent, and the first addition that waited for it succeeds or is told.
// Virtual time from seeds, so exact; in R, beyond linkloss, which is the lease, and beyond the silence upon which links end.

import { withFaults } from "../support/faults.js";
import { cProgram, hasMusl } from "../support/guest.js";
import type { Figure } from "./bench.js";

/** Microseconds of wire each way. */
const WIRE: [number, number] = [30, 30];
const LOSS_MS = 120;
const CRASH_MS = 30;
const SEEDS = 10;
/** Who did not have to wait says something each 5 ms. */
const WAITED_MS = 20;

export async function takeoverFigures(): Promise<Figure[]> {
  if (!hasMusl) throw new Error("bench takeover: its program is compiled by musl-gcc (Debian: musl-tools)");
  const r = (2 * WIRE[0]) / 1000;
  const after: number[] = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    // The name decides where the home is: over the seeds every machine is hit in every role.
    const run = await withFaults(
      cProgram("steady").host,
      [CRASH_MS + LOSS_MS + 20, `takeover${seed}`],
      [[CRASH_MS, ({ network }) => network.partition([[1, 2, 4], [3]])]],
      { machines: 3, seed, append: `linkloss=${LOSS_MS}`, network: { delay: WIRE } },
      CRASH_MS + LOSS_MS + 60,
    );
    const view = run.said(1, /^cluster: view 2: machines 1 2$/)[0];
    if (view === undefined)
      throw new Error(`seed ${seed}: no view without the machine that crashed:\n${run.text()}`);
    for (const machine of [1, 2]) {
      // Who waited for it speaks first when it need not any more.
      const said = run.said(machine, /^steady: \d+ (on|apart)/).map(({ at }) => at);
      const first = said.find((at, i) => at > CRASH_MS + WAITED_MS && at - (said[i - 1] ?? 0) > WAITED_MS);
      if (first !== undefined) after.push(first - CRASH_MS);
    }
  }
  if (after.length < SEEDS / 2)
    throw new Error(`only ${after.length} threads waited for the machine that crashed`);
  after.sort((a, b) => a - b);
  const figure = (name: string, milliseconds: number, note?: string): Figure => ({
    section: "takeover",
    name: `crash to the first answer, ${name}`,
    value: milliseconds / r,
    unit: "R",
    ...(note === undefined ? {} : { note }),
  });
  const [median, most] = [after[after.length >> 1]!, after.at(-1)!];
  const note = "goal 5 R; below 0: within linkloss";
  return [
    figure("beyond linkloss: median", median - LOSS_MS, note),
    figure("beyond linkloss: most", most - LOSS_MS, note),
    figure("beyond 2/3 of linkloss, when links end: median", median - (LOSS_MS * 2) / 3),
    figure("beyond 2/3 of linkloss, when links end: most", most - (LOSS_MS * 2) / 3),
  ];
}
