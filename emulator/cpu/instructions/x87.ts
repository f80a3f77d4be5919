// The x87 unit: loads, stores, arithmetic, comparisons, constants and the environment. Intel SDM vol. 1, chapter 8;
// vol. 2. The work is the microcode's (microcode/x87.ts), in exact integer arithmetic; rows say what the operands are.
// FXSAVE is in system.ts.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value, Width } from "./define.js";
import { none, OSZAPC } from "./define.js";

// How the microcode is told what an operand is
const FLOAT_KIND: Record<number, number> = { 32: 0, 64: 1 };
const INTEGER_KIND: Record<number, number> = { 16: 3, 32: 4, 64: 5 };
const EXTENDED = 2;
const REGISTER = 6;
const POP = 0x100;
const TRUNCATE = 0x200;

interface Given {
  readonly kind: number;
  readonly bits: Value;
}
const stackNumber = (m: Meaning, o: Operand): Value => m.zeroExtend(m.registerNumber(o), 64);

/** A source: a register of the stack, or memory holding a float or an integer. */
function given(m: Meaning, o: Operand, integer: boolean): Given {
  if (o.kind === "st") return { kind: REGISTER, bits: stackNumber(m, o) };
  const kinds = integer ? INTEGER_KIND : FLOAT_KIND;
  return { kind: kinds[o.width], bits: m.zeroExtend(m.get(o), 64) };
}

/** A row that waits: a pending exception of an earlier instruction comes first. */
function row(
  op: Definition["op"],
  access: Definition["access"],
  does: Definition["does"],
  flags: string = none,
): Definition {
  const waits: Definition["does"] = (m, ...operands) => {
    m.waitForX87(); // what does the work does not fault then
    m.noteX87Pointers(operands.find((o) => o.kind === "memory"));
    does(m, ...operands);
  };
  return { op, ...(access === undefined ? {} : { access }), flags, needs: "fpu", does: waits };
}
/** A control instruction: it leaves the pointers to the last one alone. */
function control(op: Definition["op"], access: Definition["access"], does: Definition["does"]): Definition {
  const waits: Definition["does"] = (m, ...operands) => {
    m.waitForX87();
    does(m, ...operands);
  };
  return { op, ...(access === undefined ? {} : { access }), flags: none, needs: "fpu", does: waits };
}
function rowWithoutWait(
  op: Definition["op"],
  access: NonNullable<Definition["access"]>,
  does: Definition["does"],
): Definition {
  return { op, access, flags: none, needs: "fpu", does };
}

// --- loads and stores ---

const load = (integer: boolean) => (m: Meaning, src: Operand) => {
  if (src.kind === "memory" && src.width === 80) {
    const [significand, high] = parts(m, src);
    m.compute("x87Load", EXTENDED, m.get(significand), m.zeroExtend(m.get(high), 64));
    return;
  }
  const { kind, bits } = given(m, src, integer);
  m.compute("x87Load", kind, bits, 0);
};

const store =
  (integer: boolean, pop: boolean, how = 0) =>
  (m: Meaning, dst: Operand) => {
    if (dst.kind === "st") {
      m.compute("x87Copy", stackNumber(m, dst), pop ? 1 : 0);
      return;
    }
    if (dst.width === 80) return storeExtended(m, dst);
    m.writable(dst); // the stack changes before memory does: nothing may fault in between
    const kind = (integer ? INTEGER_KIND : FLOAT_KIND)[dst.width];
    const bits = m.compute("x87Store", kind | how | (pop ? POP : 0));
    m.when(m.compute("x87Stores"), () => m.set(dst, m.truncate(bits, dst.width as Width)));
  };

function storeExtended(m: Meaning, dst: Operand): void {
  const [low, above] = parts(m, dst);
  m.writable(low);
  m.writable(above);
  const high = m.compute("x87High");
  const significand = m.compute("x87Store", EXTENDED | POP);
  m.when(m.compute("x87Stores"), () => {
    m.set(low, significand);
    m.set(above, m.truncate(high, 16));
  });
}

/** FBLD and FBSTP: packed decimals of ten bytes. */
function loadDecimal(m: Meaning, src: Operand): void {
  const [low, high] = parts(m, src);
  m.assist("x87LoadDecimal", m.get(low), m.zeroExtend(m.get(high), 64));
}
function storeDecimal(m: Meaning, dst: Operand): void {
  const [low, above] = parts(m, dst);
  m.writable(low);
  m.writable(above);
  const digits = m.assist("x87StoreDecimal");
  const high = m.assist("x87DecimalHigh");
  m.when(m.compute("x87Stores"), () => {
    m.set(low, digits);
    m.set(above, m.truncate(high, 16));
  });
}

/** Significand, and sign and exponent, of an extended real in memory. */
const parts = (m: Meaning, o: Operand): [Operand, Operand] => [
  { ...o, width: 64 },
  { ...m.displaced(o, m.constant(8, 64)), width: 16 },
];

// --- arithmetic, numbered as the opcodes are ---

const ARITHMETIC: readonly (readonly [number, plain: Mnemonic, integer: Mnemonic, pop: Mnemonic])[] = [
  [0, Mnemonic.Fadd, Mnemonic.Fiadd, Mnemonic.Faddp],
  [1, Mnemonic.Fmul, Mnemonic.Fimul, Mnemonic.Fmulp],
  [4, Mnemonic.Fsub, Mnemonic.Fisub, Mnemonic.Fsubp],
  [5, Mnemonic.Fsubr, Mnemonic.Fisubr, Mnemonic.Fsubrp],
  [6, Mnemonic.Fdiv, Mnemonic.Fidiv, Mnemonic.Fdivp],
  [7, Mnemonic.Fdivr, Mnemonic.Fidivr, Mnemonic.Fdivrp],
];

/** ST(to) := ST(to) op source; with memory the destination is the top. */
const arithmetic = (how: number, integer: boolean) => (m: Meaning, first: Operand, second?: Operand) => {
  const { kind, bits } = given(m, second ?? first, integer);
  const to = second === undefined ? 0 : stackNumber(m, first);
  m.compute("x87Arithmetic", how, to, kind, bits);
};

const unary = (op: Mnemonic, number: number): Definition =>
  row(op, [], (m) => void m.compute("x87Unary", number));

// --- transcendental functions, by the microcode's numbers ---

const FUNCTIONS: readonly Mnemonic[] = [
  Mnemonic.F2xm1,
  Mnemonic.Fsin,
  Mnemonic.Fcos,
  Mnemonic.Fptan,
  Mnemonic.Fsincos,
];
const FUNCTIONS_OF_TWO: readonly Mnemonic[] = [Mnemonic.Fyl2x, Mnemonic.Fyl2xp1, Mnemonic.Fpatan];

// --- comparison ---

const QUIET = 4;
const TO_FLAGS = 8;

const compare = (how: number, integer: boolean) => (m: Meaning, first: Operand, second?: Operand) => {
  const { kind, bits } = given(m, second ?? first, integer);
  m.compute("x87Compare", how, kind, bits);
};
/** FCOMPP, FUCOMPP: the two topmost, both popped. */
const compareTopmost = (how: number) => (m: Meaning) => void m.compute("x87Compare", how | 2, REGISTER, 1);

const compareToFlags = (how: number) => (m: Meaning, _top: Operand, src: Operand) =>
  m.setRflags(m.compute("x87Compare", how | TO_FLAGS, REGISTER, stackNumber(m, src)), 0x8d5n);

const CMOV: readonly (readonly [Mnemonic, (m: Meaning) => Value])[] = [
  [Mnemonic.Fcmovb, (m) => m.condition("b")],
  [Mnemonic.Fcmove, (m) => m.condition("e")],
  [Mnemonic.Fcmovbe, (m) => m.condition("be")],
  [Mnemonic.Fcmovu, (m) => m.condition("p")],
  [Mnemonic.Fcmovnb, (m) => m.condition("ae")],
  [Mnemonic.Fcmovne, (m) => m.condition("ne")],
  [Mnemonic.Fcmovnbe, (m) => m.condition("a")],
  [Mnemonic.Fcmovnu, (m) => m.condition("np")],
];

// --- constants: significand, 64 bits more for rounding, biased exponent ---

// biome-ignore format: a table
const CONSTANTS: readonly (readonly [Mnemonic, bigint, bigint, number])[] = [
  [Mnemonic.Fldz, 0n, 0n, 0],
  [Mnemonic.Fld1, 0x8000_0000_0000_0000n, 0n, 16383],
  [Mnemonic.Fldpi, 0xc90f_daa2_2168_c234n, 0xc4c6_628b_80dc_1cd1n, 16384],
  [Mnemonic.Fldl2t, 0xd49a_784b_cd1b_8afen, 0x492b_f6ff_4daf_db4dn, 16384],
  [Mnemonic.Fldl2e, 0xb8aa_3b29_5c17_f0bbn, 0xbe87_fed0_691d_3e89n, 16383],
  [Mnemonic.Fldlg2, 0x9a20_9a84_fbcf_f798n, 0x8f89_59ac_0b7c_9178n, 16381],
  [Mnemonic.Fldln2, 0xb172_17f7_d1cf_79abn, 0xc9e3_b398_03f2_f6afn, 16382],
];

// --- the environment ---

const environment = (name: string) => (m: Meaning, memory: Operand) => {
  const offset = m.zeroExtend(m.address(memory), 64);
  const wide = m.operandSize === 16 ? 0 : 1;
  m.assist(name, m.segmentNumber(memory), offset, wide);
};

export const x87: readonly Definition[] = [
  row(Mnemonic.Fld, ["r"], load(false)),
  row(Mnemonic.Fild, ["r"], load(true)),
  row(Mnemonic.Fst, ["w"], store(false, false)),
  row(Mnemonic.Fstp, ["w"], store(false, true)),
  row(Mnemonic.Fstpnce, undefined, (m, dst) => void m.compute("x87Copy", stackNumber(m, dst), 3)),
  row(Mnemonic.Fist, ["w"], store(true, false)),
  row(Mnemonic.Fistp, ["w"], store(true, true)),
  row(Mnemonic.Fisttp, ["w"], store(true, true, TRUNCATE)),
  row(Mnemonic.Fxch, ["rw", "rw"], (m, _top, other) => void m.compute("x87Exchange", stackNumber(m, other))),
  ...ARITHMETIC.flatMap(([number, plain, integer, pop]) => [
    row(plain, undefined, arithmetic(number, false)),
    row(integer, undefined, arithmetic(number, true)),
    row(pop, ["rw", "r"], arithmetic(number | POP, false)),
  ]),
  unary(Mnemonic.Fchs, 0),
  unary(Mnemonic.Fabs, 1),
  unary(Mnemonic.Fsqrt, 2),
  unary(Mnemonic.Frndint, 3),
  unary(Mnemonic.Fscale, 4),
  unary(Mnemonic.Fprem, 5),
  unary(Mnemonic.Fprem1, 6),
  unary(Mnemonic.Fxtract, 7),
  ...FUNCTIONS.map((op, i) => row(op, [], (m) => void m.assist("x87Function", i))),
  ...FUNCTIONS_OF_TWO.map((op, i) =>
    row(op, [], (m) => void m.assist("x87FunctionOfTwo", FUNCTIONS.length + i)),
  ),
  row(Mnemonic.Fbld, ["r"], loadDecimal),
  row(Mnemonic.Fbstp, ["w"], storeDecimal),
  row(Mnemonic.Fcom, undefined, compare(0, false)),
  row(Mnemonic.Fcomp, undefined, compare(1, false)),
  row(Mnemonic.Ficom, undefined, compare(0, true)),
  row(Mnemonic.Ficomp, undefined, compare(1, true)),
  row(Mnemonic.Fcompp, [], compareTopmost(0)),
  row(Mnemonic.Fucom, ["r", "r"], compare(QUIET, false)),
  row(Mnemonic.Fucomp, ["r", "r"], compare(QUIET | 1, false)),
  row(Mnemonic.Fucompp, [], compareTopmost(QUIET)),
  row(Mnemonic.Fcomi, ["r", "r"], compareToFlags(0), OSZAPC),
  row(Mnemonic.Fcomip, ["r", "r"], compareToFlags(1), OSZAPC),
  row(Mnemonic.Fucomi, ["r", "r"], compareToFlags(QUIET), OSZAPC),
  row(Mnemonic.Fucomip, ["r", "r"], compareToFlags(QUIET | 1), OSZAPC),
  row(Mnemonic.Ftst, [], (m) => void m.compute("x87Test")),
  row(Mnemonic.Fxam, [], (m) => void m.compute("x87Examine")),
  ...CMOV.map(([op, condition]) =>
    row(op, ["rw", "r"], (m, _top, src) => {
      m.compute("x87Move", stackNumber(m, src), m.zeroExtend(condition(m), 64));
    }),
  ),
  ...CONSTANTS.map(([op, significand, extra, exponent]) =>
    row(op, [], (m) => {
      m.compute("x87Constant", m.constant(significand, 64), m.constant(extra, 64), exponent);
    }),
  ),
  row(Mnemonic.Ffree, undefined, (m, o) => void m.compute("x87Stack", 0, stackNumber(m, o))),
  row(Mnemonic.Ffreep, undefined, (m, o) => void m.compute("x87Stack", 4, stackNumber(m, o))),
  row(Mnemonic.Fincstp, [], (m) => void m.compute("x87Stack", 1, 0)),
  row(Mnemonic.Fdecstp, [], (m) => void m.compute("x87Stack", 2, 0)),
  row(Mnemonic.Fnop, [], (m) => void m.compute("x87Stack", 3, 0)),
  rowWithoutWait([Mnemonic.Fneni, Mnemonic.Fndisi, Mnemonic.Fnsetpm], [], () => {}),
  rowWithoutWait(Mnemonic.Fninit, [], (m) => void m.assist("fninit")),
  rowWithoutWait(Mnemonic.Fnclex, [], (m) => void m.assist("fnclex")),
  rowWithoutWait(Mnemonic.Fnstcw, ["w"], (m, dst) => m.set(dst, m.truncate(m.assist("readFpuControl"), 16))),
  rowWithoutWait(Mnemonic.Fnstsw, ["w"], (m, dst) => m.set(dst, m.truncate(m.assist("readFpuStatus"), 16))),
  control(Mnemonic.Fldcw, ["r"], (m, src) => void m.assist("writeFpuControl", m.get(src))),
  { op: Mnemonic.Wait, access: [], flags: none, does: (m) => void m.assist("waitFpu") },
  rowWithoutWait(Mnemonic.Fnstenv, ["w"], environment("x87StoreEnvironment")),
  control(Mnemonic.Fldenv, ["r"], environment("x87LoadEnvironment")),
  rowWithoutWait(Mnemonic.Fnsave, ["w"], environment("x87Save")),
  control(Mnemonic.Frstor, ["r"], environment("x87Restore")),
];
