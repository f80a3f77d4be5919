// Shared objects and their pages on this machine: the glue between the faulting threads, the page tables and the
// coherence engine, which one thread per machine owns.

/** A named run of bytes that every machine of the cluster may map. Its home is chosen by its name. */
@unmanaged
export class SharedObject {
  /** The cluster-wide identity, given by the home: home machine in the low byte. */
  id: u64 = 0;
  references: u32 = 0;
  home: u32 = 0;
}

/** `name`: zero-terminated ASCII. Blocks for the home's answer. 0 (compare by changetype<usize>) = not there. */
export function objectOpen(_name: usize, _create: bool): SharedObject {
  return changetype<SharedObject>(0);
}
export function objectClose(_object: SharedObject): void {}
/** Blocks: the size lives at the home. */
export function objectSize(_object: SharedObject): u64 {
  return 0;
}
export function objectTruncate(_object: SharedObject, _size: u64): i64 {
  return -5;
}
export function objectUnlink(_name: usize): i64 {
  return -5;
}

/**
 * By the faulting thread, with no spinlock held: blocks until the right is granted, installs the entry in `space`
 * and pins the page for this thread. 0 = done; -EIO: a machine that held the page died, or `index` is past the end.
 */
export function pageFaultShared(
  _object: SharedObject,
  _index: u64,
  _write: bool,
  _space: usize,
  _va: u64,
): i32 {
  return -5;
}

/**
 * By process/mapping.ts when it has taken the page out of an address space by itself (munmap, exit): the entry is
 * swapped out and every TLB has dropped it. `dirty` is what the entry said: E has silently become M. Called
 * with the lock of sharedMappings held, so that a revocation sees either the entry or this call; never blocks.
 */
export function pageUnmapped(_object: SharedObject, _index: u64, _dirty: bool): void {}

/** Bytes done, or a negative errno. Kernel buffers. */
export function objectRead(_object: SharedObject, _offset: u64, _buffer: usize, _bytes: usize): i64 {
  return -5;
}
export function objectWrite(_object: SharedObject, _offset: u64, _buffer: usize, _bytes: usize): i64 {
  return -5;
}

/**
 * FUTEX_WAIT on a page of a shared object. `user`: the word's user address; `timeout` in nanoseconds, 0 = for ever.
 * -EINTR when process/signal.ts's interrupted() is true for this thread (whoever raises a signal also wakes the
 * thread from the queue it waits on).
 */
export function sharedFutexWait(
  _object: SharedObject,
  _offset: u64,
  _expected: u32,
  _user: u64,
  _timeout: u64,
): i64 {
  return -5;
}
/** The number of waiters woken anywhere in the cluster. */
export function sharedFutexWake(_object: SharedObject, _offset: u64, _count: u32): i64 {
  return -5;
}

/** Init has ended: serves pages until every live peer has said so too. */
export function clusterFarewell(): void {}
