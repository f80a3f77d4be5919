// Which promises are shown: each has a test that carries its number in its title, or says in the list why not yet.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { promises } from "./support/promises.js";

const folder = fileURLToPath(new URL(".", import.meta.url));

/** Numbers at the beginning of a title: "promise 65: ...", "promises 16, 30-34 and 40: ...", "R0: ...". */
function numbersOf(title: string): string[] {
  const [, plain, rule] = /^(?:promises? ([\d, and-]+)|(R\d)): \S/.exec(title) ?? [];
  if (rule !== undefined) return [rule];
  return (plain?.match(/\d+-\d+|\d+/g) ?? []).flatMap((part) => {
    const [first, last = first] = part.split("-").map(Number) as [number, number?];
    return Array.from({ length: last - first + 1 }, (_, i) => String(first + i));
  });
}

/** Titles are literals: of tests, and of rows of tables that become tests. */
function titles(): { file: string; title: string }[] {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return files
    .filter((file) => file.endsWith(".ts") && file !== "support/promises.ts" && file !== "promises.test.ts")
    .flatMap((file) => {
      const source = readFileSync(join(folder, file), "utf8");
      return [...source.matchAll(/(["`])((?:promises? \d|R\d: ).*?)\1/g)].map(([, , title]) => ({
        file,
        title: title!,
      }));
    });
}

test("a title tells its numbers", () => {
  expect(numbersOf("promise 65: no message")).toEqual(["65"]);
  expect(numbersOf("promises 9, 40-42 and 50: on %i cores")).toEqual(["9", "40", "41", "42", "50"]);
  expect(numbersOf("R3: one mirror")).toEqual(["R3"]);
  expect(numbersOf("promise of a number")).toEqual([]);
});

test("every promise of coherence is shown by a test, or named as not kept yet", () => {
  const quick = titles().filter(({ file }) => !file.endsWith(".soak.ts"));
  const shown = new Set(quick.flatMap(({ title }) => numbersOf(title)));
  const kept = Object.keys(promises).filter((number) => promises[number]!.notYet === undefined);
  expect(kept.filter((number) => !shown.has(number))).toEqual([]);
  expect(Object.keys(promises).filter((number) => !kept.includes(number) && shown.has(number))).toEqual([]);
  const missing = Object.entries(promises).flatMap(([number, { says, notYet }]) =>
    notYet === undefined ? [] : [`  ${number} (${says}): ${notYet}`],
  );
  console.info(`${kept.length} promises of coherence are shown; not kept yet:\n${missing.join("\n")}`);
});
