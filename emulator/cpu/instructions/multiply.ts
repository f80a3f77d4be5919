// Multiplication and division: MUL IMUL DIV IDIV. Intel SDM vol. 2. SF ZF AF PF are undefined after all of them;
// here they stay as they were.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value } from "./define.js";
import { OSZAPC, RAX, RDX } from "./define.js";

const DE = 0;

/** AX, or RDX:RAX as wide as the halves. */
function setPair(m: Meaning, high: Value, low: Value): void {
  if (low.width === 8) {
    const upper = m.shiftLeft(m.zeroExtend(high, 16), m.constant(8, 8));
    m.setRegister(RAX, m.or(upper, m.zeroExtend(low, 16)));
  } else {
    m.setRegister(RAX, low);
    m.setRegister(RDX, high);
  }
}

/** CF and OF tell that the low half alone is not the product. */
function setOverflow(m: Meaning, lost: Value): void {
  m.setFlag("CF", lost);
  m.setFlag("OF", lost);
}

const sign = (m: Meaning, v: Value) => m.shiftRightSigned(v, m.constant(v.width - 1, 8));

function multiply(m: Meaning, src: Operand): void {
  const a = m.get(src);
  const b = m.register(RAX, a.width);
  const high = m.timesHighUnsigned(a, b);
  setOverflow(m, m.notEqual(high, m.constant(0, a.width)));
  setPair(m, high, m.times(a, b));
}

function multiplySigned(m: Meaning, src: Operand): void {
  const a = m.get(src);
  const b = m.register(RAX, a.width);
  const high = m.timesHighSigned(a, b);
  const low = m.times(a, b);
  setOverflow(m, m.notEqual(high, sign(m, low)));
  setPair(m, high, low);
}

/** IMUL r, r/m and IMUL r, r/m, imm: the low half only. */
function multiplyTruncated(m: Meaning, dst: Operand, src: Operand, factor?: Operand): void {
  const a = m.get(src);
  const b = m.get(factor ?? dst);
  const low = m.times(a, b);
  setOverflow(m, m.notEqual(m.timesHighSigned(a, b), sign(m, low)));
  m.set(dst, low);
}

const divide = (signed: boolean) => (m: Meaning, src: Operand) => {
  const divisor = m.get(src);
  const { width } = divisor;
  m.faultWhen(m.isZero(divisor), DE);
  const low = m.register(RAX, width);
  const high =
    width === 8 ? m.truncate(m.shiftRight(m.register(RAX, 16), m.constant(8, 8)), 8) : m.register(RDX, width);
  const { quotient, remainder, overflow } = m.divide(high, low, divisor, signed);
  m.faultWhen(overflow, DE);
  setPair(m, remainder, quotient);
};

export const multiplication = [
  { op: Mnemonic.Mul, access: ["r"], flags: OSZAPC, does: multiply },
  {
    op: Mnemonic.Imul,
    forms: (_code, kinds) => kinds.length === 1,
    access: ["r"],
    flags: OSZAPC,
    does: multiplySigned,
  },
  {
    op: Mnemonic.Imul,
    forms: (_code, kinds) => kinds.length === 2,
    access: ["rw", "r"],
    flags: OSZAPC,
    does: (m, dst, src) => multiplyTruncated(m, dst, src),
  },
  { op: Mnemonic.Imul, access: ["w", "r", "r"], flags: OSZAPC, does: multiplyTruncated },
  { op: Mnemonic.Div, access: ["r"], flags: OSZAPC, does: divide(false) },
  { op: Mnemonic.Idiv, access: ["r"], flags: OSZAPC, does: divide(true) },
] satisfies readonly Definition[] as readonly Definition[];
