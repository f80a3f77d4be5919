// Shifts and rotates: SHL SHR SAR ROL ROR RCL RCR SHLD SHRD. Intel SDM vol. 2. Counts are taken modulo 32, or 64 for
// 64-bit operands; a count of 0 leaves every flag alone. Where the manual leaves a flag undefined (OF for counts
// above 1, AF always) the general formula stands.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value } from "./define.js";
import { OSZAPC } from "./define.js";

const byte = (m: Meaning, n: number) => m.constant(n, 8);

/** The count, width 8, as the processor masks it. */
const masked = (m: Meaning, count: Operand, width: number): Value =>
  m.and(m.get(count), byte(m, width === 64 ? 63 : 31));

const lowBit = (m: Meaning, v: Value): Value => m.truncate(m.and(v, m.constant(1, v.width)), 8);
/** The bit below the sign bit, width 8. */
const secondBit = (m: Meaning, v: Value): Value => m.signBit(m.shiftLeft(v, byte(m, 1)));

/** Flags of a shift: SF ZF PF of the result, AF 0; all of them stay when the count is 0. */
function shiftFlags(m: Meaning, result: Value, carry: Value, overflow: Value, count: Value): void {
  m.setResultFlags(result);
  m.setFlag("CF", carry);
  m.setFlag("OF", overflow);
  m.setFlag("AF", byte(m, 0));
  m.keepFlagsUnless(m.notEqual(count, byte(m, 0)));
}
/** Flags of a rotate: CF and OF only. */
function rotateFlags(m: Meaning, carry: Value, overflow: Value, count: Value): void {
  m.setFlag("CF", carry);
  m.setFlag("OF", overflow);
  m.keepFlagsUnless(m.notEqual(count, byte(m, 0)));
}

function shl(m: Meaning, dst: Operand, by: Operand): void {
  const a = m.get(dst);
  const count = masked(m, by, a.width);
  const result = m.shiftLeft(a, count);
  const carry = m.signBit(m.shiftLeft(a, m.minus(count, byte(m, 1))));
  shiftFlags(m, result, carry, m.xor(m.signBit(result), carry), count);
  m.set(dst, result);
}

function shr(m: Meaning, dst: Operand, by: Operand): void {
  const a = m.get(dst);
  const count = masked(m, by, a.width);
  const result = m.shiftRight(a, count);
  shiftFlags(m, result, lowBit(m, m.shiftRight(a, m.minus(count, byte(m, 1)))), m.signBit(a), count);
  m.set(dst, result);
}

function sar(m: Meaning, dst: Operand, by: Operand): void {
  const a = m.get(dst);
  const count = masked(m, by, a.width);
  const result = m.shiftRightSigned(a, count);
  const carry = lowBit(m, m.shiftRightSigned(a, m.minus(count, byte(m, 1))));
  shiftFlags(m, result, carry, byte(m, 0), count);
  m.set(dst, result);
}

function rol(m: Meaning, dst: Operand, by: Operand): void {
  const a = m.get(dst);
  const count = masked(m, by, a.width);
  const result = m.rotateLeft(a, count);
  const carry = lowBit(m, result);
  rotateFlags(m, carry, m.xor(m.signBit(result), carry), count);
  m.set(dst, result);
}

function ror(m: Meaning, dst: Operand, by: Operand): void {
  const a = m.get(dst);
  const count = masked(m, by, a.width);
  const result = m.rotateLeft(a, m.minus(byte(m, 64), count)); // 64 is a multiple of every width
  const carry = m.signBit(result);
  rotateFlags(m, carry, m.xor(carry, secondBit(m, result)), count);
  m.set(dst, result);
}

/** The count of a rotate through carry, whose period is the width + 1: only 8 and 16 bits need reducing. */
function throughCarry(m: Meaning, by: Operand, width: number): Value {
  let count = masked(m, by, width);
  const period = byte(m, width + 1);
  for (let most = 31; width < 32 && most > width; most -= width + 1)
    count = m.select(m.lessUnsigned(count, period), count, m.minus(count, period));
  return count;
}

function rcl(m: Meaning, dst: Operand, by: Operand): void {
  const a = m.get(dst);
  const { width } = a;
  const count = throughCarry(m, by, width);
  const less = m.minus(count, byte(m, 1));
  // a << c, the old carry below it, and below that the high bits of a, in two steps as one might be of 64 places
  const wrapped = m.shiftRight(m.shiftRight(a, byte(m, 1)), m.minus(byte(m, width), count));
  const carryIn = m.shiftLeft(m.zeroExtend(m.flag("CF"), width), less);
  const result = m.select(m.isZero(count), a, m.or(m.shiftLeft(a, count), m.or(carryIn, wrapped)));
  const carry = m.signBit(m.shiftLeft(a, less));
  rotateFlags(m, carry, m.xor(m.signBit(result), carry), count);
  m.set(dst, result);
}

function rcr(m: Meaning, dst: Operand, by: Operand): void {
  const a = m.get(dst);
  const { width } = a;
  const count = throughCarry(m, by, width);
  const wrapped = m.shiftLeft(m.shiftLeft(a, byte(m, 1)), m.minus(byte(m, width), count));
  const carryIn = m.shiftLeft(m.zeroExtend(m.flag("CF"), width), m.minus(byte(m, width), count));
  const result = m.select(m.isZero(count), a, m.or(m.shiftRight(a, count), m.or(carryIn, wrapped)));
  const carry = lowBit(m, m.shiftRight(a, m.minus(count, byte(m, 1))));
  rotateFlags(m, carry, m.xor(m.signBit(result), secondBit(m, result)), count);
  m.set(dst, result);
}

/**
 * SHLD and SHRD. With 16-bit operands a count above 16 is undefined in the manual; processors shift the 48 bits
 * dst:src:dst, and so does this: the second word moves in, then the first again.
 */
function shld(m: Meaning, dst: Operand, src: Operand, by: Operand): void {
  const a = m.get(dst);
  const b = m.get(src);
  const { width } = a;
  const count = masked(m, by, width);
  let result: Value;
  let carry: Value;
  if (width === 16) {
    const joined = joined48(m, a, b);
    const shifted = m.shiftLeft(joined, count);
    result = m.truncate(m.shiftRight(shifted, byte(m, 32)), 16);
    carry = m.truncate(m.bitsOf(shifted, 48, 1), 8);
  } else {
    const wrapped = m.shiftRight(m.shiftRight(b, byte(m, 1)), m.minus(byte(m, width - 1), count));
    result = m.or(m.shiftLeft(a, count), wrapped);
    carry = m.signBit(m.shiftLeft(a, m.minus(count, byte(m, 1))));
  }
  shiftFlags(m, result, carry, m.xor(m.signBit(a), m.signBit(result)), count);
  m.set(dst, result);
}

function shrd(m: Meaning, dst: Operand, src: Operand, by: Operand): void {
  const a = m.get(dst);
  const b = m.get(src);
  const { width } = a;
  const count = masked(m, by, width);
  let result: Value;
  let carry: Value;
  const less = m.minus(count, byte(m, 1));
  if (width === 16) {
    const joined = joined48(m, a, b);
    result = m.truncate(m.shiftRight(joined, count), 16);
    carry = m.truncate(m.and(m.shiftRight(joined, less), m.constant(1, 64)), 8);
  } else {
    const wrapped = m.shiftLeft(m.shiftLeft(b, byte(m, 1)), m.minus(byte(m, width - 1), count));
    result = m.or(m.shiftRight(a, count), wrapped);
    carry = lowBit(m, m.shiftRight(a, less));
  }
  shiftFlags(m, result, carry, m.xor(m.signBit(a), m.signBit(result)), count);
  m.set(dst, result);
}

/** a:b:a in the low 48 bits. */
function joined48(m: Meaning, a: Value, b: Value): Value {
  const wide = m.zeroExtend(a, 64);
  const middle = m.shiftLeft(m.zeroExtend(b, 64), byte(m, 16));
  return m.or(m.or(m.shiftLeft(wide, byte(m, 32)), middle), wide);
}

export const shift = [
  { op: [Mnemonic.Shl, Mnemonic.Sal], access: ["rw", "r"], flags: OSZAPC, does: shl },
  { op: Mnemonic.Shr, access: ["rw", "r"], flags: OSZAPC, does: shr },
  { op: Mnemonic.Sar, access: ["rw", "r"], flags: OSZAPC, does: sar },
  { op: Mnemonic.Rol, access: ["rw", "r"], flags: "CF OF", does: rol },
  { op: Mnemonic.Ror, access: ["rw", "r"], flags: "CF OF", does: ror },
  { op: Mnemonic.Rcl, access: ["rw", "r"], flags: "CF OF", does: rcl },
  { op: Mnemonic.Rcr, access: ["rw", "r"], flags: "CF OF", does: rcr },
  { op: Mnemonic.Shld, access: ["rw", "r", "r"], flags: OSZAPC, does: shld },
  { op: Mnemonic.Shrd, access: ["rw", "r", "r"], flags: OSZAPC, does: shrd },
] satisfies readonly Definition[] as readonly Definition[];
