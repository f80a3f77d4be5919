// The two ways into the kernel: trap() for interrupts and exceptions, syscall() for SYSCALL. The compiler's stubs call
// them with interrupts off and a TrapFrame on the kernel stack of the running thread, or on an interrupt stack.
//
// Invariant: a trap from user mode finds the critical count at 0 and leaves it there; a page fault in kernel mode comes
// only from the copies to and from user memory, and outside critical sections, where the fault may block. Inside one
// the copy fails at once instead.
import { cli, fixupFor, hlt, readCr2, sti } from "./arch";
import { singleStepEnded, userEntered, userLeaving } from "./coherence/progress";
import { SYSCALL_VECTOR, TrapFrame } from "./frame";
import { CORE_STATS, Core, PENDING_DEVICES, PENDING_MESSAGES, PENDING_TICK, thisCore } from "./lwkt/core";
import { runPending } from "./lwkt/scheduler";
import {
  DEVICE_VECTORS,
  endOfInterrupt,
  FIRST_DEVICE_VECTOR,
  MESSAGES_VECTOR,
  SHOOT_DOWN_VECTOR,
  TIMER_VECTOR,
} from "./machine/apic";
import { shootDownAnswer, USER_END } from "./memory/paging";
import { panicFrame, panicked } from "./panic";
import { pageFault } from "./process/fault";
import { raiseFault, returningToUser, userWorkPending } from "./process/signal";
import { systemCall } from "./process/syscalls";
import { Stats } from "./stats";

const DEBUG: u32 = 1;
const NMI: u32 = 2;
const PAGE_FAULT: u32 = 14;
const EXCEPTIONS: u32 = 32;

function statsOf(core: Core): Stats {
  return changetype<Stats>(changetype<usize>(core) + CORE_STATS);
}

export function trap(frame: usize): void {
  const f = changetype<TrapFrame>(frame);
  const vector = <u32>f.vector;
  const fromUser = (f.cs & 3) !== 0;
  if (vector >= EXCEPTIONS) {
    if (fromUser) userEntered(f);
    interrupt(vector);
  } else {
    // Another fault would replace it.
    const address = vector === PAGE_FAULT ? readCr2() : 0;
    if (vector === NMI) nonMaskable(f);
    if (fromUser) userEntered(f);
    exception(f, vector, fromUser, address);
  }
  if (fromUser) toUser(f);
}

export function syscall(frame: usize): void {
  const f = changetype<TrapFrame>(frame);
  assert(f.vector === SYSCALL_VECTOR, "the SYSCALL stub says so");
  userEntered(f);
  sti();
  systemCall(f);
  toUser(f);
}

/** What is owed before user mode goes on. */
function toUser(f: TrapFrame): void {
  do {
    sti();
    returningToUser(f);
    cli();
  } while (userWorkPending()); // a signal that came in between
  assert(thisCore().critical === 0, "a critical section is left open towards user mode");
  userLeaving(f);
}

/** Hardware interrupts: acknowledged at once, worked on when the critical count is 0. */
function interrupt(vector: u32): void {
  const core = thisCore();
  statsOf(core).interrupts++;
  let bit: u32 = 0;
  if (vector === MESSAGES_VECTOR) {
    statsOf(core).ipiInterrupts++;
    bit = PENDING_MESSAGES;
  } else if (vector === TIMER_VECTOR) bit = PENDING_TICK;
  else if (vector === SHOOT_DOWN_VECTOR) shootDownAnswer(core);
  else if (vector - FIRST_DEVICE_VECTOR < DEVICE_VECTORS) {
    core.devices |= 1 << (vector - FIRST_DEVICE_VECTOR);
    bit = PENDING_DEVICES;
  } else return; // spurious: neither acknowledged nor answered
  endOfInterrupt();
  core.pending |= bit;
  if (core.critical === 0 && core.pending !== 0) runPending(core);
}

/** Only panic sends one; another is a fault of the machine. Never returns. */
function nonMaskable(f: TrapFrame): void {
  if (panicked()) while (true) hlt();
  panicFrame("NMI", f);
}

function exception(f: TrapFrame, vector: u32, fromUser: bool, address: u64): void {
  if (fromUser) {
    sti();
    const resolved = vector === PAGE_FAULT ? pageFault(f, address) : vector === DEBUG && singleStepEnded(f);
    if (!resolved) raiseFault(f, vector);
    cli();
    return;
  }
  const fixup = fixupFor(f.rip);
  if (fixup === 0) panicFrame(exceptionName(vector), f);
  if (vector === PAGE_FAULT && address < USER_END && thisCore().critical === 0) {
    sti();
    const resolved = pageFault(f, address);
    cli();
    if (resolved) return;
  }
  f.rip = fixup;
}

function exceptionName(vector: u32): string {
  switch (vector) {
    case 0:
      return "#DE divide error in the kernel";
    case 1:
      return "#DB debug in the kernel";
    case 3:
      return "#BP breakpoint in the kernel";
    case 6:
      return "#UD invalid opcode in the kernel";
    case 8:
      return "#DF double fault";
    case 10:
      return "#TS invalid TSS";
    case 12:
      return "#SS stack fault in the kernel";
    case 13:
      return "#GP general protection in the kernel";
    case 14:
      return "#PF page fault in the kernel";
    case 17:
      return "#AC alignment check in the kernel";
    case 18:
      return "#MC machine check";
  }
  return "exception in the kernel";
}
