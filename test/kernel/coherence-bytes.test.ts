// Chunks of a page that are lent (kernel/coherence/parts.ts), judged by someone who sees every machine: small clusters in every
// order of events, larger ones at random from seeds, with machines that die at any moment (test/support/loans-world.ts).
// And the judge is judged: bugs planted around the compiled parts must be found (test/support/plants/loans.ts).
import { describe, expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { type LoanSetup, loanBugs } from "../support/loans-state.js";
import { LoansWorld } from "../support/loans-world.js";
import {
  exploreLoans,
  larger,
  loanAtRandom,
  loanBySearch,
  loanCases,
  short,
  wanderLoans,
} from "../support/plants/loans.js";
import { Violation } from "../support/search.js";

const kernel = new KernelWasm();

const nameOf = ({ programs, home, returns = 0, rejoins }: LoanSetup, kills: number) =>
  `${programs.map((machine) => machine.join("+") || "-").join(" ")}, home ${home}, deaths ${kills}${rejoins ? " and new lives" : ""}, returns ${returns}`;

describe("every order of events", () => {
  for (const one of loanCases)
    test(nameOf(one, one.kills), () => {
      const world = new LoansWorld(kernel, one);
      const found = exploreLoans(world, one);
      expect(found.ends).toBeGreaterThan(0);
      expect(world.met.lent).toBeGreaterThan(0);
      expect(found.states).toBe(one.states);
    });
});

function runs(setups: LoanSetup[], count: number, kills: number, rarity: number): LoansWorld["met"] {
  const sum = { lent: 0, carried: 0, recalled: 0, told: 0, broken: 0 };
  const worlds = setups.map((setup) => new LoansWorld(kernel, setup));
  const fresh = worlds.map((world) => world.save());
  for (let seed = 1; seed <= count; seed++) {
    const world = worlds[seed % worlds.length]!;
    world.load(fresh[seed % worlds.length]!);
    try {
      wanderLoans(world, seed, kills, rarity);
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

test("no bug, nothing found: with every seed that is to find one", () => expect(loanAtRandom()).toEqual([]));

test.each(loanBugs)("found: %s", (bug) => {
  const few = loanCases.filter(({ states }) => states < 6000);
  const found = loanBySearch(bug, few);
  expect(found.length > 0 ? found : loanAtRandom(bug)).not.toEqual([]);
});
