// A process's real-time timer (setitimer(2) of ITIMER_REAL, alarm(2)): SIGALRM when its time has come. A thread of the kernel sleeps until
// then; it is there from the timer's first use to the process's end, and holds a reference to the process.
import { PRIORITY_KERNEL, threadCreate } from "../lwkt/thread";
import { queueLock, queueUnlock, WaitQueue, waitOn, wakeAll } from "../lwkt/wait";
import { nanoseconds } from "../machine/time";
import { allocate, release } from "../memory/slab";
import { EFAULT, EINVAL } from "./errno";
import { waitQueueCreate } from "./lock";
import { currentLwp } from "./lwp";
import { notImplemented } from "./not-implemented";
import { Process, processRelease } from "./process";
import { signalProcess } from "./signal";
import { SI_KERNEL, SIGALRM } from "./signal-numbers";
import { readUser, scratch, writeUser } from "./user-memory";

const ITIMER_REAL: u64 = 0;
const ITIMER_PROF: u64 = 2;
const SECOND: u64 = 1_000_000_000;
const MICROSECOND: u64 = 1_000;
/** A longer time than this, in seconds, is this one. */
const SECONDS_MAX: u64 = 6_000_000_000;

/** Changed under the queue's lock. */
@unmanaged
class IntervalTimer {
  process: Process = changetype<Process>(0);
  queue: usize = 0;
  /** In nanoseconds() time, 0 = it does not run; and how much later again, 0 = never. */
  deadline: u64 = 0;
  interval: u64 = 0;
  ends: u32 = 0;
}

function timerOf(process: Process): IntervalTimer {
  process.sleepLock().acquire();
  if (process.timer === 0) {
    const timer = changetype<IntervalTimer>(allocate(offsetof<IntervalTimer>()));
    timer.process = process;
    timer.queue = changetype<usize>(waitQueueCreate());
    atomic.add<u32>(changetype<usize>(process) + offsetof<Process>("references"), 1);
    process.timer = changetype<usize>(timer);
    threadCreate(timerMain.index, process.timer, "timer", 0, PRIORITY_KERNEL);
  }
  process.sleepLock().release();
  return changetype<IntervalTimer>(process.timer);
}

function timerMain(argument: usize): void {
  const timer = changetype<IntervalTimer>(argument);
  const queue = changetype<WaitQueue>(timer.queue);
  queueLock(queue);
  while (timer.ends === 0) {
    const now = nanoseconds();
    if (timer.deadline === 0 || timer.deadline > now) {
      waitOn(queue, timer.deadline === 0 ? 0 : timer.deadline - now);
      continue;
    }
    // Periods that went by meanwhile are one signal.
    if (timer.interval === 0) timer.deadline = 0;
    else timer.deadline += ((now - timer.deadline) / timer.interval + 1) * timer.interval;
    queueUnlock(queue);
    signalProcess(timer.process, SIGALRM, SI_KERNEL, 0, 0);
    queueLock(queue);
  }
  queueUnlock(queue);
  processRelease(timer.process);
  release(timer.queue);
  release(argument);
}

/** By the last thread of the process. */
export function timerEnd(process: Process): void {
  if (process.timer === 0) return;
  const timer = changetype<IntervalTimer>(process.timer);
  const queue = changetype<WaitQueue>(timer.queue);
  process.timer = 0;
  queueLock(queue);
  timer.ends = 1;
  wakeAll(queue);
  queueUnlock(queue);
}

/** What is left, as of before, into scratch() as an itimerval. `sets`: the timer is to run for `value` now, and by `interval` again. */
function exchange(sets: bool, value: u64, interval: u64): void {
  const process = currentLwp().process;
  let left: u64 = 0;
  let again: u64 = 0;
  if (sets ? process.timer !== 0 || value !== 0 : process.timer !== 0) {
    const timer = timerOf(process);
    const queue = changetype<WaitQueue>(timer.queue);
    queueLock(queue);
    const now = nanoseconds();
    if (timer.deadline !== 0) left = timer.deadline > now ? timer.deadline - now : MICROSECOND;
    again = timer.interval;
    if (sets) {
      timer.deadline = value !== 0 ? now + value : 0;
      timer.interval = interval;
      wakeAll(queue);
    }
    queueUnlock(queue);
  }
  put(scratch(), again);
  put(scratch() + 16, ((left + MICROSECOND - 1) / MICROSECOND) * MICROSECOND);
}

function put(at: usize, time: u64): void {
  store<u64>(at, time / SECOND);
  store<u64>(at, (time % SECOND) / MICROSECOND, 8);
}

/** A timeval; u64.MAX_VALUE: it is none. */
function take(at: usize): u64 {
  const seconds = load<u64>(at);
  const micros = load<u64>(at, 8);
  if (i64(seconds) < 0 || micros >= SECOND / MICROSECOND) return u64.MAX_VALUE;
  return min<u64>(seconds, SECONDS_MAX) * SECOND + micros * MICROSECOND;
}

function unknownTimer(which: u64): i64 {
  return which <= ITIMER_PROF ? notImplemented("a timer of processor time, kind", which, -EINVAL) : -EINVAL;
}

export function setitimer(which: u64, fresh: u64, old: u64): i64 {
  if (which !== ITIMER_REAL) return unknownTimer(which);
  let interval: u64 = 0;
  let value: u64 = 0;
  if (fresh) {
    if (!readUser(scratch(), fresh, 32)) return -EFAULT;
    interval = take(scratch());
    value = take(scratch() + 16);
    if (interval === u64.MAX_VALUE || value === u64.MAX_VALUE) return -EINVAL;
  }
  exchange(true, value, interval);
  return old && !writeUser(old, scratch(), 32) ? -EFAULT : 0;
}

export function getitimer(which: u64, to: u64): i64 {
  if (which !== ITIMER_REAL) return unknownTimer(which);
  exchange(false, 0, 0);
  return writeUser(to, scratch(), 32) ? 0 : -EFAULT;
}

/** Seconds that were left, rounded, at least one of what was. */
export function alarm(seconds: u64): i64 {
  exchange(true, u64(u32(seconds)) * SECOND, 0);
  const left = load<u64>(scratch(), 16);
  const micros = load<u64>(scratch(), 24);
  return i64(left) + i64(micros >= 500_000 || (left === 0 && micros !== 0));
}
