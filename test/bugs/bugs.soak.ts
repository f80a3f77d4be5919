// Those bugs of the table for which the kernel is built anew, which takes far longer than to see them.
import { describe, expect, test } from "vitest";
import { bugs } from "./table.js";

describe("planted and seen", () => {
  for (const { name, broken, check, plant } of bugs.filter(({ plant }) => plant.kernel !== undefined))
    test(`${name} (${broken}), by ${check.name}`, async () => {
      expect(await check(plant), "the bug was not seen").toBeTypeOf("string");
    });
});
