// The names of a file system as data in coherent pages: its directories are records in the pages of one shared object that no program can
// open, read and changed through the pager like any file, under the range locks of reads and writes (coherence/lock-calls.ts). So
// what machines see of names, what is lost with a machine and what a mirror saves is what holds for the bytes of a file, and no
// message is about names. Which file system it is does not matter here (filesystems.ts).
//
// A directory owns a range of the object's pages. Its entries are in the first of them, and its child directories own parts of the rest,
// and so on: who is granted a directory's range has its whole sub-tree (promise 72). Where there is no room for another child it
// gets a range of the overflow area, which costs grants and nothing else.
//
//   range of 2^order pages, order >= CARVED: 64 slots of 2^(order-6) pages; slot 0 has the entries, each other one a child directory
//   smaller ones: entries only. The root has all pages, order ROOT_ORDER; the upper half of its slots is the overflow area.
//
// Entries are hashed into buckets, a page each: bucket b holds the names whose hash ends in b's bits, as many as its page's depth says, and
// a full one is split in two, b and b + 2^depth (extendible hashing without a table: page 0 leads to all others). A bucket's entries
// are listed by the hash read backwards, so an entry keeps its place in a listing whatever others come and go, and buckets are
// split.
//
// Invariants. A page counts only if it says whose it is: a directory's number is never given twice, so a page of one that is gone, or
// that was lost and is zeros, is an empty bucket. Who changes a directory holds the lock of all its pages; who looks holds one page at a time
// and no lock. What is changed in one page is seen whole or not at all by other machines, since a page that is held does not leave, and by
// other cores, since `entriesLock` is held; where two pages are changed the order is said.
import { pagesLock, pagesUnlock } from "../coherence/lock-calls";
import { numberedOpen, OPEN_MAKE } from "../coherence/named";
import { NUMBERED_NAMES } from "../coherence/object-names";
import { objectClose, objectExtend, pageHeld, pageHold, pageLetGo, SharedObject } from "../coherence/pager";
import { SpinLock } from "../lwkt/spinlock";
import { allocate, release } from "../memory/slab";
import { ENOENT, ENOSPC, ESTALE } from "../process/errno";
import { SleepLock, sleepLockCreate } from "../process/lock";
import { clusterEpoch, clusterSelf } from "../syslink/cluster";
import { TYPE_DIRECTORY } from "./archive";

export const PAGE: u64 = 4096;
export const ROOT_NUMBER: u64 = 1;
export const ROOT_ORDER: u32 = 40;
/** Directories of this order and above have slots. */
export const CARVED: u32 = 16;
export const SLOT_SHIFT: u32 = 6;
/** Renames of directories into others, one at a time in the whole file system: the lock of this page. */
const RENAME_PAGE: u64 = ((<u64>1) << 40) - 1;

/** A directory, by where it is. */
@unmanaged
export class Place {
  /** filesystems.ts */
  system: u32 = 0;
  order: u32 = 0;
  first: u64 = 0;
  /** 0: it has no pages: nobody has changed it since the file system below has it. */
  number: u64 = 0;
  /** What it is in the file system below (an Inode); 0 = it is not there. */
  node: usize = 0;
}

/** A copy of what a name stands for. */
@unmanaged
export class Entry {
  /** 0: only the file system below has it. */
  number: u64 = 0;
  /** Of a directory its first page; of a file the hash that chooses its home. */
  place: u64 = 0;
  /** S_IFMT bits and permissions; 0: a name of the file system below that was removed. */
  mode: u32 = 0;
  order: u32 = 0;
  /** Inode of the file system below, 0 = none. */
  node: usize = 0;
  /** The same as its ordinal, as pages have it. */
  ordinal: u32 = 0;
  nameBytes: u32 = 0;
  /** Where a listing that ended before it goes on. */
  key: u64 = 0;
}
/** With its name. */
export const ENTRY_BYTES: usize = 64 + 256;
export function entryName(entry: Entry): usize {
  return changetype<usize>(entry) + 64;
}

/** At the beginning of a bucket's page. */
@unmanaged
class Bucket {
  /** Of the directory. */
  number: u64 = 0;
  depth: u32 = 0;
  // Of the first page only: the directory has been removed; the directory that it lies in; its Inode below, by ordinal; slots that child directories
  // have; how many child directories there are more than below; its mode.
  removed: u32 = 0;
  parent: u64 = 0;
  parentFirst: u64 = 0;
  parentOrder: u32 = 0;
  ordinal: u32 = 0;
  slots: u64 = 0;
  children: i32 = 0;
  mode: u32 = 0;
}

/** In a bucket's page, in units of 32 bytes; the name behind it. */
@unmanaged
class Slot {
  /** 0: free. */
  number: u64 = 0;
  hash: u32 = 0;
  units: u16 = 0;
  order: u8 = 0;
  nameBytes: u8 = 0;
  place: u64 = 0;
  mode: u32 = 0;
  ordinal: u32 = 0;
}
const UNIT: usize = 32;
const FIRST_UNIT: usize = 2;
const UNITS: usize = 128;

const entriesLock = changetype<SpinLock>(memory.data(16, 16));

// --- The object ---

const SYSTEMS: u32 = 8;
/** Per file system: SharedObject, 0 = not open. */
const objects: usize = memory.data(32, 8);
/** Their numbers. */
const numbers: usize = memory.data(64, 8);
let openLock = changetype<SleepLock>(0);
/** Numbers given so far: of directories and files, unique over machines and their lives. */
const given: usize = memory.data(8, 8);

export function namesPrepare(): void {
  openLock = sleepLockCreate();
}

export function numberNew(): u64 {
  const count = atomic.add<u64>(given, 1) + 1;
  return (((clusterEpoch() << 16) & 0x00ff_ffff_ffff_ff00) + (count << 8)) | <u64>clusterSelf();
}

/** The number of the object with the names of a file system, which tells it from every other one of the cluster; it is opened when it is used first. */
export function namesAre(system: u32, number: u64): void {
  assert(system < SYSTEMS, "a file system of no number");
  store<u64>(numbers + ((<usize>system) << 3), number);
}

/** For the first time, or since this machine was left out: what the one before stood for was another life's, and other threads may use it still. */
function openAgain(system: u32): i64 {
  openLock.acquire();
  let result: i64 = 0;
  if (!isOpen(objectAt(system))) {
    const number = load<u64>(numbers + ((<usize>system) << 3));
    const into = allocate(8);
    const hash = max<u32>((u32(number) ^ u32(number >> 32)) * 0x9e37_79b1, 1);
    result = numberedOpen(NUMBERED_NAMES, number, hash, OPEN_MAKE, into);
    if (result >= 0) {
      const object = changetype<SharedObject>(load<usize>(into));
      object.names = 1;
      const end = ((<u64>1) << ROOT_ORDER) * PAGE;
      if (object.size < end) result = objectExtend(object, end);
      if (result >= 0) store<usize>(objects + ((<usize>system) << 2), changetype<usize>(object));
      else objectClose(object);
    }
    release(into);
  }
  openLock.release();
  return result;
}

function objectAt(system: u32): usize {
  return load<usize>(objects + ((<usize>system) << 2));
}

function isOpen(object: usize): bool {
  return object !== 0 && changetype<SharedObject>(object).dead === 0;
}

/** Before each use. */
export function namesReady(place: Place): i64 {
  return isOpen(objectAt(place.system)) ? 0 : openAgain(place.system);
}

export function objectOf(place: Place): SharedObject {
  return changetype<SharedObject>(objectAt(place.system));
}

// --- Places ---

export function placeCopy(to: Place, from: Place): void {
  memory.copy(changetype<usize>(to), changetype<usize>(from), offsetof<Place>());
}
export function placeNew(): Place {
  return changetype<Place>(allocate(offsetof<Place>()));
}

/** The order of the pages that have a directory's entries. */
function entriesOrder(order: u32): u32 {
  return order >= CARVED ? order - SLOT_SHIFT : order;
}

function depthMax(place: Place): u32 {
  return min<u32>(entriesOrder(place.order), 30);
}

// --- Locks ---

/** Ranges to be locked all at once, for pagesLock(): first and last page each. */
export const LOCKS_BYTES: usize = 8 * 16;

export function lockAdd(ranges: usize, count: u32, place: Place): u32 {
  for (let i: u32 = 0; i < count; i++)
    if (load<u64>(ranges + ((<usize>i) << 4)) === place.first) return count;
  return lockRange(ranges, count, place.first, place.first + ((<u64>1) << entriesOrder(place.order)) - 1);
}

export function lockRange(ranges: usize, count: u32, first: u64, last: u64): u32 {
  store<u64>(ranges + ((<usize>count) << 4), first);
  store<u64>(ranges + ((<usize>count) << 4), last, 8);
  return count + 1;
}

export function lockAddRename(ranges: usize, count: u32): u32 {
  return lockRange(ranges, count, RENAME_PAGE, RENAME_PAGE);
}

/** What lockAdd() gathered, of the file system that `place` is in. A thread holds one set of locks at a time. */
export function namesLock(place: Place, ranges: usize, count: u32): i64 {
  const ready = namesReady(place);
  return ready < 0 ? ready : pagesLock(objectOf(place), ranges, count);
}

export function namesUnlock(place: Place): void {
  pagesUnlock(objectOf(place));
}

// --- Buckets ---

function hold(place: Place, bucket: u64, write: bool): i64 {
  const ready = namesReady(place);
  return ready < 0 ? ready : pageHold(objectOf(place), place.first + bucket, write);
}

/** FNV-1a, mixed, so that the low bits are as good as the others. */
export function namesHash(name: usize, bytes: u32): u32 {
  let hash: u32 = 0x811c_9dc5;
  for (let i: usize = 0; i < usize(bytes); i++) hash = (hash ^ <u32>load<u8>(name + i)) * 0x0100_0193;
  hash = (hash ^ (hash >> 16)) * 0x85eb_ca6b;
  return hash ^ (hash >> 13);
}

function isOurs(page: usize, place: Place): bool {
  return changetype<Bucket>(page).number === place.number;
}

function depthOf(page: usize, place: Place, bucket: u64): u32 {
  if (isOurs(page, place)) return changetype<Bucket>(page).depth;
  return bucket === 0 ? 0 : 64 - u32(clz<u64>(bucket));
}

function mask(depth: u32): u64 {
  return ((<u64>1) << depth) - 1;
}

/** From a bucket that the hash may be in to the next one on the way; the same: it is there. -ESTALE: the directory has been removed. */
function nextBucket(page: usize, place: Place, bucket: u64, hash: u32): i64 {
  if (bucket === 0 && !isOurs(page, place) && changetype<Bucket>(page).number !== 0) return -ESTALE;
  if (bucket === 0 && isOurs(page, place) && changetype<Bucket>(page).removed !== 0) return -ESTALE;
  const differs = (u64(hash) ^ bucket) & mask(depthOf(page, place, bucket));
  return differs === 0 ? i64(bucket) : i64(bucket | ((<u64>1) << ctz<u64>(differs)));
}

/** The bucket that the hash leads to, with its page held to be read; or an error. */
function bucketHold(place: Place, hash: u32): i64 {
  let bucket: i64 = 0;
  while (true) {
    const error = hold(place, u64(bucket), false);
    if (error < 0) return error;
    const next = nextBucket(pageHeld(), place, u64(bucket), hash);
    if (next === bucket) return bucket;
    pageLetGo();
    if (next < 0) return next;
    bucket = next;
  }
}

function slotAt(page: usize, unit: usize): Slot {
  return changetype<Slot>(page + unit * UNIT);
}
function slotName(slot: Slot): usize {
  return changetype<usize>(slot) + UNIT;
}
function unitsFor(nameBytes: u32): u16 {
  return u16(1 + (nameBytes + 31) / 32);
}

/** The entry of that name in a bucket, 0 = there is none. */
function slotFind(page: usize, hash: u32, name: usize, bytes: u32): usize {
  let unit = FIRST_UNIT;
  while (unit < UNITS) {
    const slot = slotAt(page, unit);
    const same = slot.number !== 0 && slot.hash === hash && u32(slot.nameBytes) === bytes;
    if (same && memory.compare(slotName(slot), name, usize(bytes)) === 0) return changetype<usize>(slot);
    assert(slot.units !== 0, "a bucket of names is not what it should be");
    unit += usize(slot.units);
  }
  return 0;
}

function entryFrom(entry: Entry, slot: Slot): void {
  entry.number = slot.number;
  entry.place = slot.place;
  entry.mode = slot.mode;
  entry.order = u32(slot.order);
  entry.ordinal = slot.ordinal;
  entry.node = 0;
  entry.nameBytes = u32(slot.nameBytes);
  entry.key = keyOf(slot);
  memory.copy(entryName(entry), slotName(slot), usize(slot.nameBytes));
}

/** Not its name. */
function entryTo(slot: Slot, entry: Entry): void {
  slot.place = entry.place;
  slot.mode = entry.mode;
  slot.order = u8(entry.order);
  slot.ordinal = entry.ordinal;
  slot.number = entry.number;
}

/** 0 = found, with an entry of mode 0 where a name was removed; -ENOENT; -ESTALE: so has the directory been; -EIO: what was there is lost. */
export function namesFind(place: Place, name: usize, bytes: u32, entry: Entry): i64 {
  const hash = namesHash(name, bytes);
  const bucket = bucketHold(place, hash);
  if (bucket < 0) return bucket;
  entriesLock.acquire();
  const slot = isOurs(pageHeld(), place) ? slotFind(pageHeld(), hash, name, bytes) : 0;
  if (slot !== 0) entryFrom(entry, changetype<Slot>(slot));
  entriesLock.release();
  pageLetGo();
  return slot !== 0 ? 0 : -ENOENT;
}

/** With the directory's lock: the name stands for this from now on, whatever it was before. -ENOSPC */
export function namesPut(place: Place, name: usize, bytes: u32, entry: Entry): i64 {
  const hash = namesHash(name, bytes);
  while (true) {
    const bucket = bucketHold(place, hash);
    if (bucket < 0) return bucket;
    pageLetGo();
    const error = hold(place, u64(bucket), true);
    if (error < 0) return error;
    entriesLock.acquire();
    if (!isOurs(pageHeld(), place)) begin(pageHeld(), place, u64(bucket));
    let slot = slotFind(pageHeld(), hash, name, bytes);
    if (slot === 0) slot = slotTake(pageHeld(), unitsFor(bytes));
    if (slot !== 0) {
      changetype<Slot>(slot).hash = hash;
      changetype<Slot>(slot).nameBytes = u8(bytes);
      memory.copy(slotName(changetype<Slot>(slot)), name, usize(bytes));
      entryTo(changetype<Slot>(slot), entry);
    }
    entriesLock.release();
    pageLetGo();
    if (slot !== 0) return 0;
    const split = bucketSplit(place, u64(bucket));
    if (split < 0) return split;
  }
}

/** With the directory's lock: the name stands for nothing. */
export function namesRemove(place: Place, name: usize, bytes: u32): i64 {
  const hash = namesHash(name, bytes);
  const bucket = bucketHold(place, hash);
  if (bucket < 0) return bucket;
  pageLetGo();
  const error = hold(place, u64(bucket), true);
  if (error < 0) return error;
  entriesLock.acquire();
  const slot = isOurs(pageHeld(), place) ? slotFind(pageHeld(), hash, name, bytes) : 0;
  if (slot !== 0) changetype<Slot>(slot).number = 0;
  entriesLock.release();
  pageLetGo();
  return slot !== 0 ? 0 : -ENOENT;
}

/** An empty bucket. */
function begin(page: usize, place: Place, bucket: u64): void {
  const depth = depthOf(page, place, bucket);
  memory.fill(page, 0, usize(PAGE));
  changetype<Bucket>(page).number = place.number;
  changetype<Bucket>(page).depth = depth;
  slotAt(page, FIRST_UNIT).units = u16(UNITS - FIRST_UNIT);
}

/** Free units that follow each other, as one entry that has no number yet; 0 = there are none. */
function slotTake(page: usize, units: u16): usize {
  for (let unit = FIRST_UNIT; unit < UNITS; unit += usize(slotAt(page, unit).units)) {
    const slot = slotAt(page, unit);
    if (slot.number !== 0) continue;
    while (unit + usize(slot.units) < UNITS && slotAt(page, unit + usize(slot.units)).number === 0) {
      slot.units += slotAt(page, unit + usize(slot.units)).units;
    }
    if (slot.units < units) continue;
    if (slot.units > units) {
      const rest = slotAt(page, unit + usize(units));
      rest.number = 0;
      rest.units = slot.units - units;
      slot.units = units;
    }
    return changetype<usize>(slot);
  }
  return 0;
}

/**
 * With the directory's lock: half of a bucket's entries go to another one. The new page is whole before the old one leads to it; between
 * the two, and if its machine dies between the two, nobody is led there.
 */
function bucketSplit(place: Place, bucket: u64): i64 {
  let error = hold(place, bucket, false);
  if (error < 0) return error;
  const old = allocate(usize(PAGE));
  memory.copy(old, pageHeld(), usize(PAGE));
  pageLetGo();
  const depth = changetype<Bucket>(old).depth;
  error = depth >= depthMax(place) ? -ENOSPC : hold(place, bucket | ((<u64>1) << depth), true);
  if (error >= 0) {
    entriesLock.acquire();
    const page = pageHeld();
    begin(page, place, bucket | ((<u64>1) << depth));
    changetype<Bucket>(page).depth = depth + 1;
    for (let unit = FIRST_UNIT; unit < UNITS; unit += usize(slotAt(old, unit).units)) {
      const slot = slotAt(old, unit);
      if (slot.number === 0 || !((slot.hash >> depth) & 1)) continue;
      const taken = slotTake(page, slot.units);
      memory.copy(taken, changetype<usize>(slot), usize(slot.units) * UNIT);
    }
    entriesLock.release();
    pageLetGo();
    error = hold(place, bucket, true);
  }
  if (error >= 0) {
    entriesLock.acquire();
    const page = pageHeld();
    for (let unit = FIRST_UNIT; unit < UNITS; unit += usize(slotAt(page, unit).units)) {
      if ((slotAt(page, unit).hash >> depth) & 1) slotAt(page, unit).number = 0;
    }
    changetype<Bucket>(page).depth = depth + 1;
    entriesLock.release();
    pageLetGo();
  }
  release(old);
  return error;
}

// --- Listing ---

function reversed(bits: u32): u32 {
  let x = ((bits >> 1) & 0x5555_5555) | ((bits & 0x5555_5555) << 1);
  x = ((x >> 2) & 0x3333_3333) | ((x & 0x3333_3333) << 2);
  x = ((x >> 4) & 0x0f0f_0f0f) | ((x & 0x0f0f_0f0f) << 4);
  return bswap<u32>(x);
}

const KEY_SHIFT: u64 = 29;

/** 61 bits: of names with the same hash, which are rare, each has its own by its number. */
function keyOf(slot: Slot): u64 {
  return (u64(reversed(slot.hash)) << KEY_SHIFT) | ((slot.number >> 8) & 0x1fff_ffff);
}

/** The entry of the lowest key that is not below `key`, names that were removed among them. -ENOENT: there is none. */
export function namesNext(place: Place, key: u64, entry: Entry): i64 {
  while (true) {
    const hash = reversed(u32(key >> KEY_SHIFT));
    const bucket = bucketHold(place, hash);
    if (bucket < 0) return bucket;
    entriesLock.acquire();
    const page = pageHeld();
    const depth = depthOf(page, place, u64(bucket));
    const slot = isOurs(page, place) ? slotNext(page, depth, u64(bucket), key) : 0;
    if (slot !== 0) entryFrom(entry, changetype<Slot>(slot));
    entriesLock.release();
    pageLetGo();
    if (slot !== 0) return 0;
    // The bucket that comes next has the next prefix.
    const prefix = depth === 0 ? 1 : (u64(reversed(hash)) >> (32 - depth)) + 1;
    if (prefix >> depth !== 0) return -ENOENT;
    key = (prefix << (32 - depth)) << KEY_SHIFT;
  }
}

function slotNext(page: usize, depth: u32, bucket: u64, key: u64): usize {
  let found: usize = 0;
  let least: u64 = ~(<u64>0);
  for (let unit = FIRST_UNIT; unit < UNITS; unit += usize(slotAt(page, unit).units)) {
    const slot = slotAt(page, unit);
    if (slot.number === 0 || (u64(slot.hash) & mask(depth)) !== bucket) continue;
    if (keyOf(slot) < key || keyOf(slot) >= least) continue;
    least = keyOf(slot);
    found = changetype<usize>(slot);
  }
  return found;
}

// --- Directories ---

/** Of a directory's first page. */
@unmanaged
export class Header {
  parent: u64 = 0;
  parentFirst: u64 = 0;
  parentOrder: u32 = 0;
  ordinal: u32 = 0;
  slots: u64 = 0;
  children: i32 = 0;
  mode: u32 = 0;
}

/** -ESTALE: the directory has been removed. */
export function headerRead(place: Place, into: Header): i64 {
  const error = hold(place, 0, false);
  if (error < 0) return error;
  const result = nextBucket(pageHeld(), place, 0, 0);
  const bucket = changetype<Bucket>(pageHeld());
  const ours = isOurs(pageHeld(), place);
  into.parent = ours ? bucket.parent : 0;
  into.parentFirst = ours ? bucket.parentFirst : 0;
  into.parentOrder = ours ? bucket.parentOrder : 0;
  into.ordinal = ours ? bucket.ordinal : 0;
  into.slots = ours ? bucket.slots : 0;
  into.children = ours ? bucket.children : 0;
  into.mode = ours ? bucket.mode : 0;
  pageLetGo();
  return min<i64>(result, 0);
}

/** With the directory's lock. */
export function headerWrite(place: Place, header: Header): i64 {
  const error = hold(place, 0, true);
  if (error < 0) return error;
  entriesLock.acquire();
  if (!isOurs(pageHeld(), place)) begin(pageHeld(), place, 0);
  const bucket = changetype<Bucket>(pageHeld());
  bucket.parent = header.parent;
  bucket.parentFirst = header.parentFirst;
  bucket.parentOrder = header.parentOrder;
  bucket.ordinal = header.ordinal;
  bucket.slots = header.slots;
  bucket.children = header.children;
  bucket.mode = header.mode;
  entriesLock.release();
  pageLetGo();
  return 0;
}

/** With the lock of a new directory's parent: nobody knows of it yet. Whatever was in its pages counts no more. */
export function directoryBegin(place: Place, header: Header): i64 {
  const error = hold(place, 0, true);
  if (error < 0) return error;
  entriesLock.acquire();
  changetype<Bucket>(pageHeld()).number = 0;
  entriesLock.release();
  pageLetGo();
  return headerWrite(place, header);
}

/** With the directory's lock, whichever it is: a slot of its range is free. It has ended itself, and has no slots left? */
export function slotClear(place: Place, slot: u64): bool {
  if (hold(place, 0, true) < 0) return false;
  entriesLock.acquire();
  const bucket = changetype<Bucket>(pageHeld());
  bucket.slots &= ~((<u64>1) << slot);
  const ended = bucket.removed !== 0 && bucket.slots === 0;
  entriesLock.release();
  pageLetGo();
  return ended;
}

/** With its lock: whoever still has it open finds nothing in it any more, and can make nothing. */
export function directoryEnd(place: Place): i64 {
  const error = hold(place, 0, true);
  if (error < 0) return error;
  if (isOurs(pageHeld(), place)) changetype<Bucket>(pageHeld()).removed = 1;
  pageLetGo();
  return 0;
}

/** What an entry of a directory stands for, as a place. */
export function placeOf(entry: Entry, system: u32, into: Place): void {
  assert((entry.mode & 0o170000) === TYPE_DIRECTORY, "a place of what is no directory");
  into.system = system;
  into.first = entry.place;
  into.order = entry.order;
  into.number = entry.number;
  into.node = entry.node;
}
