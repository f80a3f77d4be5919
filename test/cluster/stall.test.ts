// Clusters whose cores stand still now and then (schedule.ts, `stall`), as they do where a host has other work: what is right
// must not hang on how fast a core comes to its next step.
import { describe, expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";

const LIMIT_MS = 300_000;
const STALL = 300_000;

describe("cores that stand still", { timeout: LIMIT_MS, retry: 0 }, () => {
  test("promise 61: LOCK XADD of all machines adds up", async () => {
    const run = await seeded("counter", [100], { seed: 11, stall: STALL });
    expect(run.report.result, repeat(run, [100])).toMatch(
      /expected 600 counted 600 old values a permutation: yes/,
    );
  });

  test.skipIf(!hasMusl)(
    `promise 60: a process-shared mutex and condition variable of pthreads${missing("musl")}`,
    async () => {
      for (const seed of [1, 2]) {
        const args = [100, 10];
        const options = { machines: 2, seed, stall: STALL };
        const run = await seeded(cProgram("mutex").host, args, options);
        expect(run.report.result, repeat(run, args)).toMatch(/counted 400, turns expected 40 taken 40/);
      }
    },
  );
});
