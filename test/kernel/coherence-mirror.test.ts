// Mirrored mode (R3): machines with two pages, and the death of any of them at any point: what a living machine has seen, and
// what was written before it, never goes back, and nothing is reported lost. Nor with a second death, once all has its mirror again.
import { describe, expect, test } from "vitest";
import { type Program, World, wander } from "../support/coherence.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { explore, Violation } from "../support/search.js";

const kernel = new KernelWasm();
const world = (programs: Program[][], home: number | number[]): World =>
  new World(kernel, {
    machines: programs.length,
    home,
    pages: 2,
    programs,
    takeover: true,
    mirrored: true,
  });
const busy: Program[][] = [["w0w1w0w1w0w1"], ["r1r0w0r1r0"], ["r0r1r0w1r0"]];
const homes = [1, 2, 3, [1, 2], [2, 1]].map((home) => (typeof home === "number" ? [home, home] : home));

/** Runs at random from seeds, each from the beginning; the first violation. */
function searched(planted: string, seeds: number, deaths: number): string {
  for (const home of homes) {
    const it = world(busy, home);
    it.mirrors.planted = planted;
    const start = it.save();
    for (let seed = 1; seed <= seeds; seed++) {
      it.load(start);
      try {
        wander(it, seed, deaths);
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        return `homes ${home}, seed ${seed}: ${error.message}`;
      }
    }
  }
  return "";
}

describe("mirrored", () => {
  test("every order of events with one death", () => {
    const found = explore(world([["w0w1"], ["r1"], []], 3), 1);
    expect(found.ends).toBeGreaterThan(0);
    expect(found.states).toBe(40_887);
  });
  test.each([1, 2])("larger programs at random, %d deaths", (deaths) =>
    expect(searched("", 600, deaths)).toBe(""),
  );
  test.each<[string, number]>([
    ["nothing goes in front", 1],
    ["mirrors are not reported", 1],
    ["a cut counts before it is whole", 1],
    ["a cut counts without its page", 1],
    ["what is under way has arrived", 1],
    ["nothing is mirrored anew", 2],
  ])("planted: %s", (planted, deaths) => {
    const found = searched(planted, 4000, deaths);
    expect(found).not.toBe("");
  });
});
