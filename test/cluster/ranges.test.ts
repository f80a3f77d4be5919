// Ranges on whole clusters in virtual time: what a machine costs that is alone with a file, and what a conflict costs.
import { describe, expect, it } from "vitest";
import { repeat, type SeededRun, seeded } from "../support/cluster.js";

const LIMIT_MS = 300_000;

async function scan(
  args: readonly (string | number)[],
  o: { machines?: number; options?: string[]; seed?: number } = {},
): Promise<SeededRun> {
  const run = await seeded("scan", args, { machines: 2, cores: 1, memory: 48 << 20, ...o });
  expect(run.report.ok, repeat(run, args)).toBe(true);
  expect(run.lines.join("\n"), repeat(run, args)).toMatch(/scan: \w+ \d+ wrong 0 /);
  return run;
}
const sum = (run: SeededRun, counter: string) =>
  run.report.machines.reduce((total, { stats }) => total + (stats?.[counter] ?? 0), 0);

describe("ranges", { timeout: LIMIT_MS }, () => {
  it("promise 73: a machine that is alone with a file is granted all of it at once, at home or not", async () => {
    for (const writer of [1, 2]) {
      const few = await scan(["own", 8, writer]);
      const many = await scan(["own", 520, writer]);
      expect(sum(many, "pageFaultsCoherence") - sum(few, "pageFaultsCoherence")).toBeGreaterThan(500);
      // Not one message more for 512 pages more, but for how often the meetings happen to pass.
      expect(Math.abs(sum(many, "messagesSent") - sum(few, "messagesSent"))).toBeLessThanOrEqual(12);
      expect(Math.abs(sum(many, "pagesSent") - sum(few, "pagesSent"))).toBeLessThanOrEqual(2);
    }
  });

  it("a conflict splits off the page in question, and no other", async () => {
    for (const writer of [1, 2]) {
      const alone = await scan(["own", 256, writer]);
      const split = await scan(["split", 256, writer]);
      // There and back: request, forward, page each; and one meeting more.
      expect(sum(split, "messagesSent") - sum(alone, "messagesSent")).toBeLessThanOrEqual(24);
      expect(sum(split, "pagesSent") - sum(alone, "pagesSent")).toBeLessThanOrEqual(6);
    }
  });
});
