// Engines and links together, both as they are compiled: datagrams lost, repeated and overtaken, a death, and a return with another
// epoch, in every order of events where that is small, and at random at three machines and two pages. What a link does is
// searched alone in syslink-search.test.ts, what engines do over perfect links in coherence-search.soak.ts.
import { expect, test } from "vitest";
import { type Program, World } from "../support/coherence.js";
import { linkPlants } from "../support/joined-links.js";
import { joinedCases, joinedName, searchJoined } from "../support/joined-search.js";
import { JoinedWorld, wanderJoined } from "../support/joined-world.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { explore, Violation } from "../support/search.js";

const kernel = new KernelWasm();

interface Case {
  readonly programs: Program[][];
  readonly drop?: number;
  readonly repeat?: number;
  readonly kills?: number;
  readonly rejoins?: true;
  readonly home?: number;
  readonly states: number;
}
const cases: readonly Case[] = [
  { programs: [["w"], ["w"]], states: 26 },
  { programs: [["w"], ["w"]], drop: 1, repeat: 1, states: 269 },
  { programs: [["rw"], ["wr"]], drop: 1, repeat: 1, states: 525 },
  { programs: [["w"], ["w"]], drop: 1, repeat: 1, kills: 1, rejoins: true, home: 2, states: 435 },
];

for (const { programs, drop = 0, repeat = 0, kills = 0, rejoins = false, home = 1, states } of cases) {
  const name = programs.map((machine) => machine.join("+") || "-").join(" ");
  test(`every order of events: ${name}, home ${home}, ${drop} lost, ${repeat} repeated, ${kills} deaths${rejoins ? " and returns" : ""}`, () => {
    const setup = { machines: programs.length, home, programs };
    const world = new JoinedWorld(kernel, setup, { drop, repeat, timeout: 0 });
    world.world.rejoins = rejoins;
    const found = explore(world, kills);
    expect(found.ends).toBeGreaterThan(0);
    expect(found.states).toBe(states);
  });
}

test.each(joinedCases.filter(({ quick }) => quick).map((one) => [joinedName(one), one] as const))(
  "three machines, two pages, every order of events: %s",
  (name, one) => {
    const { found } = searchJoined(kernel, one);
    console.log(`${name}: ${found.states} states, ${found.ends} ends, at most ${found.depth} events`);
    expect(found.states).toBe(one.states);
  },
);

test("where nothing goes wrong links add no state to what their engines have", () => {
  const programs = [["r1"], ["w0"], ["w0w1"]];
  const alone = explore(new World(kernel, { machines: 3, pages: 2, home: [1, 2], programs }));
  const one = { programs, home: [1, 2], kills: 0, trouble: { drop: 0, overtake: 0 }, states: 0 };
  expect(searchJoined(kernel, one).found.states).toBe(alone.states);
});

test.each(linkPlants)("planted: %s", (planted) => {
  const one = { ...joinedCases[1]!, planted };
  expect(() => searchJoined(kernel, one)).toThrow(Violation);
});

/** The first violation within so many seeds, at three machines and two pages. */
function atRandom(seeds: number, planted: JoinedWorld["planted"] = ""): string {
  for (const home of [
    [1, 2],
    [3, 3],
  ]) {
    const programs: Program[][] = [["r0w1", "w0"], ["w0r1"], ["w1w0"]];
    const setup = { machines: 3, pages: 2, home, programs };
    const world = new JoinedWorld(kernel, setup, { drop: 3, repeat: 3, timeout: 2 });
    world.planted = planted;
    const fresh = world.save();
    for (let seed = 1; seed <= seeds; seed++) {
      world.load(fresh);
      world.world.rejoins = true;
      try {
        wanderJoined(world, seed, seed % 2);
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        return `homes ${home}, seed ${seed}: ${error.message}`;
      }
    }
  }
  return "";
}

test("three machines, two pages, at random: 3 lost, 3 repeated, a death and a return", () => {
  expect(atRandom(150)).toBe("");
});

test.each(["a repeated datagram is taken", "messages are taken as they come"] as const)(
  "planted: %s",
  (planted) => expect(atRandom(300, planted)).not.toBe(""),
);
