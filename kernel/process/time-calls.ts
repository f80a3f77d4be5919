// The system calls about time (Linux man pages, section 2). All clocks are the machine's one clock (machine/time.ts):
// REALTIME is it plus a constant epoch, so that a run can be repeated.
import { queueLock, queueUnlock, WaitQueue, waitOn } from "../lwkt/wait";
import { nanoseconds, WALL_CLOCK_EPOCH } from "../machine/time";
import { EFAULT, EINTR, EINVAL } from "./errno";
import { currentLwp } from "./lwp";
import { notImplemented } from "./not-implemented";
import { processCpuTime, threadCpuTime } from "./processor-time";
import { interrupted } from "./signal";
import { readUser, scratch, writeUser } from "./user-memory";

const CLOCK_REALTIME: u64 = 0;
const CLOCK_MONOTONIC: u64 = 1;
const CLOCK_MONOTONIC_RAW: u64 = 4;
const CLOCK_REALTIME_COARSE: u64 = 5;
const CLOCK_MONOTONIC_COARSE: u64 = 6;
const CLOCK_BOOTTIME: u64 = 7;
const SECOND: u64 = 1_000_000_000;
const MICROSECOND: u64 = 1_000;

function isRealTime(clock: u64): bool {
  return clock === CLOCK_REALTIME || clock === CLOCK_REALTIME_COARSE;
}
function isMonotonic(clock: u64): bool {
  return (
    clock === CLOCK_MONOTONIC ||
    clock === CLOCK_MONOTONIC_RAW ||
    clock === CLOCK_MONOTONIC_COARSE ||
    clock === CLOCK_BOOTTIME
  );
}

function isProcessors(clock: u64): bool {
  const id = i32(clock);
  return id < 0 || id === CLOCK_PROCESS_CPUTIME_ID || id === CLOCK_THREAD_CPUTIME_ID;
}

function isKept(clock: u64): bool {
  return isRealTime(clock) || isMonotonic(clock);
}

function unknownClock(clock: u64): i64 {
  return clock < 16 ? notImplemented("clock", clock, -EINVAL) : -EINVAL;
}

const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
/** In the clock of a thread or process by its id, which is the complement of the bits above: of a thread; what is counted; all that it ran. */
const CPUCLOCK_PERTHREAD: i32 = 4;
const CPUCLOCK_KIND: i32 = 3;
const CPUCLOCK_SCHED: i32 = 2;

/** A clock of processor time, in nanoseconds; negative: it is none that is kept. */
function processorTime(clock: i32): i64 {
  const lwp = currentLwp();
  let id: u32 = 0;
  let ofThread = clock === CLOCK_THREAD_CPUTIME_ID;
  if (clock < 0) {
    if ((clock & CPUCLOCK_KIND) !== CPUCLOCK_SCHED)
      return notImplemented("processor time of kind", u64(clock & CPUCLOCK_KIND), -EINVAL);
    ofThread = (clock & CPUCLOCK_PERTHREAD) !== 0;
    id = u32(~(clock >> 3));
  } else if (!ofThread && clock !== CLOCK_PROCESS_CPUTIME_ID) return -EINVAL;
  const process = lwp.process;
  if (ofThread) {
    const time = threadCpuTime(process, id === 0 ? lwp.id : id);
    return time === u64.MAX_VALUE ? -EINVAL : i64(time);
  }
  if (id !== 0 && id !== process.id) return -EINVAL;
  if (process.origin !== 0 || process.shadows !== 0)
    return notImplemented("processor time of a process on several machines, clock", u64(clock), -EINVAL);
  return i64(processCpuTime(process));
}

/** The clock of the process: that of the machine where it began, wherever its threads are. */
export function processTime(): u64 {
  return nanoseconds() + u64(currentLwp().process.clockAhead);
}

/** Nanoseconds of the clock since its origin. */
function read(clock: u64): u64 {
  return isRealTime(clock) ? WALL_CLOCK_EPOCH * SECOND + processTime() : processTime();
}

function writePair(to: u64, first: u64, second: u64): i64 {
  store<u64>(scratch(), first);
  store<u64>(scratch() + 8, second);
  return writeUser(to, scratch(), 16) ? 0 : -EFAULT;
}

export function clockGettime(clock: u64, to: u64): i64 {
  if (isProcessors(clock)) {
    const time = processorTime(i32(clock));
    return time < 0 ? time : writePair(to, u64(time) / SECOND, u64(time) % SECOND);
  }
  if (!isKept(clock)) return unknownClock(clock);
  const now = read(clock);
  return writePair(to, now / SECOND, now % SECOND);
}

export function clockGetres(clock: u64, to: u64): i64 {
  if (isProcessors(clock)) {
    const time = processorTime(i32(clock));
    if (time < 0) return time;
  } else if (!isKept(clock)) return unknownClock(clock);
  return to ? writePair(to, 0, 1) : 0;
}

export function gettimeofday(to: u64, zone: u64): i64 {
  if (to) {
    const now = read(CLOCK_REALTIME);
    if (writePair(to, now / SECOND, (now % SECOND) / MICROSECOND) !== 0) return -EFAULT;
  }
  return zone ? writePair(zone, 0, 0) : 0;
}

export function time(to: u64): i64 {
  const seconds = read(CLOCK_REALTIME) / SECOND;
  store<u64>(scratch(), seconds);
  return to && !writeUser(to, scratch(), 8) ? -EFAULT : i64(seconds);
}

const TIMER_ABSTIME: u64 = 1;

export function nanosleep(request: u64, remaining: u64): i64 {
  return clockNanosleep(CLOCK_MONOTONIC, 0, request, remaining);
}

export function clockNanosleep(clock: u64, flags: u64, request: u64, remaining: u64): i64 {
  if (!isKept(clock)) return unknownClock(clock);
  if (!readUser(scratch(), request, 16)) return -EFAULT;
  const seconds = load<i64>(scratch());
  const fraction = load<i64>(scratch() + 8);
  if (seconds < 0 || fraction < 0 || fraction >= i64(SECOND)) return -EINVAL;
  const span = min<u64>(u64(seconds), 6_000_000_000) * SECOND + u64(fraction);
  const absolute = (flags & TIMER_ABSTIME) !== 0;
  let deadline = span;
  if (!absolute) deadline += nanoseconds();
  else {
    if (isRealTime(clock)) deadline -= min<u64>(span, WALL_CLOCK_EPOCH * SECOND);
    const ahead = processTime() - nanoseconds();
    deadline = i64(deadline) > i64(ahead) ? deadline - ahead : 0;
  }
  if (sleepUntil(deadline)) return 0;
  const now = nanoseconds();
  const left: u64 = deadline > now ? deadline - now : 0;
  if (!absolute && remaining && writePair(remaining, left / SECOND, left % SECOND) !== 0) return -EFAULT;
  return -EINTR;
}

/** False: a signal came first. */
function sleepUntil(deadline: u64): bool {
  const queue = changetype<WaitQueue>(currentLwp().wait);
  queueLock(queue);
  let now = nanoseconds();
  while (now < deadline && !interrupted()) {
    waitOn(queue, deadline === u64.MAX_VALUE ? 0 : deadline - now);
    now = nanoseconds();
  }
  queueUnlock(queue);
  return now >= deadline;
}
