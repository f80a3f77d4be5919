// The table of rules against the tests that it names: each is there, and says which chapter it shows: in its name, in
// the comment above it, or in those of a group that it belongs to. And no test quotes a chapter of the manuals that is not
// a rule of the table.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { rules } from "./rules.js";

interface Named {
  readonly name: string;
  /** Its own and those of the groups around it. */
  readonly names: readonly string[];
  readonly isTest: boolean;
  /** Its name and comments, and those of the groups around it. */
  readonly text: string;
}

/** The first argument of a call of test or describe, in whatever form. */
function nameOf(call: ts.CallExpression): string | undefined {
  const caller = call.expression.getText();
  if (!/^(test|describe)\b/.test(caller)) return undefined;
  const [first] = call.arguments;
  return first !== undefined && ts.isStringLiteralLike(first) ? first.text : undefined;
}

const files = new Map<string, readonly Named[]>();
/** All tests and groups of a file. */
function namedIn(file: string): readonly Named[] {
  const known = files.get(file);
  if (known !== undefined) return known;
  const path = fileURLToPath(new URL(`../${file}.test.ts`, import.meta.url));
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.ES2022, true);
  const found: Named[] = [];
  const visit = (node: ts.Node, around: string, groups: readonly string[]): void => {
    let text = around;
    let names = groups;
    if (ts.isCallExpression(node)) {
      const name = nameOf(node);
      if (name !== undefined) {
        const comments = ts.getLeadingCommentRanges(source.text, node.getFullStart()) ?? [];
        const above = comments.map(({ pos, end }) => source.text.slice(pos, end)).join(" ");
        text = `${around} ${above} ${name}`;
        names = [...groups, name];
        found.push({ name, names, text, isTest: node.expression.getText().startsWith("test") });
      }
    }
    ts.forEachChild(node, (child) => visit(child, text, names));
  };
  visit(source, "", []);
  files.set(file, found);
  return found;
}

const all = Object.values(rules).flat();

describe.each(Object.entries(rules))("%s", (_, list) => {
  test.each(list)("$rule ($manual)", ({ manual, shown }) => {
    expect(shown.length).toBeGreaterThan(0);
    for (const [file, ...names] of shown)
      for (const name of names) {
        const found = namedIn(file).filter((one) => one.name === name);
        expect(found.length, `"${name}" in ${file}.test.ts`).toBeGreaterThan(0);
        const quotes = found.some(({ text }) => text.replace(/\s+(\/\/ )?/g, " ").includes(manual));
        expect(quotes, `"${name}" of ${file}.test.ts, or a comment above it, quotes ${manual}`).toBe(true);
      }
  });
});

/** A chapter of a volume, or the page of an instruction. */
const QUOTED = /(SDM vol\. \d[AB]?|APM vol\. \d), (\d+(\.\d+)*|table \d+-\d+|[A-Z][A-Z0-9]+)/;
test.each(["cpu", "devices", "litmus"])("what a test of %s quotes is a rule", (folder) => {
  const shown = new Set(
    all.flatMap((r) => r.shown.flatMap(([file, ...names]) => names.map((n) => `${file} ${n}`))),
  );
  const files = readdirSync(fileURLToPath(new URL(`../${folder}`, import.meta.url)));
  // Of the devices, those that the processor's manuals describe.
  const read = files.filter(
    (name) => name.endsWith(".test.ts") && (folder !== "devices" || /apic/.test(name)),
  );
  for (const file of read) {
    const path = `${folder}/${file.slice(0, -".test.ts".length)}`;
    const missing = namedIn(path).filter(
      ({ names, text, isTest }) =>
        isTest &&
        QUOTED.test(text.replace(/\s+(\/\/ )?/g, " ")) &&
        !names.some((name) => shown.has(`${path} ${name}`)),
    );
    expect(
      missing.map(({ name }) => name),
      `${path}.test.ts: tests that quote a chapter without being named in rules.ts`,
    ).toEqual([]);
  }
});

test("no rule is there twice", () => {
  const texts = all.map(({ rule, manual }) => `${rule} ${manual}`);
  expect(new Set(texts).size).toBe(texts.length);
});
