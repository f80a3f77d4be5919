// Mirrored mode (R3): machines with two pages, and the death of any of them at any point, of as many at once as there are mirrors: what a
// living machine or a user at a console has seen, and what was written before it, never goes back, and nothing is reported lost. Nor with
// more deaths, once everything is mirrored anew, and with machines that come back. After each event what was seen is still there
// whichever machines fail next, as many as may.
import { describe, expect, test } from "vitest";
import { type Program, World, wander } from "../support/coherence.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { explore, Violation } from "../support/search.js";

const kernel = new KernelWasm();
const world = (programs: Program[][], home: number | number[], mirrored: number, pages = 2): World =>
  new World(kernel, { machines: programs.length, home, pages, programs, takeover: true, mirrored });
const busy: Program[][] = [["w0w1ow0w1w0w1o"], ["r1r0w0r1r0o", "w1r0"], ["r0r1ow0w1r0"], ["r0w1r0r1"]];
const homes = [
  [1, 1],
  [2, 2],
  [3, 3],
  [1, 2],
  [2, 1],
  [1, 3],
];

interface Case {
  mirrors: number;
  machines: number;
  deaths: number;
  rejoins?: boolean;
  planted?: string;
}

/** Of `planted`, what membership has to do with. */
const OF_VIEWS = ["a new life is spoken to at once"];

/** Runs at random from seeds, each from the beginning; the first violation. */
function searched({ mirrors, machines, deaths, rejoins = false, planted = "" }: Case, seeds: number): string {
  for (const home of homes) {
    const it = world(busy.slice(0, machines), home, mirrors);
    if (OF_VIEWS.includes(planted)) it.membership.planted = planted;
    else it.mirrors.planted = planted;
    it.rejoins = rejoins;
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
  test.each<[mirrors: number, pages: number, Program[][], number]>([
    [1, 2, [["w0w1"], ["r1"], []], 63_147],
    [2, 1, [["w0"], [], []], 32_115],
  ])("every order of events: %i mirrors, as many deaths, %i pages", (mirrors, pages, programs, states) => {
    const found = explore(world(programs, 3, mirrors, pages), mirrors);
    expect(found.ends).toBeGreaterThan(0);
    expect(found.states).toBe(states);
  });
  test.each<Case>([
    { mirrors: 1, machines: 3, deaths: 1 },
    { mirrors: 1, machines: 3, deaths: 2 },
    { mirrors: 1, machines: 4, deaths: 3, rejoins: true },
    { mirrors: 2, machines: 4, deaths: 2 },
    { mirrors: 2, machines: 4, deaths: 4, rejoins: true },
  ])("larger programs at random: %o", (each) => expect(searched(each, 60)).toBe(""));
  test.each<[planted: string, mirrors: number, deaths: number, rejoins?: boolean]>([
    ["nothing goes in front", 1, 1],
    ["mirrors are not reported", 1, 1],
    ["a cut counts before it is whole", 1, 1],
    ["a cut counts without its page", 1, 1],
    ["what is under way has arrived", 1, 1],
    ["output does not wait", 1, 1],
    ["nothing is mirrored anew", 1, 2],
    ["what is restored counts as mirrored", 1, 2],
    ["what thaws may leave at once", 1, 2, true],
    ["a new life is spoken to at once", 1, 2, true],
    ["one mirror is enough", 2, 2],
    ["a page leaves before it is safe", 2, 2],
  ])("planted: %s", (planted, mirrors, deaths, rejoins = false) => {
    const found = searched({ mirrors, machines: mirrors + 2, deaths, rejoins, planted }, 4000);
    expect(found).not.toBe("");
  });
});
