// Mappings and files at their edges (test/c/edges.c): what a mapping is to mremap(), what a system call may read, what a file becomes longer by.
import { describe, expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";
import { expectSame } from "../support/same-as-linux.js";

const shapes = [{ machines: 1 }, { machines: 3 }, { machines: 2, spread: true }];

describe.skipIf(!hasMusl || process.platform !== "linux" || process.arch !== "x64")(
  `edges${missing("musl")}`,
  () => {
    test.each(shapes)("as on Linux: %o", async (shape) => {
      await expectSame("edges", [], { cores: 1, ...shape });
    });

    test.each(shapes)("what was stored behind a file's end is not there when it grows: %o", async (shape) => {
      const run = await seeded(cProgram("edges").host, ["tail"], { cores: 1, seed: 1, ...shape });
      const tails = run.lines.filter((line) => line.startsWith("machine1 | edges: tail "));
      expect(tails, repeat(run, ["tail"])).toHaveLength(6);
      for (const line of tails) expect(line, repeat(run, ["tail"])).toMatch(/: done, zeros 900$/);
    });
  },
);
