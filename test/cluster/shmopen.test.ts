// POSIX shared memory is a file of /shm (test/c/shmopen.c).
import { describe, expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";
import { cProgram, glibcProgram, hasGlibc, hasMusl, missing } from "../support/guest.js";

describe.skipIf(!hasMusl)(`shm_open${missing("musl")}`, { timeout: 60_000 }, () => {
  const counts = async (path: string, seed: number) => {
    const run = await seeded(path, ["100"], { machines: 2, cores: 1, seed });
    const said = "shmopen: counted 200, as a file yes, gone yes";
    const by = [1, 2].filter((node) => run.lines.includes(`machine${node} | ${said}`));
    expect(by, repeat(run, ["100"])).toEqual([1, 2]);
  };

  test("promises 60, 63: by two machines, with musl", () => counts(cProgram("shmopen").host, 1));
  test.skipIf(!hasGlibc)("with glibc", () => counts(glibcProgram("shmopen").host, 2));
});
