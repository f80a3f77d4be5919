// Engines and links together, both as they are compiled: datagrams lost, repeated and overtaken, a death, and a return with another
// epoch, in every order of events where that is small, and bugs of links that clusters at random find (coherence-trials.test.ts). What a link does is
// searched alone in syslink-search.test.ts, what engines do over perfect links in coherence-search.soak.ts.
import { expect, test } from "vitest";
import { type Program, World } from "../support/coherence.js";
import { linkPlants } from "../support/joined-links.js";
import { joinedCases, joinedName, searchJoined } from "../support/joined-search.js";
import { JoinedWorld } from "../support/joined-world.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { joinedAtRandom, linkSourcePlants } from "../support/plants/links.js";
import { explore, Violation } from "../support/search.js";
import { JOINED, shapeOf, trial, worldOf } from "../support/trial.js";

const kernel = new KernelWasm();

interface Case {
  readonly programs: Program[][];
  readonly kills?: number;
  readonly rejoins?: true;
  readonly home?: number;
  readonly states: number;
}
const cases: readonly Case[] = [
  { programs: [["w"], ["w"]], states: 406 },
  { programs: [["rw"], ["wr"]], states: 13_999 },
  { programs: [["w"], ["w"]], kills: 1, rejoins: true, home: 2, states: 13_203 },
];

for (const { programs, kills = 0, rejoins = false, home = 1, states } of cases) {
  const name = programs.map((machine) => machine.join("+") || "-").join(" ");
  test(`two machines, acknowledgements are datagrams like others, every order of events: ${name}, home ${home}, 1 repeated, ${kills} deaths${rejoins ? " and returns" : ""}`, () => {
    const setup = { machines: programs.length, home, programs };
    const world = new JoinedWorld(kernel, setup, { drop: 0, repeat: 1, cuts: 0, timeout: 0, pace: 0 });
    world.rejoins = rejoins;
    const found = explore(world, kills, 20_000);
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

test.each(linkSourcePlants.map((planted) => [planted.name, planted] as const))(
  "planted, found at random: %s",
  async (_, { find }) => expect(await find()).not.toEqual([]),
);

test.each(["a repeated datagram is taken", "messages are taken as they come"])(
  "planted, found at random: %s",
  (planted) => expect(joinedAtRandom(() => new KernelWasm(), 50, planted)).not.toEqual([]),
);

test("over links a failure is made short, and its command repeats it", () => {
  const run = (shape: number, seed: number) => {
    const world = worldOf(new KernelWasm(), shapeOf(shape));
    world.planted = "messages are taken as they come";
    try {
      trial(world, shape, "safety", seed);
    } catch (error) {
      if (error instanceof Violation) return error.message;
      throw error;
    }
    return "";
  };
  let said = "";
  for (let shape = JOINED; said === "" && shape < JOINED + 50; shape++) said = run(shape, 1);
  const [, shape, seed] = /^TRIAL=(\d+):safety:(\d+) npm run soak -- coherence-trials$/m.exec(said)!;
  const [, few, many] = /^In (\d+) events \(of (\d+)\)/m.exec(said)!;
  expect(Number(few)).toBeLessThan(Number(many));
  expect(run(Number(shape), Number(seed))).toBe(said);
});
