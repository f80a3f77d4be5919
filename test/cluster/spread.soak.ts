// Spread processes under many seeds and a bad wire; and planted bugs: a kernel with one line changed, which a program's output
// must show.
import { describe, expect, test } from "vitest";
import type { SeededCluster } from "../../emulator/cluster.js";
import { repeat, seeded } from "../support/cluster.js";
import { withFaults } from "../support/faults.js";
import { cProgram, glibcProgram, hasGlibc, hasMusl, missing } from "../support/guest.js";
import { kernelWith } from "../support/plants/on-clusters.js";
import { spreadBugs } from "../support/plants/soaks.js";

const musl = describe.skipIf(!hasMusl);
const seeds = Array.from({ length: 20 }, (_, i) => i + 100);

musl(`many seeds${missing("musl")}`, () => {
  test.each(seeds)("seed %i", async (seed) => {
    const path = (name: string) => (hasGlibc && seed % 2 === 0 ? glibcProgram(name) : cProgram(name)).host;
    const shape = { machines: 2 + (seed % 3), cores: 1 + (seed % 2), seed, spread: true };
    const network = { faults: { loss: seed % 5 === 0 ? 0.03 : 0, duplicate: seed % 7 === 0 ? 0.05 : 0 } };
    for (const [name, args] of [
      ["pthreads", [8, 30]],
      ["away", [4, 0]],
    ] as const) {
      const run = await seeded(path(name), args, { ...shape, network });
      expect(run.report.result, repeat(run, args)).toMatch(/all right$/);
      expect(run.report.ok, repeat(run, args)).toBe(true);
    }
  });
});

musl(`speed${missing("musl")}`, () => {
  /** Virtual microseconds. */
  const took = async (machines: number, cores: number) => {
    const run = await seeded(cProgram("primes").host, [400000], { machines, cores, seed: 1, spread: true });
    expect(run.report.result, repeat(run)).toBe("primes: 33860 below 400000");
    const line = run.lines.find((each) => / threads, \d+ us$/.test(each)) ?? "";
    return Number(/(\d+) us$/.exec(line)?.[1]);
  };

  test("eight cores of four machines", async () => {
    expect((await took(1, 1)) / (await took(4, 2))).toBeGreaterThan(4);
  });
});

/** What went wrong; null: nothing did. */
async function wrong(
  program: (typeof spreadBugs)[number]["program"],
  kernel: Uint8Array | undefined,
): Promise<string | null> {
  const changed = kernel === undefined ? {} : { kernel };
  const { host } = cProgram(program);
  if (program === "heir") {
    const die = (cluster: SeededCluster) => {
      cluster.nodes[1]!.machine.powered = false;
    };
    const run = await withFaults(host, ["stay"], [[150, die]], { ...changed, append: "linkloss=200" });
    return run.said(1, /^heir: locked 2 times, by heirs 1$/).length === 1 ? null : run.text();
  }
  if (program === "migrate") {
    const hops = [4, 60, 3];
    const run = await seeded(host, hops, {
      ...changed,
      machines: 3,
      cores: 1,
      seed: 1,
      spread: true,
      limit: 1e9,
    });
    return run.report.ok && /60 hops, wrong 0$/.test(run.report.result) ? null : repeat(run, hops);
  }
  const o = { ...changed, machines: 3, cores: 1, seed: 1, spread: true, limit: 3e9 };
  const run = await seeded(host, [3, program === "away" ? 0 : 10], o);
  return run.report.ok && / all right$/.test(run.report.result) ? null : repeat(run);
}

musl(`planted bugs${missing("musl")}`, () => {
  test.each(["pthreads", "away", "heir", "migrate"] as const)(
    "%s sees nothing wrong in what is intact",
    async (program) => {
      expect(await wrong(program, undefined)).toBeNull();
    },
  );

  test.each(spreadBugs)("$name, seen by $program", async (bug) => {
    expect(await wrong(bug.program, await kernelWith(bug)), "the bug was not seen").not.toBeNull();
  });
});
