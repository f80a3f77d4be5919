// Decimal adjustments, of legacy modes only: DAA DAS AAA AAS AAM AAD. Intel SDM vol. 2.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value } from "./define.js";
import { OSZAPC, RAX } from "./define.js";

const DE = 0;

const byte = (m: Meaning, n: number) => m.constant(n, 8);
/** The low digit is above 9, or AF says that it left its four bits. */
function lowDigitIsOff(m: Meaning): Value {
  const digit = m.and(m.register(RAX, 8), byte(m, 0x0f));
  return m.or(m.lessUnsigned(byte(m, 9), digit), m.flag("AF"));
}

const adjustPacked = (subtract: boolean) => (m: Meaning) => {
  const old = m.register(RAX, 8);
  const lowOff = lowDigitIsOff(m);
  const highOff = m.or(m.lessUnsigned(byte(m, 0x99), old), m.flag("CF"));
  const zero = byte(m, 0);
  const correction = m.or(m.select(lowOff, byte(m, 0x06), zero), m.select(highOff, byte(m, 0x60), zero));
  const result = subtract ? m.minus(old, correction) : m.plus(old, correction);
  m.setRegister(RAX, result);
  m.setResultFlags(result);
  // Only DAS can borrow out of the byte in its first step without being above 99h.
  const borrowed = m.and(lowOff, m.lessUnsigned(old, byte(m, 6)));
  m.setFlag("CF", subtract ? m.or(highOff, borrowed) : highOff);
  m.setFlag("AF", lowOff);
};

const adjustUnpacked = (subtract: boolean) => (m: Meaning) => {
  const off = lowDigitIsOff(m);
  const old = m.register(RAX, 16);
  const six = m.constant(0x106, 16);
  const adjusted = m.select(off, subtract ? m.minus(old, six) : m.plus(old, six), old);
  m.setRegister(RAX, m.and(adjusted, m.constant(0xff0f, 16)));
  m.setFlag("CF", off);
  m.setFlag("AF", off);
};

function aam(m: Meaning, base: Operand): void {
  const divisor = m.get(base);
  m.faultWhen(m.isZero(divisor), DE);
  const { quotient, remainder } = m.divide(byte(m, 0), m.register(RAX, 8), divisor, false);
  const high = m.shiftLeft(m.zeroExtend(quotient, 16), byte(m, 8));
  m.setRegister(RAX, m.or(high, m.zeroExtend(remainder, 16)));
  m.setResultFlags(remainder);
}

function aad(m: Meaning, base: Operand): void {
  const high = m.truncate(m.shiftRight(m.register(RAX, 16), byte(m, 8)), 8);
  const result = m.plus(m.register(RAX, 8), m.times(high, m.get(base)));
  m.setRegister(RAX, m.zeroExtend(result, 16));
  m.setResultFlags(result);
}

export const decimal = [
  { op: Mnemonic.Daa, access: [], only: "legacy", flags: OSZAPC, does: adjustPacked(false) },
  { op: Mnemonic.Das, access: [], only: "legacy", flags: OSZAPC, does: adjustPacked(true) },
  { op: Mnemonic.Aaa, access: [], only: "legacy", flags: OSZAPC, does: adjustUnpacked(false) },
  { op: Mnemonic.Aas, access: [], only: "legacy", flags: OSZAPC, does: adjustUnpacked(true) },
  { op: Mnemonic.Aam, access: ["r"], only: "legacy", flags: OSZAPC, does: aam },
  { op: Mnemonic.Aad, access: ["r"], only: "legacy", flags: OSZAPC, does: aad },
] satisfies readonly Definition[] as readonly Definition[];
