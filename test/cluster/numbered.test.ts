// What machines have of a page under one number is the same bytes, at any moment of runs of whole clusters (test/support/numbered-bytes.ts).
import { describe, expect, test } from "vitest";
import { hasMusl, missing } from "../support/guest.js";
import { type NumberedRun, numberedRuns, unmappedRuns, wrongOfNumbered } from "../support/numbered-runs.js";

const named = (runs: readonly NumberedRun[]) =>
  runs.map((each) => [`${each.machines} machines, ${each.append}, ${each.args.join(" ")}`, each] as const);

test.each(named(numberedRuns))("promise 85: %s", { timeout: 120_000 }, async (_, each) =>
  expect(await wrongOfNumbered(each)).toBeUndefined(),
);

describe.skipIf(!hasMusl)(`what was unmapped${missing("musl")}`, () => {
  test.each(named(unmappedRuns))("promise 85: %s", { timeout: 120_000 }, async (_, each) =>
    expect(await wrongOfNumbered(each)).toBeUndefined(),
  );
});
