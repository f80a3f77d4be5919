// Chunks that are lent among three machines, in every order of events, with a death: minutes.
import { expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { LoansWorld } from "../support/loans-world.js";
import { exploreLoans, loanWorlds } from "../support/plants/loans.js";

const kernel = new KernelWasm();

test.each(loanWorlds)(
  "every order of events: $programs, home $home",
  (one) => {
    const world = new LoansWorld(kernel, one);
    expect(exploreLoans(world, one).ends).toBeGreaterThan(0);
    expect(world.met.lent).toBeGreaterThan(0);
  },
  900_000,
);
