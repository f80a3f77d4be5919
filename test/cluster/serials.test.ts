// Serial numbers on whole clusters in virtual time (promise 85): a page comes back to a machine that still has its bytes
// without them.
import { describe, expect, it } from "vitest";
import { repeat, type SeededRun, seeded } from "../support/cluster.js";

const LIMIT_MS = 120_000;
const PAGE = 4096;

const sum = (run: SeededRun, counter: string) =>
  run.report.machines.reduce((total, { stats }) => total + (stats?.[counter] ?? 0), 0);

/** The writer fills `pages`, the other machine reads them all, then the writer does. Without S a page is at one of them only. */
async function read(pages: number, writer: number): Promise<SeededRun> {
  const args = ["read", pages, writer];
  const run = await seeded("scan", args, { machines: 2, cores: 1, memory: 48 << 20, append: "mei" });
  expect(run.report.ok, repeat(run, args)).toBe(true);
  expect(run.lines.join("\n"), repeat(run, args)).toMatch(/scan: \w+ \d+ wrong 0 /);
  return run;
}

describe("serial numbers", { timeout: LIMIT_MS }, () => {
  it("promise 85: who lost a page that nobody wrote since gets the right alone, in at most 128 bytes", async () => {
    for (const writer of [1, 2]) {
      const [few, many] = [await read(32, writer), await read(96, writer)];
      const more = (counter: string) => sum(many, counter) - sum(few, counter);
      // But for how often the meetings happen to pass.
      expect(more("pagesRevalidated")).toBeGreaterThanOrEqual(62);
      // There with its bytes, back without them: two requests, two answers.
      expect(more("pagesSent")).toBeLessThanOrEqual(66);
      const spare = (more("bytesSent") - more("pagesSent") * PAGE) / 64;
      expect(spare / 2).toBeLessThanOrEqual(2 * 128);
    }
  });
});
