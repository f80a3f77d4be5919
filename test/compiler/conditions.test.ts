// Conditions that are made of others by arithmetic (kernel/compiler/conditions.ts): all small ones, over all values of their
// operands, by `if` and by `br_if`, against V8; and that a branch no longer makes a number of a comparison.
import { expect, test } from "vitest";
import { withConditions } from "../../kernel/compiler/conditions.js";
import { parseModule, type ValueType } from "../../kernel/compiler/wasm.js";
import { access, buildModule, call, type FunctionSource, get, i32, i64, op } from "./module.js";
import { difference, hostRunsPrograms, runInEngine, whyNot } from "./run.js";

const RESULTS = 0x50_0000;
/** Three bytes, of which the second is 1. */
const PLACE = RESULTS + 0x7000;
const syscall = { name: "syscall", parameters: Array<ValueType>(7).fill("i64"), result: "i64" as ValueType };

/** Of three parameters: comparisons, a byte in memory, a bit. */
const leaves: number[][] = [
  [...get(0), ...i32(1), ...op("i32.eq")],
  [...get(1), ...get(2), ...op("i32.lt_u")],
  [...i32(PLACE), ...get(2), ...op("i32.add"), ...access("i32.load8_u")],
  [...get(0), ...i32(2), ...op("i32.and")],
];

function trees(depth: number): number[][] {
  if (depth === 0) return leaves;
  const below = trees(depth - 1);
  const first = below.slice(0, 8);
  return [
    ...first.flatMap((left, n) =>
      below.flatMap((right, k) => {
        const both = [...left, ...right];
        const choice = [...right, ...i32((n + k) % 3), ...left, ...op("select")];
        const other = [...i32((n + k) % 3), ...right, ...left, ...op("select")];
        return [
          [...both, ...op("i32.or")],
          [...both, ...op("i32.and")],
          [...both, ...op("i32.or"), ...op("i32.eqz")],
          choice,
          other,
        ];
      }),
    ),
  ];
}

const conditions = [...trees(1), ...trees(2).filter((_, n) => n % 3 === 0)];
/** 1 when the condition holds, by `if` and by `br_if`. */
const asked = (condition: number[], branch: boolean): FunctionSource => ({
  parameters: ["i32", "i32", "i32"],
  result: "i32",
  locals: ["i32", "i32"],
  code: branch
    ? [
        ...op("block", 0x40),
        ...[...condition, ...op("br_if", 0), ...i32(0), ...op("return")],
        ...op("end"),
        ...i32(1),
      ]
    : [...condition, ...op("if", 0x40), ...[...i32(1), ...op("local.set", 3), ...op("end")], ...get(3)],
});

test.skipIf(!hostRunsPrograms)(
  `all small conditions give what V8 gives${hostRunsPrograms ? "" : ` (skipped: ${whyNot})`}`,
  () => {
    for (let from = 0; from < conditions.length; from += MANY) allValues(conditions.slice(from, from + MANY));
  },
);

const carried = (value: number[], condition: number[]) => [
  ...[...value, ...condition, ...op("br_if", 0)],
  ...op("drop"),
];
const early = (condition: number[], value: number[]) => [
  ...[...condition, ...op("if", 0x40)],
  ...[...value, ...op("br", 1), ...op("end")],
];
const block = (...parts: number[][]) => [...op("block", 0x7f), ...parts.flat(), ...op("end")];
const chosen = (condition: number[], yes: number[], no: number[]) => [
  ...[...condition, ...op("if", 0x7f), ...yes],
  ...[...op("else"), ...no, ...op("end")],
];

/** Blocks of which a branch takes the result (control.ts: decisions). */
const decisions = leaves.flatMap((a, n) =>
  leaves.flatMap((b, k) => {
    const c = leaves[(n + 2 * k + 1) % leaves.length]!;
    return [
      block(carried(i32(1), a), carried(i32(0), b), c),
      block(early(a, i32(1)), early(b, i32(0)), c),
      [...block(carried(get(1), a), early(b, get(2)), c), ...op("i32.eqz")],
      chosen(a, b, c),
      chosen(a, chosen(b, c, a), block(carried(i32(1), b), c)),
      chosen(a, block(early(b, i32(0)), c), i32(1)),
      block(carried(i32(0), chosen(a, b, i32(0))), c),
      block(carried(i32(1), block(carried(i32(0), a), b)), c),
      block(early(a, chosen(b, c, i32(1))), [...b, ...op("return")]),
    ];
  }),
);

test.skipIf(!hostRunsPrograms)(
  `blocks of which a branch takes the result give what V8 gives${hostRunsPrograms ? "" : ` (skipped: ${whyNot})`}`,
  () => {
    for (let from = 0; from < decisions.length; from += MANY) allValues(decisions.slice(from, from + MANY));
  },
);

/** A condition that sets a local, which the others read or not. */
const sets = [...get(0), ...i32(1), ...op("i32.and"), ...op("local.tee", 4), ...get(1), ...op("i32.eq")];
const setting = [
  ...[leaves[1]!, leaves[2]!, [...get(4), ...op("i32.eqz")]].flatMap((arm) => [
    [...i32(1), ...arm, ...sets, ...op("select")],
    [...arm, ...i32(0), ...sets, ...op("select")],
    [...sets, ...arm, ...op("i32.or")],
    [...arm, ...sets, ...op("i32.and")],
  ]),
];

test.skipIf(!hostRunsPrograms)(
  `what comes first may set locals that the rest does not read${hostRunsPrograms ? "" : ` (skipped: ${whyNot})`}`,
  () => {
    allValues(setting);
    expect(namesOf(setting[0]!)).not.toContain("select");
    expect(namesOf(setting[8]!)).toContain("select");
  },
);

/** Conditions in one program. */
const MANY = 40;

function allValues(some: readonly number[][]): void {
  const functions = some.flatMap((condition) => [asked(condition, false), asked(condition, true)]);
  const start = functions.flatMap((_, n) => {
    const sum: number[] = [...i32(0), ...op("local.set", 1)];
    for (let value = 0; value < 27; value++) {
      const [a, b, c] = [value % 3, Math.floor(value / 3) % 3, Math.floor(value / 9)];
      sum.push(...get(1), ...i32(1), ...op("i32.shl"));
      sum.push(...i32(a), ...i32(b), ...i32(c), ...call(n + 1), ...op("i32.or"), ...op("local.set", 1));
    }
    return [...sum, ...i32(RESULTS + 4 * n), ...get(1), ...access("i32.store")];
  });
  const write = [1n, 1n, BigInt(RESULTS), BigInt(4 * functions.length), 0n, 0n, 0n].flatMap(i64);
  const wasm = buildModule({
    imports: [syscall],
    functions: [
      ...functions,
      {
        parameters: ["i64"],
        locals: ["i32"],
        code: [
          ...[...i32(PLACE + 1), ...i32(1), ...access("i32.store8")],
          ...start,
          ...write,
          ...call(0),
          ...op("drop"),
        ],
      },
    ],
    data: [{ address: RESULTS, bytes: new Uint8Array(0x8000) }],
    exports: { start: functions.length + 1 },
  });
  expect(runInEngine(wasm).end).toBe("exit 0");
  expect(difference(wasm)).toBeUndefined();
}

/** Names of the instructions that are made of a condition before an `if`. */
function namesOf(condition: number[]): string {
  const wasm = buildModule({ functions: [asked(condition, false)], exports: { start: 0 } });
  const names = withConditions(parseModule(wasm).functions[0]!.body, "i32").map(({ opcode }) => opcode.name);
  const last = names.lastIndexOf("if");
  return names.slice(0, last).join(" ");
}

const [equal, less, byte, bit] = leaves as [number[], number[], number[], number[]];

test("a branch makes no number of a comparison: each part decides by itself", () => {
  const circuit = "local.get i32.const i32.eq if i32.const else local.get local.get i32.lt_u end";
  expect(namesOf([...equal, ...less, ...op("i32.or")])).toBe(circuit);
  expect(namesOf([...equal, ...less, ...op("i32.and")])).toBe(
    "local.get i32.const i32.eq if local.get local.get i32.lt_u else i32.const end",
  );
  expect(namesOf([...less, ...i32(1), ...equal, ...op("select")])).toBe(
    "local.get i32.const i32.eq if local.get local.get i32.lt_u else i32.const end",
  );
});

test("what does more than make a value, words that are put together and bits that are tested stay", () => {
  for (const kept of [
    [...byte, ...bit, ...op("i32.or")],
    [...equal, ...bit, ...op("i32.and")],
    [...equal, ...i32(PLACE), ...access("i32.atomic.load"), ...get(0), ...op("i32.eq"), ...op("i32.or")],
    [...equal, ...get(1), ...op("local.tee", 3), ...get(0), ...op("i32.eq"), ...op("i32.or")],
    [...equal, ...get(1), ...get(0), ...op("i32.div_u"), ...op("i32.eqz"), ...op("i32.or")],
  ]) {
    const names = namesOf(kept);
    expect(names, names).not.toContain("else");
  }
});
