// Page faults on user addresses (Intel SDM vol. 3A, 4.7 and 6.15 #PF).
import { TrapFrame } from "../frame";

/**
 * Called by trap() with interrupts on, for a #PF in user mode or in kernel mode on a user address. `address` is
 * CR2, read by trap() before it let interrupts in. True: resolved, run the instruction again. May block.
 */
export function pageFault(frame: TrapFrame, address: u64): bool {
  return false;
}
