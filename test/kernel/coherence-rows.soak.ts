// Rows of the page protocol's table that coherence-rows.test.ts meets at random only, in every order of events: three machines, one of
// which dies. Some 40 and 60 seconds.
import { expect, test } from "vitest";
import { type Program, World } from "../support/coherence.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { rowAddress } from "../support/page-table.js";
import { explore } from "../support/search.js";

const cases: readonly {
  programs: Program[][];
  home: number;
  rows: readonly (readonly [string, string])[];
}[] = [
  {
    programs: [["r"], ["ww"], ["rw", "x"]],
    home: 1,
    rows: [
      ["FAILED_LEAVING", "WRITE"],
      ["FAILED_LEAVING", "FORWARD_READ"],
      ["FAILED_LEAVING", "GONE_DIRTY"],
    ],
  },
  {
    programs: [["wr"], ["rr", "w"], ["rw"]],
    home: 1,
    rows: [
      ["SHARED_WRITE_LEAVING", "ACKNOWLEDGED"],
      ["OWNED_WRITE_LEAVING", "ACKNOWLEDGED"],
      ["FAILED_LEAVING", "FORWARD_WRITE"],
    ],
  },
];

test.each(cases)(
  "$programs",
  ({ programs, home, rows }) => {
    const kernel = new KernelWasm();
    const world = new World(kernel, { programs, machines: programs.length, home, pages: 1 });
    const { states } = explore(world, 1);
    console.info(`${states} states`);
    const missed = rows.filter(([state, event]) => kernel.bytes[rowAddress(kernel, state, event) + 7] === 0);
    expect(missed).toEqual([]);
  },
  600_000,
);
