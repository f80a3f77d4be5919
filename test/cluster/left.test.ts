// R2 on whole machines: what only a dead machine knew is reported, once for each file, and nothing else is.
import { describe, expect, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import {
  heirIsNew,
  homeDiesAsAnotherLeaves,
  isTold,
  leftBehind,
  writerDies,
} from "../support/left-behind.js";
import { passedOnToTheDead, toldOfPassedOn, wrongOfPassedOn } from "../support/passed-on.js";

describe.skipIf(!hasMusl)(`what a dead machine leaves${missing("musl")}`, { timeout: 300_000 }, () => {
  async function left(home: number, seed: number): Promise<readonly string[]> {
    const { run, said } = await writerDies(home, seed);
    expect(run.said(3, /^left: written$/).length, run.text()).toBe(1);
    expect(run.said(1, /^cluster: view 2: machines 1 2$/).length, run.text()).toBe(1);
    return said;
  }

  test.each([1, 2, 3])(
    "R2: the home dies that wrote: its files are there, what it wrote is reported once, other pages are zeros (seed %i)",
    async (seed) => expect(await left(3, seed)).toEqual(leftBehind),
  );

  test.each([4, 5])(
    "R2: a machine dies that was granted all pages of a file: one report for all of them (seed %i)",
    async (seed) => {
      const said = await left(2, seed);
      expect(said.filter((line) => line.includes("first") && line.endsWith("is lost"))).toHaveLength(1);
      expect(said.filter((line) => line.includes("second") && line.endsWith("is lost"))).toHaveLength(1);
      expect(said.filter((line) => line.includes("holds") && !line.endsWith("holds 0"))).toEqual([]);
    },
  );

  test.each([1, 2, 3, 4, 5, 6])(
    "R2: a machine leaves, and a home that writes dies in the same move: a loss is told (seed %i)",
    async (seed) => {
      const run = await homeDiesAsAnotherLeaves(seed);
      expect(isTold(run), run.text()).toBe(true);
    },
  );

  test("R2: a machine leaves, who is given its pages leaves as well, and who is given them then dies: a loss is told", async () => {
    let told = 0;
    for (let seed = 1; seed <= 6; seed++) {
      const run = await passedOnToTheDead(seed);
      expect(wrongOfPassedOn(run), `seed ${seed}`).toBeUndefined();
      told += Number(toldOfPassedOn(run));
    }
    expect(told).toBeGreaterThan(1);
  });

  test.each([6, 7])(
    "R2: the home dies that wrote, and its heir is a new life by then (seed %i)",
    async (seed) => {
      const { run, said } = await heirIsNew(seed);
      const views = run.said(1, /^cluster: view [23]: machines/).map(({ text }) => text);
      expect(views).toEqual(["cluster: view 2: machines 1 3", "cluster: view 3: machines 1 2 3"]);
      expect(said, run.text()).toEqual(leftBehind);
    },
  );
});
