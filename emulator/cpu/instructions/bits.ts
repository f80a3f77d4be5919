// Bits: BT BTS BTR BTC, scans and counts. Intel SDM vol. 2, AMD APM vol. 3.
// A register bit offset into memory is signed and reaches beyond the operand: it moves the address by whole words.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value } from "./define.js";
import { OSZAPC } from "./define.js";

type Change = (m: Meaning, word: Value, mask: Value) => Value;

function bitTest(change?: Change) {
  return (m: Meaning, base: Operand, offset: Operand): void => {
    const width = base.width as 16 | 32 | 64;
    const index = m.get(offset); // an imm8 comes sign-extended; only its low bits count
    const place = m.and(index, m.constant(width - 1, index.width));
    let operand = base;
    if (m.isMemory(base) && offset.kind === "general") {
      const words = m.shiftRightSigned(index, m.constant(Math.log2(width), 8));
      const bytes = m.shiftLeft(m.signExtend(words, 64), m.constant(Math.log2(width / 8), 8));
      operand = m.displaced(base, bytes);
    }
    const word = m.get(operand);
    m.setFlag("CF", m.truncate(m.and(m.shiftRight(word, place), m.constant(1, width)), 8));
    if (change === undefined) return;
    m.set(operand, change(m, word, m.shiftLeft(m.constant(1, width), place)));
  };
}

/** BSF and BSR leave the whole destination alone when the source is 0 (AMD's promise, Intel's practice). */
function scan(position: (m: Meaning, v: Value) => Value) {
  return (m: Meaning, dst: Operand, src: Operand): void => {
    const v = m.get(src);
    m.setResultFlags(v); // ZF is defined, the others are not
    m.when(m.notEqual(v, m.constant(0, v.width)), () => m.set(dst, position(m, v)));
  };
}
const forward = scan((m, v) => m.countTrailingZeros(v));
const reverse = scan((m, v) => m.minus(m.constant(v.width - 1, v.width), m.countLeadingZeros(v)));

export const bits = [
  { op: Mnemonic.Bt, access: ["r", "r"], flags: "CF PF AF SF OF", does: bitTest() },
  {
    op: Mnemonic.Bts,
    access: ["rw", "r"],
    lock: true,
    flags: "CF PF AF SF OF",
    does: bitTest((m, word, mask) => m.or(word, mask)),
  },
  {
    op: Mnemonic.Btr,
    access: ["rw", "r"],
    lock: true,
    flags: "CF PF AF SF OF",
    does: bitTest((m, word, mask) => m.and(word, m.not(mask))),
  },
  {
    op: Mnemonic.Btc,
    access: ["rw", "r"],
    lock: true,
    flags: "CF PF AF SF OF",
    does: bitTest((m, word, mask) => m.xor(word, mask)),
  },
  // CPUID does not promise BMI1, so F3 0F BC is BSF with a prefix that does nothing.
  { op: [Mnemonic.Bsf, Mnemonic.Tzcnt], access: ["rw", "r"], flags: OSZAPC, does: forward },
  { op: Mnemonic.Bsr, access: ["rw", "r"], flags: OSZAPC, does: reverse },
  {
    op: Mnemonic.Lzcnt,
    access: ["w", "r"],
    flags: OSZAPC,
    does: (m, dst, src) => {
      const v = m.get(src);
      const zeros = m.countLeadingZeros(v);
      m.setResultFlags(zeros);
      m.setFlag("CF", m.isZero(v));
      m.set(dst, zeros);
    },
  },
  {
    op: Mnemonic.Popcnt,
    access: ["w", "r"],
    flags: OSZAPC,
    does: (m, dst, src) => {
      const v = m.get(src);
      for (const f of ["CF", "PF", "AF", "SF", "OF"] as const) m.setFlag(f, m.constant(0, 8));
      m.setFlag("ZF", m.isZero(v));
      m.set(dst, m.populationCount(v));
    },
  },
] satisfies readonly Definition[] as readonly Definition[];
