// Flags on their own: CLC STC CMC CLD STD CLI STI LAHF SAHF SALC. Intel SDM vol. 2.

import { Mnemonic } from "../../iced.js";
import { SHADOW_INTERRUPTS } from "../layout.js";
import type { Definition, Flag, Meaning, Value } from "./define.js";
import { none, RAX } from "./define.js";
import { ioPrivilege } from "./stack.js";

const GP = 13;

const put = (f: Flag, bit: 0 | 1) => (m: Meaning) => m.setFlag(f, m.constant(bit, 8));

/**
 * IF is the business of code at least as privileged as IOPL says (in virtual-8086 mode CPL is 3); other code may have VIF
 * instead (microcode/virtual.ts). Tells which it is.
 */
function barredFromIf(m: Meaning, set: 0 | 1): Value {
  const barred = m.lessUnsigned(ioPrivilege(m), m.privilege());
  m.when(barred, () => m.faultWhen(m.isZero(m.compute("virtualFlag", set)), GP, 0));
  return barred;
}

export const flags = [
  { op: Mnemonic.Clc, access: [], flags: "CF", does: put("CF", 0) },
  { op: Mnemonic.Stc, access: [], flags: "CF", does: put("CF", 1) },
  { op: Mnemonic.Cmc, access: [], flags: "CF", does: (m) => m.setFlag("CF", m.isZero(m.flag("CF"))) },
  { op: Mnemonic.Cld, access: [], flags: "DF", does: put("DF", 0) },
  { op: Mnemonic.Std, access: [], flags: "DF", does: put("DF", 1) },
  {
    op: Mnemonic.Cli,
    access: [],
    flags: "IF",
    does: (m) => {
      const barred = barredFromIf(m, 0);
      m.setFlag("IF", m.and(m.flag("IF"), barred));
    },
  },
  {
    op: Mnemonic.Sti,
    access: [],
    ends: true,
    flags: "IF",
    does: (m) => {
      const barred = barredFromIf(m, 1);
      const before = m.flag("IF");
      // Only a change from 0 to 1 holds interrupts off for one more instruction.
      m.when(m.isZero(m.or(before, barred)), () => m.shadow(SHADOW_INTERRUPTS));
      m.setFlag("IF", m.or(before, m.isZero(barred)));
    },
  },
  {
    op: Mnemonic.Lahf,
    access: [],
    flags: none,
    does: (m) => {
      const high = m.shiftLeft(m.truncate(m.rflags(), 16), m.constant(8, 8));
      m.setRegister(RAX, m.or(high, m.and(m.register(RAX, 16), m.constant(0xff, 16))));
    },
  },
  {
    op: Mnemonic.Sahf,
    access: [],
    flags: "CF PF AF ZF SF",
    does: (m) => m.setRflags(m.shiftRight(m.zeroExtend(m.register(RAX, 16), 64), m.constant(8, 8)), 0xd5n),
  },
  {
    op: Mnemonic.Salc,
    access: [],
    only: "legacy",
    flags: none,
    does: (m) => m.setRegister(RAX, m.minus(m.constant(0, 8), m.flag("CF"))),
  },
] satisfies readonly Definition[] as readonly Definition[];
