// The figures that coherence is to reach, row by row, on seeded clusters: exact counts, and times in R, the round trip of this wire.
// Two runs that differ in their length are subtracted. Others stand where the step is that costs them: steps.test.ts (a third machine's
// dirty page, seven sharers, a page of one's own), serials.test.ts (a page that comes back).
import { expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";
import { addsOf, GOALS } from "../support/goals.js";
import { DELAY_US, R_NS } from "../support/steps.js";

const wire = { delay: [DELAY_US, DELAY_US] as [number, number] };

interface Cost {
  readonly nanoseconds: number;
  readonly messages: number;
  /** Thread switches of machine 2, which answers and asks nothing. */
  readonly switches: number;
}

/** One operation of the program `latency`. */
async function cost(operation: string, machines: number): Promise<Cost> {
  const sample = async (count: number) => {
    const args = [operation, count];
    const run = await seeded("latency", args, { machines, cores: 1, network: wire, append: "ahead=0" });
    const found = /latency: \S+ \d+ ns (\d+)/.exec(run.report.result);
    expect(run.report.ok && found !== null, repeat(run, args)).toBe(true);
    const messages = run.report.machines.reduce((sum, { stats }) => sum + (stats?.["messagesSent"] ?? 0), 0);
    const switches = run.report.machines[1]!.stats?.["threadSwitches"] ?? Number.NaN;
    return { nanoseconds: Number(found![1]), messages, switches };
  };
  const [few, many] = [await sample(32), await sample(96)];
  const each = (of: keyof Cost) => (many[of] - few[of]) / 64;
  return { nanoseconds: each("nanoseconds"), messages: each("messages"), switches: each("switches") };
}

test.each([
  ["read", 2, GOALS.read, 3, "a read miss (2, and the home's note to its heir)"],
  ["read-busy", 2, GOALS["read-busy"], 3, "the same while the owner computes"],
  ["upgrade", 2, GOALS.upgrade, 5, "S to M without data (2, and 3 of the read before)"],
  ["third", 3, GOALS.third, 5, "a read miss, dirty on a third machine (3, and 2 of its write)"],
])(
  "%s by %i machines: at most %f R and %f messages, answered without a thread switch: %s",
  async (operation, machines, rounds, messages) => {
    const { nanoseconds, messages: sent, switches } = await cost(operation, machines);
    expect(nanoseconds / R_NS).toBeLessThanOrEqual(rounds);
    // But for what happens by the clock.
    expect(sent).toBeLessThanOrEqual(messages + 0.3);
    expect(switches).toBeLessThanOrEqual(0.3);
  },
);

test.each([2, 4, 8])(
  "contended LOCK XADD by %i machines: at least 1.6 operations in R (0.7 a machine), fair within 2 times",
  async (machines) => {
    const sample = async (time: number) => {
      const args = ["think", time];
      const run = await seeded("contend", args, { machines, cores: 1, network: wire });
      expect(run.report.ok, repeat(run, args)).toBe(true);
      return / total (\d+) least (\d+) most (\d+)/.exec(run.report.result)!.slice(1).map(Number);
    };
    // So long that what each machine has at its start, when the page goes round among all, weighs little.
    const [few, many] = [await sample(4000), await sample(16_000)];
    const more = many.map((value, i) => value - few[i]!);
    expect(more[0]! / (12_000_000 / R_NS)).toBeGreaterThanOrEqual(addsOf(machines));
    expect(many[2]! / many[1]!).toBeLessThan(2);
  },
);
