// As coherence-lending.test.ts, in worlds of some more states.
import { expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { exploreLending, lendingCases, smallLending } from "../support/plants/lending.js";

const large = lendingCases.filter((one) => !smallLending.includes(one));
test.each(large.map((one) => [one.name, one] as const))(
  "a page is lent, and %s",
  { timeout: 600_000 },
  (_, one) => {
    const { states, ends } = exploreLending(new KernelWasm(), one);
    expect(ends).toBeGreaterThan(0);
    expect(states).toBe(one.states);
  },
);
