// Every arithmetic instruction over all pairs of interesting numbers, in every mixture of constants and
// variables, against V8; and every way to trap.
import { describe, expect, test } from "vitest";
import { opcodes } from "../../kernel/compiler/opcodes.js";
import type { ValueType } from "../../kernel/compiler/wasm.js";
import { access, buildModule, call, constant, type FunctionSource, get, i32, i64, op } from "./module.js";
import { difference, hostRunsPrograms, runInEngine, runOnProcessor, whyNot } from "./run.js";

const RESULTS = 0x50_0000;
const syscall = { name: "syscall", parameters: Array<ValueType>(7).fill("i64"), result: "i64" as ValueType };
const write = (at: number, bytes: number): number[] => [
  ...[1n, 1n, BigInt(at), BigInt(bytes), 0n, 0n, 0n].flatMap((value) => i64(value)),
  ...call(0),
  ...op("drop"),
];

/** A program whose function 2 is `start`: import 0, `f` 1. */
const program = (f: FunctionSource, start: number[], table: number[] = []): Uint8Array =>
  buildModule({
    imports: [syscall],
    functions: [f, { parameters: ["i64"], code: start }],
    data: [{ address: RESULTS, bytes: new Uint8Array(0x8000) }],
    table,
    exports: { start: 2 },
  });

const values: Record<ValueType, bigint[]> = {
  i32: [0n, 1n, -1n, 2n, 5n, 31n, 32n, 33n, 0x7fn, 0x80n, 0xffffn, 0x1_8000n, 0x7fff_ffffn, -0x8000_0000n],
  i64: [
    ...[0n, 1n, -1n, 3n, 63n, 64n, 65n, 0x80n, 0x8000n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn],
    ...[1n << 32n, (1n << 63n) - 1n, -(1n << 63n), 0x1234_5678_9abc_def0n],
  ],
};

const typeOf = (letter: string): ValueType => (letter === "i" ? "i32" : "i64");

/** Whether the processor raises #DE. */
function traps(name: string, [left, right]: readonly bigint[]): boolean {
  if (!/\.(div|rem)_/.test(name)) return false;
  const minimum = name.startsWith("i32") ? -0x8000_0000n : -(1n << 63n);
  return right === 0n || (name.endsWith("div_s") && right === -1n && left === minimum);
}

/** All operand tuples; for each, one call with variables and one expression with some constants. */
function matrix(name: string, takes: string, gives: string): Uint8Array {
  const types = [...takes].map(typeOf);
  const result = typeOf(gives);
  const tuples = types.reduce<bigint[][]>(
    (all, type) => all.flatMap((tuple) => values[type].map((value) => [...tuple, value])),
    [[]],
  );
  const start: number[] = [];
  let at = 0;
  const keep = (code: number[]) => {
    start.push(...i32(RESULTS + at), ...code, ...access(`${result}.store`));
    at += 8;
  };
  tuples.forEach((tuple, n) => {
    if (traps(name, tuple)) return;
    keep([...tuple.flatMap((value, k) => constant(types[k]!, value)), ...call(1)]);
    // All constants, or one a constant and the other in a local.
    const operands = tuple.flatMap((value, k) => {
      if (n % 3 === 0 || k === n % tuple.length) return constant(types[k]!, value);
      const set = types[k] === "i32" ? 1 : 2;
      return [...constant(types[k]!, value), ...op("local.tee", set), ...op("drop"), ...get(set)];
    });
    keep([...operands, ...op(name)]);
  });
  const f: FunctionSource = {
    parameters: types,
    result,
    code: [...types.flatMap((_, k) => get(k)), ...op(name)],
  };
  return buildModule({
    imports: [syscall],
    functions: [f, { parameters: ["i64"], locals: ["i32", "i64"], code: [...start, ...write(RESULTS, at)] }],
    data: [{ address: RESULTS, bytes: new Uint8Array(0x8000) }],
    exports: { start: 2 },
  });
}

const pure = [...opcodes.values()].filter(
  ({ immediate, takes, gives }) =>
    immediate === "none" && takes !== undefined && takes !== "" && gives !== "",
);

describe.skipIf(!hostRunsPrograms)(`arithmetic${hostRunsPrograms ? "" : ` (skipped: ${whyNot})`}`, () => {
  test.each(pure.map(({ name, takes, gives }) => [name, takes!, gives!] as const))(
    "%s",
    (name, takes, gives) => {
      const wasm = matrix(name, takes, gives);
      expect(runInEngine(wasm).end).toBe("exit 0");
      expect(difference(wasm)).toBeUndefined();
    },
  );
});

/** The function under test is called once; the output before shows that the program came so far. */
function trapping(code: number[], table: number[] = [], parameters: ValueType[] = []): Uint8Array {
  const f = { parameters, code };
  const values = parameters.flatMap((type) => constant(type, 0n));
  return program(f, [...write(RESULTS, 8), ...values, ...call(1), ...write(RESULTS, 8)], table);
}

const minimum = -(1n << 63n);
const divisions: [string, number[]][] = [
  ...["i32", "i64"].flatMap((type) =>
    ["div_s", "div_u", "rem_s", "rem_u"].map((name): [string, number[]] => [
      `${type}.${name} by zero`,
      [
        ...constant(type as ValueType, 7n),
        ...constant(type as ValueType, 0n),
        ...op(`${type}.${name}`),
        ...op("drop"),
      ],
    ]),
  ),
  ["i32.div_s overflow", [...i32(-0x8000_0000), ...i32(-1), ...op("i32.div_s"), ...op("drop")]],
  ["i64.div_s overflow", [...i64(minimum), ...i64(-1n), ...op("i64.div_s"), ...op("drop")]],
];

const others: [string, number[]][] = [
  ["unreachable", op("unreachable")],
  ["a table index out of range", [...i32(2), ...op("call_indirect", 1, 0)]],
  ["a negative table index", [...i32(-1), ...op("call_indirect", 1, 0)]],
  ["a function of another type", [...i32(1), ...op("call_indirect", 1, 0)]],
  ["an access beyond memory", [...i32(-1), ...access("i32.load8_u"), ...op("drop")]],
  [
    "an address and offset that pass 4 GiB, which do not wrap around",
    [...i32(-0x10_0000), ...access("i32.load", 0x60_0000), ...op("drop")],
  ],
  [
    "an offset beyond 2 GiB, which is not negative",
    [...i32(RESULTS + 16), ...access("i32.load", 0xffff_fff0), ...op("drop")],
  ],
  ["the same from a variable", [...get(0), ...access("i32.load", 0xffff_fff0), ...op("drop")]],
];

describe.skipIf(!hostRunsPrograms)(`traps${hostRunsPrograms ? "" : ` (skipped: ${whyNot})`}`, () => {
  test.each([...divisions, ...others])("%s", (name, code) => {
    const parameters: ValueType[] = name.includes("variable") ? ["i32"] : [];
    // Type 1 is the tested function's own, type 2 the entry point's.
    const wasm = trapping(code, [1, 2], parameters);
    expect(runInEngine(wasm)).toMatchObject({ end: "trap" });
    expect(runOnProcessor(wasm)).toMatchObject({ end: "trap" });
    expect(difference(wasm)).toBeUndefined();
  });

  test("the same table calls what it holds", () => {
    const f = { parameters: [], code: [...i32(RESULTS), ...i32(77), ...access("i32.store")] };
    const wasm = program(f, [...i32(0), ...op("call_indirect", 1, 0), ...write(RESULTS, 8)], [1, 2]);
    expect(runOnProcessor(wasm)).toMatchObject({
      end: "exit 0",
      output: Buffer.from([77, 0, 0, 0, 0, 0, 0, 0]),
    });
  });
});
