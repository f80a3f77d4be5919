// The scheduler of one core: a run queue per priority, round robin within one, after LWKT. It only ever touches its
// own core. Everything here is called with interrupts off and inside a critical section, runPending at depth 0.
//
// Who runs: the highest priority with a runnable thread. A thread is in a run queue, or running, or waiting; the idle
// thread is in no queue and runs when `runnable` is 0.
import { cli, fxrstor, fxsave, rdtsc, readFlags, sti, switchStack, wrmsr } from "../arch";
import { deviceInterrupts } from "../machine/apic";
import { timerRuns, timerTick } from "../machine/timer";
import { loadSpace } from "../memory/paging";
import { Stats } from "../stats";
import {
  CORE_QUEUES,
  CORE_STATS,
  CORE_TSS,
  Core,
  DIRECT_MAP,
  PENDING_DEVICES,
  PENDING_MESSAGES,
  PENDING_RESCHEDULE,
  PENDING_TICK,
  thisCore,
} from "./core";
import { messagesRun } from "./ipi";
import { PRIORITY_IDLE, PRIORITY_SERVICE, RUNNABLE, RUNNING, Thread, WAITING } from "./thread";

const INTERRUPT_FLAG: u64 = 0x200;
const MSR_FS_BASE: u32 = 0xc000_0100;

function queueOf(core: Core, priority: u32): usize {
  return changetype<usize>(core) + CORE_QUEUES + (priority << 3);
}

/** Behind the others of its priority. */
function enqueueLast(core: Core, thread: Thread): void {
  const priority = thread.priority;
  const queue = queueOf(core, priority);
  thread.state = RUNNABLE;
  thread.next = 0;
  if (core.runnable & (1 << priority)) {
    changetype<Thread>(load<usize>(queue, 4)).next = changetype<usize>(thread);
  } else {
    core.runnable |= 1 << priority;
    store<usize>(queue, changetype<usize>(thread));
  }
  store<usize>(queue, changetype<usize>(thread), 4);
}

/** Before the others of its priority: it was only interrupted. */
function enqueueFirst(core: Core, thread: Thread): void {
  const priority = thread.priority;
  const queue = queueOf(core, priority);
  thread.state = RUNNABLE;
  if (core.runnable & (1 << priority)) {
    thread.next = load<usize>(queue);
  } else {
    core.runnable |= 1 << priority;
    thread.next = 0;
    store<usize>(queue, changetype<usize>(thread), 4);
  }
  store<usize>(queue, changetype<usize>(thread));
}

function takeNext(core: Core): Thread {
  if (core.runnable === 0) return changetype<Thread>(core.idle);
  const priority = u32(31) - clz<u32>(core.runnable);
  const queue = queueOf(core, priority);
  const thread = changetype<Thread>(load<usize>(queue));
  store<usize>(queue, thread.next);
  if (thread.next === 0) core.runnable &= ~(1 << priority);
  return thread;
}

/** A thread of this core may run. In a critical section; interrupts may be on. */
export function ready(core: Core, thread: Thread): void {
  assert(thread.state === WAITING && thread.core === core.index, "ready: a waiting thread, on its own core");
  enqueueLast(core, thread);
  if (thread.priority > changetype<Thread>(core.thread).priority) core.pending |= PENDING_RESCHEDULE;
}

/** Runs another thread; returns when this one, which is queued or waiting, is chosen again. */
function switchThread(core: Core): void {
  const current = changetype<Thread>(core.thread);
  const next = takeNext(core);
  if (next === current) {
    next.state = RUNNING;
    return;
  }
  changetype<Stats>(changetype<usize>(core) + CORE_STATS).threadSwitches++;
  if (core.ticksIdle !== 0 && next.priority !== PRIORITY_IDLE && next.priority < PRIORITY_SERVICE)
    timerRuns(core);
  const now = rdtsc();
  const since = core.since;
  core.since = 0;
  current.ran += now - since;
  current.critical = core.critical;
  core.critical = next.critical;
  core.thread = changetype<usize>(next);
  core.since = now; // by what `thread` is now
  next.state = RUNNING;
  if (next.space !== 0) loadUserThread(core, next);
  switchStack(changetype<usize>(current), next.stackPointer);
}

/**
 * What only user mode sees: kernel threads run in whatever is loaded. At a switch, and by useSpace for the running
 * thread.
 */
export function loadUserThread(core: Core, next: Thread): void {
  if (core.userThread === changetype<usize>(next)) return;
  core.userThread = changetype<usize>(next);
  const top = DIRECT_MAP + u64(next.kernelStack);
  core.kernelStackTop = top;
  store<u64>(changetype<usize>(core) + CORE_TSS, top, 4); // RSP0
  if (core.space !== next.space) loadSpace(core, next.space);
  if (core.fsBase !== next.fsBase) {
    core.fsBase = next.fsBase;
    wrmsr(MSR_FS_BASE, next.fsBase);
  }
  if (next.fpu !== 0 && core.fpuOwner !== changetype<usize>(next)) {
    if (core.fpuOwner !== 0) fxsave(changetype<Thread>(core.fpuOwner).fpu);
    fxrstor(next.fpu);
    core.fpuOwner = changetype<usize>(next);
  }
}

/** The current thread waits: it is where a waker finds it. Interrupts on, in a critical section, which it keeps. */
export function block(core: Core): void {
  assert((readFlags() & INTERRUPT_FLAG) !== 0, "a thread waits with interrupts off");
  cli();
  changetype<Thread>(core.thread).state = WAITING;
  switchThread(core);
  sti();
}

/** The current thread has ended: nobody will find it. */
export function leave(core: Core): void {
  cli();
  switchThread(core);
  assert(false, "an ended thread was run");
}

/** The current thread goes behind the others of its priority. Interrupts on, in a critical section. */
export function giveWay(core: Core): void {
  const current = changetype<Thread>(core.thread);
  if (core.runnable >> current.priority === 0) return;
  cli();
  enqueueLast(core, current);
  switchThread(core);
  sti();
}

/** After PENDING_RESCHEDULE: is there a better thread than the current one? */
function preempt(core: Core): void {
  const rotate = core.rotate;
  core.rotate = 0;
  if (core.runnable === 0) return;
  const current = changetype<Thread>(core.thread);
  const best = u32(31) - clz<u32>(core.runnable);
  if (best > current.priority) {
    if (core.thread !== core.idle) enqueueFirst(core, current);
  } else if (rotate !== 0 && best === current.priority) {
    enqueueLast(core, current);
  } else return;
  switchThread(core);
}

/** Does what interrupts left behind, then preempts. Interrupts off, critical count 0. */
export function runPending(core: Core): void {
  core.critical = 1;
  while (core.pending !== 0) {
    const pending = core.pending;
    core.pending = 0;
    if (pending & PENDING_MESSAGES) messagesRun(core);
    if (pending & PENDING_DEVICES) deviceInterrupts(core);
    if (pending & PENDING_TICK) timerTick(core);
    if ((pending | core.pending) & PENDING_RESCHEDULE) {
      core.pending &= ~PENDING_RESCHEDULE;
      preempt(core);
    }
  }
  core.critical = 0;
}

/** Where a new thread begins (thread.ts, threadMain): it was switched to inside a critical section. */
export function begin(): Thread {
  const core = thisCore();
  core.critical = 0;
  if (core.pending !== 0) runPending(core);
  sti();
  return changetype<Thread>(core.thread);
}
