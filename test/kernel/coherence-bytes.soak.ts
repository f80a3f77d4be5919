// Chunks that are lent among three machines, in every order of events, with a death: minutes. And bugs that show in few orders.
import { expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { type LoanBug, type LoanSetup, LoansWorld, rareBugs } from "../support/loans-world.js";
import { explore, Violation } from "../support/search.js";

const kernel = new KernelWasm();
const worlds: (LoanSetup & { kills: number })[] = [
  { programs: [["w0p"], ["w1w2"], []], home: 3, lends: 3, returns: 1, kills: 0 },
  { programs: [["w0"], ["w1"], ["r1"]], home: 1, lends: 1, kills: 1 },
];

test.each(worlds)(
  "every order of events: $programs, home $home",
  (one) => {
    const world = new LoansWorld(kernel, one);
    expect(explore(world, one.kills).ends).toBeGreaterThan(0);
    expect(world.met.lent).toBeGreaterThan(0);
  },
  900_000,
);

test.each(rareBugs)(
  "found: %s",
  (bug: LoanBug) => {
    expect(() => {
      for (const one of worlds) explore(new LoansWorld(kernel, { ...one, bug }), one.kills);
    }).toThrow(Violation);
  },
  900_000,
);
