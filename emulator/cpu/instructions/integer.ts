// Integer arithmetic and logic: ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT XADD and compare-exchange.
// Intel SDM vol. 2. One row, one instruction; a row says only what it means, its form carries the widths.

import { Mnemonic } from "../../iced.js";
import type { Definition, Meaning, Operand, Value } from "./define.js";
import { none, OSZAPC, RAX, RBX, RCX, RDX } from "./define.js";

/** dst := operation(dst, src). */
const update =
  (operation: (m: Meaning, a: Value, b: Value) => Value) => (m: Meaning, dst: Operand, src: Operand) =>
    m.set(dst, operation(m, m.get(dst), m.get(src)));

/** Keeps the register's whole 64 bits when the condition holds: a 32-bit result would clear the upper half. */
function setUnless(m: Meaning, r: typeof RAX | typeof RDX, keep: Value, v: Value): void {
  const wide = v.width === 32 ? 64 : v.width;
  m.setRegister(r, m.select(keep, m.register(r, wide), m.zeroExtend(v, wide)));
}

export const integer = [
  {
    op: Mnemonic.Add,
    access: ["rw", "r"],
    lock: true,
    flags: OSZAPC,
    does: update((m, a, b) => m.add(a, b)),
  },
  {
    op: Mnemonic.Or,
    access: ["rw", "r"],
    lock: true,
    flags: OSZAPC,
    does: update((m, a, b) => m.logic(m.or(a, b))),
  },
  {
    op: Mnemonic.Adc,
    access: ["rw", "r"],
    lock: true,
    flags: OSZAPC,
    does: update((m, a, b) => m.addWithCarry(a, b)),
  },
  {
    op: Mnemonic.Sbb,
    access: ["rw", "r"],
    lock: true,
    flags: OSZAPC,
    does: update((m, a, b) => m.subWithBorrow(a, b)),
  },
  {
    op: Mnemonic.And,
    access: ["rw", "r"],
    lock: true,
    flags: OSZAPC,
    does: update((m, a, b) => m.logic(m.and(a, b))),
  },
  {
    op: Mnemonic.Sub,
    access: ["rw", "r"],
    lock: true,
    flags: OSZAPC,
    does: update((m, a, b) => m.sub(a, b)),
  },
  {
    op: Mnemonic.Xor,
    access: ["rw", "r"],
    lock: true,
    flags: OSZAPC,
    does: update((m, a, b) => m.logic(m.xor(a, b))),
  },
  {
    op: Mnemonic.Cmp,
    access: ["r", "r"],
    flags: OSZAPC,
    does: (m, a, b) => void m.sub(m.get(a), m.get(b)),
  },
  {
    op: Mnemonic.Test,
    access: ["r", "r"],
    flags: OSZAPC,
    does: (m, a, b) => void m.logic(m.and(m.get(a), m.get(b))),
  },
  {
    op: Mnemonic.Inc,
    access: ["rw"],
    lock: true,
    flags: "PF AF ZF SF OF",
    does: (m, dst) => m.set(dst, m.increment(m.get(dst))),
  },
  {
    op: Mnemonic.Dec,
    access: ["rw"],
    lock: true,
    flags: "PF AF ZF SF OF",
    does: (m, dst) => m.set(dst, m.decrement(m.get(dst))),
  },
  {
    op: Mnemonic.Neg,
    access: ["rw"],
    lock: true,
    flags: OSZAPC,
    does: (m, dst) => m.set(dst, m.negate(m.get(dst))),
  },
  {
    op: Mnemonic.Not,
    access: ["rw"],
    lock: true,
    flags: none,
    does: (m, dst) => m.set(dst, m.not(m.get(dst))),
  },
  {
    op: Mnemonic.Xadd,
    access: ["rw", "rw"],
    lock: true,
    flags: OSZAPC,
    does: (m, dst, src) => {
      const old = m.get(dst);
      const sum = m.add(old, m.get(src));
      m.set(src, old);
      m.set(dst, sum); // written last: XADD RAX, RAX leaves the sum
    },
  },
  {
    op: Mnemonic.Cmpxchg,
    access: ["rw", "r"],
    lock: true,
    flags: OSZAPC,
    does: (m, dst, src) => {
      const old = m.get(dst);
      const accumulator = m.register(RAX, old.width);
      m.sub(accumulator, old);
      const same = m.equal(accumulator, old);
      const fresh = m.get(src);
      if (m.isMemory(dst)) {
        setUnless(m, RAX, same, old);
        m.set(dst, m.select(same, fresh, old)); // a write cycle happens either way
      } else {
        // Only one of the two registers is written at all: a 32-bit result clears the upper half.
        m.when(
          same,
          () => m.set(dst, fresh),
          () => m.setRegister(RAX, old),
        );
      }
    },
  },
  {
    op: Mnemonic.Cmpxchg8b,
    access: ["rw"],
    lock: true,
    flags: "ZF",
    does: (m, dst) => {
      const old = m.get(dst);
      const pair = (high: typeof RDX | typeof RCX, low: typeof RAX | typeof RBX) =>
        m.or(
          m.shiftLeft(m.zeroExtend(m.register(high, 32), 64), m.constant(32, 8)),
          m.zeroExtend(m.register(low, 32), 64),
        );
      const same = m.equal(pair(RDX, RAX), old);
      m.set(dst, m.select(same, pair(RCX, RBX), old));
      setUnless(m, RAX, same, m.truncate(old, 32));
      setUnless(m, RDX, same, m.truncate(m.shiftRight(old, m.constant(32, 8)), 32));
      m.setFlag("ZF", same);
    },
  },
  {
    op: Mnemonic.Cmpxchg16b,
    access: ["rw"],
    lock: true,
    aligned: true,
    flags: "ZF",
    does: (m, dst) => {
      const old = m.getVector(dst);
      const low = m.lane(old, 64, 0);
      const high = m.lane(old, 64, 1);
      const same = m.and(m.equal(low, m.register(RAX, 64)), m.equal(high, m.register(RDX, 64)));
      const fresh = m.withLane(m.splat(m.register(RBX, 64)), 1, m.register(RCX, 64));
      m.setVector(dst, m.selectVector(same, fresh, old));
      setUnless(m, RAX, same, low);
      setUnless(m, RDX, same, high);
      m.setFlag("ZF", same);
    },
  },
] satisfies readonly Definition[] as readonly Definition[];
