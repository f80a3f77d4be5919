// Chunks of a page that are lent (kernel/coherence/parts.ts), judged by someone who sees every machine: small clusters in every
// order of events, larger ones at random from seeds, with machines that die at any moment (test/support/loans-world.ts).
// And the judge is judged: bugs planted around the compiled parts must be found.
import { describe, expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { type LoanBug, type LoanSetup, LoansWorld, loanBugs } from "../support/loans-world.js";
import { chance, explore, Violation } from "../support/search.js";

const kernel = new KernelWasm();

const nameOf = ({ programs, home, returns = 0 }: LoanSetup, kills: number) =>
  `${programs.map((machine) => machine.join("+") || "-").join(" ")}, home ${home}, deaths ${kills}, returns ${returns}`;

const cases: (LoanSetup & { kills: number; states: number })[] = [
  { programs: [["w0"], ["w1w1"]], home: 1, kills: 0, states: 185 },
  { programs: [["w0"], ["w1w1"]], home: 2, returns: 1, kills: 0, states: 1397 },
  { programs: [["w0p"], ["w1"]], home: 1, kills: 0, states: 340 },
  { programs: [["w0"], ["w1r0"]], home: 2, kills: 0, states: 843 },
  { programs: [["w0"], ["w1"], ["p"]], home: 1, kills: 0, states: 3564 },
  { programs: [["w0"], ["w1"], []], home: 3, kills: 1, states: 6530 },
  { programs: [["w0r1"], ["w1"]], home: 1, kills: 1, states: 5238 },
];

describe("every order of events", () => {
  for (const one of cases)
    test(nameOf(one, one.kills), () => {
      const world = new LoansWorld(kernel, one);
      const found = explore(world, one.kills);
      expect(found.ends).toBeGreaterThan(0);
      expect(world.met.lent).toBeGreaterThan(0);
      expect(found.states).toBe(one.states);
    });
});

/** One run at random, to its end. */
function wander(world: LoansWorld, seed: number, kills: number, rarity: number): void {
  const next = chance(seed);
  for (let count = 0; count < 20_000; count++) {
    let steps = world.steps(kills);
    if (world.rests(steps)) {
      world.checkEnd();
      return;
    }
    // Deaths are rare, so that they meet a cluster at work.
    if (next(rarity) !== 0) steps = steps.filter((step) => step.do !== "kill");
    if (steps.length > 0) world.take(steps[next(steps.length)]!);
  }
  throw new Violation("no end after 20000 steps");
}

const larger: LoanSetup[] = [1, 2, 3].map((home) => ({
  home,
  programs: [["w0r0w0pw0", "w0r0"], ["w1w1r0w1"], ["r2w2w2r1"]],
  returns: 3,
  lends: 8,
}));

/** Short ones, that meet a death or a return in the midst of a loan more often. */
const short: LoanSetup[] = [
  { home: 1, programs: [["w0"], ["w1"], ["r1"]], lends: 1 },
  { home: 1, programs: [["w1"], ["w1"], ["r1"]], lends: 1 },
  { home: 3, programs: [["w0p"], ["w1w2"], []], lends: 3, returns: 1 },
];

function runs(
  setups: LoanSetup[],
  count: number,
  kills: number,
  rarity: number,
  bug?: LoanBug,
): LoansWorld["met"] {
  const sum = { lent: 0, carried: 0, recalled: 0, told: 0, broken: 0 };
  const worlds = setups.map((setup) => new LoansWorld(kernel, { ...setup, ...(bug && { bug }) }));
  const fresh = worlds.map((world) => world.save());
  for (let seed = 1; seed <= count; seed++) {
    const world = worlds[seed % worlds.length]!;
    world.load(fresh[seed % worlds.length]!);
    try {
      wander(world, seed, kills, rarity);
    } catch (error) {
      throw new Violation(`seed ${seed}: ${error instanceof Error ? error.message : error}`);
    }
  }
  for (const { met } of worlds)
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += met[key];
  return sum;
}

test("at random, from seeds, with a death", () => {
  const met = runs(larger, 2000, 1, 20);
  runs(short, 3000, 1, 5);
  for (const [what, times] of Object.entries(met)) expect(times, what).toBeGreaterThan(10);
});

test.each(loanBugs)("found: %s", (bug) => {
  expect(() => {
    for (const one of cases)
      if (one.states < 6000) explore(new LoansWorld(kernel, { ...one, bug }), one.kills);
    runs(larger, 1000, 1, 20, bug);
    runs(short, 4000, 1, 5, bug);
  }).toThrow(Violation);
});
