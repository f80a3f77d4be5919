// A machine that unmaps more written pages than can be noted one by one takes them for written, also as it leaves (test/c/given.c): others have
// copies of what they were. But no page of which it has a copy (test/c/noted.c): its bytes would have the number that the next writer's get.
import { describe, expect, test } from "vitest";
import { repeat, seeded } from "../support/cluster.js";
import { given, isGiven } from "../support/given.js";
import { cProgram, hasMusl, missing } from "../support/guest.js";

describe.skipIf(!hasMusl)(`copies beside pages that are unmapped${missing("musl")}`, () => {
  test.each([
    [2, ""],
    [3, ""],
    [2, "records=1"],
    [3, "mirror=1"],
  ])("promise 85: %i machines, %s", async (machines, append) => {
    const run = await seeded(cProgram("noted").host, [6], {
      machines,
      cores: 1,
      limit: 3e9,
      ...(append !== "" && { append }),
    });
    expect(run.lines, repeat(run, [6])).toContain("machine1 | noted: wrong 0");
    expect(run.report.ok, repeat(run, [6])).toBe(true);
  });

  test.each([[5], [60]])("promise 85: who wrote it leaves %i ms later, and others read it", async (after) => {
    const run = await given(after);
    expect(isGiven(run), run.text()).toBe(true);
  });
});
