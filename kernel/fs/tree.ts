// The directories of any file system, as all machines see them: what the file system has by itself (filesystems.ts), with what machines have
// changed since in coherent pages (names.ts). A directory gets pages when something in it is changed first, and those above it too; until then nothing of
// it is in memory. A name that is in the pages counts, also one that was removed; else what is below.
import { allocate, release } from "../memory/slab";
import { ENOENT, ESTALE } from "../process/errno";
import { Inode, TYPE_DIRECTORY, TYPE_MASK } from "./archive";
import {
  mountedAt,
  mountName,
  mountNext,
  nodeByOrdinal,
  nodeChild,
  nodeNext,
  SYSTEM_ROOT,
  systemChanges,
  systemRoot,
} from "./filesystems";
import {
  ENTRY_BYTES,
  Entry,
  entryName,
  Header,
  headerRead,
  namesFind,
  namesNext,
  namesPut,
  Place,
  placeOf,
} from "./names";

/** st_ino of what the file system below has; numbers of names.ts do not come so far. */
const NODE_NUMBERS: u64 = (<u64>1) << 57;

export function isDirectory(entry: Entry): bool {
  return (entry.mode & TYPE_MASK) === TYPE_DIRECTORY;
}

export function entryNew(): Entry {
  return changetype<Entry>(allocate(ENTRY_BYTES));
}

/** st_ino */
export function entryNumber(entry: Entry): u64 {
  return entry.ordinal !== 0 ? NODE_NUMBERS + u64(entry.ordinal) : entry.number;
}
export function placeNumber(place: Place): u64 {
  return place.node !== 0
    ? NODE_NUMBERS + u64(changetype<Inode>(place.node).ordinal)
    : max<u64>(place.number, 1);
}

export function isRoot(place: Place): bool {
  return place.first === 0 && (place.node === 0 || changetype<Inode>(place.node).parent === 0);
}

/** The same directory. */
export function isSame(a: Place, b: Place): bool {
  if (a.system !== b.system) return false;
  return a.node !== 0 ? a.node === b.node : a.number === b.number;
}

export function goneIsAbsent(error: i64): i64 {
  return error === -ESTALE ? -ENOENT : error;
}

// --- What a name stands for ---

/** A directory of the file system below, wherever it is by now: with pages, or without. -ENOENT: it has been removed. */
export function placeOfNode(system: u32, node: usize, into: Place): i64 {
  const inode = changetype<Inode>(node);
  if (inode.parent === 0) return systemRoot(system, into);
  const error = placeOfNode(system, inode.parent, into);
  if (error < 0) return error;
  if (into.number !== 0) {
    const entry = entryNew();
    const found = namesFind(into, inode.base, inode.baseBytes, entry);
    let same = found === 0 && isDirectory(entry) && entry.ordinal === inode.ordinal;
    if (found === 0 && !same) same = wordFind(into, inode, entry) === 0;
    if (same) placeOf(entry, system, into);
    into.node = node;
    release(changetype<usize>(entry));
    if (same || (found < 0 && found !== -ENOENT)) return min<i64>(found, 0);
    if (found === 0) return -ENOENT;
  }
  into.number = 0;
  into.node = node;
  into.first = into.order = 0;
  return 0;
}

// --- Words ---
//
// What the file system below has is known by its name there until it is changed. When that name is taken away from it, a word is left in the
// same directory, an entry by a name that no path has: who has it open, or works in it, finds it by that.

const WORD_BYTES: u32 = 5;
const SLASH: u8 = 0x2f;

export function isWord(entry: Entry): bool {
  return load<u8>(entryName(entry)) === SLASH;
}

function wordName(inode: Inode): usize {
  const name = allocate(8);
  store<u8>(name, SLASH);
  store<u32>(name + 1, inode.ordinal);
  return name;
}

/** -ENOENT: it has its name still, or is gone. */
function wordFind(place: Place, inode: Inode, entry: Entry): i64 {
  const name = wordName(inode);
  const found = namesFind(place, name, WORD_BYTES, entry);
  release(name);
  return found;
}

/** With the lock of the directory that it lies in below. */
export function wordLeave(place: Place, inode: Inode, entry: Entry): i64 {
  const name = wordName(inode);
  const error = namesPut(place, name, WORD_BYTES, entry);
  release(name);
  return error;
}

/** A file of the file system below has bytes of its own now, by this entry: 1, by the name that it has below; 2, by another; 0: it is as it was. */
export function treeChanged(node: usize, entry: Entry): i64 {
  const place = changetype<Place>(allocate(offsetof<Place>()));
  let result = systemRoot(SYSTEM_ROOT, place); // now it is known what it lies in
  const inode = changetype<Inode>(node);
  if (result >= 0) result = placeOfNode(SYSTEM_ROOT, inode.parent, place);
  if (result >= 0 && place.number === 0) result = -ENOENT;
  if (result >= 0) result = namesFind(place, inode.base, inode.baseBytes, entry);
  const here = result >= 0 && entry.mode !== 0 && entry.ordinal === inode.ordinal;
  if (result >= 0 && !here) result = wordFind(place, inode, entry);
  release(changetype<usize>(place));
  if (result === -ENOENT || result === -ESTALE) return 0;
  return result < 0 ? result : here ? 1 : 2;
}

/** A directory that had no pages may have some by now. */
export function refresh(place: Place): i64 {
  if (place.number !== 0 || place.node === 0 || !systemChanges(place.system)) return 0;
  return goneIsAbsent(placeOfNode(place.system, place.node, place));
}

/** -ENOENT, -EIO */
export function treeFind(place: Place, name: usize, bytes: u32, entry: Entry): i64 {
  const error = refresh(place);
  if (error < 0) return error;
  if (place.number !== 0) {
    const found = namesFind(place, name, bytes, entry);
    if (found === 0) {
      entry.node = nodeByOrdinal(place.system, entry.ordinal);
      return entry.mode !== 0 ? 0 : -ENOENT;
    }
    if (found !== -ENOENT) return goneIsAbsent(found);
  }
  const node = nodeChild(place.system, place.node, name, bytes);
  if (node === 0) return -ENOENT;
  fromNode(entry, node);
  return 0;
}

export function fromNode(entry: Entry, node: usize): void {
  const inode = changetype<Inode>(node);
  entry.number = entry.place = 0;
  entry.order = 0;
  entry.mode = inode.mode;
  entry.node = node;
  entry.ordinal = inode.ordinal;
  entry.nameBytes = min<u32>(inode.baseBytes, 255);
  memory.copy(entryName(entry), inode.base, usize(entry.nameBytes));
}

/** The directory that it lies in; the root's is the root. */
export function treeParent(place: Place, into: Place): i64 {
  if (isRoot(place)) return systemRoot(SYSTEM_ROOT, into);
  let error = refresh(place);
  if (error < 0) return error;
  if (place.number === 0) return placeOfNode(place.system, changetype<Inode>(place.node).parent, into);
  const header = changetype<Header>(allocate(offsetof<Header>()));
  error = headerRead(place, header);
  // One that has been removed knows still where it was.
  if (error >= 0 || (error === -ESTALE && header.parentOrder !== 0))
    error = above(place.system, header, into);
  release(changetype<usize>(header));
  return goneIsAbsent(error);
}

/** What a directory's header says that it lies in. */
export function above(system: u32, header: Header, into: Place): i64 {
  if (header.parentFirst === 0) return systemRoot(system, into);
  into.system = system;
  into.number = header.parent;
  into.first = header.parentFirst;
  into.order = header.parentOrder;
  const error = headerRead(into, header);
  into.node = nodeByOrdinal(system, header.ordinal);
  return error;
}

// --- Listing ---

/** Where a listing is: 0 and 1 are "." and "..", then keys of names.ts, then ordinals of the file system below, then what is mounted. */
const KEYS: u64 = 2;
const ORDINALS: u64 = (<u64>1) << 62;
const MOUNTS: u64 = ORDINALS + ((<u64>1) << 61);

/** The entry at a position or behind it; the position behind that one; 0 = there is none. */
export function treeNext(place: Place, position: u64, entry: Entry): i64 {
  const error = refresh(place);
  if (error < 0) return error;
  if (position < KEYS) return dots(place, position, entry);
  let key = position - KEYS;
  while (position < ORDINALS && place.number !== 0) {
    const found = namesNext(place, key, entry);
    if (found === -ENOENT) break;
    if (found < 0) return goneIsAbsent(found);
    key = entry.key + 1;
    entry.node = nodeByOrdinal(place.system, entry.ordinal);
    // What is below as well comes with that.
    if (entry.mode !== 0 && !isWord(entry) && !isBelowToo(place, entry)) return i64(key + KEYS);
  }
  let ordinal = position >= ORDINALS && position < MOUNTS ? u32(position - ORDINALS) : 0;
  while (position < MOUNTS) {
    const node = nodeNext(place.system, place.node, ordinal);
    if (node === 0) break;
    const inode = changetype<Inode>(node);
    ordinal = inode.ordinal + 1;
    if (isRootOfAll(place) && mountedAt(inode.base, inode.baseBytes) !== SYSTEM_ROOT) continue;
    const found = treeFind(place, inode.base, inode.baseBytes, entry);
    if (found < 0 && found !== -ENOENT) return found;
    if (found === 0 && entry.ordinal === inode.ordinal) return i64(ORDINALS + u64(ordinal));
  }
  if (!isRootOfAll(place)) return 0;
  const system = mountNext(position >= MOUNTS ? u32(position - MOUNTS) : SYSTEM_ROOT);
  if (system === SYSTEM_ROOT) return 0;
  entry.number = u64(system) + 1;
  entry.mode = TYPE_DIRECTORY | 0o755;
  entry.ordinal = 0;
  entry.nameBytes = mountName(system, entryName(entry));
  return i64(MOUNTS + u64(system));
}

export function isRootOfAll(place: Place): bool {
  return place.system === SYSTEM_ROOT && isRoot(place);
}

function isBelowToo(place: Place, entry: Entry): bool {
  return (
    entry.node !== 0 && nodeChild(place.system, place.node, entryName(entry), entry.nameBytes) === entry.node
  );
}

function dots(place: Place, position: u64, entry: Entry): i64 {
  const parent = changetype<Place>(allocate(offsetof<Place>()));
  const error = position === 0 ? treeStands(place) : treeParent(place, parent);
  entry.ordinal = 0;
  entry.number = position === 0 ? placeNumber(place) : placeNumber(parent);
  entry.mode = TYPE_DIRECTORY | 0o755;
  entry.nameBytes = u32(position) + 1;
  store<u16>(entryName(entry), 0x2e2e);
  release(changetype<usize>(parent));
  return error < 0 ? error : i64(position) + 1;
}

/** -ENOENT: who has it open has nothing to list, not even itself. */
export function treeStands(place: Place): i64 {
  if (place.number === 0) return 0;
  const header = changetype<Header>(allocate(offsetof<Header>()));
  const error = headerRead(place, header);
  release(changetype<usize>(header));
  return goneIsAbsent(error);
}

/** Of a directory: st_nlink (itself, its name, and the directories in it) and st_mode go to `into`, u64 and u32. */
export function treeDescribe(place: Place, into: usize): void {
  let links: i64 = 2;
  for (let node = nodeNext(place.system, place.node, 0); node !== 0; ) {
    const inode = changetype<Inode>(node);
    if ((inode.mode & TYPE_MASK) === TYPE_DIRECTORY) links++;
    node = nodeNext(place.system, place.node, inode.ordinal + 1);
  }
  let mode = place.node !== 0 ? changetype<Inode>(place.node).mode : TYPE_DIRECTORY | 0o755;
  if (refresh(place) >= 0 && place.number !== 0) {
    const header = changetype<Header>(allocate(offsetof<Header>()));
    const gone = headerRead(place, header) < 0;
    links = gone ? 0 : links + i64(header.children);
    if (header.mode !== 0) mode = header.mode;
    release(changetype<usize>(header));
  }
  store<u64>(into, u64(links));
  store<u32>(into, mode, 8);
}
