// What machines that fight over one page get, in figures that seeds make exact: how long a lock takes to change hands, and
// how evenly plain stores are shared out. R is the wire's round trip.
import { describe, expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";
import { HANDOVER } from "../support/goals.js";
import { stores, WINDOW_EARNS } from "../support/stores.js";

const DELAY: [number, number] = [30, 30];
const R = 2 * DELAY[0];

async function contend(what: string, machines: number, microseconds: number, append = "") {
  const words = [what, microseconds];
  const run = await seeded("contend", words, { machines, cores: 1, network: { delay: DELAY }, append });
  expect(run.report.ok, repeat(run, words)).toBe(true);
  const found = / least (\d+) most (\d+) .* median (\d+) p99 (\d+) handovers (\d+)$/.exec(run.report.result);
  const [least, most, median, p99, handovers] = found!.slice(1).map(Number);
  return { run, words, least: least!, most: most!, median: median!, p99: p99!, handovers: handovers! };
}

describe("pages that machines fight over", { timeout: 300_000 }, () => {
  // It takes a while until the page goes round in the order in which many machines wait.
  test.each([
    [2, 4000, HANDOVER, 1.4],
    [4, 12_000, HANDOVER, 2],
    [8, 12_000, 2.5, 2.8],
  ])(
    "a ticket lock of %i machines, after %i us: half of the hand-overs within %f R, on average within %f R",
    async (machines, time, half, mean) => {
      const [few, many] = [await contend("lock", machines, time), await contend("lock", machines, 2 * time)];
      expect(many.median / 1000 / R, repeat(many.run, many.words)).toBeLessThan(half);
      const each = time / (many.handovers - few.handovers) / R;
      expect(each, repeat(many.run, many.words)).toBeLessThan(mean);
      expect(many.least / many.most, repeat(many.run, many.words)).toBeGreaterThan(0.75);
    },
  );

  test("because readers who will write ask for that right", async () => {
    const [taken, shared] = [await contend("lock", 2, 5000), await contend("lock", 2, 5000, "migrate=0")];
    expect(taken.handovers, repeat(shared.run, shared.words)).toBeGreaterThan(1.5 * shared.handovers);
  });

  test.each(["tas", "ttas", "futex"])("so does a lock of the kind %s, once it does", async (kind) => {
    const { run, words, median } = await contend(kind, 2, 8000);
    expect(median / 1000 / R, repeat(run, words)).toBeLessThan(HANDOVER);
  });

  test.each([2, 4])("%i machines that store without end get turns of one length", async (machines) => {
    const { least, most, text } = await stores(machines);
    expect(most / least, text).toBeLessThan(1.5);
  });

  test.each([2, 4])("%i machines get far more stores done because of the hold window", async (machines) => {
    const [held, passing] = [await stores(machines), await stores(machines, { append: "hold=0" })];
    expect(held.total / passing.total, `${held.text}\n${passing.text}`).toBeGreaterThan(WINDOW_EARNS);
  });
});
