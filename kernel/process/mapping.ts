// The map of an address space: sorted entries that say what each range of user memory is, and for shared objects
// the way back from a page to its mappings.
//
// The private memory of a process that is spread over machines is one object as well (private-memory.ts): there the
// entries of private memory show that object, each page at its own address.
//
// Invariants: entries are sorted, do not overlap, and are page-aligned; a present page-table entry lies within an
// entry of the map; an entry that shows an object is in `sharedEntries` exactly as long as it is in a map. All
// of it is changed under the map's lock (a SleepLock); `start`, `end` and `shown` of such entries also under
// `sharedLock`, because the coherence engine reads them.
import { mapChanges } from "../coherence/loans";
import { SharedObject } from "../coherence/pager";
import { File, fileReference, fileRelease } from "../fs/file";
import { SpinLock } from "../lwkt/spinlock";
import { WaitQueue, wakeAll } from "../lwkt/wait";
import { allocate, release } from "../memory/slab";
import { SleepLock, sleepLockCreate, sleepLockDestroy, waitQueueCreate } from "./lock";
import { USER_TOP } from "./user-memory";

export const PAGE: u64 = 4096;

export const PROT_READ: u32 = 1;
export const PROT_WRITE: u32 = 2;
export const PROT_EXEC: u32 = 4;

/** MapEntry.kind */
export const ANONYMOUS: u32 = 0;
/** A private copy of a file's bytes; zeros behind `limit`. */
export const PRIVATE_FILE: u32 = 1;
/** The pages of a SharedObject themselves. */
export const SHARED: u32 = 2;

@unmanaged
export class MapEntry {
  start: u64 = 0;
  end: u64 = 0;
  /** Of the file: what `start` shows. */
  offset: u64 = 0;
  /** PRIVATE_FILE: first byte of the file that is not shown, zeros from there to the end of its page. */
  limit: u64 = 0;
  kind: u32 = 0;
  protection: u32 = 0;
  /** Faults that let go of the map's lock and will come back for this entry. */
  faults: u32 = 0;
  /** File, a counted reference; 0 when anonymous. */
  file: usize = 0;
  /** The SharedObject whose pages these are, 0 = none; what of it `start` shows; the neighbours in its bucket. */
  object: usize = 0;
  shown: u64 = 0;
  space: usize = 0;
  /** Bit per machine that was shown the entry, or some of it (proxy.ts). */
  shownTo: u64 = 0;
  sharedNext: usize = 0;
  sharedPrevious: usize = 0;
}

@unmanaged
export class AddressSpace {
  /** Page-directory-pointer table (memory/paging). */
  tables: usize = 0;
  lock: usize = 0;
  /** Vector of MapEntry addresses, sorted by start. */
  entries: usize = 0;
  count: u32 = 0;
  capacity: u32 = 0;
  /** The SharedObject that holds the private memory of a spread process; 0: private pages have frames of their own. */
  memory: usize = 0;
  /** Frames that private pages hold: zero again at the end. */
  frames: u64 = 0;
  breakStart: u64 = 0;
  breakEnd: u64 = 0;
  /** Threads that wait for faults in flight to end; new faults wait meanwhile. */
  quiescing: u32 = 0;
  /** Signalled when a fault in flight or a quiescing ends. */
  settled: usize = 0;
  /** One batch of frames on their way back, or what was found of shared pages (pages.ts). */
  batch: usize = 0;

  sleepLock(): SleepLock {
    return changetype<SleepLock>(this.lock);
  }
  at(index: u32): MapEntry {
    return changetype<MapEntry>(load<usize>(this.entries + ((<usize>index) << 2)));
  }
}

const FIRST_CAPACITY: u32 = 32;
/** Frames or pages handled between two shoot-downs: bits of one u64. */
export const BATCH_PAGES: u32 = 64;

export function mapCreate(tables: usize): AddressSpace {
  const map = changetype<AddressSpace>(allocate(offsetof<AddressSpace>()));
  map.tables = tables;
  map.lock = changetype<usize>(sleepLockCreate());
  map.capacity = FIRST_CAPACITY;
  map.entries = allocate((<usize>FIRST_CAPACITY) << 2);
  map.settled = changetype<usize>(waitQueueCreate());
  map.batch = allocate((<usize>BATCH_PAGES) << 2);
  return map;
}

/** The map is empty and nobody else knows of it. */
export function mapDestroy(map: AddressSpace): void {
  assert(map.count === 0, "a map destroyed with entries");
  assert(map.frames === 0, "an address space ended with frames that nobody freed");
  sleepLockDestroy(map.sleepLock());
  release(map.settled);
  release(map.batch);
  release(map.entries);
  release(changetype<usize>(map));
}

/** Index of the first entry that ends behind `va`: it contains `va`, or is the next one above, or is `count`. */
export function indexAt(map: AddressSpace, va: u64): u32 {
  let low: u32 = 0;
  let high = map.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (map.at(middle).end <= va) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The entry that contains `va`, or 0. */
export function entryAt(map: AddressSpace, va: u64): MapEntry {
  const index = indexAt(map, va);
  if (index === map.count || map.at(index).start > va) return changetype<MapEntry>(0);
  return map.at(index);
}

/** True when no entry lies in [start, end). */
export function rangeFree(map: AddressSpace, start: u64, end: u64): bool {
  const index = indexAt(map, start);
  return index === map.count || map.at(index).start >= end;
}

/** The highest free range of `bytes` that ends at or below `high` and starts at or above `low`; 0 = none. */
export function findFree(map: AddressSpace, bytes: u64, low: u64, high: u64): u64 {
  let top = high;
  let index = map.count;
  while (top > low) {
    const below: u64 = index === 0 ? low : max<u64>(map.at(index - 1).end, low);
    if (top >= below && top - below >= bytes) return top - bytes;
    if (index === 0) return 0;
    index--;
    top = min<u64>(top, map.at(index).start);
  }
  return 0;
}

/**
 * Adds an entry; the range must be free. An anonymous one that only continues its neighbour below makes that
 * one longer instead. Takes a reference to `file` (0 = none) of its own.
 */
export function entryAdd(
  map: AddressSpace,
  start: u64,
  end: u64,
  kind: u32,
  protection: u32,
  file: usize,
  offset: u64,
  limit: u64,
): void {
  assert(start < end && end <= USER_TOP && ((start | end) & (PAGE - 1)) === 0, "a map entry of bad bounds");
  assert(rangeFree(map, start, end), "map entries overlap");
  const index = indexAt(map, start);
  if (kind === ANONYMOUS && index > 0) {
    const below = map.at(index - 1);
    if (below.end === start && below.kind === ANONYMOUS && below.protection === protection) {
      if (below.object === 0) below.end = end;
      else {
        sharedLock().acquire();
        below.end = end;
        sharedLock().release();
      }
      return;
    }
  }
  const entry = changetype<MapEntry>(allocate(offsetof<MapEntry>()));
  entry.start = start;
  entry.end = end;
  entry.kind = kind;
  entry.protection = protection;
  entry.offset = offset;
  entry.limit = limit;
  entry.space = map.tables;
  if (file) {
    entry.file = file;
    fileReference(changetype<File>(file));
  }
  if (kind === SHARED) {
    entry.object = changetype<File>(file).object;
    entry.shown = offset;
  } else if (map.memory) {
    entry.object = map.memory;
    entry.shown = start;
  }
  insert(map, index, entry);
  if (entry.object) sharedInsert(entry);
}

/** Makes `va` a boundary between entries if it lies inside one. No fault may be in flight there. */
export function splitAt(map: AddressSpace, va: u64): void {
  const index = indexAt(map, va);
  if (index === map.count) return;
  const low = map.at(index);
  if (low.start >= va) return;
  assert(low.faults === 0, "an entry split under a fault");
  const high = changetype<MapEntry>(allocate(offsetof<MapEntry>()));
  memory.copy(changetype<usize>(high), changetype<usize>(low), offsetof<MapEntry>());
  if (high.file) fileReference(changetype<File>(high.file));
  high.start = va;
  high.offset = low.offset + (va - low.start);
  high.shown = low.shown + (va - low.start);
  insert(map, index + 1, high);
  if (low.object) {
    // Both halves in one step: the engine must find every page of the object in one of them.
    sharedLock().acquire();
    low.end = va;
    link(high);
    sharedLock().release();
  } else low.end = va;
}

/** Joins the entries that touch or lie in [start, end) and differ in nothing but their place, as Linux does. */
export function mergeIn(map: AddressSpace, start: u64, end: u64): void {
  let index = indexAt(map, start > 0 ? start - 1 : 0);
  while (index + 1 < map.count && map.at(index).end <= end) {
    if (!joinable(map.at(index), map.at(index + 1))) index++;
    else joinAbove(map, index);
  }
}

function joinable(low: MapEntry, high: MapEntry): bool {
  if (low.end !== high.start || low.kind !== high.kind) return false;
  if (low.protection !== high.protection || high.faults !== 0) return false;
  if (low.kind === ANONYMOUS) return true;
  return (
    low.file === high.file && low.limit === high.limit && high.offset - low.offset === high.start - low.start
  );
}

function joinAbove(map: AddressSpace, index: u32): void {
  const low = map.at(index);
  const high = map.at(index + 1);
  low.shownTo |= high.shownTo;
  if (low.object) {
    // In one step, as in splitAt().
    sharedLock().acquire();
    low.end = high.end;
    unlink(high);
    high.object = 0;
    sharedLock().release();
  } else low.end = high.end;
  entryRemove(map, index + 1);
}

/** Takes the entry out; its pages must be out of the page tables already. */
export function entryRemove(map: AddressSpace, index: u32): void {
  const entry = map.at(index);
  assert(entry.faults === 0, "an entry removed under a fault");
  if (entry.object) {
    sharedLock().acquire();
    unlink(entry);
    sharedLock().release();
  }
  const at = map.entries + ((<usize>index) << 2);
  memory.copy(at, at + 4, (<usize>(map.count - index - 1)) << 2);
  map.count--;
  if (entry.file) fileRelease(changetype<File>(entry.file));
  release(changetype<usize>(entry));
}

function insert(map: AddressSpace, index: u32, entry: MapEntry): void {
  if (map.count === map.capacity) {
    const larger = allocate((<usize>map.capacity) << 3);
    memory.copy(larger, map.entries, (<usize>map.count) << 2);
    release(map.entries);
    map.entries = larger;
    map.capacity <<= 1;
  }
  const at = map.entries + ((<usize>index) << 2);
  memory.copy(at + 4, at, (<usize>(map.count - index)) << 2);
  store<usize>(at, changetype<usize>(entry));
  map.count++;
}

// --- Faults in flight: those that wait for another machine do so without the map's lock ---

/** By a fault, lock held: waits while somebody wants the map to be quiet. What was looked up before is stale then. */
export function awaitQuiet(map: AddressSpace): void {
  while (map.quiescing !== 0) map.sleepLock().sleepOn(changetype<WaitQueue>(map.settled));
}

/** Lock held: on return no fault is in flight in [start, end), and none has begun since. */
export function quiesce(map: AddressSpace, start: u64, end: u64): void {
  if (faultsIn(map, start, end)) {
    map.quiescing++;
    while (faultsIn(map, start, end)) map.sleepLock().sleepOn(changetype<WaitQueue>(map.settled));
    map.quiescing--;
    wakeAll(changetype<WaitQueue>(map.settled));
  }
  mapChanges();
}

/** By a fault that is back and has the lock again. */
export function faultLanded(map: AddressSpace, entry: MapEntry): void {
  assert(entry.faults > 0, "a fault landed that never left");
  entry.faults--;
  if (map.quiescing !== 0) wakeAll(changetype<WaitQueue>(map.settled));
}

function faultsIn(map: AddressSpace, start: u64, end: u64): bool {
  for (let index = indexAt(map, start); index < map.count; index++) {
    const entry = map.at(index);
    if (entry.start >= end) return false;
    if (entry.faults !== 0) return true;
  }
  return false;
}

// --- From a page of a shared object to its mappings ---

/** Buckets by object address; each a doubly linked list through MapEntry.sharedNext. */
const BUCKETS: u32 = 64;
const sharedEntries: usize = memory.data(256, 16);
const sharedLockAt: usize = memory.data(16, 16);

/** Taken last, held for a few entries' time; the coherence engine takes it too. */
export function sharedLock(): SpinLock {
  return changetype<SpinLock>(sharedLockAt);
}

function bucketOf(object: usize): usize {
  return sharedEntries + (((object >> 5) & (BUCKETS - 1)) << 2);
}

function sharedInsert(entry: MapEntry): void {
  sharedLock().acquire();
  link(entry);
  sharedLock().release();
}

function link(entry: MapEntry): void {
  const bucket = bucketOf(entry.object);
  const first = load<usize>(bucket);
  entry.sharedPrevious = 0;
  entry.sharedNext = first;
  if (first) changetype<MapEntry>(first).sharedPrevious = changetype<usize>(entry);
  store<usize>(bucket, changetype<usize>(entry));
}

function unlink(entry: MapEntry): void {
  if (entry.sharedPrevious) changetype<MapEntry>(entry.sharedPrevious).sharedNext = entry.sharedNext;
  else store<usize>(bucketOf(entry.object), entry.sharedNext);
  if (entry.sharedNext) changetype<MapEntry>(entry.sharedNext).sharedPrevious = entry.sharedPrevious;
}

/**
 * For the coherence engine: calls `visit` (table index of (space: usize, va: u64) => void) for every place where page
 * `index` of `object` is mapped on this machine. Does not block; a spinlock is held, so `visit` must not block or wait.
 */
export function sharedMappings(object: SharedObject, index: u64, visit: u32): void {
  const offset = index * PAGE;
  sharedLock().acquire();
  let at = load<usize>(bucketOf(changetype<usize>(object)));
  while (at !== 0) {
    const entry = changetype<MapEntry>(at);
    if (entry.object === changetype<usize>(object) && offset >= entry.shown) {
      const va = entry.start + (offset - entry.shown);
      if (va < entry.end) call_indirect(visit, entry.space, va);
    }
    at = entry.sharedNext;
  }
  sharedLock().release();
}

/** The same for `count` pages: (space: usize, va: u64, index: u64, pages: u32) => void for every map entry that shows some of them. */
export function sharedMappingsOf(object: SharedObject, index: u64, count: u32, visit: u32): void {
  sharedLock().acquire();
  let at = load<usize>(bucketOf(changetype<usize>(object)));
  while (at !== 0) {
    const entry = changetype<MapEntry>(at);
    if (entry.object === changetype<usize>(object)) {
      const from = max<u64>(index * PAGE, entry.shown);
      const to = min<u64>((index + u64(count)) * PAGE, entry.shown + (entry.end - entry.start));
      if (from < to) {
        const va = entry.start + (from - entry.shown);
        call_indirect(visit, entry.space, va, from / PAGE, <u32>((to - from) / PAGE));
      }
    }
    at = entry.sharedNext;
  }
  sharedLock().release();
}

/**
 * The same, if page `index` of the object is mapped at `va` in that space: (space: usize, va: u64, pages: u64) => void, where `pages` from there
 * on lie in the same map entry.
 */
export function sharedMappingAt(object: SharedObject, index: u64, space: usize, va: u64, visit: u32): void {
  const offset = index * PAGE;
  sharedLock().acquire();
  let at = load<usize>(bucketOf(changetype<usize>(object)));
  while (at !== 0) {
    const entry = changetype<MapEntry>(at);
    const here = entry.object === changetype<usize>(object) && entry.space === space;
    if (here && va >= entry.start && va < entry.end && va - entry.start + entry.shown === offset) {
      call_indirect(visit, space, va, (entry.end - va) / PAGE);
      break;
    }
    at = entry.sharedNext;
  }
  sharedLock().release();
}
