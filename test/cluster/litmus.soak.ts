// x86-TSO between machines over a thousand seeds, each from the moment when all machines had joined: SB, MP, LB, 2+2W and
// (on four machines) IRIW, with nothing, MFENCE and a LOCKed instruction between their steps. About 8 minutes of a core; the rows
// of litmus-buffers.test.ts some 30 more, the clusters of litmus-random.test.ts, from seed SHAPES_FROM on, SOAK_SEEDS of them (300), another 30;
// as many tests of each row of test/litmus/random.test.ts, on one machine, a few more.
import { afterAll, describe, expect, test } from "vitest";
import { LitmusMachine } from "../support/litmus.js";
import {
  betweenMachines,
  beyondOrder,
  LitmusCluster,
  sequential,
  withBuffers,
} from "../support/litmus-cluster.js";
import { onOneMachine, runAtRandom } from "../support/litmus-random.js";
import { playAtRandom } from "../support/litmus-random-cluster.js";
import { kernelWith } from "../support/plants/on-clusters.js";
import { lentBugs, litmusBugs } from "../support/plants/soaks.js";

const SEEDS = 1000;
/** Clusters at random: so many, from that seed on. */
const CLUSTERS = Number(process.env["SOAK_SEEDS"] ?? 300);
const FIRST = Number(process.env["SHAPES_FROM"] ?? 1000);
/** So many seeds a test, to stay within a test's time on a slow host. */
const SHARE = 100;

describe.each([
  { machines: 2, tests: betweenMachines.filter((name) => !name.startsWith("IRIW")) },
  { machines: 4, tests: betweenMachines },
])("$machines machines", ({ machines, tests }) => {
  let cluster: Promise<LitmusCluster> | undefined;
  const seen = new Map<string, Set<string>>(tests.map((name) => [name, new Set()]));
  for (let first = 1; first <= SEEDS; first += SHARE)
    test(`seeds ${first} to ${first + SHARE - 1}`, async () => {
      cluster ??= LitmusCluster.create({ machines, tests });
      const figures = (await cluster).runAll(first, SHARE);
      console.info(`litmus on ${machines} machines: ${figures.millisecondsEach} ms a seed`);
      expect(figures.different).toBeGreaterThan(SHARE / 2);
      for (const [name, outcomes] of figures.seen) for (const o of outcomes) seen.get(name)!.add(o);
    }, 1_800_000);
  test("all that sequentially consistent machines can show was seen", () => {
    const missing = tests.flatMap((name) =>
      [...sequential(name)].filter((o) => !seen.get(name)!.has(o)).map((o) => `${name} ${o}`),
    );
    // The rarest of IRIW's fifteen may be missing.
    expect(missing.filter((line) => !line.startsWith("IRIW"))).toEqual([]);
    expect(missing.length).toBeLessThan(10);
  });
  afterAll(() => {
    cluster = undefined;
  });
});

describe("at random", () => {
  test("tests on clusters", { timeout: 24 * 3_600_000 }, async () => {
    for (let seed = FIRST; seed < FIRST + CLUSTERS; seed++) await playAtRandom(seed, 2);
  });

  describe.each([0, 1, 4])("cores of one machine with %i entries", (entries) => {
    test.each(onOneMachine)("%o", { timeout: 1_800_000 }, async (bounds) => {
      const machine = await LitmusMachine.create(entries);
      const { forbidden, share } = runAtRandom(machine, entries, bounds, CLUSTERS, FIRST);
      expect(forbidden).toEqual([]);
      expect(share).toBeGreaterThan(0.2);
    });
  });

  test.each(litmusBugs)("planted: $name", { timeout: 1_800_000 }, async (bug) => {
    const kernel = await kernelWith(bug);
    const all = async () => {
      for (let seed = 1; seed <= 200; seed++) await playAtRandom(seed, 2, { kernel });
    };
    await expect(all()).rejects.toThrow();
  });
});

describe("with store buffers", { timeout: 1_800_000 }, () => {
  test.each(withBuffers.flatMap((o) => [2, 3].map((machines) => ({ ...o, machines }))))(
    "$what, $machines machines",
    async (o) => {
      const { seen, millisecondsEach } = (await LitmusCluster.create(o)).runAll(1, 30);
      console.info(`litmus with store buffers, ${o.what}: ${millisecondsEach} ms a seed`);
      for (const name of o.tests) expect(seen.get(name)!.size, name).toBeGreaterThan(0);
      if (o.what === "two threads") expect(beyondOrder(seen)).toContain("SB 0,0");
    },
  );
});

const tests = ["SB", "MP", "LB", "2+2W", "CoRR"].flatMap((name) =>
  ["", "+mfence", "+lock"].map((fence) => name + fence),
);

describe("words in chunks that are lent, of one page and of two", { timeout: 1_800_000 }, () => {
  test.each([2, 3])("%i machines", async (machines) => {
    const litmus = await LitmusCluster.create({ machines, tests, lent: true, rounds: 12 });
    const { seen } = litmus.runAll(1, 40);
    for (const name of tests) expect(seen.get(name)!.size, name).toBeGreaterThan(1);
    expect(litmus.statistic("chunksLent")).toBeGreaterThan(100);
  });

  test.each(lentBugs)("planted: $name", async (bug) => {
    const kernel = await kernelWith(bug);
    const litmus = await LitmusCluster.create({ machines: 2, tests, lent: true, rounds: 12, kernel });
    expect(() => litmus.runAll(1, 20)).toThrow();
  });
});
