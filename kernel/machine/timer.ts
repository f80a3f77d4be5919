// The tick of one core and the timeouts of its threads, on the local APIC's timer in one-shot mode: it is set for the
// next tick or the earliest timeout, whichever comes first. An idle core hardly ticks: only passive messages wait for it.
import { Core, PENDING_RESCHEDULE } from "../lwkt/core";
import { messagesRun } from "../lwkt/ipi";
import { stackCheck, Thread, threadsReap } from "../lwkt/thread";
import { timeoutExpired } from "../lwkt/wait";
import { slabTakeBack } from "../memory/slab";
import { apicTimerSet } from "./apic";
import { apicTicks, nanoseconds } from "./time";

const TICK_NANOSECONDS: u64 = 2_000_000;
/** When an idle core begins to run a thread. */
const FIRST_TICK_NANOSECONDS: u64 = 10_000_000;
const IDLE_TICK_NANOSECONDS: u64 = 1_000_000_000;
/** The counter has 32 bits; a timeout further away is looked at again by the tick. */
const COUNT_MAX: u64 = 0xffff_ffff;
/** Longer timeouts than 146 years end then. */
const FOR_EVER: u64 = 0x4000_0000_0000_0000;

function arm(core: Core, now: u64, deadline: u64): void {
  core.timerDeadline = deadline;
  let ticks = deadline > now ? apicTicks(deadline - now) + 1 : 1;
  if (ticks > COUNT_MAX) ticks = COUNT_MAX;
  apicTimerSet(<u32>ticks);
}

/** Starts this core's tick. */
export function timerStart(core: Core): void {
  const now = nanoseconds();
  arm(core, now, now + TICK_NANOSECONDS);
}

/** After the timer's interrupt; in a critical section. */
export function timerTick(core: Core): void {
  const now = nanoseconds();
  while (core.timeoutFirst !== 0) {
    const thread = changetype<Thread>(core.timeoutFirst);
    if (thread.deadline > now) break;
    timeoutRemove(core, thread);
    timeoutExpired(core, thread);
  }
  messagesRun(core); // the passive ones
  slabTakeBack(core);
  threadsReap(core);
  stackCheck(changetype<Thread>(core.thread));
  // A thread that ran at two ticks has had its slice. (A timeout that comes between them shortens it.)
  if (core.tickThread === core.thread) {
    core.rotate = 1;
    core.pending |= PENDING_RESCHEDULE;
  }
  core.tickThread = core.thread;
  core.ticksIdle = u32(core.thread === core.idle);
  let deadline = now + (core.ticksIdle !== 0 ? IDLE_TICK_NANOSECONDS : TICK_NANOSECONDS);
  if (core.timeoutFirst !== 0) {
    const earliest = changetype<Thread>(core.timeoutFirst).deadline;
    if (earliest < deadline) deadline = earliest;
  }
  arm(core, now, deadline);
}

/** A core that was idle at its last tick runs a thread that may have to share it: none of those that serve. In a critical section. */
export function timerRuns(core: Core): void {
  core.ticksIdle = 0;
  const now = nanoseconds();
  if (now + FIRST_TICK_NANOSECONDS < core.timerDeadline) arm(core, now, now + FIRST_TICK_NANOSECONDS);
}

/** In a critical section of the thread's core. The list is sorted; a new timeout is mostly the latest. */
export function timeoutAdd(core: Core, thread: Thread, time: u64): void {
  const now = nanoseconds();
  const deadline = time > FOR_EVER ? FOR_EVER : now + time;
  let before = core.timeoutLast;
  while (before !== 0 && changetype<Thread>(before).deadline > deadline) {
    before = changetype<Thread>(before).timeoutPrevious;
  }
  const after = before !== 0 ? changetype<Thread>(before).timeoutNext : core.timeoutFirst;
  thread.deadline = deadline;
  thread.timeoutPrevious = before;
  thread.timeoutNext = after;
  if (before !== 0) changetype<Thread>(before).timeoutNext = changetype<usize>(thread);
  else core.timeoutFirst = changetype<usize>(thread);
  if (after !== 0) changetype<Thread>(after).timeoutPrevious = changetype<usize>(thread);
  else core.timeoutLast = changetype<usize>(thread);
  if (deadline < core.timerDeadline) arm(core, now, deadline);
}

/** A thread that waits does so no longer than `time` from now. In a critical section of its core. */
export function timeoutSooner(core: Core, thread: Thread, time: u64): void {
  if (thread.deadline !== 0) timeoutRemove(core, thread);
  timeoutAdd(core, thread, time);
}

export function timeoutRemove(core: Core, thread: Thread): void {
  const before = thread.timeoutPrevious;
  const after = thread.timeoutNext;
  thread.deadline = 0;
  if (before !== 0) changetype<Thread>(before).timeoutNext = after;
  else core.timeoutFirst = after;
  if (after !== 0) changetype<Thread>(after).timeoutPrevious = before;
  else core.timeoutLast = before;
}
