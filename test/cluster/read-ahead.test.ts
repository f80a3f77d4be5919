// Reading ahead on whole clusters in virtual time: what a machine that reads page after page asks for before it needs it, what that
// saves, and that it takes nothing from others that it does not come to.
import { describe, expect, it } from "vitest";
import { repeat, type SeededRun, seeded } from "../support/cluster.js";

const LIMIT_MS = 120_000;
const WIRE = { delay: [30, 30] as [number, number] };

async function scan(
  args: readonly (string | number)[],
  append = "",
  machines = 2,
): Promise<{ run: SeededRun; time: number }> {
  const run = await seeded("scan", args, { machines, cores: 1, memory: 48 << 20, network: WIRE, append });
  const found = /scan: \w+ \d+ wrong 0 nanoseconds (\d+)/.exec(run.report.result);
  expect(found, repeat(run, args)).not.toBeNull();
  return { run, time: Number(found![1]) };
}
const sum = (run: SeededRun, counter: string) =>
  run.report.machines.reduce((total, { stats }) => total + (stats?.[counter] ?? 0), 0);

describe("reading ahead", { timeout: LIMIT_MS }, () => {
  it("a scan of 256 pages waits for few of them, and asks for none twice", async () => {
    const [ahead, each] = [await scan(["read", 256]), await scan(["read", 256], "ahead=0")];
    expect(ahead.time * 3).toBeLessThan(each.time);
    expect(sum(ahead.run, "pagesSent") - sum(each.run, "pagesSent")).toBeLessThanOrEqual(4);
    expect(sum(ahead.run, "messagesSent") - sum(each.run, "messagesSent")).toBeLessThanOrEqual(16);
    // Many pages are mapped by one fault.
    expect(sum(ahead.run, "pageFaultsCoherence") + 150).toBeLessThan(sum(each.run, "pageFaultsCoherence"));
  });

  it("pages behind those that were ever written are granted while they are under way: a scan comes to them, whoever is the file's home", async () => {
    for (const writer of [1, 2]) {
      const { run } = await scan(["grown", 256, writer]);
      expect(run.report.ok, repeat(run)).toBe(true);
    }
  });

  it("who writes next to it keeps what is not on the way, and the scan comes again to what was written", async () => {
    const { run } = await scan(["again", 128], "", 3);
    expect(run.report.ok, repeat(run)).toBe(true);
  });
});
