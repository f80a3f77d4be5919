// A lock that is waited for asleep, for sections that may block or run long. Not for interrupt handlers.
//
// Invariant: who waits has counted itself before it looks at the holder, and who lets go looks at the count afterwards, all by locked
// instructions: so either sees the other. A lock that nobody waits for costs one such instruction each way, and no queue.

import { threadCurrent } from "../lwkt/thread";
import { queueLock, queueUnlock, WaitQueue, waitOn, wakeOne } from "../lwkt/wait";
import { allocate, release } from "../memory/slab";

@unmanaged
export class SleepLock {
  /** Who waits. Kept as a number: a class field is a pointer, and this one is made with the lock. */
  queue: usize = 0;
  /** The thread that holds it, 0 = free. */
  holder: usize = 0;
  /** Threads that wait, or are about to. */
  waiters: u32 = 0;

  acquire(): void {
    const self = changetype<usize>(threadCurrent());
    assert(this.holder !== self, "a sleep lock taken twice by one thread");
    if (!taken(this, self)) wait(this, self);
  }

  release(): void {
    assert(this.held(), "a sleep lock released by a thread that does not hold it");
    atomic.store<usize>(changetype<usize>(this) + offsetof<SleepLock>("holder"), 0);
    if (atomic.load<u32>(changetype<usize>(this) + offsetof<SleepLock>("waiters")) === 0) return;
    // Who looked at the holder before holds the queue's lock until it is in the queue.
    const queue = changetype<WaitQueue>(this.queue);
    queueLock(queue);
    queueUnlock(queue);
    wakeOne(queue);
  }

  held(): bool {
    return this.holder === changetype<usize>(threadCurrent());
  }

  /** Lets go of the lock while asleep on `condition`; whoever changes it holds this lock, then wakes the queue. */
  sleepOn(condition: WaitQueue): void {
    queueLock(condition);
    this.release();
    waitOn(condition, 0);
    queueUnlock(condition);
    this.acquire();
  }
}

function taken(lock: SleepLock, self: usize): bool {
  return atomic.cmpxchg<usize>(changetype<usize>(lock) + offsetof<SleepLock>("holder"), 0, self) === 0;
}

function wait(lock: SleepLock, self: usize): void {
  const queue = changetype<WaitQueue>(lock.queue);
  const waiters = changetype<usize>(lock) + offsetof<SleepLock>("waiters");
  atomic.add<u32>(waiters, 1);
  queueLock(queue);
  while (!taken(lock, self)) waitOn(queue, 0);
  queueUnlock(queue);
  atomic.sub<u32>(waiters, 1);
}

export function waitQueueCreate(): WaitQueue {
  return changetype<WaitQueue>(allocate(offsetof<WaitQueue>()));
}

export function sleepLockCreate(): SleepLock {
  const lock = changetype<SleepLock>(allocate(offsetof<SleepLock>()));
  lock.queue = changetype<usize>(waitQueueCreate());
  return lock;
}

export function sleepLockDestroy(lock: SleepLock): void {
  assert(lock.holder === 0, "a sleep lock destroyed while held");
  release(lock.queue);
  release(changetype<usize>(lock));
}
