// What searches of every order of events stand on: states are told apart by fingerprints. (The page protocol at three machines and two
// pages is searched in coherence-search.soak.ts, and over real links in coherence-joined.test.ts.)
import { expect, test } from "vitest";
import { Fingerprints, Words } from "../support/fingerprint.js";
import { chance } from "../support/search.js";

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
