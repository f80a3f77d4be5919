// A machine keeps at most `records=N` records of coherence (promises 80, 81, 84), in virtual time: programs are right with
// one record as with thousands, and memory that runs short is made room in.
import { describe, expect, it } from "vitest";
import { repeat, type SeededRun, seeded } from "../support/cluster.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { fileAt } from "../support/homes.js";
import { LitmusCluster } from "../support/litmus-cluster.js";

const LIMIT_MS = 200_000;

const each = (run: SeededRun, counter: string) =>
  run.report.machines.map(({ stats }) => stats?.[counter] ?? Number.NaN);

async function ran(
  program: string,
  args: (string | number)[],
  o: Parameters<typeof seeded>[2],
): Promise<SeededRun> {
  const run = await seeded(program, args, { machines: 2, cores: 1, memory: 48 << 20, ...o });
  expect(run.report.ok, repeat(run, args)).toBe(true);
  return run;
}

describe("a budget of records", { timeout: LIMIT_MS }, () => {
  it.each([1, 2, 5])(
    "promises 81 and 84: %i: a count by LOCK XADD is right, a scan is right, and no more are kept",
    async (records) => {
      const append = `records=${records}`;
      const count = await ran("counter", [60], { machines: 3, cores: 2, append });
      expect(count.report.result).toMatch(/counted 360 old values a permutation: yes/);
      const scan = await ran("scan", ["again", 60, 2], { append });
      expect(scan.lines.join("\n")).toMatch(/wrong 0 /);
      for (const run of [count, scan])
        for (const most of each(run, "recordsMost")) expect(most).toBeLessThanOrEqual(records);
    },
  );

  it("promises 81 and 84: 1: nothing that x86-TSO forbids is seen, also of operands that are split over two pages", async () => {
    const words = "records=1";
    const tests = ["SB+mfence", "MP", "LB", "CoRR", "2+2W"];
    expect((await LitmusCluster.create({ machines: 2, tests, words })).runAll(1, 4).seen.size).toBe(
      tests.length,
    );
    const split = ["SB-xchgs", "XADD2"];
    const run = await LitmusCluster.create({ machines: 2, tests: split, split: "pages", words });
    expect(run.runAll(1, 2).seen.size).toBe(split.length);
  });

  it("promise 85: with one record every page is asked for again, and comes back without its bytes", async () => {
    const [few, many] = [
      await ran("scan", ["again", 60, 2], { append: "records=1" }),
      await ran("scan", ["again", 160, 2], { append: "records=1" }),
    ];
    const more = (counter: string) =>
      each(many, counter).reduce((sum, n) => sum + n, 0) - each(few, counter).reduce((sum, n) => sum + n, 0);
    // A hundred pages more, each at least once; how often more the order of things decides.
    expect(more("pagesRevalidated")).toBeGreaterThan(100);
  });

  // A home that gave up a range of its own gave up the page that a thread was about to write; others got it as well.
  it.skipIf(!hasMusl)(
    `promise 84: a home that gives up what it has keeps the pages that it uses${missing("musl")}`,
    async () => {
      const run = await ran(cProgram("shed").host, ["own", 100, "f"], { append: "records=64", limit: 5e9 });
      expect(run.lines.filter((line) => line.endsWith("shed: wrong 0"))).toHaveLength(2);
    },
  );

  // Otherwise the home takes back what it has just granted, and which is used without a message.
  it.skipIf(!hasMusl)(
    `promise 84: ranges are not given up while more of them are on their way${missing("musl")}`,
    async () => {
      const shape = { cores: 2, seed: 3, append: "records=64", limit: 5e9 };
      const run = await ran(cProgram("shed").host, ["asked", 120, fileAt(1, 2)], shape);
      expect(run.lines.filter((line) => line.endsWith("shed: wrong 0"))).toHaveLength(2);
      // One that cannot go now counted as gone: all records were looked at 256 times for nothing, and machine 2 took 256 million instructions.
      expect(run.report.machines[1]!.instructions).toBeLessThan(180e6);
    },
  );

  // Each piece of work counted the records of all files, and they were given up one by one, each time with a look at all.
  it.skipIf(!hasMusl)(
    `more files than records cost little more than with room for all${missing("musl")}`,
    async () => {
      const cost = async (records: number) => {
        const run = await ran(cProgram("drawers").host, [1500], {
          machines: 1,
          append: `records=${records}`,
        });
        return run.report.machines[0]!.instructions;
      };
      expect((await cost(1500)) / (await cost(100_000))).toBeLessThan(1.5);
    },
  );
});
