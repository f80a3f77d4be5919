// Byte ranges of a page in the running kernel: seeded clusters whose machines count in words of their own on one page, by
// plain loads and stores. A stale or lost byte shows in the counts, which `contend` compares itself.
import { describe, expect, test } from "vitest";
import { repeat, type SeededRun, seeded } from "../support/cluster.js";

const sum = (run: SeededRun, stat: string) =>
  run.report.machines.reduce((total, { stats }) => total + (stats?.[stat] ?? 0), 0);
const total = (run: SeededRun) => Number(/ total (\d+)/.exec(run.report.result)?.[1]);
const wire = { delay: [30, 30] as [number, number] };

describe("two writers of one page", { timeout: 300_000 }, () => {
  test.each([
    ["apart", 2, 1, 4000, wire],
    ["apart", 3, 2, 4000, wire],
    ["near", 2, 2, 4000, wire],
    [
      "apart",
      3,
      1,
      15_000,
      { faults: { loss: 0.02, duplicate: 0.05 }, delay: [10, 200] as [number, number], reorder: true },
    ],
  ])(
    "%s, %i machines of %i cores, %i us: every count is kept",
    async (what, machines, cores, time, network) => {
      const words = [what, time, 3000];
      const run = await seeded("contend", words, { machines, cores, network });
      expect(run.report.ok, repeat(run, words)).toBe(true);
      expect(run.report.result, repeat(run, words)).toMatch(
        / total (\d+) least \d+ most \d+ counted \1 median/,
      );
      if (what === "apart") expect(sum(run, "accessesCarried"), repeat(run, words)).toBeGreaterThan(100);
      else expect(sum(run, "accessesCarried")).toBe(0);
    },
  );

  test("promise 86: 64 bytes apart they say nothing to each other", async () => {
    const sample = async (time: number, append: string) => {
      const words = ["apart", time, 2000];
      const run = await seeded("contend", words, { machines: 2, cores: 1, network: wire, append });
      expect(run.report.ok, repeat(run, words)).toBe(true);
      return run;
    };
    const [few, many] = [await sample(3000, ""), await sample(9000, "")];
    expect(total(many) - total(few)).toBeGreaterThan(4000);
    // Thousands of additions more, and no message for them: those at the beginning and the end differ by a few.
    expect(sum(many, "messagesSent")).toBeLessThan(sum(few, "messagesSent") + 10);
    const pages = await sample(9000, "bytes=0");
    expect(sum(pages, "chunksLent")).toBe(0);
    expect(total(many)).toBeGreaterThan(2.5 * total(pages));
    // And where nobody may keep the page for a while, which is how it is shared by pages elsewhere.
    const each = await sample(9000, "bytes=0 hold=0");
    expect(total(many)).toBeGreaterThan(10 * total(each));
  });
});
