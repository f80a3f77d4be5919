// Waiting for a condition, and waking: from any core and from interrupt handlers.
//
// No wake-up is lost when the condition is tested under the queue's lock, and made true before wakeOne/wakeAll:
//
//   queueLock(q); while (!condition) waitOn(q, 0); queueUnlock(q);          condition = true; wakeAll(q);
//
// waitOn lets go of the lock while asleep and holds it again when it returns. When waiter and waker run on one
// core, a critical section instead of the lock does as well: waitOn leaves what it was given.

/** All-zero memory is an empty queue. */
@unmanaged
export class WaitQueue {
  lock: u32 = 0;
  first: usize = 0;
  last: usize = 0;
}

export function queueLock(queue: WaitQueue): void {}
export function queueUnlock(queue: WaitQueue): void {}
/** False: `timeoutNanoseconds` (0 = for ever) went by without a wake-up. */
export function waitOn(queue: WaitQueue, timeoutNanoseconds: u64): bool {
  return true;
}
/** Wakes the thread that waited longest; false when nobody waited. May be called with or without the lock. */
export function wakeOne(queue: WaitQueue): bool {
  return false;
}
/** The number of threads woken. */
export function wakeAll(queue: WaitQueue): u32 {
  return 0;
}
/** Sleeps for so long. */
export function sleep(nanoseconds: u64): void {}
