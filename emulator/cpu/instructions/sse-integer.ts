// SSE2: packed integers in XMM registers. Intel SDM vol. 2. Most are one WebAssembly SIMD instruction, under its name.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value, Vector } from "./define.js";
import { none } from "./define.js";
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

export const sseInteger = [
  ...ELEMENTWISE.map(([op, combine]) => packed(op, combine)),
  packed(Mnemonic.Packsswb, simple("i8x16.narrow_i16x8_s")),
  packed(Mnemonic.Packuswb, simple("i8x16.narrow_i16x8_u")),
  packed(Mnemonic.Packssdw, simple("i16x8.narrow_i32x4_s")),
  ...SHIFTS.map((row) => shifts(...row)),
] satisfies readonly Definition[] as readonly Definition[];
