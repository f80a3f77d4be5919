// MMX: packed integers in the low 64 bits of the x87 registers; SSE's and SSE2's additions to it; conversions between
// MMX and XMM registers. Intel SDM vol. 1, chapter 9; vol. 3A, chapter 13; AMD APM vol. 1, chapter 5.
//
// An operand is computed in the low half of a vector, by the operations that XMM rows use. Every instruction looks for a
// pending x87 exception first, and leaves the x87 stack full with its top at 0 (enterMmx); EMMS leaves it empty.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value, Vector } from "./define.js";
import { none } from "./define.js";
import { ABSOLUTE_VALUES, ELEMENTWISE, HORIZONTAL, SHIFTS, shiftElements } from "./sse-integer.js";
import { field2, immediate, maskedStore, order } from "./sse-move.js";

const mmOnly = (_code: unknown, kinds: readonly Operand["kind"][]) => kinds.includes("mm");

type Does = Definition["does"];

/** The checks and the change of state that all have in common. */
const inMmx =
  (does: Does): Does =>
  (m, ...operands) => {
    m.waitForX87();
    m.enterMmx();
    does(m, ...operands);
  };
const row = (op: Definition["op"], access: Definition["access"], does: Does): Definition => ({
  op,
  forms: mmOnly,
  ...(access === undefined ? {} : { access }),
  flags: none,
  needs: "mmx",
  does: inMmx(does),
});

/** An operand of 64 bits (or 32, of memory) in both halves of a vector. */
const both = (m: Meaning, o: Operand): Vector => m.splat(m.zeroExtend(m.get(o), 64));
const setLowHalf = (m: Meaning, dst: Operand, v: Vector): void => m.set(dst, m.lane(v, 64, 0));
const pair = (m: Meaning, low: Value, high: Value): Vector => m.withLane(m.splat(low), 1, high);

/** Both operands' elements narrowed: the destination's become the low half. */
const pack =
  (operation: string): Does =>
  (m, dst, src) => {
    const v = pair(m, m.get(dst), m.get(src));
    setLowHalf(m, dst, m.simd(operation, v, v));
  };

/** Interleaves elements of the low or high halves. PUNPCKL reads 32 bits of memory. */
function unpack(bytes: number, high: boolean): Does {
  const bytesOf: number[] = [];
  for (let i = high ? 4 : 0; bytesOf.length < 8; i += bytes)
    for (const from of [0, 16]) for (let k = 0; k < bytes; k++) bytesOf.push(from + i + k);
  const all = [...bytesOf, ...bytesOf];
  return (m, dst, src) => setLowHalf(m, dst, m.shuffle(both(m, dst), both(m, src), all));
}

const pshufw: Does = (m, dst, src, by) => {
  const indexes = m.splat(order(m, immediate(m, by), [0, 2, 4, 6].map(field2), 2));
  setLowHalf(m, dst, m.simd("i8x16.swizzle", both(m, src), indexes));
};

/** Where the word stands that the immediate chooses. */
const wordPlace = (m: Meaning, by: Operand): Value =>
  m.shiftLeft(m.and(immediate(m, by), m.constant(3, 64)), m.constant(4, 8));

const pinsrw: Does = (m, dst, src, by) => {
  const place = wordPlace(m, by);
  const mask = m.shiftLeft(m.constant(0xffff, 64), place);
  const word = m.shiftLeft(m.zeroExtend(m.truncate(m.get(src), 16), 64), place);
  m.set(dst, m.or(m.and(m.get(dst), m.not(mask)), word));
};
const pextrw: Does = (m, dst, src, by) => {
  const word = m.truncate(m.shiftRight(m.get(src), wordPlace(m, by)), 16);
  m.set(dst, m.zeroExtend(word, dst.width as 32 | 64));
};
const pmovmskb: Does = (m, dst, src) => {
  const v = pair(m, m.get(src), m.constant(0, 64));
  m.set(dst, m.zeroExtend(m.simdToScalar("i8x16.bitmask", v), dst.width as 32 | 64));
};
const maskmovq: Does = (m, _target, data, selector) => maskedStore(m, both(m, data), both(m, selector), 8);

/** PALIGNR: 8 bytes out of both operands, the destination above the source. */
const alignRight: Does = (m, dst, src, by) => {
  const numbers = m.vectorConstant(0x0706_0504_0302_0100n, 0x0f0e_0d0c_0b0a_0908n);
  const order = m.simd("i8x16.add_sat_u", numbers, m.splat(m.get(by)));
  setLowHalf(m, dst, m.simd("i8x16.swizzle", pair(m, m.get(src), m.get(dst)), order));
};

/** MOVD, MOVQ: between an MMX register and another, a general one or memory, with zeros above 32 bits. */
const move: Does = (m, dst, src) => {
  const v = m.get(src);
  m.set(dst, dst.width < v.width ? m.truncate(v, dst.width as 32) : m.zeroExtend(v, dst.width as 32 | 64));
};

// --- between MMX and XMM registers ---

const LANE = 0x100; // as sse-float.ts tells the microcode: more lanes follow
const TRUNCATE = 0x200;

/** These need SSE's environment as well. From memory they have nothing to do with MMX (AMD; Intel's CVTPI2PS has). */
const mixed = (
  op: Definition["op"],
  access: Definition["access"],
  does: Does,
  forms?: Definition["forms"],
): Definition => ({
  op,
  ...(forms === undefined ? {} : { forms }),
  ...(access === undefined ? {} : { access }),
  flags: none,
  needs: "sse",
  does,
});

/** Two lanes computed by the microcode, flags committed once. */
function lanes(m: Meaning, lane: (i: number) => Value): [Value, Value] {
  const two: [Value, Value] = [lane(0), lane(1)];
  m.assist("floatCommit");
  return two;
}
const doubleword = (m: Meaning, v: Value, i: number): Value => m.bitsOf(v, 32 * i, 32);
const join = (m: Meaning, [low, high]: [Value, Value]): Value =>
  m.or(m.bitsOf(low, 0, 32), m.shiftLeft(high, m.constant(32, 8)));

/** CVTPI2PS: the upper half of the destination stays. */
const integersToSingles: Does = (m, dst, src) => {
  if (!m.isMemory(src)) {
    m.waitForX87();
    m.assist("enterMmx"); // even if an inexact result is #XM
  }
  const v = m.get(src);
  const signed = (i: number) => m.signExtend(m.truncate(doubleword(m, v, i), 32), 64);
  const singles = lanes(m, (i) => m.assist("integerToFloat32", LANE, signed(i)));
  m.setLow(dst, join(m, singles));
};
/** CVTPI2PD: always exact. */
const integersToDoubles: Does = (m, dst, src) =>
  m.setVector(dst, m.simd("f64x2.convert_low_i32x4_s", both(m, src)));

/** CVTPS2PI, CVTTPS2PI. */
const singlesToIntegers =
  (truncate: number): Does =>
  (m, dst, src) => {
    m.waitForX87();
    const v = m.getLow(src, 64);
    m.assist("enterMmx");
    const lane = (i: number) => m.assist("float32ToInteger", 32 | LANE | truncate, doubleword(m, v, i));
    m.set(dst, join(m, lanes(m, lane)));
  };
/** CVTPD2PI, CVTTPD2PI. */
const doublesToIntegers =
  (truncate: number): Does =>
  (m, dst, src) => {
    m.waitForX87();
    const v = m.getVector(src);
    m.assist("enterMmx");
    const lane = (i: number) => m.assist("float64ToInteger", 32 | LANE | truncate, m.lane(v, 64, i));
    m.set(dst, join(m, lanes(m, lane)));
  };
const alignedMixed = (op: Mnemonic, does: Does): Definition => ({
  ...mixed(op, ["w", "r"], does),
  aligned: true,
});

export const mmx: readonly Definition[] = [
  ...ELEMENTWISE.map(([op, combine]) =>
    row(op, ["rw", "r"], (m, dst, src) => setLowHalf(m, dst, combine(m, both(m, dst), both(m, src)))),
  ),
  ...SHIFTS.map(([op, ...how]) =>
    row(op, ["rw", "r"], (m, dst, by) => {
      setLowHalf(m, dst, shiftElements(m, both(m, dst), m.zeroExtend(m.get(by), 64), how));
    }),
  ),
  row(Mnemonic.Packsswb, ["rw", "r"], pack("i8x16.narrow_i16x8_s")),
  row(Mnemonic.Packuswb, ["rw", "r"], pack("i8x16.narrow_i16x8_u")),
  row(Mnemonic.Packssdw, ["rw", "r"], pack("i16x8.narrow_i32x4_s")),
  row(Mnemonic.Punpcklbw, ["rw", "r"], unpack(1, false)),
  row(Mnemonic.Punpcklwd, ["rw", "r"], unpack(2, false)),
  row(Mnemonic.Punpckldq, ["rw", "r"], unpack(4, false)),
  row(Mnemonic.Punpckhbw, ["rw", "r"], unpack(1, true)),
  row(Mnemonic.Punpckhwd, ["rw", "r"], unpack(2, true)),
  row(Mnemonic.Punpckhdq, ["rw", "r"], unpack(4, true)),
  ...HORIZONTAL.map(([op, combine]) =>
    row(op, ["rw", "r"], (m, dst, src) => {
      const v = pair(m, m.get(dst), m.get(src));
      setLowHalf(m, dst, combine(m, v, v));
    }),
  ),
  ...ABSOLUTE_VALUES.map(([op, combine]) =>
    row(op, ["w", "r"], (m, dst, src) => {
      const v = both(m, src);
      setLowHalf(m, dst, combine(m, v, v));
    }),
  ),
  row(Mnemonic.Palignr, ["rw", "r", "r"], alignRight),
  row([Mnemonic.Movd, Mnemonic.Movq], ["w", "r"], move),
  row(Mnemonic.Movntq, ["w", "r"], move),
  row(Mnemonic.Maskmovq, ["w", "r", "r"], maskmovq),
  row(Mnemonic.Pshufw, ["w", "r", "r"], pshufw),
  row(Mnemonic.Pinsrw, ["rw", "r", "r"], pinsrw),
  row(Mnemonic.Pextrw, ["w", "r", "r"], pextrw),
  row(Mnemonic.Pmovmskb, ["w", "r"], pmovmskb),
  {
    op: Mnemonic.Emms,
    access: [],
    flags: none,
    needs: "mmx",
    does: (m) => {
      m.waitForX87();
      m.enterMmx("empty");
    },
  },
  mixed(
    Mnemonic.Movq2dq,
    ["w", "r"],
    inMmx((m, dst, src) => m.setVector(dst, pair(m, m.get(src), m.constant(0, 64)))),
  ),
  mixed(
    Mnemonic.Movdq2q,
    ["w", "r"],
    inMmx((m, dst, src) => m.set(dst, m.getLow(src, 64))),
  ),
  mixed(Mnemonic.Cvtpi2ps, ["rw", "r"], integersToSingles),
  mixed(Mnemonic.Cvtpi2pd, ["w", "r"], inMmx(integersToDoubles), mmOnly),
  mixed(Mnemonic.Cvtpi2pd, ["w", "r"], integersToDoubles),
  mixed(Mnemonic.Cvtps2pi, ["w", "r"], singlesToIntegers(0)),
  mixed(Mnemonic.Cvttps2pi, ["w", "r"], singlesToIntegers(TRUNCATE)),
  alignedMixed(Mnemonic.Cvtpd2pi, doublesToIntegers(0)),
  alignedMixed(Mnemonic.Cvttpd2pi, doublesToIntegers(TRUNCATE)),
];
