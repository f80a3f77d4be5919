// Futexes (Linux futex(2)). A word in private memory is a queue of this machine's lwps, found by address space and
// address; a word in a shared object is the cluster's, and the pager's calls do the work.
//
// No wake-up is lost without reading user memory under a lock: a waiter queues itself first and reads the word
// then; whoever changes the word and wakes finds it queued, or the waiter reads what was changed.
import { userCompareExchange32 } from "../arch";
import { SharedObject, sharedFutexWait, sharedFutexWake } from "../coherence/pager";
import { File, fileReference, fileRelease } from "../fs/file";
import { SpinLock } from "../lwkt/spinlock";
import { queueLock, queueUnlock, WaitQueue, waitOn, wakeAll } from "../lwkt/wait";
import { nanoseconds, WALL_CLOCK_EPOCH } from "../machine/time";
import { EAGAIN, EFAULT, EINTR, EINVAL, ENOSYS, ERESTART, ETIMEDOUT } from "./errno";
import { currentLwp, Lwp } from "./lwp";
import { AddressSpace, entryAt, SHARED } from "./mapping";
import { notImplemented } from "./not-implemented";
import { interrupted } from "./signal";
import { processTime } from "./time-calls";
import { readUser, scratch, userRange, writeUser32 } from "./user-memory";

const FUTEX_WAIT: u32 = 0;
const FUTEX_WAKE: u32 = 1;
const FUTEX_REQUEUE: u32 = 3;
const FUTEX_CMP_REQUEUE: u32 = 4;
const FUTEX_WAIT_BITSET: u32 = 9;
const FUTEX_WAKE_BITSET: u32 = 10;
const FUTEX_PRIVATE_FLAG: u32 = 128;
const FUTEX_CLOCK_REALTIME: u32 = 256;
const ANY_BIT: u32 = 0xffff_ffff;
const EVERYBODY: u32 = 0x7fff_ffff;
const SECOND: u64 = 1_000_000_000;

// --- Buckets: a spinlock (16 bytes apart) and a doubly linked list of lwps each ---

const BUCKET_BYTES: usize = 16;
/** 64 of them: bucketOf takes 6 bits. */
const buckets: usize = memory.data(1024, 16);

@unmanaged
class Bucket {
  /** Where the SpinLock is (lockOf): all-zero memory is a free one. */
  lock: u32 = 0;
  first: usize = 0;
  last: usize = 0;
}

function lockOf(bucket: usize): SpinLock {
  return changetype<SpinLock>(bucket);
}

function bucketOf(space: usize, address: u64): usize {
  const mixed = (u32(address >> 2) ^ u32(address >> 12) ^ u32(space >> 12)) * 0x9e37_79b1;
  return buckets + <usize>(mixed >> 26) * BUCKET_BYTES;
}

/** Bucket's lock held. At the end: waiters are woken in the order in which they came. */
function enqueue(bucket: usize, lwp: Lwp): void {
  const list = changetype<Bucket>(bucket);
  lwp.futexNext = 0;
  lwp.futexPrevious = list.last;
  if (list.last) changetype<Lwp>(list.last).futexNext = changetype<usize>(lwp);
  else list.first = changetype<usize>(lwp);
  list.last = changetype<usize>(lwp);
  atomic.store<u32>(changetype<usize>(lwp) + offsetof<Lwp>("futexQueued"), 1);
}

function dequeue(bucket: usize, lwp: Lwp): void {
  const list = changetype<Bucket>(bucket);
  if (lwp.futexPrevious) changetype<Lwp>(lwp.futexPrevious).futexNext = lwp.futexNext;
  else list.first = lwp.futexNext;
  if (lwp.futexNext) changetype<Lwp>(lwp.futexNext).futexPrevious = lwp.futexPrevious;
  else list.last = lwp.futexPrevious;
  atomic.store<u32>(changetype<usize>(lwp) + offsetof<Lwp>("futexQueued"), 0);
}

function queued(lwp: Lwp): bool {
  return atomic.load<u32>(changetype<usize>(lwp) + offsetof<Lwp>("futexQueued")) !== 0;
}

/** Takes a waiter off its queue and lets it run. Bucket's lock held, so that the lwp is still there. */
function wake(bucket: usize, lwp: Lwp): void {
  const queue = changetype<WaitQueue>(lwp.wait);
  queueLock(queue);
  dequeue(bucket, lwp);
  queueUnlock(queue);
  wakeAll(queue);
}

// --- Where the word is ---

/** The file of the shared object behind a user address, referenced, and the offset in it at `scratch`; 0: private. */
function sharedFileAt(map: AddressSpace, address: u64): usize {
  map.sleepLock().acquire();
  const entry = entryAt(map, address);
  let file: usize = 0;
  if (changetype<usize>(entry) !== 0 && entry.kind === SHARED) {
    file = entry.file;
    // Another thread may unmap it meanwhile.
    fileReference(changetype<File>(file));
    store<u64>(scratch(), entry.offset + (address - entry.start));
  }
  map.sleepLock().release();
  return file;
}

/**
 * The object in which the word is, its offset at `scratch` and behind it the file to release, or 0; an object 0: the word is this
 * machine's alone. FUTEX_PRIVATE_FLAG says that no other process takes part, hence no other machine unless the process is spread.
 */
function wordObject(address: u64, operation: u32): usize {
  const map = currentLwp().process.map;
  let file: usize = 0;
  if (!(operation & FUTEX_PRIVATE_FLAG)) {
    // Away from home the entry may not be known yet.
    if (map.memory) readUser(scratch(), address, 4);
    file = sharedFileAt(map, address);
  }
  store<usize>(scratch() + 8, file);
  if (file) return changetype<File>(file).object;
  store<u64>(scratch(), address);
  return map.memory;
}

function wakeShared(object: usize, count: u32): i64 {
  const file = load<usize>(scratch() + 8);
  const result = sharedFutexWake(changetype<SharedObject>(object), load<u64>(scratch()), count);
  if (file) fileRelease(changetype<File>(file));
  return result;
}

// --- The call ---

export function futex(address: u64, operation64: u64, value: u64, fourth: u64, second: u64, third: u64): i64 {
  const operation = u32(operation64);
  if (address & 3) return -EINVAL;
  if (!userRange(address, 4)) return -EFAULT;
  switch (operation & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)) {
    case FUTEX_WAIT:
      return waitUntil(address, operation, u32(value), fourth, false, ANY_BIT);
    case FUTEX_WAIT_BITSET:
      return waitUntil(address, operation, u32(value), fourth, true, u32(third));
    case FUTEX_WAKE:
      return wakeWord(address, operation, u32(value), ANY_BIT);
    case FUTEX_WAKE_BITSET:
      return wakeWord(address, operation, u32(value), u32(third));
    case FUTEX_REQUEUE:
      if (i32(value) < 0 || i32(fourth) < 0) return -EINVAL;
      return requeue(address, operation, u32(value), u32(fourth), second);
    case FUTEX_CMP_REQUEUE:
      if (i32(value) < 0 || i32(fourth) < 0) return -EINVAL;
      if (!readUser(scratch(), address, 4)) return -EFAULT;
      if (load<u32>(scratch()) !== u32(third)) return -EAGAIN;
      return requeue(address, operation, u32(value), u32(fourth), second);
  }
  return notImplemented("futex operation", u64(operation), -ENOSYS);
}

/** The timeout at a user address as nanoseconds from now, at least 1; 0 = for ever; negative: an error. */
function timeoutAt(address: u64, absolute: bool, realTime: bool): i64 {
  if (address === 0) return 0;
  if (!readUser(scratch(), address, 16)) return -EFAULT;
  const seconds = load<i64>(scratch());
  const fraction = load<i64>(scratch() + 8);
  if (seconds < 0 || fraction < 0 || fraction >= i64(SECOND)) return -EINVAL;
  // Beyond 200 years is for ever, and does not overflow.
  if (seconds > 6_000_000_000) return 0;
  let end = seconds * i64(SECOND) + fraction;
  if (absolute) {
    end -= i64(processTime());
    if (realTime) end -= i64(WALL_CLOCK_EPOCH * SECOND);
  }
  return max<i64>(end, 1);
}

function waitUntil(address: u64, operation: u32, value: u32, limit: u64, absolute: bool, bits: u32): i64 {
  if (bits === 0) return -EINVAL;
  const timeout = timeoutAt(limit, absolute, (operation & FUTEX_CLOCK_REALTIME) !== 0);
  if (timeout < 0) return timeout;
  const object = wordObject(address, operation);
  let result: i64;
  if (object) {
    const file = load<usize>(scratch() + 8);
    const offset = load<u64>(scratch());
    result = sharedFutexWait(changetype<SharedObject>(object), offset, value, address, u64(timeout));
    if (file) fileRelease(changetype<File>(file));
  } else result = waitPrivate(address, value, u64(timeout), bits);
  return result === -EINTR && timeout === 0 ? -ERESTART : result;
}

function waitPrivate(address: u64, value: u32, timeout: u64, bits: u32): i64 {
  const lwp = currentLwp();
  const space = lwp.process.map.tables;
  const deadline: u64 = timeout === 0 ? 0 : nanoseconds() + timeout;
  const bucket = bucketOf(space, address);
  lwp.futexSpace = space;
  lwp.futexAddress = address;
  lwp.futexBits = bits;
  lockOf(bucket).acquire();
  enqueue(bucket, lwp);
  lockOf(bucket).release();
  if (!readUser(scratch(), address, 4)) return withdraw(lwp, -EFAULT);
  if (load<u32>(scratch()) !== value) return withdraw(lwp, -EAGAIN);
  const queue = changetype<WaitQueue>(lwp.wait);
  let result: i64 = 0;
  queueLock(queue);
  while (queued(lwp) && result === 0) {
    if (interrupted()) result = -EINTR;
    else if (deadline === 0) waitOn(queue, 0);
    else {
      const now = nanoseconds();
      if (now >= deadline) result = -ETIMEDOUT;
      else waitOn(queue, deadline - now);
    }
  }
  queueUnlock(queue);
  return withdraw(lwp, result);
}

/**
 * Off the queue, if still on it. Who was woken meanwhile has used up a wake-up: that counts, whatever else happened.
 * The bucket's lock is taken in any case: until the waker has let go of it, it still touches this lwp.
 */
function withdraw(lwp: Lwp, result: i64): i64 {
  while (true) {
    const address = addressOf(lwp);
    const bucket = bucketOf(lwp.futexSpace, address);
    lockOf(bucket).acquire();
    const here = addressOf(lwp) === address; // else a requeue moved the waiter while the lock was awaited
    const waiting = here && queued(lwp);
    if (waiting) dequeue(bucket, lwp);
    lockOf(bucket).release();
    if (here) return waiting ? result : 0;
  }
}

/** A requeue changes it, holding the locks of both buckets. */
function addressOf(lwp: Lwp): u64 {
  return atomic.load<u64>(changetype<usize>(lwp) + offsetof<Lwp>("futexAddress"));
}

function wakeWord(address: u64, operation: u32, count: u32, bits: u32): i64 {
  if (bits === 0) return -EINVAL;
  const object = wordObject(address, operation);
  // Waiters elsewhere are not told apart by their bits: when not all are meant, all look.
  if (object) return wakeShared(object, bits === ANY_BIT ? count : EVERYBODY);
  return i64(wakePrivate(currentLwp().process.map.tables, address, count, bits));
}

function wakePrivate(space: usize, address: u64, count: u32, bits: u32): u32 {
  const bucket = bucketOf(space, address);
  let woken: u32 = 0;
  lockOf(bucket).acquire();
  let at = changetype<Bucket>(bucket).first;
  while (at !== 0 && woken < count) {
    const lwp = changetype<Lwp>(at);
    at = lwp.futexNext;
    if (lwp.futexAddress !== address || lwp.futexSpace !== space || !(lwp.futexBits & bits)) continue;
    wake(bucket, lwp);
    woken++;
  }
  lockOf(bucket).release();
  return woken;
}

/** Wakes `count` waiters and moves up to `moves` more to the word at `to`. */
function requeue(address: u64, operation: u32, count: u32, moves: u32, to: u64): i64 {
  if (to & 3) return -EINVAL;
  const object = wordObject(address, operation);
  if (object) {
    // Between machines everybody is woken instead: a waiter has to bear a wake-up too many.
    const all = min<u64>(u64(count) + u64(moves), u64(EVERYBODY));
    return wakeShared(object, u32(all));
  }
  const space = currentLwp().process.map.tables;
  const woken = wakePrivate(space, address, count, ANY_BIT);
  const moved = to === address ? 0 : movePrivate(space, address, to, moves);
  return i64(woken + moved);
}

function movePrivate(space: usize, from: u64, to: u64, moves: u32): u32 {
  const source = bucketOf(space, from);
  const target = bucketOf(space, to);
  // Two locks always in the order of their addresses.
  const low = min<usize>(source, target);
  const high = max<usize>(source, target);
  let moved: u32 = 0;
  lockOf(low).acquire();
  if (high !== low) lockOf(high).acquire();
  let at = changetype<Bucket>(source).first;
  while (at !== 0 && moved < moves) {
    const lwp = changetype<Lwp>(at);
    at = lwp.futexNext;
    if (lwp.futexAddress !== from || lwp.futexSpace !== space) continue;
    moveWaiter(source, target, lwp, to);
    moved++;
  }
  if (high !== low) lockOf(high).release();
  lockOf(low).release();
  return moved;
}

/** Never off a queue in the waiter's eyes: both locks are held, and the flag stays set. */
function moveWaiter(source: usize, target: usize, lwp: Lwp, to: u64): void {
  const list = changetype<Bucket>(source);
  if (lwp.futexPrevious) changetype<Lwp>(lwp.futexPrevious).futexNext = lwp.futexNext;
  else list.first = lwp.futexNext;
  if (lwp.futexNext) changetype<Lwp>(lwp.futexNext).futexPrevious = lwp.futexPrevious;
  else list.last = lwp.futexPrevious;
  atomic.store<u64>(changetype<usize>(lwp) + offsetof<Lwp>("futexAddress"), to);
  enqueue(target, lwp);
}

// --- The end of a thread ---

const ROBUST_LIST_MAX: u32 = 2048;
const FUTEX_WAITERS: u32 = 0x8000_0000;
const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
const FUTEX_ID_MASK: u32 = 0x3fff_ffff;

/** In its own address space: robust locks are let go, and whoever joins the thread is told. */
export function lwpExitWork(lwp: Lwp): void {
  if (lwp.robustList) releaseRobust(lwp);
  const word = lwp.clearChildId;
  if (word === 0 || word & 3 || !writeUser32(word, 0)) return;
  wakeWord(word, 0, 1, ANY_BIT);
}

/** The list head: first entry 8, offset from an entry to its futex word 8, the entry being locked or unlocked 8. */
function releaseRobust(lwp: Lwp): void {
  const head = lwp.robustList;
  if (!readUser(scratch(), head, 24)) return;
  let entry = load<u64>(scratch());
  const offset = load<u64>(scratch() + 8);
  const underway = load<u64>(scratch() + 16);
  for (let i: u32 = 0; i < ROBUST_LIST_MAX && entry !== 0 && (entry & ~1) !== head; i++) {
    // Bit 0 marks a lock with priority inheritance, which nobody can have taken here.
    const at = entry & ~1;
    if (!readUser(scratch(), at, 8)) return;
    const next = load<u64>(scratch());
    if (at !== (underway & ~1)) ownerDied(lwp, at + offset);
    entry = next;
  }
  if (underway & ~1) ownerDied(lwp, (underway & ~1) + offset);
}

function ownerDied(lwp: Lwp, word: u64): void {
  if (word & 3 || !userRange(word, 4)) return;
  const seen = scratch() + 32;
  if (!readUser(seen, word, 4)) return;
  while (true) {
    const value = load<u32>(seen);
    if ((value & FUTEX_ID_MASK) !== lwp.id) return;
    const fresh = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
    if (!userCompareExchange32(word, value, fresh, seen)) return;
    if (load<u32>(seen) !== value) continue;
    if (value & FUTEX_WAITERS) wakeWord(word, 0, 1, ANY_BIT);
    return;
  }
}
