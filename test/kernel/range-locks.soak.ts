// Do the searches of range locks see? Bugs planted in their engine (test/support/plants/locks.ts).
import { expect, test } from "vitest";
import { lockPlants } from "../support/plants/locks.js";

test.each(lockPlants)("planted: $name", { timeout: 120_000 }, async ({ find }) => {
  expect(await find(), "the bug was not seen").not.toEqual([]);
});
