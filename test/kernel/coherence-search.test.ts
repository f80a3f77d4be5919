// The page protocol at three machines and two pages, in every order of events, one of the machines dying at any moment and coming
// back: as many states as TLC finds for the model of the same table (coherence-model.soak.ts). One case here; the larger ones, and
// which rows of the table they use, are in coherence-search.soak.ts.
import { expect, test } from "vitest";
import { World } from "../support/coherence.js";
import { nameOf, threeByTwo } from "../support/coherence-cases.js";
import { Fingerprints, Words } from "../support/fingerprint.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { chance, explore } from "../support/search.js";

for (const one of threeByTwo.filter(({ quick }) => quick))
  test(`three machines, two pages: ${nameOf(one)}`, () => {
    const { programs, home, kills, rejoins = false, states } = one;
    const world = new World(new KernelWasm(), { machines: 3, pages: 2, home, programs });
    world.rejoins = rejoins;
    const found = explore(world, kills);
    console.log(`${nameOf(one)}: ${found.states} states, ${found.ends} ends, at most ${found.depth} events`);
    expect(found.ends).toBeGreaterThan(0);
    expect(found.states).toBe(states);
  });

test("fingerprints tell states apart that differ in one bit, and are found again", () => {
  const next = chance(5);
  const words = new Words();
  const print = new Uint32Array(4);
  const seen = new Fingerprints();
  const state = Array.from({ length: 40 }, () => next(2 ** 32));
  const look = () => {
    words.clear();
    for (const word of state) words.put(word);
    words.fingerprint(print);
    return seen.add(print);
  };
  const flip = (bit: number) => {
    state[bit >> 5]! ^= 1 << (bit & 31);
  };
  expect(look()).toBe(true);
  for (let first = 0; first < 40 * 32; first += 1)
    for (let second = first; second < first + 20 && second < 40 * 32; second++) {
      flip(first);
      if (second > first) flip(second);
      expect(look()).toBe(true);
      flip(first);
      if (second > first) flip(second);
    }
  expect(look()).toBe(false);
  expect(seen.size).toBe(
    1 + Array.from({ length: 1280 }, (_, i) => Math.min(20, 1280 - i)).reduce((a, b) => a + b),
  );
});
