// Every check of the table passes on what is intact and fails on what is broken; kernels are built anew in bugs.soak.ts.
import { describe, expect, test } from "vitest";
import { bugs } from "./table.js";

describe("intact", () => {
  for (const check of new Set(bugs.map((bug) => bug.check)))
    test(check.name, async () => {
      expect(await check({})).toBeUndefined();
    });
});

describe("planted and seen", () => {
  for (const { name, broken, check, plant } of bugs.filter(({ plant }) => plant.kernel === undefined))
    test(`${name} (${broken}), by ${check.name}`, async () => {
      expect(await check(plant), "the bug was not seen").toBeTypeOf("string");
    });
});
