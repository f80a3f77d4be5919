// The page protocol, judged by someone who sees every machine: small clusters in every order of events, larger
// ones at random from seeds, with machines that die at any moment. After every step: one writer or many readers, no
// old value. At every end: nobody waits for ever. A failure prints the steps, or the seed, that lead to it.
import { describe, expect, test } from "vitest";
import { explore, type Program, type Saved, World, wander } from "../support/coherence.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { rowAddress, rows } from "../support/page-table.js";

const kernel = new KernelWasm();

describe("every order of events", () => {
  const cases: { programs: Program[][]; home: number; kills: number; rejoins?: true; states: number }[] = [
    { programs: [["w"], ["w"]], home: 1, kills: 0, states: 22 },
    { programs: [["rw", "r"], ["wr"]], home: 2, kills: 0, states: 393 },
    {
      programs: [
        ["rw", "w"],
        ["rw", "r"],
      ],
      home: 1,
      kills: 0,
      states: 2768,
    },
    { programs: [["r"], ["r"], ["w"]], home: 1, kills: 0, states: 324 },
    { programs: [["rw"], ["w"], ["rw"]], home: 3, kills: 0, states: 2584 },
    { programs: [["w"], ["w"], ["w"], []], home: 4, kills: 0, states: 254 },
    { programs: [["wr"], ["wr"]], home: 1, kills: 1, states: 404 },
    { programs: [["r"], ["w"], ["w"]], home: 1, kills: 1, states: 8053 },
    { programs: [["r"], ["rw"], []], home: 3, kills: 1, states: 2733 },
    { programs: [["r"], ["r"], []], home: 3, kills: 2, states: 4561 },
    { programs: [["rw"], ["rw"], []], home: 3, kills: 1, states: 10781 },
    { programs: [["w"], ["w"], []], home: 3, kills: 1, rejoins: true, states: 1585 },
    { programs: [["r"], ["w"], ["w"]], home: 1, kills: 1, rejoins: true, states: 14125 },
    { programs: [["x"], ["x"]], home: 1, kills: 0, states: 31 },
    { programs: [["xx", "x"], ["wx"]], home: 2, kills: 0, states: 371 },
    { programs: [["x"], ["wx"], ["x"]], home: 3, kills: 0, states: 435 },
    { programs: [["w"], ["xx"], ["rx"]], home: 1, kills: 0, states: 2537 },
    { programs: [["x"], ["wx"], []], home: 3, kills: 1, states: 2284 },
    { programs: [["w"], ["x"], []], home: 3, kills: 1, rejoins: true, states: 2135 },
  ];
  for (const { programs, home, kills, rejoins = false, states } of cases) {
    const name = programs.map((machine) => machine.join("+") || "-").join(" ");
    test(`${name}, home ${home}, ${kills} deaths${rejoins ? " and returns" : ""}: one writer, no old value, no end without an answer`, () => {
      const world = new World(kernel, { machines: programs.length, home, programs });
      world.rejoins = rejoins;
      const found = explore(world, kills);
      expect(found.ends).toBeGreaterThan(0);
      expect(found.states).toBe(states);
    });
  }
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

  test("promise 57: without deaths nobody ever fails, over a million steps", () => {
    const { steps, failures } = run(12_000, 0);
    expect(steps).toBeGreaterThan(1_000_000);
    expect(failures).toBe(0);
  });

  test("with deaths every operation ends: with the page, or with an error", () => {
    for (const kills of [1, 2, 3]) expect(run(6_000, kills).failures).toBeGreaterThan(0);
  });

  test("machines that die and come back are new machines, to whom nothing old is owed", () => {
    for (const kills of [1, 2, 3]) run(4_000, kills, true);
  });

  test("seeds that meet what is rare", () => {
    const three: Program[][] = [["rwrw", "wrwr"], ["rwrw", "rwrw"], ["rrww"]];
    wander(new World(kernel, { machines: 3, home: 1, programs: three }), 12171, 1);
    worlds[17846 % 4]!.load(fresh[17846 % 4]!);
    wander(worlds[17846 % 4]!, 17846, 1);
    for (const pair of ["FAILED_LEAVING FORWARD_READ", "OWNED_WRITE_LEAVING ACKNOWLEDGED"]) {
      const [state, event] = pair.split(" ");
      expect(kernel.bytes[rowAddress(kernel, state!, event!) + 7], pair).toBe(1);
    }
  });

  test("every row of the table was used", () => {
    const unused = rows
      .filter(({ state, event }) => kernel.bytes[rowAddress(kernel, state, event) + 7] === 0)
      .map(({ state, event }) => `${state} ${event}`);
    // Unreached: it takes a machine that is granted the right to write and loses it again without having written, which
    // these threads never do, and then the death of all who share the page while an older owner's note is on its way.
    // And: a request beyond the object's end, which the pager refuses before the engine sees it.
    expect(unused.filter((pair) => pair !== "UNUSED CLEAN_LATE" && pair !== "LOST OTHER_FAILED")).toEqual([]);
  });
});
