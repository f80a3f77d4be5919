// SSE2: packed integers in XMM registers. Intel SDM vol. 2. Most are one WebAssembly SIMD instruction, under its name.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Vector } from "./define.js";
import { none } from "./define.js";
import { xmmOnly } from "./sse-move.js";

type Combine = (m: Meaning, a: Vector, b: Vector) => Vector;

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

/** Shifts of each element by one count: an immediate, or the low 64 bits of the source. */
function shifts(op: Mnemonic, shape: string, width: number, kind: "shl" | "shr_u" | "shr_s"): Definition {
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
      const small = m.lessUnsigned(count, m.constant(width, 64));
      // Too large a count clears the elements, or fills them with the sign.
      const most = m.constant(width - 1, 64);
      const places = m.truncate(m.select(small, count, most), 32);
      const shifted = m.simd(`${shape}.${kind}`, v, places);
      m.setVector(dst, kind === "shr_s" ? shifted : m.selectVector(small, shifted, m.vectorConstant(0n, 0n)));
    },
  };
}

export const sseInteger = [
  packed(Mnemonic.Paddb, simple("i8x16.add")),
  packed(Mnemonic.Paddw, simple("i16x8.add")),
  packed(Mnemonic.Paddd, simple("i32x4.add")),
  packed(Mnemonic.Paddq, simple("i64x2.add")),
  packed(Mnemonic.Psubb, simple("i8x16.sub")),
  packed(Mnemonic.Psubw, simple("i16x8.sub")),
  packed(Mnemonic.Psubd, simple("i32x4.sub")),
  packed(Mnemonic.Psubq, simple("i64x2.sub")),
  packed(Mnemonic.Paddsb, simple("i8x16.add_sat_s")),
  packed(Mnemonic.Paddsw, simple("i16x8.add_sat_s")),
  packed(Mnemonic.Paddusb, simple("i8x16.add_sat_u")),
  packed(Mnemonic.Paddusw, simple("i16x8.add_sat_u")),
  packed(Mnemonic.Psubsb, simple("i8x16.sub_sat_s")),
  packed(Mnemonic.Psubsw, simple("i16x8.sub_sat_s")),
  packed(Mnemonic.Psubusb, simple("i8x16.sub_sat_u")),
  packed(Mnemonic.Psubusw, simple("i16x8.sub_sat_u")),
  packed(Mnemonic.Pmullw, simple("i16x8.mul")),
  packed(Mnemonic.Pmulhw, highHalves("s")),
  packed(Mnemonic.Pmulhuw, highHalves("u")),
  packed(Mnemonic.Pmuludq, evenProducts),
  packed(Mnemonic.Pmaddwd, simple("i32x4.dot_i16x8_s")),
  packed(Mnemonic.Psadbw, sumOfDifferences),
  packed(Mnemonic.Pavgb, simple("i8x16.avgr_u")),
  packed(Mnemonic.Pavgw, simple("i16x8.avgr_u")),
  packed(Mnemonic.Pminub, simple("i8x16.min_u")),
  packed(Mnemonic.Pmaxub, simple("i8x16.max_u")),
  packed(Mnemonic.Pminsw, simple("i16x8.min_s")),
  packed(Mnemonic.Pmaxsw, simple("i16x8.max_s")),
  packed(Mnemonic.Pcmpeqb, simple("i8x16.eq")),
  packed(Mnemonic.Pcmpeqw, simple("i16x8.eq")),
  packed(Mnemonic.Pcmpeqd, simple("i32x4.eq")),
  packed(Mnemonic.Pcmpgtb, simple("i8x16.gt_s")),
  packed(Mnemonic.Pcmpgtw, simple("i16x8.gt_s")),
  packed(Mnemonic.Pcmpgtd, simple("i32x4.gt_s")),
  packed([Mnemonic.Pand, Mnemonic.Andps, Mnemonic.Andpd], simple("v128.and")),
  packed([Mnemonic.Por, Mnemonic.Orps, Mnemonic.Orpd], simple("v128.or")),
  packed([Mnemonic.Pxor, Mnemonic.Xorps, Mnemonic.Xorpd], simple("v128.xor")),
  packed([Mnemonic.Pandn, Mnemonic.Andnps, Mnemonic.Andnpd], (m, a, b) => m.simd("v128.andnot", b, a)),
  packed(Mnemonic.Packsswb, simple("i8x16.narrow_i16x8_s")),
  packed(Mnemonic.Packuswb, simple("i8x16.narrow_i16x8_u")),
  packed(Mnemonic.Packssdw, simple("i16x8.narrow_i32x4_s")),
  shifts(Mnemonic.Psllw, "i16x8", 16, "shl"),
  shifts(Mnemonic.Pslld, "i32x4", 32, "shl"),
  shifts(Mnemonic.Psllq, "i64x2", 64, "shl"),
  shifts(Mnemonic.Psrlw, "i16x8", 16, "shr_u"),
  shifts(Mnemonic.Psrld, "i32x4", 32, "shr_u"),
  shifts(Mnemonic.Psrlq, "i64x2", 64, "shr_u"),
  shifts(Mnemonic.Psraw, "i16x8", 16, "shr_s"),
  shifts(Mnemonic.Psrad, "i32x4", 32, "shr_s"),
] satisfies readonly Definition[] as readonly Definition[];
