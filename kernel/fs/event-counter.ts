// eventfd(2): a counter that writes add to, and a read takes, all of it or (EFD_SEMAPHORE) one. It is under the lock of readiness, since each change is told.
import { allocate, release } from "../memory/slab";
import { EAGAIN, EINVAL } from "../process/errno";
import { File, fileCreate, KIND_EVENT, O_RDWR } from "./file";
import { POLLERR, POLLIN, POLLOUT, readinessLock, readinessUnlock, Source, tellHeld } from "./readiness";

const COUNT_MAX: u64 = -2;

@unmanaged
class EventCounter extends Source {
  semaphore: u32 = 0;
  count: u64 = 0;
}

function counterOf(file: File): EventCounter {
  return changetype<EventCounter>(file.stream);
}

export function eventCreate(count: u64, semaphore: bool, flags: u32): File {
  const counter = changetype<EventCounter>(allocate(offsetof<EventCounter>()));
  counter.count = count;
  counter.semaphore = u32(semaphore);
  const file = fileCreate(KIND_EVENT, O_RDWR | flags, 0, 0);
  file.stream = changetype<usize>(counter);
  file.source = changetype<usize>(counter);
  file.mode = 0o600;
  return file;
}

export function eventEnd(file: File): void {
  release(file.stream);
}

export function eventRead(file: File, _offset: u64, buffer: usize, bytes: usize): i64 {
  if (bytes < 8) return -EINVAL;
  const counter = counterOf(file);
  readinessLock();
  const taken = counter.semaphore && counter.count !== 0 ? 1 : counter.count;
  counter.count -= taken;
  if (taken !== 0) tellHeld(counter, POLLOUT);
  readinessUnlock();
  store<u64>(buffer, taken);
  return taken !== 0 ? 8 : -EAGAIN;
}

export function eventWrite(file: File, _offset: u64, buffer: usize, bytes: usize): i64 {
  const more = bytes < 8 ? u64.MAX_VALUE : load<u64>(buffer);
  if (more === u64.MAX_VALUE) return -EINVAL;
  const counter = counterOf(file);
  readinessLock();
  const room = more <= COUNT_MAX - counter.count;
  if (room) {
    counter.count += more;
    tellHeld(counter, POLLIN);
  }
  readinessUnlock();
  return room ? 8 : -EAGAIN;
}

/** Lock held. */
export function eventReady(file: File): u32 {
  const count = counterOf(file).count;
  if (count > COUNT_MAX) return POLLIN | POLLERR;
  return (count !== 0 ? POLLIN : 0) | (count < COUNT_MAX ? POLLOUT : 0);
}
