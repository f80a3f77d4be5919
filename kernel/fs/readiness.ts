// Readiness, and who waits for it (poll(2)). What can be read or written at some times only (a pipe, an eventfd, an epoll) has a Source; who wants to
// know when that changes puts a Watch there: a thread that waits (process/watching.ts), or an interest of an epoll.
//
// Invariant: who watches looks once its Watch is there, and who changes something tells afterwards: so either sees the other. All watches
// are under one lock, held for a few steps; no lock is taken under it but those of wait queues.
import { SpinLock } from "../lwkt/spinlock";

/** Events, of poll(2) as of epoll(7). */
export const POLLIN: u32 = 1;
export const POLLPRI: u32 = 2;
export const POLLOUT: u32 = 4;
export const POLLERR: u32 = 8;
export const POLLHUP: u32 = 0x10;
export const POLLNVAL: u32 = 0x20;
export const POLLRDNORM: u32 = 0x40;
export const POLLRDBAND: u32 = 0x80;
export const POLLWRNORM: u32 = 0x100;
export const POLLWRBAND: u32 = 0x200;
export const READABLE: u32 = POLLIN | POLLRDNORM;
export const WRITABLE: u32 = POLLOUT | POLLWRNORM;
/** Who waits for anything is told of these. */
export const ALWAYS: u32 = POLLERR | POLLHUP;

@unmanaged
export class Source {
  first: usize = 0;
}

@unmanaged
export class Watch {
  /** The Source, 0 = at none. */
  source: usize = 0;
  next: usize = 0;
  previous: usize = 0;
  /** What it is to be told of. */
  events: u32 = 0;
  /** Table index of (watch: Watch) => void, called under the lock. */
  tells: u32 = 0;
}

const lock = changetype<SpinLock>(memory.data(16, 16));

export function readinessLock(): void {
  lock.acquire();
}
export function readinessUnlock(): void {
  lock.release();
}

/** Lock held. */
export function watchAt(source: Source, watch: Watch): void {
  watch.source = changetype<usize>(source);
  watch.previous = 0;
  watch.next = source.first;
  if (source.first !== 0) changetype<Watch>(source.first).previous = changetype<usize>(watch);
  source.first = changetype<usize>(watch);
}

/** Lock held. */
export function watchEnd(watch: Watch): void {
  if (watch.source === 0) return;
  if (watch.previous !== 0) changetype<Watch>(watch.previous).next = watch.next;
  else changetype<Source>(watch.source).first = watch.next;
  if (watch.next !== 0) changetype<Watch>(watch.next).previous = watch.previous;
  watch.source = 0;
}

/** These events may be there now. */
export function tell(source: Source, events: u32): void {
  lock.acquire();
  tellHeld(source, events);
  lock.release();
}

/** Lock held. */
export function tellHeld(source: Source, events: u32): void {
  for (let at = source.first; at !== 0; at = changetype<Watch>(at).next) {
    const watch = changetype<Watch>(at);
    if (watch.events & events) call_indirect<void>(watch.tells, watch);
  }
}
