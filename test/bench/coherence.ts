// Coherence in figures. Counts (messages, bytes, guest instructions per operation) are exact: two seeded runs that differ in the
// number of operations are subtracted, so what the machines say by the clock meanwhile is in them. Times are in R, the round trip of a
// 64-byte frame between the same machines over the same wire, in virtual time; live.ts takes them live.

import { atMost, GOALS, goal, SHARERS } from "../support/goals.js";
import { invalidations } from "../support/invalidations.js";
import { costOf, type Operation, timesOf } from "../support/latency.js";
import { DELAY_US } from "../support/steps.js";
import { aloneFigures } from "./alone.js";
import type { Figure } from "./bench.js";
import { byteFigures } from "./bytes.js";
import { fightFigures } from "./fights.js";

/** Microseconds of wire each way: a fixed delay, so that R is the same for every frame. */
const WIRE: [number, number] = [DELAY_US, DELAY_US];
/** Pages, and additions: enough that the word changes hands many times. */
const FEW = 64;
const ADDS = 20_000;

interface Row extends Omit<Operation, "machines"> {
  readonly what: string;
  readonly goal?: string;
  /** Of how many machines; 2, 4 and 8 unless it says. */
  readonly of?: readonly number[];
}

/** The home that neither has the page nor wants it. */
const THIRD = 3;

const rows: readonly Row[] = [
  { name: "read", home: 1, what: "read miss, owner idle", goal: goal(GOALS.miss) },
  { name: "read", home: 1, what: "read miss, owner idle, no queue", of: [2], append: "queue=0" },
  { name: "read", home: 1, what: "read miss, owner idle, without S", of: [2], append: "mei" },
  { name: "read-busy", home: 1, what: "read miss, owner busy", goal: goal(GOALS["miss-busy"]) },
  { name: "write", home: 1, what: "write miss, owner idle", goal: goal(GOALS.miss) },
  { name: "write-busy", home: 1, what: "write miss, owner busy", goal: goal(GOALS["miss-busy"]) },
  {
    name: "read",
    home: THIRD,
    what: "read miss, dirty on a third machine",
    of: [3, 4, 8],
    goal: goal(GOALS.third),
  },
  {
    name: "read-busy",
    home: THIRD,
    what: "read miss, dirty on a third machine, all others busy",
    of: [3, 4, 8],
    goal: goal(GOALS["third-busy"]),
  },
  {
    name: "write",
    home: THIRD,
    what: "write miss, dirty on a third machine",
    of: [3, 4, 8],
    goal: goal(GOALS.third),
  },
  { name: "upgrade", home: 1, what: "S to M, no data, all others share it, idle", goal: goal(GOALS.upgrade) },
  {
    name: "upgrade-busy",
    home: 1,
    what: "S to M, no data, all others share it, busy",
    goal: goal(GOALS.upgrade),
  },
  { name: "upgrade", home: THIRD, what: "S to M by way of another home, all others share it", of: [3, 4, 8] },
];

async function rowFigures(r: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const row of rows)
    for (const machines of row.of ?? [2, 4, 8]) {
      const cost = await costOf({ ...row, machines }, FEW);
      const { median, p99 } = await timesOf({ ...row, machines }, 3 * FEW);
      const add = (figure: string, value: number, unit: string, note?: string) =>
        figures.push({
          section: "coherence",
          name: `${row.what}, ${machines} machines: ${figure}`,
          value,
          unit,
          ...(note === undefined ? {} : { note }),
        });
      add("messages", cost.messages, "");
      add("bytes", cost.bytes, "");
      // Who computes meanwhile counts as well.
      if (!row.name.endsWith("busy")) add("guest instructions, all machines", cost.instructions, "");
      add("time, mean", cost.nanoseconds / 1000 / r, "R", row.goal);
      add("time, median", median / 1000 / r, "R", row.goal);
      add("time, p99", p99 / 1000 / r, "R");
    }
  return figures;
}

/** One word, as fast as two machines can: most of it is a machine's own while it has the page. */
async function addFigures(r: number): Promise<Figure[]> {
  const { nanoseconds, messages, bytes, instructions } = await costOf(
    { name: "add", machines: 2, home: 1 },
    ADDS,
  );
  const figure = (name: string, value: number, unit: string): Figure => ({
    section: "coherence",
    name: `contended lock xadd, a machine's own: ${name}`,
    value,
    unit,
  });
  return [
    figure("time", nanoseconds / 1000 / r, "R"),
    figure("messages", messages, ""),
    figure("bytes", bytes, ""),
    figure("guest instructions, all machines", instructions, ""),
  ];
}

async function sharerFigures(): Promise<Figure[]> {
  const { one, seven } = await invalidations();
  return [
    {
      section: "coherence",
      name: "S to M, seven sharers against one",
      value: seven / one,
      unit: "times",
      note: atMost(SHARERS),
    },
  ];
}

export async function coherenceFigures(): Promise<Figure[]> {
  const r = 2 * DELAY_US;
  return [
    { section: "coherence", name: "R on the seeded wire", value: r, unit: "us" },
    ...(await rowFigures(r)),
    ...(await sharerFigures()),
    ...(await addFigures(r)),
    ...(await aloneFigures()),
    ...(await fightFigures(r, WIRE)),
    ...(await byteFigures(r, WIRE)),
  ];
}
