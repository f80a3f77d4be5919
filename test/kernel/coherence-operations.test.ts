// Operations that are sent to the owner of a page, in the running kernel: seeded clusters whose every addition is counted.
import { describe, expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";

const shipped = (run: Awaited<ReturnType<typeof seeded>>) =>
  run.report.machines.map(({ stats }) => stats?.["operationsShipped"] ?? 0);

describe("operations instead of pages", { timeout: 300_000 }, () => {
  // The word must hold as many additions as the machines have made: `contend` says so itself, and fails otherwise.
  test.each([
    [2, 1, 3000, {}],
    // Long enough for what is lost to be sent again.
    [
      3,
      2,
      20_000,
      { faults: { loss: 0.02, duplicate: 0.05 }, delay: [10, 200] as [number, number], reorder: true },
    ],
  ])("%i machines of %i cores: each is done once", async (machines, cores, time, network) => {
    const words = ["think", time];
    const run = await seeded("contend", words, { machines, cores, network });
    expect(run.report.ok, repeat(run, words)).toBe(true);
    expect(run.report.result).toMatch(/ total (\d+) least \d+ most \d+ counted \1 median/);
    const sum = shipped(run).reduce((a, b) => a + b, 0);
    expect(sum, repeat(run, words)).toBeGreaterThan(5);
  });

  test("additions with work between them cost a round trip, not a page", async () => {
    const sample = async (append: string) => {
      const run = await seeded("contend", ["think", 4000], {
        machines: 4,
        cores: 1,
        network: { delay: [30, 30] },
        append,
      });
      const [, total, least, most] = / total (\d+) least (\d+) most (\d+)/
        .exec(run.report.result)!
        .map(Number);
      const pages = run.report.machines.reduce((sum, { stats }) => sum + (stats?.["pagesSent"] ?? 0), 0);
      return { run, total: total!, least: least!, most: most!, pages };
    };
    const [away, home] = [await sample(""), await sample("ship=0 hold=0")];
    expect(Math.max(...shipped(home.run))).toBe(0);
    expect(away.total).toBeGreaterThan(2 * home.total);
    expect(away.pages).toBeLessThan(home.pages / 2);
    expect(away.most / away.least).toBeLessThan(4);
  });

  test("a page that goes to and fro goes as what has changed, and stays whole", async () => {
    const bytes: number[] = [];
    for (const append of ["bytes=0", "bytes=0 difference=0"]) {
      const run = await seeded("contend", ["store", 4000], {
        machines: 2,
        cores: 1,
        network: { delay: [20, 60], faults: { loss: 0.01, duplicate: 0.02 } },
        append,
      });
      expect(run.report.ok, repeat(run, ["store", 4000])).toBe(true);
      bytes.push(run.report.machines.reduce((sum, { stats }) => sum + (stats?.["bytesSent"] ?? 0), 0));
    }
    expect(bytes[0]).toBeLessThan(bytes[1]! / 2);
  });
});
