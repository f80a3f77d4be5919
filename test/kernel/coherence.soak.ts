// The page protocol for longer: larger exhaustive searches, and random clusters of up to six machines over many seeds.
// SOAK_SEEDS sets how many (100000 unless told); a failure names its seed.
import { describe, expect, test } from "vitest";
import { type Program, type Saved, World, wander } from "../support/coherence.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { explore } from "../support/search.js";

const kernel = new KernelWasm();
const seeds = Number(process.env["SOAK_SEEDS"] ?? 100_000);

describe("every order of events", () => {
  const cases: [programs: Program[][], home: number, kills: number][] = [
    [[["rw"], ["w"], ["rw"]], 3, 1],
    [[["w"], ["rw"], ["r"]], 1, 2],
    [[["rw"], ["rw"], ["rw"]], 1, 0],
    [[["w"], ["w"], ["w"], []], 4, 1],
    [
      [
        ["rw", "rw"],
        ["rw", "rw"],
      ],
      1,
      1,
    ],
    [[["rwr"], ["wrw"], ["r"]], 2, 0],
  ];
  test.each(cases)("%j, home %i, %i deaths", (programs, home, kills) => {
    const found = explore(new World(kernel, { machines: programs.length, home, programs }), kills, 3_000_000);
    console.log(`${JSON.stringify(programs)} home ${home} deaths ${kills}: ${found.states} states`);
    expect(found.ends).toBeGreaterThan(0);
  });
});

describe("at random", () => {
  const shapes: Program[][][] = [
    [["rwrwrwrw", "wwrr", "rw"], ["wwrrww", "rw"], ["rrrwww", "wr"], ["wrwrwr"]],
    [["rwrw", "wrwr"], ["rwrw", "rwrw"], ["rrww"]],
    [["rw", "r"], ["rw"], ["wr", "w"], ["rrrr"], ["wwww"], ["rwrwrw"]],
    [["wwwwwwwwww"], ["wwwwwwwwww"], ["wwwwwwwwww"], ["wwwwwwwwww"], ["wwwwwwwwww"]],
  ];
  test.each(shapes)("%j", (...shape) => {
    const programs = shape as Program[][];
    const worlds = programs.map(
      (_, home) => new World(kernel, { machines: programs.length, home: home + 1, programs }),
    );
    const fresh = worlds.map((world): Saved => world.save());
    let steps = 0;
    for (let seed = 1; seed <= seeds / shapes.length; seed++) {
      const index = seed % worlds.length;
      const world = worlds[index]!;
      world.load(fresh[index]!);
      const kills = (seed >> 3) % programs.length;
      try {
        steps += wander(world, seed, kills);
      } catch (error) {
        throw new Error(
          `seed ${seed}, home ${index + 1}, ${kills} deaths: ${error instanceof Error ? error.message : error}`,
        );
      }
      if (kills === 0) expect(world.failures()).toBe(0);
    }
    expect(steps).toBeGreaterThan(seeds);
  });
});

test("R8: operations, homes that die and come back", () => {
  const programs: Program[][] = [["xx", "x"], ["xwx"], ["rx", "xx"], ["xx"]];
  for (const home of [1, 2, 3]) {
    const world = new World(kernel, { machines: 4, home, programs, takeover: true });
    const fresh = world.save();
    for (let seed = 1; seed <= seeds / 10; seed++) {
      world.load(fresh);
      world.rejoins = seed % 2 === 0;
      world.pauses = seed % 5 === 0;
      try {
        wander(world, seed, 1 + (seed % 3));
      } catch (error) {
        throw new Error(`seed ${seed}, home ${home}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
});
