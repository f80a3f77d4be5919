// The core block: everything that one core owns. GS:[0] holds its address (arch.ts, coreBlock).
//
// Invariant (after DragonFly): only the owning core touches these fields, inside a critical section or with
// interrupts off; other cores ask it by IPI message. A field that others may read or change says so.
//
// One block is one frame, drawn by offset:
//   0 Core   512 run queues (32 x first, last)   768 slab classes   1024 Stats   1536 TSS   1664 GDT   1744 GDT operand
import { coreBlock } from "../arch";

export const CORES_MAX: u32 = 64;
/** Levels of the run queues; a higher number runs first. */
export const PRIORITIES: u32 = 32;

/** Where physical memory is seen: virtual = DIRECT_MAP + physical, physical = wasm address. */
export const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

/** Bits of `Core.pending`: what waits for the critical count to reach zero. */
export const PENDING_RESCHEDULE: u32 = 1;
export const PENDING_TICK: u32 = 2;
export const PENDING_MESSAGES: u32 = 4;
export const PENDING_DEVICES: u32 = 8;

export const CORE_BYTES: usize = 4096;
export const CORE_QUEUES: usize = 512;
export const CORE_SLABS: usize = 768;
export const CORE_STATS: usize = 1024;
export const CORE_TSS: usize = 1536;
export const CORE_GDT: usize = 1664;
export const CORE_GDT_OPERAND: usize = 1744;

@unmanaged
export class Core {
  /** Fixed by arch.ts: the block's own address, the SYSCALL stub's stack and its scratch word. */
  self: u64 = 0;
  kernelStackTop: u64 = 0;
  scratch: u64 = 0;

  /** Depth of critical sections of the running thread: above 0, interrupts only leave a bit in `pending`. */
  critical: u32 = 0;
  pending: u32 = 0;
  /** The running thread. */
  thread: usize = 0;
  /** Bit per priority that has a runnable thread. */
  runnable: u32 = 0;
  /** Device vectors that arrived, bit 0 = FIRST_DEVICE_VECTOR; see PENDING_DEVICES. */
  devices: u32 = 0;
  index: u32 = 0;
  apicId: u32 = 0;
  /** The thread that halts; always runnable, never in a queue. */
  idle: usize = 0;
  /** Ended threads, linked by `next`: their stacks are freed by the next tick, or when the core is idle. */
  dead: usize = 0;
  /** The thread that ran at the last tick: one that runs at two has had its slice. */
  tickThread: usize = 0;
  rotate: u32 = 0;
  /** The last tick found it idle: the next one is far. */
  ticksIdle: u32 = 0;

  /** This core's PML4 and the space behind its slot 0. Others read `space` to know whom to shoot down. */
  pml4: usize = 0;
  space: usize = 0;
  /** The user thread whose stack top, FS base and FPU registers are loaded. */
  userThread: usize = 0;
  fpuOwner: usize = 0;
  fsBase: u64 = 0;

  /** IPI rings by source core (ipi.ts). Each source writes its own. */
  rings: usize = 0;
  /** Depth of ipiPoll within itself. */
  nesting: u32 = 0;
  callFunction: u32 = 0;
  callArgument: usize = 0;
  /** Others count this down, locked. */
  callRemaining: u32 = 0;

  /** Threads with a timeout, earliest first, and the moment for which the APIC timer is set. */
  timeoutFirst: usize = 0;
  timeoutLast: usize = 0;
  timerDeadline: u64 = 0;

  /** Objects of its slabs that others have released (slab.ts), linked through their first word; changed by locked instructions. */
  returned: usize = 0;

  /** Free frames kept at hand, linked through their first word. */
  frames: usize = 0;
  frameCount: u32 = 0;

  /** Cores that ask this one to drop translations (bit per core, set locked), and this core's own request. */
  shootDownFrom: u64 = 0;
  shootDownSpace: usize = 0;
  shootDownPages: u32 = 0;
  shootDownAddress: u64 = 0;
  shootDownRemaining: u32 = 0;

  /** Since when the running thread does, in ticks of the TSC; 0 while it changes. Others read it (process/processor-time.ts). */
  since: u64 = 0;

  /** Set by the core itself when it has come up; read by the starter. */
  started: u32 = 0;
}

/** The first core's block is static, since the slab needs one. Others are frames. */
const firstBlock: usize = memory.data(4096, 64);
const table: usize = memory.data(256);
let count: u32 = 0;

export function firstCoreBlock(): usize {
  return firstBlock;
}

export function thisCore(): Core {
  return changetype<Core>(coreBlock());
}

/** The number of cores that run. */
export function coreCount(): u32 {
  return count;
}

export function coreAt(index: u32): Core {
  return changetype<Core>(load<usize>(table + (index << 2)));
}

/** Makes a core known. It must be able to answer messages: the others will send it some. */
export function coreAdd(core: Core): void {
  assert(core.index === count && count < CORES_MAX, "cores are added in the order of their numbers");
  store<usize>(table + (core.index << 2), changetype<usize>(core));
  count++;
}
