// R2, R8, promise 115: machines whose memory is mostly shared pages survive a death, a cut and a leave, as those with room to spare do.
import { describe, expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";
import { fulls, tellFull, wrongOfFull } from "../support/full.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";

describe.skipIf(!hasMusl)(`memory is full of shared pages${missing("musl")}`, { timeout: 120_000 }, () => {
  test.each(fulls)("$how, $pages pages, $machines machines: $happens (seed $seed)", async (full) => {
    const run = await tellFull(full);
    expect(wrongOfFull(full, run), run.text()).toBeUndefined();
  });

  test("of a machine without others: who wants more is told, as one of many is", async () => {
    const shape = { machines: 1, cores: 1, memory: 32 << 20, seed: 1, limit: 2e9 };
    const run = await seeded(cProgram("greedy").host, ["file"], shape);
    expect(run.lines.join("\n"), repeat(run)).toMatch(
      /greedy: killed by SIGKILL .* wants memory and there is none/,
    );
    expect(run.report.machines[0]!.exit, repeat(run)).toBe(137);
  });
});
