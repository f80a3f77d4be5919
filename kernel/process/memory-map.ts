// mmap, munmap, mprotect, mremap, brk, madvise (Linux man pages, section 2): changes to the map of an address space.
//
// Every function here takes the map's lock, waits until no fault is in flight in the range that it changes, and
// changes entries and page tables together.

import { descriptorFile } from "../fs/descriptors";
import { File, fileFollow, fileRelease, fileSize, KIND_ARCHIVE, KIND_SHARED, KIND_ZERO } from "../fs/file";
import { EACCES, EBADF, EEXIST, EFAULT, EINVAL, ENODEV, ENOMEM, EOVERFLOW, EPERM } from "./errno";
import { currentLwp } from "./lwp";
import {
  AddressSpace,
  ANONYMOUS,
  entryAdd,
  entryAt,
  entryRemove,
  findFree,
  indexAt,
  MapEntry,
  mergeIn,
  PAGE,
  PRIVATE_FILE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  quiesce,
  rangeFree,
  SHARED,
  splitAt,
} from "./mapping";
import { notImplemented } from "./not-implemented";
import { pagesDrop, pagesMove, pagesProtect } from "./pages";
import { memoryClear, memoryCopy, memoryFill } from "./private-memory";
import { tellForget } from "./proxy";
import { USER_TOP } from "./user-memory";

const MAP_SHARED: u32 = 0x01;
const MAP_PRIVATE: u32 = 0x02;
const MAP_SHARED_VALIDATE: u32 = 0x03;
const MAP_TYPE: u32 = 0x0f;
const MAP_FIXED: u32 = 0x10;
const MAP_ANONYMOUS: u32 = 0x20;
const MAP_32BIT: u32 = 0x40;
const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;

/** Where the kernel chooses addresses: from the top down, the stack and its gap stay above. */
export const MMAP_LOW: u64 = 0x1_0000;
export const MMAP_HIGH: u64 = 0x7f_f000_0000;
/** MAP_32BIT: the second GiB, as on Linux. */
const LOW_32BIT: u64 = 0x4000_0000;
const HIGH_32BIT: u64 = 0x8000_0000;

export function pageUp(bytes: u64): u64 {
  return (bytes + PAGE - 1) & ~(PAGE - 1);
}

/** A page-aligned range within the user half; `bytes` already rounded up. */
function goodRange(start: u64, bytes: u64): bool {
  return (start & (PAGE - 1)) === 0 && bytes <= USER_TOP && start <= USER_TOP - bytes;
}

export function mmap(at: u64, length: u64, protection: u64, flags64: u64, fd: u64, offset: u64): i64 {
  const flags = u32(flags64);
  const bytes = pageUp(length);
  if (length === 0 || offset & (PAGE - 1)) return -EINVAL;
  if (bytes === 0 || bytes > USER_TOP) return -ENOMEM;
  const type = flags & MAP_TYPE;
  if (type !== MAP_SHARED && type !== MAP_PRIVATE && type !== MAP_SHARED_VALIDATE) return -EINVAL;
  if (flags & MAP_ANONYMOUS) return mapAt(at, bytes, u32(protection), flags, 0, 0);
  const file = descriptorFile(currentLwp().process.descriptors, fd);
  if (file === 0) return -EBADF;
  const result = mapFile(at, bytes, u32(protection), flags, changetype<File>(file), offset);
  fileRelease(changetype<File>(file));
  return result;
}

/** A file's last byte lies before. */
const FILE_END: u64 = (<u64>1) << 63;

function mapFile(at: u64, bytes: u64, protection: u32, flags: u32, file: File, offset: u64): i64 {
  if (!file.readable()) return -EACCES;
  if (offset + bytes > FILE_END) return -EOVERFLOW;
  const shared = (flags & MAP_TYPE) !== MAP_PRIVATE;
  if (shared && protection & PROT_WRITE && !file.writable()) return -EACCES;
  const followed = fileFollow(file);
  if (followed < 0) return followed;
  switch (file.kind) {
    case KIND_ZERO:
      return mapAt(at, bytes, protection, flags, 0, 0);
    case KIND_SHARED:
    case KIND_ARCHIVE: // never written, so that a shared mapping cannot be told from a private one
      return mapAt(at, bytes, protection, flags, changetype<usize>(file), offset);
  }
  return -ENODEV;
}

/** Shared anonymous memory is private here: there is no fork that could share it. */
function mapAt(at: u64, bytes: u64, protection: u32, flags: u32, file: usize, offset: u64): i64 {
  const map = currentLwp().process.map;
  let kind = ANONYMOUS;
  let limit: u64 = 0;
  if (file) {
    kind = PRIVATE_FILE;
    const grows = changetype<File>(file).kind === KIND_SHARED;
    if (grows && (flags & MAP_TYPE) !== MAP_PRIVATE) kind = SHARED;
    // Where the file ends is seen when a page of it is read; a spread process reads them all at once, now.
    else limit = grows && !map.memory ? FILE_END : fileSize(changetype<File>(file));
  }
  map.sleepLock().acquire();
  const start = place(map, at, bytes, flags);
  let result = start;
  if (start >= 0)
    result = add(map, u64(start), u64(start) + bytes, kind, protection & 7, file, offset, limit);
  map.sleepLock().release();
  return result;
}

/** Lock held: an entry, and in a spread process the file's bytes behind it. The start, or a negative error. */
function add(
  map: AddressSpace,
  start: u64,
  end: u64,
  kind: u32,
  protection: u32,
  file: usize,
  offset: u64,
  limit: u64,
): i64 {
  entryAdd(map, start, end, kind, protection, file, offset, limit);
  if (!map.memory || kind !== PRIVATE_FILE) return i64(start);
  const result = memoryFill(map, entryAt(map, start), start, end);
  if (result < 0) unmapRange(map, start, end);
  return result < 0 ? result : i64(start);
}

/** Lock held: a free range for the mapping, or a negative error. MAP_FIXED makes it free. */
function place(map: AddressSpace, at: u64, bytes: u64, flags: u32): i64 {
  if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
    if (!goodRange(at, bytes)) return at & (PAGE - 1) ? -EINVAL : -ENOMEM;
    if (at < PAGE) return -EPERM;
    if (flags & MAP_FIXED_NOREPLACE) return rangeFree(map, at, at + bytes) ? i64(at) : -EEXIST;
    unmapRange(map, at, at + bytes);
    return i64(at);
  }
  const hint = at & ~(PAGE - 1);
  if (hint >= MMAP_LOW && goodRange(hint, bytes) && rangeFree(map, hint, hint + bytes)) return i64(hint);
  const low = flags & MAP_32BIT ? LOW_32BIT : MMAP_LOW;
  const found = findFree(map, bytes, low, flags & MAP_32BIT ? HIGH_32BIT : MMAP_HIGH);
  return found === 0 ? -ENOMEM : i64(found);
}

/** Lock held: nothing is mapped in [start, end) afterwards, and a spread process finds zeros there the next time. */
function unmapRange(map: AddressSpace, start: u64, end: u64): void {
  const machines = shownTo(map, start, end);
  dropRange(map, start, end);
  if (machines !== 0) tellForget(currentLwp().process, machines, start, end);
  if (map.memory) memoryClear(map, start, end);
}

/** Bit per machine that has been shown anything of [start, end). */
function shownTo(map: AddressSpace, start: u64, end: u64): u64 {
  let machines: u64 = 0;
  for (let index = indexAt(map, start); index < map.count && map.at(index).start < end; index++) {
    machines |= map.at(index).shownTo;
  }
  return machines;
}

/** Lock held: the entries of [start, end) go, and the pages from the page tables. */
export function dropRange(map: AddressSpace, start: u64, end: u64): void {
  quiesce(map, start, end);
  splitAt(map, start);
  splitAt(map, end);
  const index = indexAt(map, start);
  while (index < map.count && map.at(index).start < end) {
    const entry = map.at(index);
    pagesDrop(map, entry, entry.start, entry.end);
    entryRemove(map, index);
  }
}

/** By the last thread of a process: nothing is mapped any more. */
export function mapEmpty(map: AddressSpace): void {
  map.sleepLock().acquire();
  dropRange(map, 0, USER_TOP);
  map.sleepLock().release();
}

export function munmap(start: u64, length: u64): i64 {
  const bytes = pageUp(length);
  if (bytes === 0 || !goodRange(start, bytes)) return -EINVAL;
  const map = currentLwp().process.map;
  map.sleepLock().acquire();
  unmapRange(map, start, start + bytes);
  map.sleepLock().release();
  return 0;
}

/** Lock held: the end of what entries cover without a hole from `start` on, at most `end`. */
function coveredTo(map: AddressSpace, start: u64, end: u64): u64 {
  let at = start;
  for (let index = indexAt(map, start); index < map.count && at < end; index++) {
    if (map.at(index).start > at) return at;
    at = map.at(index).end;
  }
  return min<u64>(at, end);
}

/** Every byte of the process's [start, end) is in a mapping. */
export function isCovered(start: u64, end: u64): bool {
  const map = currentLwp().process.map;
  map.sleepLock().acquire();
  const covered = coveredTo(map, start, end);
  map.sleepLock().release();
  return covered === end;
}

export function mprotect(start: u64, length: u64, protection64: u64): i64 {
  const protection = u32(protection64);
  const bytes = pageUp(length);
  if (protection & ~(PROT_READ | PROT_WRITE | PROT_EXEC) || !goodRange(start, bytes)) return -EINVAL;
  if (bytes === 0) return 0;
  const map = currentLwp().process.map;
  map.sleepLock().acquire();
  const result = protectRange(map, start, start + bytes, protection);
  map.sleepLock().release();
  return result;
}

/** As Linux does: what lies before a hole, or before an entry that may not, is protected even so. */
function protectRange(map: AddressSpace, start: u64, end: u64, protection: u32): i64 {
  quiesce(map, start, end);
  const covered = coveredTo(map, start, end);
  if (covered > start) {
    splitAt(map, start);
    splitAt(map, covered);
  }
  let machines: u64 = 0;
  let result: i64 = covered < end ? -ENOMEM : 0;
  for (let index = indexAt(map, start); index < map.count && map.at(index).start < covered; index++) {
    const entry = map.at(index);
    if (!mayProtect(entry, protection)) {
      result = -EACCES;
      break;
    }
    if (entry.protection === protection) continue;
    // Who knows of less than is permitted asks again; who knows of more has to be told.
    if (entry.protection & ~protection) machines |= entry.shownTo;
    entry.protection = protection;
    // A shared page is given back and asked for again: only the pager knows what right the machine holds.
    if (entry.object) pagesDrop(map, entry, entry.start, entry.end);
    else pagesProtect(map, entry.start, entry.end, protection);
  }
  if (machines !== 0) tellForget(currentLwp().process, machines, start, covered);
  mergeIn(map, start, covered);
  return result;
}

function mayProtect(entry: MapEntry, protection: u32): bool {
  if (entry.kind !== SHARED) return true;
  return !(protection & PROT_WRITE) || changetype<File>(entry.file).writable();
}

const MREMAP_MAYMOVE: u32 = 1;

/** Of one private or anonymous entry's range: smaller, larger in place, or moved. MREMAP_FIXED is refused. */
export function mremap(start: u64, oldLength: u64, newLength: u64, flags64: u64): i64 {
  const flags = u32(flags64);
  const oldBytes = pageUp(oldLength);
  const newBytes = pageUp(newLength);
  if (flags & ~MREMAP_MAYMOVE) return notImplemented("mremap with flags", flags64, -EINVAL);
  if (newBytes === 0 || oldBytes === 0 || !goodRange(start, oldBytes)) return -EINVAL;
  if (newBytes > USER_TOP) return -ENOMEM;
  const map = currentLwp().process.map;
  map.sleepLock().acquire();
  const result = resize(map, start, oldBytes, newBytes, (flags & MREMAP_MAYMOVE) !== 0);
  map.sleepLock().release();
  return result;
}

function resize(map: AddressSpace, start: u64, oldBytes: u64, newBytes: u64, mayMove: bool): i64 {
  quiesce(map, start, start + oldBytes);
  // What became longer in place before, or was protected in parts, is one mapping again.
  mergeIn(map, start, start + oldBytes);
  const whole = entryAt(map, start);
  if (changetype<usize>(whole) === 0 || whole.end < start + oldBytes) return -EFAULT;
  if (newBytes <= oldBytes) {
    if (newBytes < oldBytes) unmapRange(map, start + newBytes, start + oldBytes);
    return i64(start);
  }
  splitAt(map, start);
  splitAt(map, start + oldBytes);
  const entry = entryAt(map, start);
  const end = start + newBytes;
  if (end <= USER_TOP && rangeFree(map, start + oldBytes, end)) {
    const offset = entry.offset + oldBytes;
    const added = start + oldBytes;
    const result = add(map, added, end, entry.kind, entry.protection, entry.file, offset, entry.limit);
    return result < 0 ? result : i64(start);
  }
  return mayMove ? move(map, entry, newBytes) : -ENOMEM;
}

function move(map: AddressSpace, entry: MapEntry, newBytes: u64): i64 {
  const to = findFree(map, newBytes, MMAP_LOW, MMAP_HIGH);
  if (to === 0) return -ENOMEM;
  entryAdd(map, to, to + newBytes, entry.kind, entry.protection, entry.file, entry.offset, entry.limit);
  const bytes = entry.end - entry.start;
  // A shared object's pages are found again through the object; private ones have to come along.
  if (entry.object && entry.kind !== SHARED) {
    const grown = entryAt(map, to);
    if (!memoryCopy(map, entry.start, to, bytes) || memoryFill(map, grown, to + bytes, to + newBytes) < 0) {
      unmapRange(map, to, to + newBytes);
      return -ENOMEM;
    }
  } else if (!entry.object && !pagesMove(map, entry.start, to, bytes)) {
    pagesMove(map, to, entry.start, bytes);
    unmapRange(map, to, to + newBytes);
    return -ENOMEM;
  }
  unmapRange(map, entry.start, entry.end);
  return i64(to);
}

/** brk: the end of the heap behind the program's data. Returns the end as it is afterwards, as Linux does. */
export function setBreak(wanted: u64): i64 {
  const map = currentLwp().process.map;
  map.sleepLock().acquire();
  if (wanted >= map.breakStart && wanted < MMAP_HIGH) {
    const old = pageUp(map.breakEnd);
    const end = pageUp(wanted);
    if (end < old) unmapRange(map, end, old);
    const grows = end > old;
    const free = !grows || rangeFree(map, old, end);
    if (grows && free) entryAdd(map, old, end, ANONYMOUS, PROT_READ | PROT_WRITE, 0, 0, 0);
    if (free) map.breakEnd = wanted;
  }
  const result = map.breakEnd;
  map.sleepLock().release();
  return i64(result);
}

const MADV_DONTNEED: u64 = 4;
const MADV_FREE: u64 = 8;
const MADV_REMOVE: u64 = 9;
/** MADV_COLLAPSE; from here on, and between DONTNEED and FREE, there is no advice. */
const MADV_LAST: u64 = 25;

/** Advice may be ignored, except DONTNEED: programs rely on finding zeros, or the file's bytes, afterwards. */
export function madvise(start: u64, length: u64, advice: u64): i64 {
  const bytes = pageUp(length);
  if (!goodRange(start, bytes)) return -EINVAL;
  const none = advice > MADV_LAST || (advice > MADV_DONTNEED && advice < MADV_FREE);
  if (none || advice === MADV_REMOVE) return -EINVAL;
  const map = currentLwp().process.map;
  const end = start + bytes;
  map.sleepLock().acquire();
  const whole = coveredTo(map, start, end) === end;
  if (advice === MADV_DONTNEED || advice === MADV_FREE) adviseForget(map, start, end);
  map.sleepLock().release();
  return whole ? 0 : -ENOMEM;
}

/** Lock held. */
function adviseForget(map: AddressSpace, start: u64, end: u64): void {
  quiesce(map, start, end);
  for (let index = indexAt(map, start); index < map.count && map.at(index).start < end; index++) {
    const entry = map.at(index);
    if (entry.kind !== SHARED) forget(map, entry, max<u64>(entry.start, start), min<u64>(entry.end, end));
  }
}

/** Lock held: what was written to [start, end) of a private entry is gone. */
function forget(map: AddressSpace, entry: MapEntry, start: u64, end: u64): void {
  pagesDrop(map, entry, start, end);
  if (!entry.object) return;
  memoryClear(map, start, end);
  memoryFill(map, entry, start, end);
}

/** For the loader: maps at exactly this range, over what is there. */
export function mapProgram(
  start: u64,
  end: u64,
  protection: u32,
  file: usize,
  offset: u64,
  limit: u64,
): void {
  const map = currentLwp().process.map;
  map.sleepLock().acquire();
  unmapRange(map, start, end);
  add(map, start, end, file ? PRIVATE_FILE : ANONYMOUS, protection, file, offset, limit);
  map.sleepLock().release();
}
