// rename(2) in the directories of any file system; see tree-changes.ts.

import { numberedUnlink } from "../coherence/named";
import { NUMBERED_FILE } from "../coherence/object-names";
import { allocate, release } from "../memory/slab";
import { EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY } from "../process/errno";
import {
  Entry,
  Header,
  headerRead,
  headerWrite,
  lockAdd,
  lockAddRename,
  namesLock,
  namesPut,
  namesUnlock,
  Place,
  placeCopy,
  placeOf,
} from "./names";
import { above, isDirectory, isRoot, isSame, treeFind, treeStands } from "./tree";
import {
  childLeaves,
  directoryEnds,
  emptiness,
  forget,
  placeEnds,
  settle,
  treeCopyUp,
  Work,
  workBegin,
  workEnd,
} from "./tree-changes";

// --- Renaming ---

/**
 * rename(2) within one file system. `replace`: what the new name stands for may go; `slash`: only a directory is meant. The new name comes first, then the old one goes: whoever dies
 * in between leaves both, or the new one alone; or neither, where the page with the old name had left its machine and that with the new one had not.
 */
export function treeRename(
  from: Place,
  name: usize,
  bytes: u32,
  to: Place,
  toName: usize,
  toBytes: u32,
  replace: bool,
  slash: bool,
): i64 {
  const work = workBegin();
  const entry = changetype<Entry>(work.entry);
  const target = changetype<Entry>(work.other);
  let error: i64 = 0;
  while (true) {
    error = treeFind(from, name, bytes, entry);
    if (error >= 0) error = settle(from);
    if (error >= 0) error = settle(to);
    if (error < 0) break;
    if (entry.number === 0) {
      error = ownPages(work, from, name, bytes, entry);
      if (error < 0) break;
      continue;
    }
    const there = treeFind(to, toName, toBytes, target);
    if (there < 0 && there !== -ENOENT) error = there;
    if (error < 0) break;
    error = mayRename(work, from, to, there === 0, replace, slash);
    if (error < 0 || (there === 0 && target.number === entry.number)) break;
    if (there === 0) error = mayReplace(entry, target);
    if (error < 0) break;
    if (there === 0 && isDirectory(target) && target.number === 0) {
      error = ownPages(work, to, toName, toBytes, target);
      if (error < 0) break;
      continue;
    }
    error = namesLock(from, work.ranges, renameLocks(work, from, to, there === 0));
    if (error < 0) break;
    const number = entry.number;
    const targetNumber = there === 0 ? target.number : 0;
    let same = treeFind(from, name, bytes, entry) === 0 && entry.number === number;
    const now = treeFind(to, toName, toBytes, target);
    same = same && now === there && (now < 0 || target.number === targetNumber);
    if (same) error = renamed(work, from, name, bytes, to, toName, toBytes, there === 0);
    namesUnlock(from);
    if (!same) continue;
    if (error >= 0 && there === 0) replaced(work);
    break;
  }
  return workEnd(work, error);
}

/** A directory of the file system below gets pages, a file bytes of its own. */
function ownPages(work: Work, place: Place, name: usize, bytes: u32, entry: Entry): i64 {
  if (!isDirectory(entry)) return treeCopyUp(place, name, bytes, entry);
  const child = changetype<Place>(work.child);
  placeOf(entry, place.system, child);
  return settle(child);
}

/** Before anything is locked; what may change is looked at again. */
function mayRename(work: Work, from: Place, to: Place, there: bool, replace: bool, slash: bool): i64 {
  const entry = changetype<Entry>(work.entry);
  const target = changetype<Entry>(work.other);
  if (there && !replace) return -EEXIST;
  if (!isDirectory(entry) && slash) {
    const stands = treeStands(to);
    return stands < 0 ? stands : -ENOTDIR;
  }
  const error = isDirectory(entry) ? isWithin(work, to, entry.number) : 0;
  if (error < 0 || !there || !isDirectory(target) || target.number === 0) return error;
  const within = isWithin(work, from, target.number);
  return within === -EINVAL ? -ENOTEMPTY : within;
}

function mayReplace(entry: Entry, target: Entry): i64 {
  if (isDirectory(entry) === isDirectory(target)) return 0;
  return isDirectory(target) ? -EISDIR : -ENOTDIR;
}

/** work.child: the directory that moves; work.otherChild: the one that goes. */
function renameLocks(work: Work, from: Place, to: Place, there: bool): u32 {
  const entry = changetype<Entry>(work.entry);
  const target = changetype<Entry>(work.other);
  let count = lockAdd(work.ranges, 0, from);
  count = lockAdd(work.ranges, count, to);
  changetype<Place>(work.otherChild).number = 0;
  if (isDirectory(entry)) {
    placeOf(entry, from.system, changetype<Place>(work.child));
    if (!isSame(from, to)) {
      count = lockAdd(work.ranges, count, changetype<Place>(work.child));
      count = lockAddRename(work.ranges, count);
    }
  }
  if (there && isDirectory(target)) {
    placeOf(target, to.system, changetype<Place>(work.otherChild));
    count = lockAdd(work.ranges, count, changetype<Place>(work.otherChild));
  }
  return count;
}

/** With all locks. */
function renamed(
  work: Work,
  from: Place,
  name: usize,
  bytes: u32,
  to: Place,
  toName: usize,
  toBytes: u32,
  there: bool,
): i64 {
  const entry = changetype<Entry>(work.entry);
  const target = changetype<Entry>(work.other);
  const moves = isDirectory(entry) && !isSame(from, to);
  let error: i64 = moves ? isWithin(work, to, entry.number) : 0;
  const goes = there && isDirectory(target);
  const targetNumber = target.number;
  const targetHash = target.place;
  if (goes && error >= 0) {
    error = emptiness(changetype<Place>(work.otherChild), target);
    if (error >= 0) error = directoryEnds(work, changetype<Place>(work.otherChild));
  }
  if (error >= 0) error = namesPut(to, toName, toBytes, entry);
  if (error >= 0) error = forget(from, name, bytes, entry);
  if (error >= 0 && goes) error = childLeaves(work, to);
  if (error >= 0 && moves) error = movedTo(work, from, to);
  target.number = targetNumber;
  target.place = targetHash;
  return error;
}

/** -EINVAL: `place` is the directory of that number, or within it. */
function isWithin(work: Work, place: Place, number: u64): i64 {
  const at = changetype<Place>(allocate(offsetof<Place>()));
  const header = changetype<Header>(work.header);
  placeCopy(at, place);
  let error: i64 = 0;
  while (error >= 0) {
    if (at.number === number) error = -EINVAL;
    else if (isRoot(at)) break;
    else error = headerRead(at, header);
    if (error >= 0) error = above(place.system, header, at);
  }
  release(changetype<usize>(at));
  return error;
}

/** The directory that has moved, work.child, says where it is; both others how many they have. */
function movedTo(work: Work, from: Place, to: Place): i64 {
  const header = changetype<Header>(work.header);
  const child = changetype<Place>(work.child);
  let error = headerRead(child, header);
  header.parent = to.number;
  header.parentFirst = to.first;
  header.parentOrder = to.order;
  if (error >= 0) error = headerWrite(child, header);
  if (error >= 0) error = headerRead(from, header);
  header.children--;
  if (error >= 0) error = headerWrite(from, header);
  if (error >= 0) error = headerRead(to, header);
  header.children++;
  return error >= 0 ? headerWrite(to, header) : error;
}

/** Without locks: what the new name stood for ends. */
function replaced(work: Work): void {
  const target = changetype<Entry>(work.other);
  const child = changetype<Place>(work.otherChild);
  if (child.number === 0) {
    if (target.number !== 0) numberedUnlink(NUMBERED_FILE, target.number, u32(target.place));
  } else placeEnds(work, child);
}
