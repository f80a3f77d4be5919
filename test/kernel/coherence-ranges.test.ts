// Ranges: pages without records of their own. The set of ranges against an array that says the same of each page; and whole
// clusters whose pages are granted by ranges, split by conflict and recalled, in every order of events and at random.
import { describe, expect, test } from "vitest";
import { type Program, type Saved, World, wanderAll } from "../support/coherence.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { chance, explore } from "../support/search.js";

const kernel = new KernelWasm();
const LAST = 2n ** 40n - 1n;

describe("a set of ranges", () => {
  const set = kernel.room(kernel.call("rangeSetBytes")() + 8);
  const bytes = kernel.constant("RANGE_BYTES");
  const at = kernel.room(200 * bytes);
  const number = kernel.call("rangeNumber");
  const c = Object.fromEntries(kernel.constants());

  /** state, directory, owner, flags of a page. */
  function said(page: number): number[] {
    const range = at + number(set, BigInt(page)) * bytes;
    return [...kernel.bytes.slice(range + 16, range + 20)];
  }
  function count(): number {
    return kernel.call("rangeSetCount")(set);
  }
  /** Sorted, without gaps, neighbours differ. */
  function expectWhole(): void {
    let next = 0n;
    let before = "";
    for (let i = 0; i < count(); i++) {
      const range = at + i * bytes;
      if (kernel.view.getBigUint64(range, true) !== next)
        throw new Error(`range ${i} does not begin at ${next}`);
      next = kernel.view.getBigUint64(range + 8, true) + 1n;
      const content = [...kernel.bytes.slice(range + 16, range + 20)].join();
      if (content === before) throw new Error(`ranges ${i - 1} and ${i} are alike`);
      before = content;
    }
    expect(next).toBe(LAST + 1n);
  }

  test("says of each page what an array of pages says, and is one record again when all pages are alike", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const next = chance(seed);
      kernel.call("rangesCreate")(set, at, 200);
      kernel.call("rangeSetLimit")(set, 40n);
      const pages = Array.from({ length: 48 }, () => [c["INVALID"]!, c["UNUSED"]!, 0, 0]);
      for (let step = 0; step < 120; step++) {
        const page = next(48);
        const end = Math.min(47, page + next(12));
        const what = next(4);
        if (what === 0) {
          kernel.call("rangesCarve")(set, BigInt(page));
          pages[page] = [c["INVALID"]!, c["UNUSED"]!, 0, c["STORED"]!];
        } else if (what === 1) {
          const state = next(2) ? c["EXCLUSIVE"]! : c["INVALID"]!;
          kernel.call("rangesPutState")(set, BigInt(page), BigInt(end), state);
          for (let i = page; i <= end; i++) pages[i]![0] = state;
        } else if (what === 2) {
          const owner = 1 + next(3);
          const like = pages[page]!.join();
          const free = pages[page]![1] === c["UNUSED"] && pages[page]![3] === 0 && page < 40;
          expect(kernel.call("rangesMayGrant")(set, BigInt(page))).toBe(free ? 1 : 0);
          if (!free) continue;
          kernel.call("rangesHold")(set, owner);
          for (const step of [-1, 1])
            for (let i = step < 0 ? page : page + 1; i >= 0 && i < 40 && pages[i]!.join() === like; i += step)
              pages[i] = [pages[i]![0]!, c["HELD"]!, owner, 0];
        } else {
          const owner = 1 + next(3);
          const lost = next(2) === 1;
          const to = lost ? c["LOST"]! : c["UNUSED"]!;
          kernel.call("rangesReleased")(set, owner, BigInt(page), BigInt(end), to);
          for (let i = page; i <= end; i++)
            if (pages[i]![1] === c["HELD"] && pages[i]![2] === owner)
              pages[i] = [c["INVALID"]!, to, 0, lost ? c["STORED"]! : 0];
        }
        expectWhole();
        for (let i = 0; i < 48; i++)
          expect(said(i), `seed ${seed}, step ${step}, page ${i}`).toEqual(pages[i]);
      }
      for (let i = 0n; i < 48n; i++) kernel.call("rangesCarve")(set, i);
      expect(count()).toBe(2);
    }
  });

  test("promise 73: an object of 2^52 bytes is granted whole, as one record", () => {
    kernel.call("rangesCreate")(set, at, 200);
    kernel.call("rangeSetLimit")(set, LAST + 1n);
    expect(kernel.call("rangesMayGrant")(set, 12345n)).toBe(1);
    kernel.call("rangesHold")(set, 2);
    expect(count()).toBe(1);
    expect(said(0)).toEqual(said(12345));
    expect(said(0)).toEqual([c["INVALID"], c["HELD"], 2, 0]);
  });
});

describe("every order of events", () => {
  interface Case {
    programs: Program[][];
    home: number;
    pages: number;
    kills: number;
    recalls?: number;
    rejoins?: true;
    states: number;
  }
  const cases: Case[] = [
    { programs: [["w0w1"], ["w1"]], home: 1, pages: 2, kills: 0, states: 53 },
    { programs: [["r0w1"], ["w0r1"]], home: 2, pages: 2, kills: 0, states: 95 },
    { programs: [["w0r1"], ["r1"], []], home: 3, pages: 2, kills: 0, states: 77 },
    { programs: [["w0"], ["r1"], ["w1"]], home: 3, pages: 2, kills: 0, states: 386 },
    { programs: [["w0w1"], ["x1"], []], home: 3, pages: 2, kills: 0, states: 98 },
    { programs: [["w0", "r1"], ["w1"], []], home: 3, pages: 2, kills: 0, recalls: 1, states: 6611 },
    { programs: [["w0w2"], ["r1w2"]], home: 1, pages: 3, kills: 0, recalls: 1, states: 985 },
    { programs: [["w0"], ["w1"], []], home: 3, pages: 2, kills: 1, states: 893 },
    { programs: [["w0w1"], ["w1"]], home: 1, pages: 2, kills: 1, rejoins: true, states: 482 },
    { programs: [["w0w1"], ["r1"]], home: 1, pages: 2, kills: 1, recalls: 1, states: 2356 },
  ];
  for (const { programs, home, pages, kills, recalls = 0, rejoins = false, states } of cases) {
    const name = programs.map((machine) => machine.join("+") || "-").join(" ");
    test(`${name}, home ${home}, ${kills} deaths, ${recalls} recalls${rejoins ? ", returns" : ""}`, () => {
      const setup = { machines: programs.length, home, programs, pages, recalls, ranges: true };
      const world = new World(kernel, setup);
      world.rejoins = rejoins;
      const found = explore(world, kills);
      expect(found.ends).toBeGreaterThan(0);
      expect(found.states).toBe(states);
    });
  }
});

describe("at random", () => {
  const programs: Program[][] = [
    ["r0w1r2w0r1w2", "w2w1r0r2"],
    ["w0w1r2r0w2w1"],
    ["r0r1r2w0w1w2", "w1r0"],
    ["x0w1x2x1w0r2"],
  ];
  const worlds = [1, 2, 3, 4].map(
    (home) => new World(kernel, { machines: 4, home, programs, pages: 3, ranges: true, recalls: 2 }),
  );
  const fresh = worlds.map((world): Saved => world.save());

  const run = (seeds: number, kills: number, rejoins = false): number =>
    wanderAll(worlds, fresh, { seeds, kills, rejoins });

  test("without deaths nobody ever fails", () => {
    expect(run(1000, 0)).toBe(0);
  });
  test("with deaths every operation ends: with the page, or with an error", () => {
    for (const kills of [1, 2]) expect(run(600, kills)).toBeGreaterThan(0);
  });
  test("with returns as well", () => {
    for (const kills of [1, 2]) run(500, kills, true);
  });
});
