// LWKT threads: kernel threads without a process (promise 40), pinned to the core that they were created for.
import { thisCore } from "./core";

/** Priorities. A woken thread preempts a running one of lower priority at once. */
export const PRIORITY_IDLE: u32 = 0;
export const PRIORITY_USER: u32 = 8;
export const PRIORITY_KERNEL: u32 = 16;
/** Threads that serve others: network, coherence. */
export const PRIORITY_SERVICE: u32 = 24;

@unmanaged
export class Thread {
  /** Saved stack pointer (virtual) while not running. */
  stackPointer: u64 = 0;
  /** End of the kernel stack (wasm address): where a trap from user mode begins. */
  kernelStack: usize = 0;
  /** Critical count while not running. */
  critical: u32 = 0;
  core: u32 = 0;
  priority: u32 = 0;
  id: u32 = 0;
  /** Address space (PDPT frame) to run in; 0: a kernel thread, which runs in whichever is loaded. */
  space: usize = 0;
  /** FXSAVE area (512 bytes, 16-aligned) of a user thread, else 0. See fpuPrepare. */
  fpu: usize = 0;
  /** FS base of a user thread (arch_prctl); changed through threadSetFsBase while running. */
  fsBase: u64 = 0;
  /** For process/: the process record. */
  process: usize = 0;
  /** For process/: per-thread record. */
  lwp: usize = 0;
  /** For coherence/: the pages pinned until the thread has made progress. */
  pins: usize = 0;
}

/** entry: table index of (argument: usize) => void. core: -1 = this one. Runnable at once. May be called from any core. */
export function threadCreate(entry: u32, argument: usize, name: string, core: i32, priority: u32): Thread {
  return changetype<Thread>(0);
}
export function threadCurrent(): Thread {
  return changetype<Thread>(thisCore().thread);
}
/** Lets the next runnable thread of the same or a higher priority run. */
export function threadYield(): void {}
/** Ends the calling thread. Never returns. */
export function threadExit(): void {}
/**
 * Makes the thread's core look at it again: a user thread passes through returningToUser() soon. One that is asleep
 * in waitOn() is woken as by wakeOne (process/ raises signals by it; every waiter tests its condition again). From any core.
 */
export function threadKick(thread: Thread): void {}
/** Gives the thread an FXSAVE area in the reset state: call once for a thread that will enter user mode. */
export function fpuPrepare(thread: Thread): void {}
/** Brings the calling thread's FXSAVE area up to date (for signal frames, fork). */
export function fpuSave(): void {}
/** Makes the calling thread's changed FXSAVE area the one that counts. */
export function fpuReload(): void {}
export function threadSetFsBase(base: u64): void {}

export function criticalEnter(): void {}
export function criticalExit(): void {}
