// SSE and SSE2: moves, shuffles and unpacks of XMM registers. Intel SDM vol. 2, AMD APM vol. 4.
// Only the XMM forms: the MMX ones, which share mnemonics, have an operand of kind "mm".

import { Code, Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value, Vector, Width } from "./define.js";
import { none, RDI } from "./define.js";

export const xmmOnly = (_code: unknown, kinds: readonly Operand["kind"][]) => !kinds.includes("mm");
const zero = (m: Meaning): Vector => m.vectorConstant(0n, 0n);
/** The scalar in the low bits, zeros above. */
const alone = (m: Meaning, v: Value): Vector => m.withLane(zero(m), 0, v);

const copy = (m: Meaning, dst: Operand, src: Operand) => m.setVector(dst, m.getVector(src));

/** MOVSS and MOVSD: a load clears the rest of the register, a copy between registers keeps it. */
const moveLow = (width: 32 | 64) => (m: Meaning, dst: Operand, src: Operand) => {
  const v = m.getLow(src, width);
  if (m.isMemory(src)) m.setVector(dst, alone(m, v));
  else m.setLow(dst, v);
};

/** MOVD and MOVQ between an XMM register and a general register, memory or (MOVQ) another XMM register. */
const moveWord = (width: 32 | 64) => (m: Meaning, dst: Operand, src: Operand) => {
  const v = src.kind === "general" ? m.get(src) : m.getLow(src, width);
  if (dst.kind === "general") m.set(dst, v);
  else if (m.isMemory(dst)) m.setLow(dst, v);
  else m.setVector(dst, alone(m, v));
};

function moveHigh(m: Meaning, dst: Operand, src: Operand): void {
  if (m.isMemory(dst)) m.setLow(dst, m.lane(m.getVector(src), 64, 1));
  else m.setVector(dst, m.withLane(m.getVector(dst), 1, m.getLow(src, 64)));
}

/** Which source bytes make up the result; 16 and above are the second operand's. */
const shuffled = (bytes: readonly number[]) => (m: Meaning, dst: Operand, src: Operand) =>
  m.setVector(dst, m.shuffle(m.getVector(dst), m.getVector(src), bytes));

/** Interleaves elements of the low or high halves: 0, 16, 1, 17 ... for bytes. */
function unpack(bytes: number, high: boolean) {
  const order: number[] = [];
  for (let i = high ? 8 : 0; order.length < 16; i += bytes)
    for (const from of [0, 16]) for (let k = 0; k < bytes; k++) order.push(from + i + k);
  return shuffled(order);
}

// --- shuffles by an immediate: the forms are shared, so the order is computed when the instruction runs ---

const bits = (m: Meaning, v: Value, low: number, count: number): Value => m.bitsOf(v, low, count);

/** Byte numbers of `count` elements of `bytes` bytes, chosen by 2-bit (1-bit) fields of the immediate, in 64 bits. */
export function order(
  m: Meaning,
  imm: Value,
  fields: readonly { at: number; size: number }[],
  bytes: 2 | 4 | 8,
): Value {
  const ones = bytes === 2 ? 0x0101n : bytes === 4 ? 0x0101_0101n : 0x0101_0101_0101_0101n;
  const places = bytes === 2 ? 0x0100n : bytes === 4 ? 0x0302_0100n : 0x0706_0504_0302_0100n;
  let all: Value = m.constant(0, 64);
  fields.forEach(({ at, size }, i) => {
    const chosen = m.times(bits(m, imm, at, size), m.constant(ones * BigInt(bytes), 64));
    const element = m.plus(chosen, m.constant(places, 64));
    all = m.or(all, m.shiftLeft(element, m.constant(8 * bytes * i, 8)));
  });
  return all;
}
const pair = (m: Meaning, low: Value, high: Value): Vector => m.withLane(m.splat(low), 1, high);
export const immediate = (m: Meaning, o: Operand): Value => m.zeroExtend(m.get(o), 64);
export const field2 = (at: number) => ({ at, size: 2 });
const field1 = (at: number) => ({ at, size: 1 });
/** Above 15 a byte number selects zero. */
const NOTHING = 0x8080_8080_8080_8080n;

function pshufd(m: Meaning, dst: Operand, src: Operand, by: Operand): void {
  const imm = immediate(m, by);
  const indexes = pair(m, order(m, imm, [0, 2].map(field2), 4), order(m, imm, [4, 6].map(field2), 4));
  m.setVector(dst, m.simd("i8x16.swizzle", m.getVector(src), indexes));
}

const pshufHalf = (high: boolean) => (m: Meaning, dst: Operand, src: Operand, by: Operand) => {
  const imm = immediate(m, by);
  const chosen = order(m, imm, [0, 2, 4, 6].map(field2), 2);
  const indexes = high
    ? pair(m, m.constant(0x0706_0504_0302_0100n, 64), m.plus(chosen, m.constant(0x0808_0808_0808_0808n, 64)))
    : pair(m, chosen, m.constant(0x0f0e_0d0c_0b0a_0908n, 64));
  m.setVector(dst, m.simd("i8x16.swizzle", m.getVector(src), indexes));
};

/** SHUFPS and SHUFPD: the low half is chosen from the destination, the high half from the source. */
const shuffleFloats = (bytes: 4 | 8) => (m: Meaning, dst: Operand, src: Operand, by: Operand) => {
  const imm = immediate(m, by);
  const nothing = m.constant(NOTHING, 64);
  const [low, high] = bytes === 4 ? [[0, 2].map(field2), [4, 6].map(field2)] : [[field1(0)], [field1(1)]];
  const fromDst = m.simd("i8x16.swizzle", m.getVector(dst), pair(m, order(m, imm, low, bytes), nothing));
  const fromSrc = m.simd("i8x16.swizzle", m.getVector(src), pair(m, nothing, order(m, imm, high, bytes)));
  m.setVector(dst, m.simd("v128.or", fromDst, fromSrc));
};

/** PSLLDQ, PSRLDQ: by whole bytes; 16 and more clear the register. */
const shiftBytes = (left: boolean) => (m: Meaning, dst: Operand, by: Operand) => {
  const imm = m.get(by);
  const sixteen = m.constant(16, 8);
  const count = m.splat(m.select(m.lessUnsigned(imm, sixteen), imm, sixteen));
  const places = m.vectorConstant(0x0706_0504_0302_0100n, 0x0f0e_0d0c_0b0a_0908n);
  const indexes = m.simd(left ? "i8x16.sub" : "i8x16.add", places, count);
  m.setVector(dst, m.simd("i8x16.swizzle", m.getVector(dst), indexes));
};

function pinsrw(m: Meaning, dst: Operand, src: Operand, by: Operand): void {
  const word = m.truncate(m.get(src), 16);
  const chosen = m.splat(m.and(m.zeroExtend(m.get(by), 16), m.constant(7, 16)));
  const places = m.vectorConstant(0x0003_0002_0001_0000n, 0x0007_0006_0005_0004n);
  const mask = m.simd("i16x8.eq", places, chosen);
  m.setVector(dst, m.simd("v128.bitselect", m.splat(word), m.getVector(dst), mask));
}

function pextrw(m: Meaning, dst: Operand, src: Operand, by: Operand): void {
  const chosen = m.and(m.zeroExtend(m.get(by), 64), m.constant(7, 64));
  const indexes = m.splat(m.plus(m.times(chosen, m.constant(0x0202, 64)), m.constant(0x0100, 64)));
  const word = m.lane(m.simd("i8x16.swizzle", m.getVector(src), indexes), 16, 0);
  m.set(dst, m.zeroExtend(word, dst.width as Width));
}

const mask = (operation: string) => (m: Meaning, dst: Operand, src: Operand) =>
  m.set(dst, m.zeroExtend(m.simdToScalar(operation, m.getVector(src)), dst.width as Width));

/**
 * MASKMOVDQU, MASKMOVQ: a byte is stored where the mask's byte has its top bit; the others are not touched at all. Whether those
 * meet data breakpoints is open ("different processor implementations may signal or not signal these breakpoints", SDM vol. 2,
 * MASKMOVDQU): on AMD's processors it hangs on the mask in no way that is written down; here they meet none.
 */
export function maskedStore(m: Meaning, bytes: Vector, selector: Vector, count: 8 | 16): void {
  const chosen = m.simdToScalar("i8x16.bitmask", selector);
  const start = m.register(RDI, m.addressSize);
  // All bytes or none: what faults must do so before the first byte is stored, even when no byte is (which the
  // manual leaves open).
  for (let i = 0; i < count; i += 8) m.probe(m.segmentOf(), m.plus(start, m.constant(i, m.addressSize)), 64);
  for (let i = 0; i < count; i++)
    m.when(m.notEqual(m.bitsOf(chosen, i, 1), m.constant(0, 32)), () =>
      m.store(m.segmentOf(), m.plus(start, m.constant(i, m.addressSize)), m.lane(bytes, 8, i)),
    );
}

const vector = (
  op: Definition["op"],
  does: Definition["does"],
  access: Definition["access"],
): Definition => ({
  op,
  forms: xmmOnly,
  ...(access === undefined ? {} : { access }),
  flags: none,
  needs: "sse",
  aligned: true,
  does,
});
const scalar = (op: Definition["op"], does: Definition["does"], access: Definition["access"]): Definition => {
  const { aligned: _, ...row } = vector(op, does, access);
  return row;
};
const withXmm = (_code: unknown, kinds: readonly Operand["kind"][]) => kinds.includes("xmm");

export const sseMove = [
  vector([Mnemonic.Movaps, Mnemonic.Movapd, Mnemonic.Movdqa], copy, ["w", "r"]),
  vector([Mnemonic.Movntps, Mnemonic.Movntpd, Mnemonic.Movntdq], copy, ["w", "r"]),
  scalar([Mnemonic.Movups, Mnemonic.Movupd, Mnemonic.Movdqu], copy, ["w", "r"]),
  scalar(Mnemonic.Movss, moveLow(32), ["rw", "r"]),
  { ...scalar(Mnemonic.Movsd, moveLow(64), ["rw", "r"]), forms: withXmm },
  scalar([Mnemonic.Movlps, Mnemonic.Movlpd], (m, dst, src) => m.setLow(dst, m.getLow(src, 64)), ["rw", "r"]),
  scalar([Mnemonic.Movhps, Mnemonic.Movhpd], moveHigh, ["rw", "r"]),
  scalar(Mnemonic.Movhlps, shuffled([24, 25, 26, 27, 28, 29, 30, 31, 8, 9, 10, 11, 12, 13, 14, 15]), [
    "rw",
    "r",
  ]),
  scalar(Mnemonic.Movlhps, shuffled([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]), ["rw", "r"]),
  scalar(Mnemonic.Movd, moveWord(32), ["w", "r"]),
  scalar(Mnemonic.Movq, moveWord(64), ["w", "r"]),
  scalar(Mnemonic.Movmskps, mask("i32x4.bitmask"), ["w", "r"]),
  scalar(Mnemonic.Movmskpd, mask("i64x2.bitmask"), ["w", "r"]),
  scalar(Mnemonic.Pmovmskb, mask("i8x16.bitmask"), ["w", "r"]),
  scalar(
    Mnemonic.Maskmovdqu,
    (m, _target, data, selector) => maskedStore(m, m.getVector(data), m.getVector(selector), 16),
    ["w", "r", "r"],
  ),

  vector([Mnemonic.Punpcklbw], unpack(1, false), ["rw", "r"]),
  vector([Mnemonic.Punpcklwd], unpack(2, false), ["rw", "r"]),
  vector([Mnemonic.Punpckldq, Mnemonic.Unpcklps], unpack(4, false), ["rw", "r"]),
  vector([Mnemonic.Punpcklqdq, Mnemonic.Unpcklpd], unpack(8, false), ["rw", "r"]),
  vector([Mnemonic.Punpckhbw], unpack(1, true), ["rw", "r"]),
  vector([Mnemonic.Punpckhwd], unpack(2, true), ["rw", "r"]),
  vector([Mnemonic.Punpckhdq, Mnemonic.Unpckhps], unpack(4, true), ["rw", "r"]),
  vector([Mnemonic.Punpckhqdq, Mnemonic.Unpckhpd], unpack(8, true), ["rw", "r"]),
  vector(Mnemonic.Pshufd, pshufd, ["w", "r", "r"]),
  vector(Mnemonic.Pshuflw, pshufHalf(false), ["w", "r", "r"]),
  vector(Mnemonic.Pshufhw, pshufHalf(true), ["w", "r", "r"]),
  vector(Mnemonic.Shufps, shuffleFloats(4), ["rw", "r", "r"]),
  vector(Mnemonic.Shufpd, shuffleFloats(8), ["rw", "r", "r"]),
  scalar(Mnemonic.Pslldq, shiftBytes(true), ["rw", "r"]),
  scalar(Mnemonic.Psrldq, shiftBytes(false), ["rw", "r"]),
  scalar(Mnemonic.Pinsrw, pinsrw, ["rw", "r", "r"]),
  {
    ...scalar(Mnemonic.Pextrw, pextrw, ["w", "r", "r"]),
    // The other encoding, with a memory form, is SSE4.1's.
    forms: (code, kinds) =>
      code !== Code.Pextrw_r32m16_xmm_imm8 && code !== Code.Pextrw_r64m16_xmm_imm8 && xmmOnly(code, kinds),
  },
] satisfies readonly Definition[] as readonly Definition[];
