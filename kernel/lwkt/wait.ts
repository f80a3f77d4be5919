// Waiting for a condition, and waking: from any core and from interrupt handlers.
//
// No wake-up is lost when the condition is tested under the queue's lock, and made true before the wake:
//
//   queueLock(q); while (!condition) waitOn(q, 0); queueUnlock(q);          condition = true; wakeAll(q);
//
// waitOn lets go of the lock while asleep and holds it again when it returns. When waiter and wakers are all on one
// core, a critical section instead of the lock does as well: the caller keeps his critical sections over a wait.
// A queue's memory may be freed when nobody is inside waitOn any more, not as soon as nobody is queued.
import { timeoutAdd, timeoutRemove } from "../machine/timer";
import { Core, thisCore } from "./core";
import { criticalEnter, criticalExit, criticalLeave } from "./critical";
import { block, ready } from "./scheduler";
import { lockWord, unlockWord } from "./spinlock";
import { readyAnywhere, Thread } from "./thread";

/** All-zero memory is an empty queue. */
@unmanaged
export class WaitQueue {
  lock: u32 = 0;
  first: usize = 0;
  last: usize = 0;
}

export function queueLock(queue: WaitQueue): void {
  const core = thisCore();
  core.critical++;
  lockWord(changetype<usize>(queue), core.index + 1);
}

export function queueUnlock(queue: WaitQueue): void {
  const core = thisCore();
  unlockWord(changetype<usize>(queue), core.index + 1);
  criticalLeave(core);
}

function append(queue: WaitQueue, thread: Thread): void {
  thread.waitQueue = changetype<usize>(queue);
  thread.next = 0;
  thread.previous = queue.last;
  if (queue.last !== 0) changetype<Thread>(queue.last).next = changetype<usize>(thread);
  else queue.first = changetype<usize>(thread);
  queue.last = changetype<usize>(thread);
}

function remove(queue: WaitQueue, thread: Thread): void {
  thread.waitQueue = 0;
  if (thread.previous !== 0) changetype<Thread>(thread.previous).next = thread.next;
  else queue.first = thread.next;
  if (thread.next !== 0) changetype<Thread>(thread.next).previous = thread.previous;
  else queue.last = thread.previous;
}

/** False: the timeout (0 = for ever) went by before a wake-up or a threadKick, which sets thread.interrupted. */
export function waitOn(queue: WaitQueue, timeoutNanoseconds: u64): bool {
  const core = thisCore();
  const holder = core.index + 1;
  const thread = changetype<Thread>(core.thread);
  core.critical++;
  assert(core.thread !== core.idle, "the idle thread waits");
  const locked = queue.lock === holder;
  if (!locked) lockWord(changetype<usize>(queue), holder);
  append(queue, thread);
  thread.timedOut = 0;
  thread.interrupted = 0;
  if (timeoutNanoseconds !== 0) timeoutAdd(core, thread, timeoutNanoseconds);
  unlockWord(changetype<usize>(queue), holder);
  // From here on a waker may send this core a message; it waits until the switch is over.
  block(core);
  if (thread.deadline !== 0) timeoutRemove(core, thread);
  if (locked) lockWord(changetype<usize>(queue), holder);
  criticalLeave(core);
  return thread.timedOut === 0;
}

/** Takes the thread from its queue unless a waker was faster. On its own core, in a critical section. */
function cutShort(thread: Thread): bool {
  const queue = changetype<WaitQueue>(thread.waitQueue);
  if (changetype<usize>(queue) === 0) return false;
  const holder = thisCore().index + 1;
  lockWord(changetype<usize>(queue), holder);
  const queued = thread.waitQueue !== 0;
  if (queued) remove(queue, thread);
  unlockWord(changetype<usize>(queue), holder);
  return queued;
}

/** By the timer, on the thread's core. */
export function timeoutExpired(core: Core, thread: Thread): void {
  if (!cutShort(thread)) return;
  thread.timedOut = 1;
  ready(core, thread);
}

/** IPI message of threadKick: ends the thread's wait, if it is in one. */
export function kickHere(argument: usize): void {
  const thread = changetype<Thread>(argument);
  if (!cutShort(thread)) return;
  thread.interrupted = 1;
  ready(thisCore(), thread);
}

/** Wakes the thread that waited longest; false when nobody waited. With or without the lock. */
export function wakeOne(queue: WaitQueue): bool {
  const core = thisCore();
  const holder = core.index + 1;
  core.critical++;
  const locked = queue.lock === holder;
  if (!locked) lockWord(changetype<usize>(queue), holder);
  const thread = changetype<Thread>(queue.first);
  const found = changetype<usize>(thread) !== 0;
  if (found) remove(queue, thread);
  if (!locked) unlockWord(changetype<usize>(queue), holder);
  if (found) readyAnywhere(thread);
  criticalLeave(core);
  return found;
}

/** Wakes the threads that wait now, not those that come back to wait again; returns how many. */
export function wakeAll(queue: WaitQueue): u32 {
  const core = thisCore();
  const holder = core.index + 1;
  core.critical++;
  const locked = queue.lock === holder;
  if (!locked) lockWord(changetype<usize>(queue), holder);
  let thread = changetype<Thread>(queue.first);
  for (let each = thread; changetype<usize>(each) !== 0; each = changetype<Thread>(each.next))
    each.waitQueue = 0;
  queue.first = 0;
  queue.last = 0;
  if (!locked) unlockWord(changetype<usize>(queue), holder);
  let woken: u32 = 0;
  while (changetype<usize>(thread) !== 0) {
    const next = changetype<Thread>(thread.next); // before a run queue takes the link
    readyAnywhere(thread);
    thread = next;
    woken++;
  }
  criticalLeave(core);
  return woken;
}

/** Sleeps for so long, or until threadKick: then false. */
export function sleep(nanoseconds: u64): bool {
  if (nanoseconds === 0) return true;
  criticalEnter();
  const thread = changetype<Thread>(thisCore().thread);
  waitOn(changetype<WaitQueue>(changetype<usize>(thread) + offsetof<Thread>("sleepLock")), nanoseconds);
  criticalExit();
  return thread.interrupted === 0;
}
