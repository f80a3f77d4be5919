// The core block: everything that one core owns. GS:[0] holds its address (arch.ts, coreBlock).
//
// Invariant (after DragonFly): only the owning core writes these fields, inside a critical section or with
// interrupts off; other cores ask by IPI message. The exceptions are said at the field.
import { coreBlock } from "../arch";

export const CORES_MAX: u32 = 64;
/** Priority levels of the run queues; a higher number runs first. */
export const PRIORITIES: u32 = 32;

/** Bits of `Core.pending`: what waits for the critical count to reach zero. */
export const PENDING_RESCHEDULE: u32 = 1;
export const PENDING_TICK: u32 = 2;
export const PENDING_MESSAGES: u32 = 4;
export const PENDING_DEVICES: u32 = 8;

@unmanaged
export class Core {
  /** Fixed by arch.ts: the block's own address, the SYSCALL stub's stack and its scratch word. */
  self: u64 = 0;
  kernelStackTop: u64 = 0;
  scratch: u64 = 0;
  /** Depth of critical sections of the running thread: above 0 nothing but TLB shoot-down happens to it. */
  critical: u32 = 0;
  /** What interrupts left behind while `critical` was above 0. */
  pending: u32 = 0;
  /** The running thread. */
  thread: usize = 0;
  /** Bit per priority with a runnable thread. */
  runnable: u32 = 0;
  index: u32 = 0;
  apicId: u32 = 0;
}

export function thisCore(): Core {
  return changetype<Core>(coreBlock());
}
/** The number of cores that run. */
export function coreCount(): u32 {
  return 1;
}
export function coreAt(index: u32): Core {
  return thisCore();
}
