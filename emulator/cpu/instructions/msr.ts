// Model-specific registers: RDMSR, WRMSR. Intel SDM vol. 2; which registers exist is in microcode/msr.ts.

import { Mnemonic } from "../../iced.js";
import type { Definition } from "./define.js";
import { none, RAX, RCX, RDX } from "./define.js";

export const msr = [
  {
    op: Mnemonic.Rdmsr,
    access: [],
    privileged: true,
    flags: none,
    does: (m) => {
      const value = m.assist("readMsr", m.register(RCX, 32));
      m.setRegister(RAX, m.truncate(value, 32));
      m.setRegister(RDX, m.truncate(m.shiftRight(value, m.constant(32, 8)), 32));
    },
  },
  {
    op: Mnemonic.Wrmsr,
    access: [],
    privileged: true,
    ends: true,
    flags: none,
    does: (m) => {
      const upper = m.shiftLeft(m.register(RDX, 64), m.constant(32, 8));
      const value = m.or(upper, m.zeroExtend(m.register(RAX, 32), 64));
      m.assist("writeMsr", m.register(RCX, 32), value);
    },
  },
] satisfies readonly Definition[] as readonly Definition[];
