// What the self-tests share: threads of a test, waiting for them, and leaving nothing behind.
import { coreCount, thisCore } from "../lwkt/core";
import { criticalEnter, criticalExit } from "../lwkt/critical";
import { ipiCallAll, ipiPoll } from "../lwkt/ipi";
import { Thread, threadCreate, threadsReap } from "../lwkt/thread";
import { queueLock, queueUnlock, sleep, WaitQueue, waitOn, wakeAll } from "../lwkt/wait";
import { slabTrim } from "../memory/slab";
import { panic } from "../panic";

export const MILLISECOND: u64 = 1_000_000;
/** Milliseconds after which a test gives up: many, since the host may leave a virtual core alone for long. */
export const PATIENCE: i32 = 20_000;
export const LONG: u64 = 20_000_000_000;

/** A few words that the threads of a test share; all zero when it starts. */
export const shared: usize = memory.data(1024, 64);
const joinQueue = changetype<WaitQueue>(memory.data(offsetof<WaitQueue>()));
/** Threads of the test that still run. */
const running: usize = memory.data(4);

export function expect(condition: bool, text: string): void {
  if (!condition) panic(text);
}

export function start(fn: u32, argument: usize, core: u32, priority: u32): Thread {
  atomic.add<u32>(running, 1);
  return threadCreate(fn, argument, "selftest", <i32>core, priority);
}

export function startOnAll(fn: u32, priority: u32): void {
  for (let core: u32 = 0; core < coreCount(); core++) start(fn, core, core, priority);
}

/** A test's thread calls it last. */
export function finished(): void {
  if (atomic.sub<u32>(running, 1) === 1) wakeAll(joinQueue);
}

export function join(): void {
  queueLock(joinQueue);
  while (atomic.load<u32>(running) !== 0) waitOn(joinQueue, 0);
  queueUnlock(joinQueue);
}

/** A small generator of the xorshift family; `state` must not be 0. */
export function random(state: usize): u32 {
  let x = load<u32>(state);
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  store<u32>(state, x);
  return x;
}

/** On every core: ended threads, empty slabs and messages gone, so that free frames can be counted. */
export function settle(): void {
  for (let i = 0; i < 2; i++) {
    sleep(MILLISECOND);
    ipiCallAll(tidy.index, 0);
    criticalEnter();
    tidy(0);
    criticalExit();
    ipiPoll();
  }
}

function tidy(_argument: usize): void {
  threadsReap(thisCore());
  slabTrim();
}
