// The README's example is the test beside this one, letter for letter, so that it cannot rot.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

it("shows the example that runs as readme.example.test.ts", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const example = readFileSync(new URL("./readme.example.test.ts", import.meta.url), "utf8");
  const shown = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  expect(shown).toBe(example);
});
