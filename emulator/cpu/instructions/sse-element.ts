// SSE3 to SSE4.1: elements of XMM registers taken out, put in, chosen between, widened, and moved about by a number of
// bytes. Intel SDM vol. 2, AMD APM vol. 4.
// Forms are shared between immediates, so what an immediate chooses is computed when the instruction runs.

import { Code, Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value, Vector, Width } from "./define.js";
import { none } from "./define.js";
import { xmmOnly } from "./sse-move.js";

const SHAPE: Record<Width, string> = { 8: "i8x16", 16: "i16x8", 32: "i32x4", 64: "i64x2" };

/** The number of each element, in each element. */
const NUMBERS: Record<Width, readonly [bigint, bigint]> = {
  8: [0x0706_0504_0302_0100n, 0x0f0e_0d0c_0b0a_0908n],
  16: [0x0003_0002_0001_0000n, 0x0007_0006_0005_0004n],
  32: [0x0000_0001_0000_0000n, 0x0000_0003_0000_0002n],
  64: [0n, 1n],
};
/** Element n has bit n alone. */
const BITS: Record<16 | 32 | 64, readonly [bigint, bigint]> = {
  16: [0x0008_0004_0002_0001n, 0x0080_0040_0020_0010n],
  32: [0x0000_0002_0000_0001n, 0x0000_0008_0000_0004n],
  64: [1n, 2n],
};

const countOf = (width: Width): number => 128 / width;
const byteNumbers = (m: Meaning): Vector => m.vectorConstant(...NUMBERS[8]);

/** The element whose number is in the low bits of `index`. */
function extract(m: Meaning, v: Vector, width: Width, index: Value): Value {
  const bytes = width / 8;
  const first = m.times(m.and(index, m.constant(countOf(width) - 1, 8)), m.constant(bytes, 8));
  const order = m.simd("i8x16.add", byteNumbers(m), m.splat(first));
  return m.lane(m.simd("i8x16.swizzle", v, order), width, 0);
}

/** The vector with that element replaced. */
function insert(m: Meaning, v: Vector, element: Value, index: Value): Vector {
  const { width } = element;
  const chosen = m.and(m.zeroExtend(index, width), m.constant(countOf(width) - 1, width));
  const there = m.simd(`${SHAPE[width]}.eq`, m.vectorConstant(...NUMBERS[width]), m.splat(chosen));
  return m.simd("v128.bitselect", m.splat(element), v, there);
}

/** All ones in the elements whose bits are set in the immediate. */
export function chosenElements(m: Meaning, imm: Value, width: 16 | 32 | 64): Vector {
  const bits = m.vectorConstant(...BITS[width]);
  const set = m.simd("v128.and", m.splat(m.zeroExtend(imm, width)), bits);
  return m.simd(`${SHAPE[width]}.eq`, set, bits);
}

const extraction = (width: Width) => (m: Meaning, dst: Operand, src: Operand, by: Operand) =>
  m.set(dst, m.zeroExtend(extract(m, m.getVector(src), width, m.get(by)), dst.width as Width));

const insertion = (width: Width) => (m: Meaning, dst: Operand, src: Operand, by: Operand) =>
  m.setVector(dst, insert(m, m.getVector(dst), m.truncate(m.get(src), width), m.get(by)));

/** INSERTPS: bits 7:6 choose from a register, 5:4 the place, 3:0 what becomes zero. */
function insertSingle(m: Meaning, dst: Operand, src: Operand, by: Operand): void {
  const imm = m.get(by);
  const element = m.isMemory(src) ? m.get(src) : extract(m, m.getVector(src), 32, m.bitsOf(imm, 6, 2));
  const inserted = insert(m, m.getVector(dst), element, m.bitsOf(imm, 4, 2));
  m.setVector(dst, m.simd("v128.andnot", inserted, chosenElements(m, m.bitsOf(imm, 0, 4), 32)));
}

const blendByImmediate = (width: 16 | 32 | 64) => (m: Meaning, dst: Operand, src: Operand, by: Operand) => {
  const chosen = chosenElements(m, m.get(by), width);
  m.setVector(dst, m.simd("v128.bitselect", m.getVector(src), m.getVector(dst), chosen));
};
/** By the top bits of XMM0's elements. */
const blendByXmm0 = (width: 8 | 32 | 64) => (m: Meaning, dst: Operand, src: Operand) => {
  const chosen = m.simd(`${SHAPE[width]}.shr_s`, m.xmm0(), m.constant(width - 1, 32));
  m.setVector(dst, m.simd("v128.bitselect", m.getVector(src), m.getVector(dst), chosen));
};

/** PALIGNR: 16 bytes out of both operands, the destination above the source. */
function alignRight(m: Meaning, dst: Operand, src: Operand, by: Operand): void {
  const count = m.get(by);
  const fromSrc = m.simd("i8x16.add_sat_u", byteNumbers(m), m.splat(count));
  const fromDst = m.simd("i8x16.sub", fromSrc, m.splat(m.constant(16, 8)));
  const low = m.simd("i8x16.swizzle", m.getVector(src), fromSrc);
  m.setVector(dst, m.simd("v128.or", low, m.simd("i8x16.swizzle", m.getVector(dst), fromDst)));
}

/** MPSADBW: four bytes of the source against the destination's at eight places, sums of absolute differences. */
function sumsAtEightPlaces(m: Meaning, dst: Operand, src: Operand, by: Operand): void {
  const imm = m.get(by);
  const four = m.splat(extract(m, m.getVector(src), 32, imm));
  const start = m.times(m.bitsOf(imm, 2, 1), m.constant(4, 8));
  const order = m.simd("i8x16.add", byteNumbers(m), m.splat(start));
  const row = m.simd("i8x16.swizzle", m.getVector(dst), order);
  let sums = m.vectorConstant(0n, 0n);
  for (let k = 0; k < 4; k++) {
    const a = m.shuffle(
      row,
      row,
      Array.from({ length: 16 }, (_, i) => (i + k) & 15),
    );
    const b = m.shuffle(four, four, new Array<number>(16).fill(k));
    const difference = m.simd("i8x16.sub", m.simd("i8x16.max_u", a, b), m.simd("i8x16.min_u", a, b));
    sums = m.simd("i16x8.add", sums, m.simd("i16x8.extend_low_i8x16_u", difference));
  }
  m.setVector(dst, sums);
}

/** PMOVSX, PMOVZX: the source has as many elements as the result. */
const widening =
  (from: 8 | 16 | 32, to: 16 | 32 | 64, sign: "s" | "u") => (m: Meaning, dst: Operand, src: Operand) => {
    let v = m.isMemory(src) ? m.withLane(m.vectorConstant(0n, 0n), 0, m.get(src)) : m.getVector(src);
    for (let width: Width = from; width < to; width = (2 * width) as Width)
      v = m.simd(`${SHAPE[(2 * width) as Width]}.extend_low_${SHAPE[width]}_${sign}`, v);
    m.setVector(dst, v);
  };

const duplicate = (odd: 0 | 1) => (m: Meaning, dst: Operand, src: Operand) => {
  const v = m.getVector(src);
  const order = Array.from({ length: 16 }, (_, i) => 8 * (i >> 3) + 4 * odd + (i & 3));
  m.setVector(dst, m.shuffle(v, v, order));
};

const row = (
  op: Definition["op"],
  access: NonNullable<Definition["access"]>,
  does: Definition["does"],
): Definition => ({ op, forms: xmmOnly, access, flags: none, needs: "sse", does });
const aligned = (
  op: Definition["op"],
  access: NonNullable<Definition["access"]>,
  does: Definition["does"],
): Definition => ({ ...row(op, access, does), aligned: true });

const copy = (m: Meaning, dst: Operand, src: Operand) => m.setVector(dst, m.getVector(src));

export const sseElement = [
  // SSE3
  row(Mnemonic.Lddqu, ["w", "r"], copy),
  row(Mnemonic.Movddup, ["w", "r"], (m, dst, src) => m.setVector(dst, m.splat(m.getLow(src, 64)))),
  aligned(Mnemonic.Movsldup, ["w", "r"], duplicate(0)),
  aligned(Mnemonic.Movshdup, ["w", "r"], duplicate(1)),
  // SSSE3
  aligned(Mnemonic.Palignr, ["rw", "r", "r"], alignRight),
  // SSE4.1
  aligned(Mnemonic.Movntdqa, ["w", "r"], copy),
  row(Mnemonic.Pextrb, ["w", "r", "r"], extraction(8)),
  {
    ...row(Mnemonic.Pextrw, ["w", "r", "r"], extraction(16)),
    forms: (code) => code === Code.Pextrw_r32m16_xmm_imm8 || code === Code.Pextrw_r64m16_xmm_imm8,
  },
  row([Mnemonic.Pextrd, Mnemonic.Extractps], ["w", "r", "r"], extraction(32)),
  row(Mnemonic.Pextrq, ["w", "r", "r"], extraction(64)),
  row(Mnemonic.Pinsrb, ["rw", "r", "r"], insertion(8)),
  row(Mnemonic.Pinsrd, ["rw", "r", "r"], insertion(32)),
  row(Mnemonic.Pinsrq, ["rw", "r", "r"], insertion(64)),
  row(Mnemonic.Insertps, ["rw", "r", "r"], insertSingle),
  aligned(Mnemonic.Blendps, ["rw", "r", "r"], blendByImmediate(32)),
  aligned(Mnemonic.Blendpd, ["rw", "r", "r"], blendByImmediate(64)),
  aligned(Mnemonic.Pblendw, ["rw", "r", "r"], blendByImmediate(16)),
  aligned(Mnemonic.Blendvps, ["rw", "r"], blendByXmm0(32)),
  aligned(Mnemonic.Blendvpd, ["rw", "r"], blendByXmm0(64)),
  aligned(Mnemonic.Pblendvb, ["rw", "r"], blendByXmm0(8)),
  aligned(Mnemonic.Mpsadbw, ["rw", "r", "r"], sumsAtEightPlaces),
  row(Mnemonic.Pmovsxbw, ["w", "r"], widening(8, 16, "s")),
  row(Mnemonic.Pmovsxbd, ["w", "r"], widening(8, 32, "s")),
  row(Mnemonic.Pmovsxbq, ["w", "r"], widening(8, 64, "s")),
  row(Mnemonic.Pmovsxwd, ["w", "r"], widening(16, 32, "s")),
  row(Mnemonic.Pmovsxwq, ["w", "r"], widening(16, 64, "s")),
  row(Mnemonic.Pmovsxdq, ["w", "r"], widening(32, 64, "s")),
  row(Mnemonic.Pmovzxbw, ["w", "r"], widening(8, 16, "u")),
  row(Mnemonic.Pmovzxbd, ["w", "r"], widening(8, 32, "u")),
  row(Mnemonic.Pmovzxbq, ["w", "r"], widening(8, 64, "u")),
  row(Mnemonic.Pmovzxwd, ["w", "r"], widening(16, 32, "u")),
  row(Mnemonic.Pmovzxwq, ["w", "r"], widening(16, 64, "u")),
  row(Mnemonic.Pmovzxdq, ["w", "r"], widening(32, 64, "u")),
] satisfies readonly Definition[] as readonly Definition[];
