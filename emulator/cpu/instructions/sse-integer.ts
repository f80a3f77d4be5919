// SSE2 to SSE4.2: packed integers in XMM registers, element by element. Intel SDM vol. 2. Most are one WebAssembly SIMD
// instruction, under its name. What moves elements to other places is in sse-move.ts and sse-element.ts.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value, Vector } from "./define.js";
import { none, OSZAPC } from "./define.js";
import { xmmOnly } from "./sse-move.js";

export type Combine = (m: Meaning, a: Vector, b: Vector) => Vector;

function packed(op: Definition["op"], combine: Combine): Definition {
  return {
    op,
    forms: xmmOnly,
    access: ["rw", "r"],
    flags: none,
    needs: "sse",
    aligned: true,
    does: (m, dst, src) => m.setVector(dst, combine(m, m.getVector(dst), m.getVector(src))),
  };
}
const simple =
  (operation: string): Combine =>
  (m, a, b) =>
    m.simd(operation, a, b);

/** The high halves of the eight products of words. */
const highHalves =
  (signed: "s" | "u"): Combine =>
  (m, a, b) => {
    const low = m.simd(`i32x4.extmul_low_i16x8_${signed}`, a, b);
    const high = m.simd(`i32x4.extmul_high_i16x8_${signed}`, a, b);
    return m.shuffle(low, high, [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31]);
  };

/** Products of the even doublewords. */
const evenProducts: Combine = (m, a, b) => {
  const even = (v: Vector) => m.shuffle(v, v, [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
  return m.simd("i64x2.extmul_low_i32x4_u", even(a), even(b));
};

/** PSADBW: the absolute differences of each eight bytes, summed. */
const sumOfDifferences: Combine = (m, a, b) => {
  const differences = m.simd("i8x16.sub", m.simd("i8x16.max_u", a, b), m.simd("i8x16.min_u", a, b));
  const words = m.simd("i16x8.extadd_pairwise_i8x16_u", differences);
  const doublewords = m.simd("i32x4.extadd_pairwise_i16x8_u", words);
  const low = m.simd("v128.and", doublewords, m.vectorConstant(0xffff_ffffn, 0xffff_ffffn));
  return m.simd("i64x2.add", low, m.simd("i64x2.shr_u", doublewords, m.constant(32, 32)));
};

/** Each element shifted by one count of 64 bits; too large a count clears the elements, or fills them with the sign. */
export function shiftElements(
  m: Meaning,
  v: Vector,
  count: Value,
  [shape, width, kind]: readonly [string, number, "shl" | "shr_u" | "shr_s"],
): Vector {
  const small = m.lessUnsigned(count, m.constant(width, 64));
  const most = m.constant(width - 1, 64);
  const places = m.truncate(m.select(small, count, most), 32);
  const shifted = m.simd(`${shape}.${kind}`, v, places);
  return kind === "shr_s" ? shifted : m.selectVector(small, shifted, m.vectorConstant(0n, 0n));
}

/** By an immediate, or the low 64 bits of the source. */
function shifts(op: Mnemonic, ...how: Parameters<typeof shiftElements>[3]): Definition {
  return {
    op,
    forms: xmmOnly,
    access: ["rw", "r"],
    flags: none,
    needs: "sse",
    aligned: true,
    does: (m: Meaning, dst: Operand, by: Operand) => {
      const v = m.getVector(dst);
      const count = by.kind === "immediate" ? m.zeroExtend(m.get(by), 64) : m.lane(m.getVector(by), 64, 0);
      m.setVector(dst, shiftElements(m, v, count, how));
    },
  };
}

/** The even and the odd elements of both operands, in the order of the result of a horizontal operation. */
function horizontal(operation: string, bytes: 2 | 4): Combine {
  const elements = (odd: 0 | 1) =>
    Array.from({ length: 16 }, (_, i) => 2 * (i - (i % bytes)) + odd * bytes + (i % bytes));
  return (m, a, b) => m.simd(operation, m.shuffle(a, b, elements(0)), m.shuffle(a, b, elements(1)));
}

/** PMADDUBSW: unsigned bytes by signed ones, the products of each pair added with saturation. */
const bytePairs: Combine = (m, a, b) => {
  const eight = m.constant(8, 32);
  const even = m.simd(
    "i16x8.mul",
    m.simd("v128.and", a, m.splat(m.constant(0xff, 16))),
    m.simd("i16x8.shr_s", m.simd("i16x8.shl", b, eight), eight),
  );
  const odd = m.simd("i16x8.mul", m.simd("i16x8.shr_u", a, eight), m.simd("i16x8.shr_s", b, eight));
  return m.simd("i16x8.add_sat_s", even, odd);
};

/** PMULHRSW: WebAssembly's saturates -1 by -1, which here gives -1. */
const roundedHighHalves: Combine = (m, a, b) => {
  const least = m.splat(m.constant(0x8000, 16));
  const both = m.simd("v128.and", m.simd("i16x8.eq", a, least), m.simd("i16x8.eq", b, least));
  return m.simd("v128.xor", m.simd("i16x8.q15mulr_sat_s", a, b), both);
};

/** PSIGN: negated where the source is negative, zero where it is zero. */
const withSignOf =
  (shape: string): Combine =>
  (m, a, b) => {
    const zero = m.vectorConstant(0n, 0n);
    const negative = m.simd(`${shape}.lt_s`, b, zero);
    const result = m.simd("v128.bitselect", m.simd(`${shape}.neg`, a), a, negative);
    return m.simd("v128.and", result, m.simd(`${shape}.ne`, b, zero));
  };

/** PSHUFB: a byte number's top bit gives zero; of the others only four bits count. */
const shuffleBytes: Combine = (m, a, b) =>
  m.simd("i8x16.swizzle", a, m.simd("v128.and", b, m.splat(m.constant(0x8f, 8))));

const evenSignedProducts: Combine = (m, a, b) => {
  const even = (v: Vector) => m.shuffle(v, v, [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
  return m.simd("i64x2.extmul_low_i32x4_s", even(a), even(b));
};

/** PHMINPOSUW: the least word and its number, zeros above. Each word stands above its number, so one order has both. */
const leastWord: Combine = (m, _a, b) => {
  const numbered = (half: "low" | "high", low: bigint, high: bigint) => {
    const words = m.simd(`i32x4.extend_${half}_i16x8_u`, b);
    return m.simd("v128.or", m.simd("i32x4.shl", words, m.constant(16, 32)), m.vectorConstant(low, high));
  };
  const fold = (v: Vector, order: readonly number[]) => m.simd("i32x4.min_u", v, m.shuffle(v, v, order));
  const four = m.simd(
    "i32x4.min_u",
    numbered("low", 0x1_0000_0000n, 0x3_0000_0002n),
    numbered("high", 0x5_0000_0004n, 0x7_0000_0006n),
  );
  const two = fold(four, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]);
  const one = fold(two, [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11]);
  const exchanged = m.rotateLeft(m.lane(one, 32, 0), m.constant(16, 8));
  return m.withLane(m.vectorConstant(0n, 0n), 0, exchanged);
};

/** What works on each element apart: of MMX registers, too (mmx.ts). */
export const ELEMENTWISE: readonly (readonly [Definition["op"], Combine])[] = [
  [Mnemonic.Paddb, simple("i8x16.add")],
  [Mnemonic.Paddw, simple("i16x8.add")],
  [Mnemonic.Paddd, simple("i32x4.add")],
  [Mnemonic.Paddq, simple("i64x2.add")],
  [Mnemonic.Psubb, simple("i8x16.sub")],
  [Mnemonic.Psubw, simple("i16x8.sub")],
  [Mnemonic.Psubd, simple("i32x4.sub")],
  [Mnemonic.Psubq, simple("i64x2.sub")],
  [Mnemonic.Paddsb, simple("i8x16.add_sat_s")],
  [Mnemonic.Paddsw, simple("i16x8.add_sat_s")],
  [Mnemonic.Paddusb, simple("i8x16.add_sat_u")],
  [Mnemonic.Paddusw, simple("i16x8.add_sat_u")],
  [Mnemonic.Psubsb, simple("i8x16.sub_sat_s")],
  [Mnemonic.Psubsw, simple("i16x8.sub_sat_s")],
  [Mnemonic.Psubusb, simple("i8x16.sub_sat_u")],
  [Mnemonic.Psubusw, simple("i16x8.sub_sat_u")],
  [Mnemonic.Pmullw, simple("i16x8.mul")],
  [Mnemonic.Pmulhw, highHalves("s")],
  [Mnemonic.Pmulhuw, highHalves("u")],
  [Mnemonic.Pmuludq, evenProducts],
  [Mnemonic.Pmaddwd, simple("i32x4.dot_i16x8_s")],
  [Mnemonic.Psadbw, sumOfDifferences],
  [Mnemonic.Pavgb, simple("i8x16.avgr_u")],
  [Mnemonic.Pavgw, simple("i16x8.avgr_u")],
  [Mnemonic.Pminub, simple("i8x16.min_u")],
  [Mnemonic.Pmaxub, simple("i8x16.max_u")],
  [Mnemonic.Pminsw, simple("i16x8.min_s")],
  [Mnemonic.Pmaxsw, simple("i16x8.max_s")],
  [Mnemonic.Pcmpeqb, simple("i8x16.eq")],
  [Mnemonic.Pcmpeqw, simple("i16x8.eq")],
  [Mnemonic.Pcmpeqd, simple("i32x4.eq")],
  [Mnemonic.Pcmpgtb, simple("i8x16.gt_s")],
  [Mnemonic.Pcmpgtw, simple("i16x8.gt_s")],
  [Mnemonic.Pcmpgtd, simple("i32x4.gt_s")],
  [[Mnemonic.Pand, Mnemonic.Andps, Mnemonic.Andpd], simple("v128.and")],
  [[Mnemonic.Por, Mnemonic.Orps, Mnemonic.Orpd], simple("v128.or")],
  [[Mnemonic.Pxor, Mnemonic.Xorps, Mnemonic.Xorpd], simple("v128.xor")],
  [[Mnemonic.Pandn, Mnemonic.Andnps, Mnemonic.Andnpd], (m, a, b) => m.simd("v128.andnot", b, a)],
  // SSSE3
  [Mnemonic.Pshufb, shuffleBytes],
  [Mnemonic.Pmaddubsw, bytePairs],
  [Mnemonic.Pmulhrsw, roundedHighHalves],
  [Mnemonic.Psignb, withSignOf("i8x16")],
  [Mnemonic.Psignw, withSignOf("i16x8")],
  [Mnemonic.Psignd, withSignOf("i32x4")],
];

/** Of one operand. */
export const ABSOLUTE_VALUES: readonly (readonly [Mnemonic, Combine])[] = [
  [Mnemonic.Pabsb, (m, v) => m.simd("i8x16.abs", v)],
  [Mnemonic.Pabsw, (m, v) => m.simd("i16x8.abs", v)],
  [Mnemonic.Pabsd, (m, v) => m.simd("i32x4.abs", v)],
];

/** Between neighbours: the destination's become the low half. */
export const HORIZONTAL: readonly (readonly [Mnemonic, Combine])[] = [
  [Mnemonic.Phaddw, horizontal("i16x8.add", 2)],
  [Mnemonic.Phaddd, horizontal("i32x4.add", 4)],
  [Mnemonic.Phaddsw, horizontal("i16x8.add_sat_s", 2)],
  [Mnemonic.Phsubw, horizontal("i16x8.sub", 2)],
  [Mnemonic.Phsubd, horizontal("i32x4.sub", 4)],
  [Mnemonic.Phsubsw, horizontal("i16x8.sub_sat_s", 2)],
];

/** Shifts of each element: its shape, its bits. */
export const SHIFTS: readonly (readonly [Mnemonic, string, number, "shl" | "shr_u" | "shr_s"])[] = [
  [Mnemonic.Psllw, "i16x8", 16, "shl"],
  [Mnemonic.Pslld, "i32x4", 32, "shl"],
  [Mnemonic.Psllq, "i64x2", 64, "shl"],
  [Mnemonic.Psrlw, "i16x8", 16, "shr_u"],
  [Mnemonic.Psrld, "i32x4", 32, "shr_u"],
  [Mnemonic.Psrlq, "i64x2", 64, "shr_u"],
  [Mnemonic.Psraw, "i16x8", 16, "shr_s"],
  [Mnemonic.Psrad, "i32x4", 32, "shr_s"],
];

/** The old destination is not looked at. */
const unary = (op: Definition["op"], combine: Combine): Definition => ({
  ...packed(op, combine),
  access: ["w", "r"],
  does: (m, dst, src) => {
    const v = m.getVector(src);
    m.setVector(dst, combine(m, v, v));
  },
});

/** PTEST: ZF when the operands share no bit, CF when the source has none outside the destination. */
function test(m: Meaning, dst: Operand, src: Operand): void {
  const a = m.getVector(dst);
  const b = m.getVector(src);
  const none = (v: Vector) => m.equal(m.simdToScalar("v128.any_true", v), m.constant(0, 32));
  for (const f of ["PF", "AF", "SF", "OF"] as const) m.setFlag(f, m.constant(0, 8));
  m.setFlag("ZF", none(m.simd("v128.and", a, b)));
  m.setFlag("CF", none(m.simd("v128.andnot", b, a)));
}

export const sseInteger = [
  ...ELEMENTWISE.map(([op, combine]) => packed(op, combine)),
  packed(Mnemonic.Packsswb, simple("i8x16.narrow_i16x8_s")),
  packed(Mnemonic.Packuswb, simple("i8x16.narrow_i16x8_u")),
  packed(Mnemonic.Packssdw, simple("i16x8.narrow_i32x4_s")),
  ...SHIFTS.map((row) => shifts(...row)),
  ...HORIZONTAL.map(([op, combine]) => packed(op, combine)),
  ...ABSOLUTE_VALUES.map(([op, combine]) => unary(op, combine)),
  // SSE4.1 and SSE4.2
  packed(Mnemonic.Pmuldq, evenSignedProducts),
  packed(Mnemonic.Pmulld, simple("i32x4.mul")),
  packed(Mnemonic.Packusdw, simple("i16x8.narrow_i32x4_u")),
  packed(Mnemonic.Pminsb, simple("i8x16.min_s")),
  packed(Mnemonic.Pminsd, simple("i32x4.min_s")),
  packed(Mnemonic.Pminuw, simple("i16x8.min_u")),
  packed(Mnemonic.Pminud, simple("i32x4.min_u")),
  packed(Mnemonic.Pmaxsb, simple("i8x16.max_s")),
  packed(Mnemonic.Pmaxsd, simple("i32x4.max_s")),
  packed(Mnemonic.Pmaxuw, simple("i16x8.max_u")),
  packed(Mnemonic.Pmaxud, simple("i32x4.max_u")),
  packed(Mnemonic.Pcmpeqq, simple("i64x2.eq")),
  packed(Mnemonic.Pcmpgtq, simple("i64x2.gt_s")),
  unary(Mnemonic.Phminposuw, leastWord),
  { ...packed(Mnemonic.Ptest, (_m, a) => a), access: ["r", "r"], flags: OSZAPC, does: test },
] satisfies readonly Definition[] as readonly Definition[];
