// Single stepping: after which instructions RFLAGS.TF traps. Intel SDM vol. 3A, 17.3.1.4.

import { Mnemonic } from "./decode.js";

export const FLAG_TF = 0x100;

/**
 * Does TF trap after this instruction, given RFLAGS before and after it? The TF before counts (SDM vol. 3A, 17.3.1.4); what
 * goes through a gate turns it off. SYSCALL and SYSRET count by the TF after, so that SFMASK can keep the trap away
 * from the kernel and SYSRET traps as if SYSCALL had just completed.
 */
export function stepTraps(mnemonic: Mnemonic | undefined, before: number, after: number): boolean {
  switch (mnemonic) {
    case Mnemonic.Int:
    case Mnemonic.Int3:
    case Mnemonic.Int1:
      return false;
    case Mnemonic.Into:
    case Mnemonic.Syscall:
    case Mnemonic.Sysret:
    case Mnemonic.Sysretq:
      return (after & FLAG_TF) !== 0;
    default:
      return (before & FLAG_TF) !== 0;
  }
}
