// R2 on whole machines: what only a dead machine knew is reported, once for each file, and nothing else is.
import { describe, expect, test } from "vitest";
import { withFaults } from "../support/faults.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { homeOf } from "../support/homes.js";

const LOSS = 120;
const append = `linkloss=${LOSS} blocked=60`;
const names = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));

describe.skipIf(!hasMusl)(`what a dead machine leaves${missing("musl")}`, { timeout: 300_000 }, () => {
  async function left(writer: number, home: number, seed: number): Promise<string[]> {
    const [first, second] = names.filter((name) => homeOf(name, [1, 2, 3]) === home);
    const run = await withFaults(
      cProgram("left").host,
      [writer, 200, first!, second!],
      [[30, ({ network }) => network.partition([[1, 2, 4], [3]])]],
      { machines: 3, seed, append },
      600,
    );
    expect(run.said(3, /^left: written$/).length, run.text()).toBe(1);
    expect(run.said(1, /^cluster: view 2: machines 1 2$/).length, run.text()).toBe(1);
    return run
      .said(1, /^left: /)
      .map(({ text }) => text.replace(` ${first} `, " first ").replace(` ${second} `, " second "));
  }

  test.each([1, 2, 3])(
    "R2: the home dies that wrote: its files are there, what it wrote is reported once, other pages are zeros (seed %i)",
    async (seed) => {
      expect(await left(3, 3, seed)).toEqual([
        "left: first page 1 holds 0",
        "left: first page 0 is lost",
        "left: first page 2 holds 0",
        "left: first page 5 holds 0",
        "left: second has 32768 bytes",
        "left: second page 1 holds 0",
        "left: second page 0 is lost",
        "left: second page 2 holds 0",
        "left: second page 5 holds 0",
      ]);
    },
  );

  test.each([4, 5])(
    "R2: a machine dies that was granted all pages of a file: one report for all of them (seed %i)",
    async (seed) => {
      const said = await left(3, 2, seed);
      expect(said.filter((line) => line.includes("first") && line.endsWith("is lost"))).toHaveLength(1);
      expect(said.filter((line) => line.includes("second") && line.endsWith("is lost"))).toHaveLength(1);
      expect(said.filter((line) => line.includes("holds") && !line.endsWith("holds 0"))).toEqual([]);
    },
  );
});
