// Pages that are lent while their home moves, or who lent or borrowed them leaves or dies: in every order of events, from where a page is lent. No value
// is in two places that can be written, none is lost while who has it lives, every recall ends. And bugs planted
// there are found. (Larger ones: coherence-lending.soak.ts.)
import { describe, expect, test } from "vitest";
import { KernelWasm } from "../support/kernel-wasm.js";
import { exploreLending, lendingCases, smallLending } from "../support/plants/lending.js";
import { LENDING, shapeOf, trial, worldOf } from "../support/trial.js";

const kernel = new KernelWasm();

describe("R5, every order of events: a page is lent, and", () => {
  test.each(smallLending.map((one) => [one.name, one] as const))("%s", (_, one) => {
    const { states, ends } = exploreLending(kernel, one);
    expect(ends).toBeGreaterThan(0);
    expect(states).toBe(one.states);
  });
});

const caseOf = (name: string) => lendingCases.find((one) => one.name === name)!;
test.each([
  [
    "a page that is lent stays so when its home moves",
    "its home, which has lent it, leaves",
    /the newest value/,
  ],
  ["what was lent is dropped when its home moves", "its home, which has lent it, leaves", /the newest value/],
  [
    "nobody is told of what was lent and is gone",
    "its home has lent it, and a machine dies",
    /nobody was told/,
  ],
])("planted, and found: %s", (bug, name, says) => {
  expect(() => exploreLending(kernel, caseOf(name), bug)).toThrow(says);
});

test("planted, and found: what is lent stays with who has frozen", () => {
  const shape = LENDING + 276;
  const world = worldOf(new KernelWasm(), shapeOf(shape));
  const run = () => trial(world, shape, "safety", 4);
  expect(run).not.toThrow();
  world.planted = "what is lent stays with who has frozen";
  expect(run).toThrow(/page 0 has number 0\.2 for 3 at machine 1 and for 2 at machine 2/);
});
