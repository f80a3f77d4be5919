// What the README and its like name is there: the example is the test beside this one, letter for letter, so that it cannot rot.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { expect, it, test } from "vitest";
import { bundledPrograms } from "../../emulator/images.js";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

it("shows the example that runs as readme.example.test.ts", () => {
  const shown = /```ts\n([\s\S]*?)```/.exec(read("README.md"))?.[1] ?? "";
  expect(shown).toBe(read("test/emulator/readme.example.test.ts"));
});

it("names every bundled program", () => {
  const list = /Bundled programs: ([\s\S]*?)\n\n/.exec(read("README.md"))?.[1] ?? "";
  const named = [...list.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  expect(named.sort()).toEqual(bundledPrograms());
});

const tracked = existsSync(".git")
  ? execFileSync("git", ["ls-files"], { encoding: "utf8" }).trim().split("\n")
  : [];
/** The kernel's build writes it. */
const built = ["kernel.layout.json"];

test.skipIf(tracked.length === 0).each(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])(
  "%s names files, scripts and sections of the bench that are there",
  (document) => {
    const text = read(document);
    const names = [...text.matchAll(/`([\w./-]+\.(?:ts|tla|c|md|json))`/g)].map(([, name]) => name!);
    const missing = names.filter(
      (name) => !built.includes(name) && !tracked.some((path) => path === name || path.endsWith(`/${name}`)),
    );
    expect(missing).toEqual([]);
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    for (const [, script] of text.matchAll(/npm run (\w+)/g)) expect(Object.keys(scripts)).toContain(script);
    const bench = read("test/bench/bench.ts");
    for (const [, section] of text.matchAll(/npm run bench -- (\w+)/g))
      expect(bench).toMatch(new RegExp(`\\b${section}\\b`));
  },
);
