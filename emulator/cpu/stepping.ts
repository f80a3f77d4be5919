// Single stepping: after which instructions RFLAGS.TF traps. Intel SDM vol. 3B, 18.3.1.4.

import { Mnemonic } from "./decode.js";

export const FLAG_TF = 0x100;

/**
 * Does TF trap after this instruction, given RFLAGS before and after it? The TF before counts; what goes through a gate
 * turns it off. SYSCALL and SYSRET, which count by the TF after them, see to it themselves (microcode/calls.ts).
 */
export function stepTraps(mnemonic: Mnemonic | undefined, before: number, after: number): boolean {
  switch (mnemonic) {
    case Mnemonic.Int:
    case Mnemonic.Int3:
    case Mnemonic.Int1:
    case Mnemonic.Syscall:
    case Mnemonic.Sysret:
    case Mnemonic.Sysretq:
      return false;
    case Mnemonic.Into:
      return (after & FLAG_TF) !== 0;
    default:
      return (before & FLAG_TF) !== 0;
  }
}
