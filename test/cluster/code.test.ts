// Code in a mapped file that one machine changes while others run it (test/c/code.c).
import { describe, expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";

describe.skipIf(!hasMusl)(`code in a shared file${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each([
    [1, 1],
    [2, 1],
    [2, 2],
    [4, 3],
  ])("promise 60: %i machines run what each of them changes (seed %i)", async (machines, seed) => {
    const run = await seeded(cProgram("code").host, ["500"], {
      machines,
      cores: 1,
      seed,
      network: { delay: [30, 60] },
      limit: 1e9, // it takes 0.1e9 at most; who may not run code faults without end
    });
    const said = (node: number) => run.lines.some((line) => line.includes(`code: node ${node} wrong 0`));
    for (let node = 1; node <= machines; node++) expect(said(node), repeat(run, ["500"])).toBe(true);
    expect(run.report.ok, repeat(run, ["500"])).toBe(true);
  });
});
