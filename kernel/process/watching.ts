// Threads that wait for files to be ready (fs/readiness.ts): until something that they watch tells, a signal comes, the process ends, or it is time.
import { File } from "../fs/file";
import { readinessLock, readinessUnlock, Source, Watch, watchAt, watchEnd } from "../fs/readiness";
import { queueLock, queueUnlock, WaitQueue, waitOn, wakeAll } from "../lwkt/wait";
import { nanoseconds } from "../machine/time";
import { EINTR } from "./errno";
import { currentLwp, Lwp } from "./lwp";
import { interrupted } from "./signal";

export const FOR_EVER: u64 = u64.MAX_VALUE;

@unmanaged
export class ThreadWatch extends Watch {
  lwp: usize = 0;
}

/** `watch`, zeroed memory, for the current thread; not if the file is always ready. */
export function threadWatch(watch: ThreadWatch, file: File, events: u32): void {
  if (file.source === 0) return;
  watch.lwp = changetype<usize>(currentLwp());
  watch.events = events;
  watch.tells = threadTold.index;
  readinessLock();
  watchAt(changetype<Source>(file.source), watch);
  readinessUnlock();
}

export function threadWatchEnd(watch: ThreadWatch): void {
  readinessLock();
  watchEnd(watch);
  readinessUnlock();
}

function threadTold(watch: Watch): void {
  const lwp = changetype<Lwp>(changetype<ThreadWatch>(changetype<usize>(watch)).lwp);
  const queue = changetype<WaitQueue>(lwp.wait);
  queueLock(queue);
  lwp.told = 1;
  queueUnlock(queue);
  wakeAll(queue);
}

/** 1: something was told since this was asked last; 0: it is time; -EINTR: a signal came, or the end. */
export function awaitTold(deadline: u64): i64 {
  const lwp = currentLwp();
  const queue = changetype<WaitQueue>(lwp.wait);
  let result: i64 = 1;
  queueLock(queue);
  while (lwp.told === 0 && result === 1) {
    const now = deadline === FOR_EVER ? 0 : nanoseconds();
    if (interrupted()) result = -EINTR;
    else if (now >= deadline) result = 0;
    else waitOn(queue, deadline === FOR_EVER ? 0 : deadline - now);
  }
  lwp.told = 0;
  queueUnlock(queue);
  return result;
}
