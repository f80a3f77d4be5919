// Records longer than a page, by read() and write() of several machines and cores at once: none is ever seen half written. And what
// that costs: nothing for who is alone with his bytes.
import { describe, expect, it } from "vitest";
import { repeat, type SeededRun, seeded } from "../support/cluster.js";

const LIMIT_MS = 300_000;

async function records(
  how: string,
  count: number,
  o: { machines?: number; seed?: number; append?: string } = {},
) {
  const args = [how, count];
  const run = await seeded("records", args, { machines: 3, cores: 1, ...o });
  const found = /records: \w+ \d+ torn (\d+) backwards (\d+)/.exec(run.report.result);
  expect(found, repeat(run, args)).not.toBeNull();
  return { run, args, torn: Number(found![1]), backwards: Number(found![2]) };
}
const sum = (run: SeededRun, counter: string) =>
  run.report.machines.reduce((total, { stats }) => total + (stats?.[counter] ?? 0), 0);

describe("records", { timeout: LIMIT_MS }, () => {
  it.each([
    ["same", 3, 1],
    ["overlap", 4, 2],
    ["add", 2, 3],
  ])("promises 69 and 78: %s, by %i machines (seed %i): none is torn", async (how, machines, seed) => {
    const { run, args, torn, backwards } = await records(how, 8, { machines, seed });
    expect([torn, backwards, run.report.ok], repeat(run, args)).toEqual([0, 0, true]);
  });

  it("promise 78: at any size: 300,003 bytes", async () => {
    const args = ["same", 2, 300_003];
    const run = await seeded("records", args, { machines: 2, cores: 1 });
    expect(run.report.result, repeat(run, args)).toBe("records: same 2 torn 0 backwards 0");
  });

  it("without the locks they are: the test sees it", async () => {
    for (const how of ["same", "add"])
      expect((await records(how, 8, { append: "locks=0" })).torn, how).toBeGreaterThan(0);
  });

  it("promise 79: machines with records of their own do not wait for each other, and send no message", async () => {
    const few = await records("apart", 10);
    const many = await records("apart", 40);
    // Rights and pages come with the first; how often the meetings happen to pass differs.
    expect(Math.abs(sum(many.run, "messagesSent") - sum(few.run, "messagesSent"))).toBeLessThanOrEqual(20);
    expect(Math.abs(sum(many.run, "pagesSent") - sum(few.run, "pagesSent"))).toBeLessThanOrEqual(4);
    // Each writes as fast as a machine does that is alone. A meeting may take a rest of 2 ms more or less, so there is much to write.
    const time = ({ run }: typeof few) => run.report.virtualNanoseconds!;
    const alone =
      time(await records("apart", 400, { machines: 1 })) - time(await records("apart", 40, { machines: 1 }));
    expect((time(await records("apart", 400)) - time(many)) / alone).toBeLessThan(1.15);
  });
});
