// `buslock run --chaos` under many seeds, with all kinds of faults; and kernels with one line changed, which some seed's
// verdict must show. CHAOS_SEEDS=N wants so many seeds (40), CHAOS_FIRST=N the first one; of storms, of which the seed draws everything, there are
// three times as many.
import { describe, expect, test } from "vitest";
import { kept, verdict } from "../../emulator/chaos/chaos.js";
import { chaosRun } from "../support/chaos.js";
import { kernelWith } from "../support/plants/on-clusters.js";
import { chaosBugs } from "../support/plants/soaks.js";
import { storm } from "../support/storms.js";

const first = Number(process.env["CHAOS_FIRST"] ?? 1000);
const seeds = Array.from({ length: Number(process.env["CHAOS_SEEDS"] ?? 40) }, (_, i) => first + i);

describe("many seeds", () => {
  test.each(seeds)("seed %i", { timeout: 300_000 }, async (seed) => {
    const { chaos, replay } = await chaosRun({ chaos: seed, machines: 2 + (seed % 4) });
    expect(kept(chaos), `${replay}\n${verdict(chaos)}`).toBe(true);
  });
});

// Some seconds each.
describe("storms", () => {
  const storms = Array.from({ length: 3 * seeds.length }, (_, i) => 10 * first + i);
  test.each(storms)("seed %i", { timeout: 300_000 }, async (seed) => {
    const { chaos, replay } = await chaosRun(storm(seed));
    expect(kept(chaos), `${replay}\n${verdict(chaos)}`).toBe(true);
  });
});

describe("planted bugs", () => {
  test.each(chaosBugs)("$name: $promise", { timeout: 900_000 }, async ({ faults, promise, ...change }) => {
    const planted = await kernelWith(change);
    const found = new Set<string>();
    for (let seed = 1; seed <= 12 && !found.has(promise); seed++) {
      const { chaos } = await chaosRun(
        { chaos: seed, chaosFaults: faults, chaosCount: 2 },
        { kernel: planted },
      );
      for (const finding of chaos.findings) if (finding.broken.length > 0) found.add(finding.promise);
    }
    expect([...found]).toContain(promise);
  });
});
