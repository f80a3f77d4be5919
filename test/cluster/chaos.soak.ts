// `buslock run --chaos` under many seeds, with all kinds of faults; and kernels with one line changed, which some seed's
// verdict must show. CHAOS_SEEDS=N wants so many seeds (40), CHAOS_FIRST=N the first one.
import { describe, expect, test } from "vitest";
import { kept, verdict } from "../../emulator/chaos/chaos.js";
import { type Plant, plantedKernel } from "../bugs/plant.js";
import { chaosRun } from "../support/chaos.js";

const first = Number(process.env["CHAOS_FIRST"] ?? 1000);
const seeds = Array.from({ length: Number(process.env["CHAOS_SEEDS"] ?? 40) }, (_, i) => first + i);

describe("many seeds", () => {
  test.each(seeds)("seed %i", { timeout: 300_000 }, async (seed) => {
    const { chaos, replay } = await chaosRun({ chaos: seed, machines: 2 + (seed % 4) });
    expect(kept(chaos), `${replay}\n${verdict(chaos)}`).toBe(true);
  });
});

interface Bug {
  readonly name: string;
  readonly faults: string;
  /** What is found broken. */
  readonly promise: string;
  readonly kernel: NonNullable<Plant["kernel"]>;
}

const bug = (name: string, faults: string, promise: string, file: string, from: string, to: string): Bug => ({
  name,
  faults,
  promise,
  kernel: { file: `kernel/${file}`, changes: [[from, to]] },
});

const bugs: readonly Bug[] = [
  bug(
    "a home that comes back finds its former life's record, and does not take the file over",
    "pause",
    "R0 count",
    "coherence/object-list.ts",
    "(changetype<SharedObject>(at).id != id || changetype<SharedObject>(at).dead != 0)",
    "changetype<SharedObject>(at).id != id",
  ),
  bug(
    "a machine out of reach goes on as long as it likes",
    "cut",
    "R0 lease",
    "syslink/lease.ts",
    "near >= membershipMajority(membership) && isMember(membership)",
    "isMember(membership)",
  ),
];

describe("planted bugs", () => {
  test.each(bugs)("$name: $promise", { timeout: 900_000 }, async ({ faults, promise, kernel }) => {
    const planted = (await plantedKernel({ kernel }))!;
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
