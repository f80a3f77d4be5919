// link(2) in the directories of any file system: one more name for a file; see tree-changes.ts.

import { numberedLink, numberedOpen, numberedUnlink, OPEN_MAKE } from "../coherence/named";
import { NUMBERED_FILE } from "../coherence/object-names";
import { objectClose, SharedObject } from "../coherence/pager";
import { EEXIST, ENOENT, EPERM } from "../process/errno";
import { Entry, lockAdd, namesLock, namesPut, namesUnlock, Place } from "./names";
import { isDirectory, treeFind } from "./tree";
import { settle, treeCopyUp, Work, workBegin, workEnd } from "./tree-changes";

/**
 * Within one file system. The file counts the name first (coherence/links.ts), then there is one: whoever dies in between leaves a file that does not end with its
 * last name.
 */
export function treeLink(from: Place, name: usize, bytes: u32, to: Place, toName: usize, toBytes: u32): i64 {
  const work = workBegin();
  const entry = changetype<Entry>(work.entry);
  let error: i64 = 0;
  while (true) {
    error = treeFind(from, name, bytes, entry);
    if (error >= 0 && treeFind(to, toName, toBytes, changetype<Entry>(work.other)) === 0) error = -EEXIST;
    if (error >= 0 && isDirectory(entry)) error = -EPERM;
    if (error >= 0) error = settle(from);
    if (error >= 0) error = settle(to);
    if (error < 0) break;
    if (entry.number === 0) {
      error = treeCopyUp(from, name, bytes, entry);
      if (error < 0) break;
      continue;
    }
    const number = entry.number;
    const hash = u32(entry.place);
    error = counted(number, hash, work.ranges);
    if (error < 0) break;
    error = linked(work, from, name, bytes, to, toName, toBytes, number);
    if (error > 0) {
      error = 0;
      break;
    }
    numberedUnlink(NUMBERED_FILE, number, hash);
    if (error < 0) break;
  }
  return workEnd(work, error);
}

/** A file that was lost and whose name is still there is an empty one. `into`: room for an object. */
function counted(number: u64, hash: u32, into: usize): i64 {
  let error = numberedLink(NUMBERED_FILE, number, hash);
  if (error !== -ENOENT) return error;
  error = numberedOpen(NUMBERED_FILE, number, hash, OPEN_MAKE, into);
  if (error < 0) return error;
  error = numberedLink(NUMBERED_FILE, number, hash);
  objectClose(changetype<SharedObject>(load<usize>(into)));
  return error;
}

/** 1: done; 0: the old name does not stand for that file any more; or an error. */
function linked(
  work: Work,
  from: Place,
  name: usize,
  bytes: u32,
  to: Place,
  toName: usize,
  toBytes: u32,
  number: u64,
): i64 {
  const entry = changetype<Entry>(work.entry);
  let error = namesLock(from, work.ranges, lockAdd(work.ranges, lockAdd(work.ranges, 0, from), to));
  if (error < 0) return error;
  error = treeFind(from, name, bytes, entry);
  const same = error >= 0 && entry.number === number;
  const there = treeFind(to, toName, toBytes, changetype<Entry>(work.other));
  if (error >= 0 && there !== -ENOENT) error = there < 0 ? there : -EEXIST;
  if (error >= 0 && same) error = namesPut(to, toName, toBytes, entry);
  namesUnlock(from);
  return error < 0 ? error : i64(same);
}
