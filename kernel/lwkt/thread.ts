// LWKT threads: kernel threads that need no process (promise 40), pinned to the core that they were created for.
// A thread is its record and its stack. User threads are the same with a space, and perhaps an FXSAVE area.
import { fxrstor, fxsave, newStack, wrmsr } from "../arch";
import { framesAllocate, framesRelease } from "../memory/frames";
import { allocate, release } from "../memory/slab";
import { panic } from "../panic";
import { Core, coreCount, PRIORITIES, thisCore } from "./core";
import { criticalEnter, criticalExit, criticalLeave } from "./critical";
import { ipiSend } from "./ipi";
import { begin, giveWay, leave, ready } from "./scheduler";
import { kickHere } from "./wait";

export { criticalEnter, criticalExit } from "./critical";

/** Priorities. A woken thread preempts a running one of lower priority at once. */
export const PRIORITY_IDLE: u32 = 0;
export const PRIORITY_USER: u32 = 8;
export const PRIORITY_KERNEL: u32 = 16;
/** Threads that serve others: network, coherence. */
export const PRIORITY_SERVICE: u32 = 24;

/** Thread.state */
export const WAITING: u32 = 0;
export const RUNNABLE: u32 = 1;
export const RUNNING: u32 = 2;
export const DEAD: u32 = 3;

const STACK_ORDER: u32 = 2;
const STACK_BYTES: usize = 16384;
/** At the far end of a stack: overwritten, the stack has overflowed. */
const STACK_MARK: u64 = 0x5ac6_e9d0_37b1_0000;
const FXSAVE_BYTES: usize = 512;
const FCW_RESET: u32 = 0x37f;
const MXCSR_RESET: u32 = 0x1f80;
const MSR_FS_BASE: u32 = 0xc000_0100;

@unmanaged
export class Thread {
  /** Saved stack pointer (virtual) while not running. First: switchStack saves at the record's address. */
  stackPointer: u64 = 0;
  /** End of the kernel stack (wasm address): where a trap from user mode begins. */
  kernelStack: usize = 0;
  /** Critical count while not running. */
  critical: u32 = 0;
  core: u32 = 0;
  priority: u32 = 0;
  state: u32 = 0;
  /** Links of the run queue or the wait queue that holds it. */
  next: usize = 0;
  previous: usize = 0;

  /** The wait queue that holds it (changed under that queue's lock), and what ended the wait. */
  waitQueue: usize = 0;
  timedOut: u32 = 0;
  interrupted: u32 = 0;
  /** Of its timeout, in nanoseconds() time; 0 = none. Links of the core's timeout list. */
  deadline: u64 = 0;
  timeoutNext: usize = 0;
  timeoutPrevious: usize = 0;
  /** A WaitQueue of its own, for sleep(). */
  sleepLock: u32 = 0;
  sleepFirst: usize = 0;
  sleepLast: usize = 0;

  id: u32 = 0;
  name: usize = 0;
  entry: u32 = 0;
  argument: usize = 0;
  /** The line of console text that it has begun (console.ts). */
  line: usize = 0;
  lineBytes: u32 = 0;

  /** Address space (PDPT frame) to run in; 0: a kernel thread, which runs in whichever is loaded. See useSpace. */
  space: usize = 0;
  /** FXSAVE area (512 bytes, 16-aligned) of a user thread, else 0. See fpuPrepare. */
  fpu: usize = 0;
  /** FS base of a user thread; a running thread changes it by threadSetFsBase. */
  fsBase: u64 = 0;
  /** For process/: the process, and its record of this thread. */
  process: usize = 0;
  lwp: usize = 0;
  /** How long it has run until its core switched last, in ticks of the TSC. */
  ran: u64 = 0;
  /** For coherence/: what is pinned until the thread has made progress. */
  pins: usize = 0;
}

const identities: usize = memory.data(4);
const firstThread: usize = memory.data(256, 16);

/** Gives the context that boots core `core` a record: it becomes that core's idle thread. */
export function threadAdopt(core: Core, record: usize, name: string): void {
  const thread = changetype<Thread>(record);
  thread.core = core.index;
  thread.state = RUNNING;
  thread.id = atomic.add<u32>(identities, 1);
  thread.name = changetype<usize>(name);
  core.idle = record;
  core.thread = record;
}

/** The first core's idle thread is static, as its core block is. */
export function firstThreadRecord(): usize {
  assert(offsetof<Thread>() <= 256, "the first thread's static record is too small");
  return firstThread;
}

/**
 * `entry`: table index of (argument: usize) => void. `core`: -1 = this one. Runnable at once; ends when `entry`
 * returns. May be called from any core, not from a handler.
 */
export function threadCreate(entry: u32, argument: usize, name: string, core: i32, priority: u32): Thread {
  const thread = threadNew(entry, argument, name, core, priority);
  threadStart(thread);
  return thread;
}

/** The same without starting it: fill in space, fsBase, process, then threadStart. */
export function threadNew(entry: u32, argument: usize, name: string, core: i32, priority: u32): Thread {
  assert(
    core < <i32>coreCount() && priority !== PRIORITY_IDLE && priority < PRIORITIES,
    "threadNew: core or priority",
  );
  criticalEnter();
  threadsReap(thisCore());
  criticalExit();
  const base = framesAllocate(STACK_ORDER);
  if (base === 0) panic("out of memory for a thread's stack");
  store<u64>(base, STACK_MARK);
  const thread = changetype<Thread>(allocate(offsetof<Thread>()));
  thread.kernelStack = base + STACK_BYTES;
  thread.stackPointer = newStack(thread.kernelStack);
  thread.critical = 1;
  thread.core = core < 0 ? thisCore().index : <u32>core;
  thread.priority = priority;
  thread.id = atomic.add<u32>(identities, 1);
  thread.name = changetype<usize>(name);
  thread.entry = entry;
  thread.argument = argument;
  return thread;
}

export function threadStart(thread: Thread): void {
  ipiSend(thread.core, readyHere.index, changetype<usize>(thread));
}

/** IPI message: makes a thread of this core runnable. */
export function readyHere(thread: usize): void {
  ready(thisCore(), changetype<Thread>(thread));
}

/** Makes a waiting thread runnable, on whichever core it is. In a critical section. */
export function readyAnywhere(thread: Thread): void {
  const core = thisCore();
  if (thread.core === core.index) ready(core, thread);
  else ipiSend(thread.core, readyHere.index, changetype<usize>(thread));
}

/** The entry stub of a new stack calls this with interrupts off. */
export function threadMain(): void {
  const thread = begin();
  call_indirect<void>(thread.entry, thread.argument);
  threadExit();
}

export function threadCurrent(): Thread {
  return changetype<Thread>(thisCore().thread);
}

/** Lets the next runnable thread of the same or a higher priority run. */
export function threadYield(): void {
  const core = thisCore();
  core.critical++;
  giveWay(core);
  criticalLeave(core);
}

/** Ends the calling thread. Never returns. */
export function threadExit(): void {
  criticalEnter();
  const core = thisCore();
  const thread = changetype<Thread>(core.thread);
  assert(core.critical === 1, "a thread ends inside a critical section");
  assert(core.thread !== core.idle, "the idle thread ends");
  if (core.fpuOwner === core.thread) core.fpuOwner = 0;
  if (core.userThread === core.thread) core.userThread = 0;
  if (core.tickThread === core.thread) core.tickThread = 0;
  thread.state = DEAD;
  thread.next = core.dead;
  core.dead = core.thread;
  leave(core);
}

/** By every tick, for the running thread, and at a thread's end. */
export function stackCheck(thread: Thread): void {
  if (thread.kernelStack === 0) return; // an idle thread's stack is its boot's
  assert(load<u64>(thread.kernelStack - STACK_BYTES) === STACK_MARK, "a kernel stack has overflowed");
}

/** Frees ended threads: never from the stack of one, since its core is past leave(). In a critical section. */
export function threadsReap(core: Core): void {
  while (core.dead !== 0) {
    const thread = changetype<Thread>(core.dead);
    core.dead = thread.next;
    stackCheck(thread);
    framesRelease(thread.kernelStack - STACK_BYTES, STACK_ORDER);
    if (thread.fpu !== 0) release(thread.fpu);
    if (thread.line !== 0) release(thread.line);
    release(changetype<usize>(thread));
  }
}

/**
 * Makes the thread look up: in user mode it passes through returningToUser() at once, by its core's interrupt; asleep
 * in waitOn() it is woken as by wakeOne (every waiter tests its condition again), with `interrupted` set. From any core.
 */
export function threadKick(thread: Thread): void {
  ipiSend(thread.core, kickHere.index, changetype<usize>(thread));
}

/** Gives a thread that will enter user mode an FXSAVE area, in the state after FNINIT. Not for a running thread. */
export function fpuPrepare(thread: Thread): void {
  if (thread.fpu === 0) thread.fpu = allocate(FXSAVE_BYTES);
  fpuClear(thread.fpu);
}

/** The state after FNINIT and a reset MXCSR, into an FXSAVE area. */
export function fpuClear(area: usize): void {
  memory.fill(area, 0, FXSAVE_BYTES);
  store<u32>(area, FCW_RESET);
  store<u32>(area, MXCSR_RESET, 24);
}

/** Brings the calling thread's FXSAVE area up to date (for signal frames, fork). */
export function fpuSave(): void {
  criticalEnter();
  const core = thisCore();
  if (core.fpuOwner === core.thread) fxsave(changetype<Thread>(core.thread).fpu);
  criticalLeave(core);
}

/** Makes the calling thread's FXSAVE area, which was changed, the one that counts. */
export function fpuReload(): void {
  criticalEnter();
  const core = thisCore();
  const thread = changetype<Thread>(core.thread);
  if (core.fpuOwner !== 0 && core.fpuOwner !== core.thread) fxsave(changetype<Thread>(core.fpuOwner).fpu);
  fxrstor(thread.fpu);
  core.fpuOwner = core.thread;
  criticalLeave(core);
}

/** The calling thread's FS base (arch_prctl, CLONE_SETTLS). */
export function threadSetFsBase(base: u64): void {
  criticalEnter();
  const core = thisCore();
  changetype<Thread>(core.thread).fsBase = base;
  core.fsBase = base;
  wrmsr(MSR_FS_BASE, base);
  criticalLeave(core);
}
