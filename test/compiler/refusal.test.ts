// What the back end refuses, it refuses by name with function and offset; damaged modules give an error that
// says where, never a crash or an endless loop.
import { describe, expect, test } from "vitest";
import { programImage } from "../../kernel/compiler/image.js";
import { opcodes, refused } from "../../kernel/compiler/opcodes.js";
import { parseModule, WasmError } from "../../kernel/compiler/wasm.js";
import { Random, randomProgram } from "./generator.js";
import { buildModule, call, i32, op, section } from "./module.js";

/** A module whose function "sample" is these bytes. */
const moduleWith = (...code: number[]): Uint8Array =>
  buildModule({
    functions: [
      { name: "start", parameters: ["i64"], code: [] },
      { name: "sample", parameters: [], code },
    ],
    exports: { start: 0 },
  });

const parseFault = (bytes: Uint8Array): string => {
  try {
    parseModule(bytes);
  } catch (error) {
    if (error instanceof WasmError) return error.message;
    throw error;
  }
  return "accepted";
};

describe("refused instructions", () => {
  const cases: [string, number[]][] = [
    ["memory.grow", [0x41, 1, 0x40, 0, 0x1a]],
    ["memory.size", [0x3f, 0, 0x1a]],
    ["f32.const", [0x43, 0, 0, 0, 0, 0x1a]],
    ["f64.const", [0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x1a]],
    ["f64.load", [0x41, 0, 0x2b, 3, 0, 0x1a]],
    ["memory.atomic.wait32", [0xfe, 1, 2, 0]],
    ["memory.atomic.notify", [0xfe, 0, 2, 0]],
    ["memory.init", [0xfc, 8, 0, 0]],
    ["ref.null", [0xd0, 0x70, 0x1a]],
    ["return_call", [0x12, 0]],
    ["garbage-collection instruction 0xfb00", [0xfb, 0, 0]],
    ["vector instruction 0xfd0c", [0xfd, 12]],
    ["unknown opcode 0xff", [0xff]],
  ];
  test.each(cases)("%s", (name, code) => {
    expect(parseFault(moduleWith(...code))).toMatch(
      new RegExp(`refused: ${name.replaceAll(".", "\\.")} \\(in function sample, offset 0x[0-9a-f]+\\)`),
    );
  });

  test("no opcode is both accepted and refused, and every refused one has a name", () => {
    for (const [code, name] of refused) {
      expect(opcodes.has(code), name).toBe(false);
      expect(name).toMatch(/\S/);
    }
  });
});

describe("refused modules", () => {
  const head = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const cases: [string, number[], RegExp][] = [
    ["nothing", [], /not a WebAssembly module/],
    ["another format", [...Buffer.from("\x7fELF0000")], /not a WebAssembly module/],
    ["another version", [0x00, 0x61, 0x73, 0x6d, 2, 0, 0, 0], /not a WebAssembly module/],
    [
      "a float parameter",
      [...head, ...section(1, [1, 0x60, 1, 0x7c, 0])],
      /refused: values of type f64.*type section/,
    ],
    ["two results", [...head, ...section(1, [1, 0x60, 0, 2, 0x7f, 0x7f])], /refused: several results/],
    [
      "an imported memory",
      [...head, ...section(2, [1, 1, 0x65, 1, 0x6d, 2, 0, 1])],
      /refused: import e\.m is not a function/,
    ],
    ["a tag section", [...head, ...section(13, [0])], /refused: section 13/],
    ["a passive data segment", [...head, ...section(11, [1, 1, 1, 0])], /refused: a data segment/],
    ["a section past the end", [...head, 1, 100, 1], /100 bytes were announced, 1 are left/],
    [
      "a list past the end",
      [...head, ...section(1, [0xff, 0xff, 0xff, 0xff, 0x0f])],
      /list of 4294967295 entries/,
    ],
    ["an overlong number", [...head, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 1], /longer than five bytes/],
    ["bytes left over", [...head, ...section(1, [0, 0])], /1 bytes too many/],
  ];
  test.each(cases)("%s", (_, bytes, message) => {
    expect(parseFault(Uint8Array.from(bytes))).toMatch(message);
  });

  test("code that does not type-check", () => {
    expect(parseFault(moduleWith(...i32(1), ...op("i64.eqz")))).toMatch(/not valid: .*sample/);
  });

  test("an import that is no intrinsic, by name and by the function that calls it", () => {
    const source = {
      imports: [{ name: "outsb", parameters: [] }],
      functions: [{ name: "start", parameters: ["i64" as const], code: call(0) }],
      exports: { start: 1 },
    };
    expect(() => programImage(buildModule(source))).toThrow(
      /function start: import arch\.outsb is not one of the intrinsics/,
    );
  });

  test("a program without its entry point", () => {
    const source = { functions: [{ parameters: [], code: [] }] };
    expect(() => programImage(buildModule(source))).toThrow(/does not export "start"/);
  });

  test("data below the place that asc was told", () => {
    const data = [{ address: 0x1000, bytes: Uint8Array.of(1) }];
    const source = {
      functions: [{ parameters: ["i64" as const], code: [] }],
      data,
      exports: { start: 0 },
    };
    expect(() => programImage(buildModule(source))).toThrow(/data at 0x1000 lies below 0x500000/);
  });
});

describe("damaged modules", () => {
  test("every truncation is an error that says where, except behind a whole section", () => {
    const whole = randomProgram(7, false);
    const accepted = [];
    for (let bytes = 0; bytes < 600; bytes++) {
      const fault = parseFault(whole.slice(0, bytes));
      if (fault === "accepted") accepted.push(bytes);
      else expect(fault, `${bytes} bytes`).toMatch(/^wasm: .+/);
    }
    // Nothing, types, imports; the functions announced after them lack their bodies.
    expect(accepted.length).toBe(3);
    expect(accepted[0]).toBe(8);
  });

  test("garbage in a module is an error, or another valid module", () => {
    const random = new Random(11);
    let errors = 0;
    for (let n = 0; n < 400; n++) {
      const bytes = randomProgram(n % 8, false).slice(0);
      for (let hits = 1 + random.below(4); hits > 0; hits--)
        bytes[random.below(Math.min(bytes.length, 4000))] = random.bits() & 0xff;
      const fault = parseFault(bytes);
      if (fault === "accepted") continue;
      errors++;
      expect(fault).toMatch(/^wasm: .+/);
    }
    expect(errors).toBeGreaterThan(200);
  });
});
