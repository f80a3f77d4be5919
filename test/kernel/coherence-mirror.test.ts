// Mirrored mode (R3): machines with two pages, and the death of any of them at any point, of as many at once as there are mirrors: what a
// living machine or a user at a console has seen, and what was written before it, never goes back, and nothing is reported lost. Nor with
// more deaths, once everything is mirrored anew, and with machines that come back, with their bytes if they were left out (R7). After each event what was seen is still there
// whichever machines fail next, as many as may.
import { describe, expect, test } from "vitest";
import { type Program, World } from "../support/coherence.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { type MirroredCase, quickMirrorPlants, searchMirrored, unseen } from "../support/plants/mirror.js";
import { explore } from "../support/search.js";

describe("mirrored", () => {
  test.each<[mirrors: number, pages: number, Program[][], number]>([
    [1, 2, [["w0w1"], ["r1"], []], 63_503],
    [2, 1, [["w0"], [], []], 27_379],
  ])("every order of events: %i mirrors, as many deaths, %i pages", (mirrors, pages, programs, states) => {
    const shape = { machines: programs.length, home: 3, pages, programs, takeover: true, mirrored: mirrors };
    const found = explore(new World(new KernelWasm(), shape), mirrors);
    expect(found.ends).toBeGreaterThan(0);
    expect(found.states).toBe(states);
  });
  test.each<MirroredCase>([
    { mirrors: 1, machines: 3, deaths: 1 },
    { mirrors: 1, machines: 3, deaths: 2 },
    { mirrors: 1, machines: 4, deaths: 3, rejoins: true },
    { mirrors: 2, machines: 4, deaths: 2 },
    { mirrors: 2, machines: 4, deaths: 4, rejoins: true },
    { mirrors: 1, machines: 3, deaths: 2, rejoins: true, remains: true },
    { mirrors: 1, machines: 3, deaths: 1, rejoins: true, remains: true, programs: unseen },
    { mirrors: 2, machines: 4, deaths: 4, rejoins: true, remains: true },
    { mirrors: 1, machines: 3, deaths: 2, rejoins: true, crowded: [2] },
    { mirrors: 1, machines: 4, deaths: 3, rejoins: true, crowded: [1, 3] },
    { mirrors: 2, machines: 4, deaths: 4, rejoins: true, remains: true, crowded: [3] },
  ])("larger programs at random: %o", (each) => expect(searchMirrored(each, 60)).toEqual([]));
  test.each(quickMirrorPlants.map((plant) => [plant.name, plant] as const))("planted: %s", (_, { find }) => {
    expect(find()).not.toEqual([]);
  });
});
