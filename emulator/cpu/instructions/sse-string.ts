// SSE4.2: comparisons of strings within XMM registers, and CRC32. Intel SDM vol. 1, 12.9.1; vol. 2, 4.1 (the immediate
// byte). The microcode (microcode/text.ts) compares; here are operands, results and flags.

import { Mnemonic } from "../../iced.js";
import { CRC_TABLE_BYTES, CRC_TABLES } from "../layout.js";
import {
  type Definition,
  type Meaning,
  none,
  type Operand,
  OSZAPC,
  RAX,
  RCX,
  RDX,
  type Value,
  type Width,
} from "./define.js";

/** What the microcode's result holds above its 16 bits of IntRes2. */
const ENDS_AT = { first: 16, second: 17 } as const;

/** A string's explicit length: the magnitude of EAX or EDX, as far as 16 elements. */
function explicitLength(m: Meaning, length: Value): Value {
  const magnitude = m.select(m.signBit(length), m.minus(m.constant(0, length.width), length), length);
  const most = m.constant(16, length.width);
  return m.zeroExtend(m.select(m.lessUnsigned(magnitude, most), magnitude, most), 64);
}

/** IntRes2, and sets the flags. The length's width is 0 for strings that end at a null. */
function compare(m: Meaning, dst: Operand, src: Operand, by: Operand, lengthWidth: 0 | 32 | 64): Value {
  const first = m.getVector(dst);
  const second = m.getVector(src);
  let control = m.zeroExtend(m.get(by), 64);
  if (lengthWidth !== 0) {
    const lengths = [m.register(RAX, lengthWidth), m.register(RDX, lengthWidth)];
    lengths.forEach((length, i) => {
      control = m.or(control, m.shiftLeft(explicitLength(m, length), m.constant(8 + 8 * i, 8)));
    });
  }
  const result = m.assist(
    lengthWidth === 0 ? "compareText" : "compareStrings",
    m.lane(first, 64, 0),
    m.lane(first, 64, 1),
    m.lane(second, 64, 0),
    m.lane(second, 64, 1),
    control,
  );
  const bits = m.truncate(result, 16);
  m.setFlag("CF", m.notEqual(bits, m.constant(0, 16)));
  m.setFlag("ZF", m.truncate(m.bitsOf(result, ENDS_AT.second, 1), 8));
  m.setFlag("SF", m.truncate(m.bitsOf(result, ENDS_AT.first, 1), 8));
  m.setFlag("OF", m.truncate(m.bitsOf(bits, 0, 1), 8));
  m.setFlag("AF", m.constant(0, 8));
  m.setFlag("PF", m.constant(0, 8));
  return bits;
}

const ELEMENTS_ARE_WORDS = 0;
const OUTPUT = 6;

/** PCMPESTRI, PCMPISTRI: the first or the last set bit's number; without one, the number of elements. */
const toIndex = (lengthWidth: 0 | 32 | 64) => (m: Meaning, dst: Operand, src: Operand, by: Operand) => {
  const bits = m.zeroExtend(compare(m, dst, src, by, lengthWidth), 32);
  const imm = m.get(by);
  const words = m.bitsOf(imm, ELEMENTS_ARE_WORDS, 1);
  const elements = m.select(words, m.constant(8, 32), m.constant(16, 32));
  const last = m.minus(m.constant(31, 32), m.countLeadingZeros(bits));
  const index = m.select(m.bitsOf(imm, OUTPUT, 1), last, m.countTrailingZeros(bits));
  m.setRegister(RCX, m.select(m.isZero(bits), elements, index));
};

/** PCMPESTRM, PCMPISTRM: the bits, or a mask of whole elements. */
const toMask = (lengthWidth: 0 | 32 | 64) => (m: Meaning, dst: Operand, src: Operand, by: Operand) => {
  const bits = compare(m, dst, src, by, lengthWidth);
  const imm = m.get(by);
  const alone = m.withLane(m.vectorConstant(0n, 0n), 0, bits);
  const ofWords = m.vectorConstant(0x0008_0004_0002_0001n, 0x0080_0040_0020_0010n);
  const words = m.simd("i16x8.eq", m.simd("v128.and", m.splat(bits), ofWords), ofWords);
  const ofBytes = m.vectorConstant(0x8040_2010_0804_0201n, 0x8040_2010_0804_0201n);
  const halves = m.shuffle(alone, alone, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
  const bytes = m.simd("i8x16.eq", m.simd("v128.and", halves, ofBytes), ofBytes);
  const mask = m.selectVector(m.bitsOf(imm, ELEMENTS_ARE_WORDS, 1), words, bytes);
  m.setXmm0(m.selectVector(m.bitsOf(imm, OUTPUT, 1), mask, alone));
};

/** Memory operands need no alignment. */
const row = (op: Mnemonic, does: Definition["does"]): Definition => ({
  op,
  access: ["r", "r", "r"],
  flags: OSZAPC,
  needs: "sse",
  does,
});

/** Each byte by the table of how many follow it (layout.ts). What the sum so far has no part in comes first: sums wait for each other. */
function checksum(m: Meaning, sum: Value, data: Value): Value {
  const bytes = data.width / 8;
  const byte = (of: Value, number: number): Value =>
    m.tableWord(CRC_TABLES + (bytes - 1 - number) * CRC_TABLE_BYTES, m.bitsOf(of, 8 * number, 8));
  const all = (values: Value[]): Value => values.reduce((a, b) => m.xor(a, b));
  const summed = Math.min(bytes, 4);
  const rest = Array.from({ length: bytes - summed }, (_, i) => byte(data, summed + i));
  const above = bytes < 4 ? [m.shiftRight(sum, m.constant(8 * bytes, 8))] : [];
  const apart = [...rest, ...above];
  const width = (8 * summed) as Width;
  const low = m.xor(m.truncate(sum, width), m.truncate(data, width));
  const together = all(Array.from({ length: summed }, (_, i) => byte(low, i)));
  return apart.length === 0 ? together : m.xor(all(apart), together);
}

export const sseString = [
  row(Mnemonic.Pcmpistri, toIndex(0)),
  row(Mnemonic.Pcmpestri, toIndex(32)),
  row(Mnemonic.Pcmpestri64, toIndex(64)),
  row(Mnemonic.Pcmpistrm, toMask(0)),
  row(Mnemonic.Pcmpestrm, toMask(32)),
  row(Mnemonic.Pcmpestrm64, toMask(64)),
  {
    op: Mnemonic.Crc32, // of general registers: neither CR0 nor CR4 has a say
    access: ["rw", "r"],
    flags: none,
    does: (m, dst, src) => {
      const v = m.get(src);
      m.set(dst, m.zeroExtend(checksum(m, m.truncate(m.get(dst), 32), v), dst.width as Width));
    },
  },
] satisfies readonly Definition[] as readonly Definition[];
