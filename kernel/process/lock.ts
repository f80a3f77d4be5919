// A lock that is waited for asleep, for sections that may block or run long. Not for interrupt handlers.

import { threadCurrent } from "../lwkt/thread";
import { queueLock, queueUnlock, WaitQueue, waitOn, wakeOne } from "../lwkt/wait";
import { allocate, release } from "../memory/slab";

@unmanaged
export class SleepLock {
  /** Who waits. Kept as a number: a class field is a pointer, and this one is made with the lock. */
  queue: usize = 0;
  /** The thread that holds it, 0 = free. Written under the queue's lock. */
  holder: usize = 0;

  acquire(): void {
    const queue = changetype<WaitQueue>(this.queue);
    const self = changetype<usize>(threadCurrent());
    assert(this.holder !== self, "a sleep lock taken twice by one thread");
    queueLock(queue);
    while (this.holder !== 0) waitOn(queue, 0);
    this.holder = self;
    queueUnlock(queue);
  }

  release(): void {
    assert(this.held(), "a sleep lock released by a thread that does not hold it");
    const queue = changetype<WaitQueue>(this.queue);
    queueLock(queue);
    this.holder = 0;
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
