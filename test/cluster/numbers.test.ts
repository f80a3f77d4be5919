// The figures that coherence is to reach, row by row, on seeded clusters: exact counts, and times in R, the round trip of this wire.
// Two runs that differ in their length are subtracted. Others stand where the step is that costs them: steps.test.ts (a third machine's
// dirty page, seven sharers, a page of one's own), serials.test.ts (a page that comes back).
import { expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";
import { addsOf, GOALS } from "../support/goals.js";
import { costOf, type Operation } from "../support/latency.js";
import { DELAY_US, R_NS } from "../support/steps.js";

const wire = { delay: [DELAY_US, DELAY_US] as [number, number] };

test.each<
  [name: Operation["name"], machines: number, home: number, rounds: number, messages: number, what: string]
>([
  ["read", 2, 1, GOALS.miss, 3, "a read miss (2, and the home's note to its heir)"],
  ["read-busy", 2, 1, GOALS["miss-busy"], 3, "the same while the owner computes"],
  ["write", 2, 1, GOALS.miss, 3, "a write miss"],
  ["upgrade", 2, 1, GOALS.upgrade, 2, "S to M without data"],
  ["upgrade", 8, 1, GOALS.upgrade, 14, "S to M without data, seven sharers"],
  ["read", 3, 3, GOALS.third, 3, "a read miss, dirty on a third machine"],
  ["read-busy", 3, 3, GOALS["third-busy"], 3, "the same while the others compute"],
  ["write", 3, 3, GOALS.third, 3, "a write miss, dirty on a third machine"],
  ["read", 8, 3, GOALS.third, 3, "a read miss, dirty on a third machine of eight"],
])(
  "%s by %i machines, home %i: at most %f R and %f messages, answered without a thread switch: %s",
  async (name, machines, home, rounds, messages) => {
    const cost = await costOf({ name, machines, home }, 64);
    expect(cost.nanoseconds / R_NS).toBeLessThanOrEqual(rounds);
    // But for what each machine says by the clock.
    expect(cost.messages).toBeLessThanOrEqual(messages + 0.15 * machines);
    expect(cost.switches).toBeLessThanOrEqual(0.3);
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
