// The declarations in kernel/arch.ts and kernel/user/arch.ts against the rows of the back end, and every row
// through the assembler.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Assembler, RAX } from "../../kernel/compiler/assembler.js";
import { programStubs } from "../../kernel/compiler/helpers.js";
import {
  type Intrinsic,
  kernelIntrinsics,
  kernelTarget,
  userIntrinsics,
  userTarget,
} from "../../kernel/compiler/intrinsics.js";
import { kernelStubs } from "../../kernel/compiler/stubs.js";

const letters: Record<string, string> = { u32: "i", usize: "i", bool: "i", u64: "I", i64: "I", void: "" };

/** name -> type in the rows' notation, from the declarations of a file. */
function declarations(path: string): Map<string, string> {
  const found = new Map<string, string>();
  const text = readFileSync(path, "utf8");
  for (const [, name, list, result] of text.matchAll(
    /^export declare function (\w+)\(([^)]*)\): (\w+);$/gm,
  )) {
    const types = list!.split(",").filter((part) => part.trim() !== "");
    const parameters = types.map((part) => letters[part.split(":")[1]!.trim()] ?? "?");
    found.set(name!, `${parameters.join("")}>${letters[result!] ?? "?"}`);
  }
  expect(text.match(/declare function/g)?.length).toBe(found.size);
  return found;
}

const files: [string, readonly Intrinsic[], typeof kernelTarget, string[]][] = [
  [
    "kernel/arch.ts",
    kernelIntrinsics,
    kernelTarget,
    kernelStubs(undefined).text.flatMap(({ name, symbols }) => [name, ...symbols.keys()]),
  ],
  [
    "kernel/user/arch.ts",
    userIntrinsics,
    userTarget,
    programStubs(undefined, 0).flatMap(({ name }) => [name]),
  ],
];

describe.each(files)("%s", (path, rows, target, stubs) => {
  test("every declaration has one row of the same type, and no row is without one", () => {
    const types = new Map(rows.map(({ name, type }) => [name, type]));
    expect(types.size).toBe(rows.length);
    expect(Object.fromEntries(types)).toEqual(Object.fromEntries(declarations(path)));
  });

  test("every row is code that assembles or names a stub", () => {
    for (const { name, type, arguments: registers, code, stub } of rows) {
      expect(code === undefined, name).toBe(stub !== undefined);
      if (stub !== undefined) {
        expect(stubs, name).toContain(stub);
        continue;
      }
      expect(registers.length, name).toBe(type.indexOf(">"));
      expect(new Set(registers).size, name).toBe(registers.length);
      const a = new Assembler();
      code!(a, target, RAX);
      expect(a.finish(name).bytes.length, name).toBeGreaterThan(0);
    }
  });
});
