// Transfers that load CS: far JMP, CALL and RET, IRET, INT n INT1 INT3 INTO, SYSCALL SYSRET SYSENTER SYSEXIT; and SWAPGS. Intel SDM
// vol. 2. Microcode writes RIP (microcode/far.ts, events.ts, calls.ts).

import { Mnemonic } from "../../iced.js";
import { EVENT_PRIVILEGED, EVENT_SOFTWARE, EVENT_SOFTWARE_EXCEPTION } from "../layout.js";
import { FAR_TRANSFERS } from "./control.js";
import type { Code, Definition, Meaning, Operand, Value } from "./define.js";
import { none } from "./define.js";
import { field } from "./system.js";

const far = (code: Code) => FAR_TRANSFERS.includes(code);

/** Selector and offset of a pointer in the instruction or in memory. */
function pointer(m: Meaning, o: Operand): [selector: Value, offset: Value] {
  if (o.kind === "far") {
    const whole = m.get(o);
    return [m.shiftRight(whole, m.constant(32, 8)), m.bitsOf(whole, 0, 32)];
  }
  const offset = m.get(field(o, m.operandSize));
  const selector = m.get(field(m.displaced(o, m.constant(m.operandSize / 8, 16)), 16));
  return [selector, offset];
}

const iret = (bytes: 2 | 4 | 8) => (m: Meaning) => void m.assist("iret", bytes, m.nextRip());

export const farTransfers = [
  {
    op: Mnemonic.Jmp,
    forms: far,
    access: ["r"],
    transfers: true,
    flags: none,
    does: (m, target) => void m.assist("farJump", ...pointer(m, target), m.operandSize / 8, m.nextRip()),
  },
  {
    op: Mnemonic.Call,
    forms: far,
    access: ["r"],
    transfers: true,
    flags: none,
    does: (m, target) => void m.assist("farCall", ...pointer(m, target), m.operandSize / 8, m.nextRip()),
  },
  {
    op: Mnemonic.Retf,
    access: ["r"],
    transfers: true,
    flags: none,
    does: (m, release?: Operand) =>
      void m.assist("farReturn", m.operandSize / 8, release === undefined ? 0 : m.get(release)),
  },
  { op: Mnemonic.Iret, access: [], transfers: true, flags: none, does: iret(2) },
  { op: Mnemonic.Iretd, access: [], transfers: true, flags: none, does: iret(4) },
  { op: Mnemonic.Iretq, access: [], transfers: true, flags: none, does: iret(8) },

  {
    op: Mnemonic.Int,
    access: ["r"],
    transfers: true,
    flags: none,
    does: (m, vector) =>
      void m.assist("softwareInterrupt", m.zeroExtend(m.get(vector), 64), EVENT_SOFTWARE, m.nextRip()),
  },
  {
    op: Mnemonic.Int3,
    access: [],
    transfers: true,
    flags: none,
    does: (m) => void m.assist("softwareInterrupt", 3, EVENT_SOFTWARE_EXCEPTION, m.nextRip()),
  },
  {
    op: Mnemonic.Int1,
    access: [],
    transfers: true,
    flags: none,
    does: (m) => void m.assist("softwareInterrupt", 1, EVENT_PRIVILEGED, m.nextRip()),
  },
  {
    op: Mnemonic.Into,
    access: [],
    only: "legacy",
    transfers: true,
    flags: none,
    does: (m) => void m.assist("overflowInterrupt", m.nextRip()),
  },

  {
    op: Mnemonic.Syscall,
    access: [],
    transfers: true,
    flags: none,
    does: (m) => void m.assist("syscall", m.nextRip()),
  },
  { op: Mnemonic.Sysret, access: [], transfers: true, flags: none, does: (m) => void m.assist("sysret", 4) },
  { op: Mnemonic.Sysretq, access: [], transfers: true, flags: none, does: (m) => void m.assist("sysret", 8) },
  { op: Mnemonic.Sysenter, access: [], transfers: true, flags: none, does: (m) => void m.assist("sysenter") },
  {
    op: [Mnemonic.Sysexit, Mnemonic.Sysexitq],
    access: [],
    transfers: true,
    flags: none,
    does: (m) => void m.assist("sysexit"),
  },
  {
    op: Mnemonic.Swapgs,
    access: [],
    only: "mode64",
    privileged: true,
    flags: none,
    does: (m) => void m.assist("swapgs"),
  },
] satisfies readonly Definition[] as readonly Definition[];
