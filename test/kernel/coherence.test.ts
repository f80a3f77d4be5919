// The page protocol, judged by someone who sees every machine: small clusters in every order of events, larger
// ones at random from seeds, with machines that die at any moment. After every step: one writer or many readers, no
// old value. At every end: nobody waits for ever. A failure prints the steps, or the seed, that lead to it.
import { describe, expect, test } from "vitest";
import { type Program, type Saved, World, wander } from "../support/coherence.js";
import {
  cases,
  caseWorld,
  guessCases,
  leaveCases,
  moveCases,
  nameOf,
  offerCases,
} from "../support/coherence-cases.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { explore } from "../support/search.js";

const kernel = new KernelWasm();

describe("every order of events", () => {
  for (const one of [...cases, ...guessCases, ...offerCases])
    test(`${nameOf(one)}: one writer, no old value, no end without an answer`, () => {
      const found = explore(caseWorld(kernel, one).world, one.kills);
      expect(found.ends).toBeGreaterThan(0);
      expect(found.states).toBe(one.states);
    });
});

describe("R8: the home dies, or leaves, and its role moves, in every order of events", () => {
  for (const one of [...moveCases, ...leaveCases])
    test(`${nameOf(one)}: one writer, nothing lost in silence`, () =>
      expect(explore(caseWorld(kernel, one).world, one.kills).states).toBe(one.states));

  test("at random, from seeds", () => {
    const programs: Program[][] = [["rwrw", "wr"], ["wwrr"], ["rrww", "wr"], ["xxrw"]];
    const worlds = [1, 2, 3, 4].map(
      (home) => new World(kernel, { machines: 4, home, programs, takeover: true }),
    );
    const fresh = worlds.map((world) => world.save());
    let failures = 0;
    for (let seed = 1; seed <= 1500; seed++) {
      const world = worlds[seed % 4]!;
      world.load(fresh[seed % 4]!);
      try {
        wander(world, seed, 1);
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`);
      }
      failures += world.failures();
    }
    expect(failures).toBeGreaterThan(0);
  });
});

describe("at random", () => {
  const programs: Program[][] = [["rwrwrw", "wwrr"], ["wwrrww"], ["rrrwww", "wr"], ["wrwrwr"]];
  const operating: Program[][] = [["xxrxxx", "xwxx"], ["xwrxxx"], ["xxxx", "xxx"], ["rxxwxx"]];
  const worlds = [programs, operating].flatMap((programs) =>
    [1, 2, 3, 4].map((home) => new World(kernel, { machines: 4, home, programs })),
  );
  const fresh = worlds.map((world): Saved => world.save());

  function run(seeds: number, kills: number, rejoins = false): { steps: number; failures: number } {
    let steps = 0;
    let failures = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const world = worlds[seed % 8]!;
      world.load(fresh[seed % 8]!);
      world.rejoins = rejoins;
      try {
        steps += wander(world, seed, kills);
      } catch (error) {
        throw new Error(`seed ${seed}, ${kills} deaths: ${error instanceof Error ? error.message : error}`);
      }
      failures += world.failures();
    }
    return { steps, failures };
  }

  test("promise 57: without deaths nobody ever fails, over 250,000 steps", () => {
    const { steps, failures } = run(3000, 0);
    expect(steps).toBeGreaterThan(250_000);
    expect(failures).toBe(0);
  });

  test("R5: with deaths every operation ends: with the page, or with an error", () => {
    for (const kills of [1, 2, 3]) expect(run(1_500, kills).failures).toBeGreaterThan(0);
  });

  test("machines that die and come back are new machines, to whom nothing old is owed", () => {
    for (const kills of [1, 2, 3]) run(1_000, kills, true);
  });

  test("pages that are granted by ranges and never touched", () => {
    const ranged: Program[][] = [
      ["r0w1x2w0r1w2", "x2w1x0r2"],
      ["w0x1r2r0w2x1"],
      ["r0r1x2w0w1w2", "x1r0"],
      ["x0w1x2x1w0r2", "r2r1r0"],
    ];
    for (const home of [1, 3]) {
      const setup = { machines: 4, home, programs: ranged, pages: 3, ranges: true, recalls: 3 };
      const world = new World(kernel, setup);
      const saved = world.save();
      for (let seed = 1; seed <= 250; seed++) {
        world.load(saved);
        wander(world, seed);
      }
      expect(world.failures()).toBe(0);
    }
    // The home reads, writers take what it counts as shared.
    for (const first of [
      ["w1r0", "x2r0"],
      ["w1r0", "x2x0", "w2w0"],
    ]) {
      const read: Program[][] = [first, ["r0r2", "r0"], ["w0", "w2"]];
      const setup = { machines: 3, home: 2, programs: read, pages: 3, ranges: true, recalls: 2 };
      const world = new World(kernel, setup);
      const saved = world.save();
      for (let seed = 1; seed <= 2000; seed++) {
        world.load(saved);
        wander(world, seed);
      }
    }
  });
});
