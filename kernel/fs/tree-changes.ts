// What is changed in the directories of any file system (tree.ts): made and removed.
//
// Whatever changes a directory looks, takes the locks of all directories concerned at once, looks again, and changes; so names are made and
// removed one after the other over all machines, and nobody waits in a circle. Renames of directories into others take one more lock of the whole file
// system, so that no two of them can put two directories into each other.

import { hashAtHome, numberedOpen, numberedUnlink, OPEN_MAKE, OPEN_THERE } from "../coherence/named";
import { NUMBERED_FILE } from "../coherence/object-names";
import { objectClose, objectWrite, SharedObject } from "../coherence/pager";
import { allocate, release } from "../memory/slab";
import { EEXIST, EISDIR, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY, ESTALE } from "../process/errno";
import { Inode, TYPE_DIRECTORY } from "./archive";
import { nodeChild, nodeNext } from "./filesystems";
import { directoryClaim, directoryClaimLocks, overflowTake, rangeGiveBack, slotFree } from "./name-ranges";
import {
  directoryBegin,
  directoryEnd,
  ENTRY_BYTES,
  Entry,
  Header,
  headerRead,
  headerWrite,
  LOCKS_BYTES,
  lockAdd,
  namesLock,
  namesNext,
  namesPut,
  namesRemove,
  namesUnlock,
  numberNew,
  Place,
  placeOf,
} from "./names";
import { goneIsAbsent, isDirectory, isWord, placeOfNode, refresh, treeFind, wordLeave } from "./tree";

/** Mode 0 and this number: a name of the file system below that was removed. */
const REMOVED_NUMBER: u64 = 1;

// --- Making ---

/** What a change needs beside its places. */
@unmanaged
export class Work {
  entry: usize = 0;
  other: usize = 0;
  ranges: usize = 0;
  header: usize = 0;
  otherHeader: usize = 0;
  child: usize = 0;
  otherChild: usize = 0;
}

export function workBegin(): Work {
  const work = changetype<Work>(allocate(offsetof<Work>()));
  work.entry = allocate(ENTRY_BYTES);
  work.other = allocate(ENTRY_BYTES);
  work.ranges = allocate(LOCKS_BYTES);
  work.header = allocate(offsetof<Header>());
  work.otherHeader = allocate(offsetof<Header>());
  work.child = allocate(offsetof<Place>());
  work.otherChild = allocate(offsetof<Place>());
  return work;
}

/** Returns `result`, of which a program is told. */
export function workEnd(work: Work, result: i64): i64 {
  release(work.entry);
  release(work.other);
  release(work.ranges);
  release(work.header);
  release(work.otherHeader);
  release(work.child);
  release(work.otherChild);
  release(changetype<usize>(work));
  return goneIsAbsent(result);
}

/** Gives the directory pages, and those above it. */
export function settle(place: Place): i64 {
  let error = refresh(place);
  if (error < 0 || place.number !== 0) return error;
  const inode = changetype<Inode>(place.node);
  const work = workBegin();
  const parent = changetype<Place>(work.child);
  error = placeOfNode(place.system, inode.parent, parent);
  if (error >= 0) error = settle(parent);
  if (error >= 0) error = directoryMake(work, parent, inode.base, inode.baseBytes, inode.mode, place.node);
  error = workEnd(work, error === -EEXIST ? 0 : error);
  return error < 0 ? error : refresh(place);
}

/** With the directory's lock: is there something of that name? 0 = no; -EEXIST. */
function absent(place: Place, name: usize, bytes: u32, entry: Entry): i64 {
  const found = treeFind(place, name, bytes, entry);
  return found === -ENOENT ? 0 : found === 0 ? -EEXIST : found;
}

export function treeMakeDirectory(place: Place, name: usize, bytes: u32, mode: u32): i64 {
  const work = workBegin();
  let error = absent(place, name, bytes, changetype<Entry>(work.entry));
  if (error >= 0) error = settle(place);
  if (error >= 0) error = directoryMake(work, place, name, bytes, TYPE_DIRECTORY | mode, 0);
  return workEnd(work, error);
}

/** `node`: the directory of the file system below that gets pages, 0 = it is a new one. Uses otherChild. */
function directoryMake(work: Work, place: Place, name: usize, bytes: u32, mode: u32, node: usize): i64 {
  const header = changetype<Header>(work.header);
  const child = changetype<Place>(work.otherChild);
  const entry = changetype<Entry>(work.entry);
  child.system = place.system;
  let taken = false;
  let put = false;
  let error: i64 = 0;
  while (true) {
    error = headerRead(place, header);
    if (error < 0) break;
    if (!taken && !slotFree(place, header, child)) {
      error = overflowTake(child);
      if (error < 0) break;
      taken = true;
    }
    error = namesLock(place, work.ranges, lockAdd(work.ranges, 0, place));
    if (error < 0) break;
    error = headerRead(place, header);
    if (error >= 0) error = absent(place, name, bytes, entry);
    // What is below is not in the pages; anything else of its name is.
    if (node !== 0 && error === -EEXIST && entry.number === 0 && entry.node === node) error = 0;
    const room = taken || slotFree(place, header, child);
    if (error >= 0 && room) {
      put = true;
      error = directoryPut(work, place, name, bytes, mode, node);
    }
    namesUnlock(place);
    if (error < 0 || room) break;
  }
  if (error < 0 && (taken || put)) rangeGiveBack(child);
  if (error >= 0) directoryClaimLocks(child);
  return error;
}

/** With the parent's lock: the child's first page, then the parent's header, then the entry; whoever dies between them leaves a range that is not used. */
function directoryPut(work: Work, place: Place, name: usize, bytes: u32, mode: u32, node: usize): i64 {
  const header = changetype<Header>(work.header);
  const fresh = changetype<Header>(work.otherHeader);
  const child = changetype<Place>(work.otherChild);
  const entry = changetype<Entry>(work.entry);
  child.number = numberNew();
  child.node = node;
  fresh.parent = place.number;
  fresh.parentFirst = place.first;
  fresh.parentOrder = place.order;
  fresh.ordinal = node !== 0 ? changetype<Inode>(node).ordinal : 0;
  fresh.slots = 0;
  fresh.children = 0;
  fresh.mode = mode;
  directoryClaim(child);
  let error = directoryBegin(child, fresh);
  if (error < 0) return error;
  if (node === 0) header.children++;
  error = headerWrite(place, header);
  if (error < 0) return error;
  entry.number = child.number;
  entry.place = child.first;
  entry.order = child.order;
  entry.mode = mode;
  entry.ordinal = fresh.ordinal;
  error = namesPut(place, name, bytes, entry);
  if (error >= 0) return 0;
  if (node === 0) header.children--;
  headerWrite(place, header);
  return error;
}

/** A new file, at home here, open: its object goes into `*into`, what the name stands for into `entry`. -EEXIST */
export function treeMakeFile(
  place: Place,
  name: usize,
  bytes: u32,
  mode: u32,
  entry: Entry,
  into: usize,
): i64 {
  const work = workBegin();
  let error = settle(place);
  const number = numberNew();
  const hash = hashAtHome(number);
  if (error >= 0) error = namesLock(place, work.ranges, lockAdd(work.ranges, 0, place));
  if (error < 0) return workEnd(work, error);
  error = absent(place, name, bytes, entry);
  if (error >= 0) error = numberedOpen(NUMBERED_FILE, number, hash, OPEN_MAKE, into);
  if (error >= 0) {
    fileEntry(entry, number, hash, mode, 0);
    error = namesPut(place, name, bytes, entry);
    if (error < 0) discard(changetype<SharedObject>(load<usize>(into)), number, hash);
  }
  namesUnlock(place);
  return workEnd(work, error);
}

function fileEntry(entry: Entry, number: u64, hash: u32, mode: u32, node: usize): void {
  entry.number = number;
  entry.place = u64(hash);
  entry.order = 0;
  entry.mode = mode;
  entry.node = node;
  entry.ordinal = node !== 0 ? changetype<Inode>(node).ordinal : 0;
}

function discard(object: SharedObject, number: u64, hash: u32): void {
  objectClose(object);
  numberedUnlink(NUMBERED_FILE, number, hash);
}

/** A file of the file system below becomes one that can be written, by a copy of its bytes; `entry` is what its name stands for then. */
export function treeCopyUp(place: Place, name: usize, bytes: u32, entry: Entry): i64 {
  const node = entry.node;
  const inode = changetype<Inode>(node);
  const work = workBegin();
  let error = settle(place);
  const number = numberNew();
  const hash = hashAtHome(number);
  if (error >= 0) error = numberedOpen(NUMBERED_FILE, number, hash, OPEN_MAKE, work.ranges);
  if (error < 0) return workEnd(work, error);
  const object = changetype<SharedObject>(load<usize>(work.ranges));
  error = objectWrite(object, 0, inode.data, usize(inode.bytes));
  if (error >= 0 && u32(error) < inode.bytes) error = -ENOSPC;
  if (error >= 0) error = namesLock(place, work.ranges, lockAdd(work.ranges, 0, place));
  if (error >= 0) {
    error = treeFind(place, name, bytes, entry);
    // Somebody else may have been earlier.
    const still = error >= 0 && entry.number === 0 && entry.node === node;
    if (still) {
      fileEntry(entry, number, hash, inode.mode, node);
      error = namesPut(place, name, bytes, entry);
    }
    namesUnlock(place);
    if (still && error >= 0) {
      objectClose(object);
      return workEnd(work, 0);
    }
  }
  discard(object, number, hash);
  return workEnd(work, error);
}

/**
 * The object of a file that a name was found to stand for. -ENOENT: it has gone since, or what its machine knew of it was lost: who finds the name
 * again then passes `again`, and has it as an empty file.
 */
export function treeOpenFile(entry: Entry, again: bool, into: usize): i64 {
  return numberedOpen(NUMBERED_FILE, entry.number, u32(entry.place), again ? OPEN_MAKE : OPEN_THERE, into);
}

// --- Removing ---

/** With the directory's lock: nothing is left of the name, here or below. */
export function forget(place: Place, name: usize, bytes: u32, entry: Entry): i64 {
  const node = nodeChild(place.system, place.node, name, bytes);
  if (node === 0) return namesRemove(place, name, bytes);
  const its = entry.number !== 0 && entry.ordinal === changetype<Inode>(node).ordinal;
  const left = its ? wordLeave(place, changetype<Inode>(node), entry) : 0;
  if (left < 0) return left;
  entry.number = REMOVED_NUMBER;
  entry.place = 0;
  entry.mode = entry.order = entry.ordinal = 0;
  return namesPut(place, name, bytes, entry);
}

/** unlink(2) */
export function treeRemoveFile(place: Place, name: usize, bytes: u32): i64 {
  const work = workBegin();
  const entry = changetype<Entry>(work.entry);
  let error = treeFind(place, name, bytes, entry);
  if (error >= 0 && isDirectory(entry)) error = -EISDIR;
  if (error >= 0) error = settle(place);
  if (error >= 0) error = namesLock(place, work.ranges, lockAdd(work.ranges, 0, place));
  if (error < 0) return workEnd(work, error);
  error = treeFind(place, name, bytes, entry);
  if (error >= 0 && isDirectory(entry)) error = -EISDIR;
  const number = entry.number;
  const hash = u32(entry.place);
  if (error >= 0) error = forget(place, name, bytes, entry);
  namesUnlock(place);
  // The name first: whoever dies in between leaves a file that nobody finds.
  if (error >= 0 && number !== 0) numberedUnlink(NUMBERED_FILE, number, hash);
  return workEnd(work, error);
}

/** Of a directory whose lock is held, if it has pages; one that is gone already is empty. */
export function emptiness(place: Place, entry: Entry): i64 {
  let key: u64 = 0;
  while (place.number !== 0) {
    const found = namesNext(place, key, entry);
    if (found === -ENOENT || found === -ESTALE) break;
    if (found < 0) return found;
    if (entry.mode !== 0 && !isWord(entry)) return -ENOTEMPTY;
    key = entry.key + 1;
  }
  for (let node = nodeNext(place.system, place.node, 0); node !== 0; ) {
    const inode = changetype<Inode>(node);
    const found = treeFind(place, inode.base, inode.baseBytes, entry);
    if (found !== -ENOENT) return found < 0 ? found : -ENOTEMPTY;
    node = nodeNext(place.system, place.node, inode.ordinal + 1);
  }
  return 0;
}

/** rmdir(2) */
export function treeRemoveDirectory(place: Place, name: usize, bytes: u32): i64 {
  const work = workBegin();
  const entry = changetype<Entry>(work.entry);
  const child = changetype<Place>(work.child);
  let error: i64 = 0;
  while (true) {
    error = treeFind(place, name, bytes, entry);
    if (error >= 0 && !isDirectory(entry)) error = -ENOTDIR;
    if (error >= 0) error = settle(place);
    if (error < 0) break;
    placeOf(entry, place.system, child);
    let count = lockAdd(work.ranges, 0, place);
    if (child.number !== 0) count = lockAdd(work.ranges, count, child);
    error = namesLock(place, work.ranges, count);
    if (error < 0) break;
    error = treeFind(place, name, bytes, entry);
    const same = error >= 0 && entry.number === child.number && entry.node === child.node;
    if (same) error = directoryForget(work, place, name, bytes);
    namesUnlock(place);
    if (same || error < 0) break;
  }
  if (error >= 0) placeEnds(work, child);
  return workEnd(work, error);
}

/** With both locks, work.child being the directory that goes. */
function directoryForget(work: Work, place: Place, name: usize, bytes: u32): i64 {
  const child = changetype<Place>(work.child);
  let error = emptiness(child, changetype<Entry>(work.other));
  if (error < 0) return error;
  error = directoryEnds(work, child);
  if (error < 0) return error;
  error = forget(place, name, bytes, changetype<Entry>(work.entry));
  return error < 0 ? error : childLeaves(work, place);
}

/** work.otherHeader: what it said at last. */
export function directoryEnds(work: Work, child: Place): i64 {
  if (child.number === 0) return 0;
  const header = changetype<Header>(work.otherHeader);
  const error = headerRead(child, header);
  if (error !== -ESTALE) return error < 0 ? error : directoryEnd(child);
  header.slots = ~(<u64>0); // its first page was lost: nobody knows who else has this range
  return 0;
}

/** `place` has one directory less. */
export function childLeaves(work: Work, place: Place): i64 {
  const header = changetype<Header>(work.header);
  const error = headerRead(place, header);
  if (error < 0) return error;
  header.children--;
  return headerWrite(place, header);
}

/** Without any lock, after directoryEnds(): its range is free, but not while a directory that was moved out of it lives in a part of it. */
export function placeEnds(work: Work, child: Place): void {
  if (child.number !== 0 && changetype<Header>(work.otherHeader).slots === 0) rangeGiveBack(child);
}
