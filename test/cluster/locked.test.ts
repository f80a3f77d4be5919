// LOCKed instructions of many kinds by all cores of all machines at once (test/c/locked.c): what they count is exact.
import { describe, expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";

const COUNT = 8;

describe.skipIf(!hasMusl)(
  `LOCKed instructions between machines${missing("musl")}`,
  { timeout: 120_000 },
  () => {
    test.each([
      [3, 1, ""],
      [2, 2, ""],
      [2, 1, "ship=0"],
    ])(
      "promise 61: XADD, CMPXCHG8B, XCHG and others by %i machines of %i cores %s, also across a page's end",
      async (machines, cores, append) => {
        const run = await seeded(cProgram("locked").host, [COUNT], { machines, cores, append });
        expect(run.report.ok, repeat(run, [COUNT])).toBe(true);
        const counted = run.lines.flatMap((line) => {
          const found = /locked: (\S+) expected (\d+) counted (\d+)$/.exec(line);
          return found === null ? [] : [found.slice(1)];
        });
        expect(counted.length, repeat(run, [COUNT])).toBe(11);
        for (const [kind, expected, is] of counted) {
          expect(is, kind).toBe(expected);
          expect(Number(is), kind).toBeGreaterThanOrEqual(machines * cores * COUNT);
        }
        // They did fight over it.
        for (const { name, stats } of run.report.machines)
          expect(stats?.["pageFaultsCoherence"], name).toBeGreaterThan(COUNT);
      },
    );
  },
);
