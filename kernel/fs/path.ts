// Paths and what they name: the directories on the way (tree.ts) over all file systems (filesystems.ts).
import {
  OPEN_MAKE,
  OPEN_NEW,
  OPEN_THERE,
  objectLink,
  objectOpen,
  objectRename,
  objectUnlink,
} from "../coherence/named";
import { objectClose, objectTruncate, SharedObject } from "../coherence/pager";
import { allocate, release } from "../memory/slab";
import {
  EACCES,
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  EROFS,
  ETXTBSY,
  EXDEV,
} from "../process/errno";
import { Inode, TYPE_REGULAR } from "./archive";
import {
  File,
  fileCreate,
  fileRelease,
  KIND_ARCHIVE,
  KIND_CONSOLE,
  KIND_DIRECTORY,
  KIND_NULL,
  KIND_RANDOM,
  KIND_SHARED,
  KIND_ZERO,
  O_ACCESS,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_TRUNC,
} from "./file";
import {
  deviceAdd,
  devicesFrom,
  mountedAt,
  SYSTEM_DEVICES,
  SYSTEM_ROOT,
  SYSTEM_SHARED,
  systemChanges,
  systemRoot,
} from "./filesystems";
import { Entry, Place, placeCopy, placeNew, placeOf } from "./names";
import {
  entryNew,
  entryNumber,
  isDirectory,
  isRootOfAll,
  isSame,
  treeFind,
  treeNext,
  treeParent,
} from "./tree";
import {
  treeCopyUp,
  treeMakeDirectory,
  treeMakeFile,
  treeOpenFile,
  treeRemoveDirectory,
  treeRemoveFile,
} from "./tree-changes";
import { treeLink } from "./tree-link";
import { treeRename } from "./tree-rename";

/** Of a path that the command line names. */
export const PATH_MAX: usize = 1024;
const SLASH: u32 = 0x2f;
const DOT: u32 = 0x2e;

/**
 * Brings a zero-terminated path into the form of archive names, in place: no leading, doubled or trailing slash, no
 * "." and ".." (the working directory is the root). Returns its length.
 */
export function pathNormalize(path: usize): usize {
  let from: usize = 0;
  let to: usize = 0;
  while (true) {
    while (load<u8>(path + from) === SLASH) from++;
    if (load<u8>(path + from) === 0) break;
    let bytes: usize = 0;
    while (load<u8>(path + from + bytes) !== 0 && load<u8>(path + from + bytes) !== SLASH) bytes++;
    const dot = load<u8>(path + from) === DOT;
    if (dot && bytes === 2 && load<u8>(path + from + 1) === DOT) {
      while (to > 0 && load<u8>(path + --to) !== SLASH) {}
    } else if (!(dot && bytes === 1)) {
      if (to > 0) store<u8>(path + to++, SLASH);
      memory.copy(path + to, path + from, bytes);
      to += bytes;
    }
    from += bytes;
  }
  store<u8>(path + to, 0);
  return to;
}

/** Does the zero-terminated path equal this text? */
export function pathIs(path: usize, text: string): bool {
  return pathBegins(path, text) && load<u8>(path + usize(text.length)) === 0;
}

function pathBegins(path: usize, text: string): bool {
  for (let i = 0; i < text.length; i++) {
    if (u32(load<u8>(path + usize(i))) !== u32(text.charCodeAt(i))) return false;
  }
  return true;
}

/** Bytes of a path with its zero, and of one name in it, as on Linux. */
export const PATH_BYTES: usize = 4096;
const NAME_MAX: usize = 255;

export function pathsPrepare(): void {
  devicesFrom(devicesMake.index);
}

function devicesMake(): void {
  deviceAdd("console", KIND_CONSOLE);
  deviceAdd("null", KIND_NULL);
  deviceAdd("random", KIND_RANDOM);
  deviceAdd("tty", KIND_CONSOLE);
  deviceAdd("urandom", KIND_RANDOM);
  deviceAdd("zero", KIND_ZERO);
}

/** What the last part of a path is. LAST_NOTHING: the path ends in a directory that it has come to ("/"); LAST_DOT, LAST_DOTS: so it does by "." or "..". */
export const LAST_NAME: u32 = 0;
export const LAST_NOTHING: u32 = 1;
export const LAST_DOT: u32 = 2;
export const LAST_DOTS: u32 = 3;

/** A path on the way: the directory that it has come to, and the name that is left of it. */
@unmanaged
export class Walk {
  place: usize = 0;
  entry: usize = 0;
  /** PATH_BYTES, for who has to copy the path in. */
  path: usize = 0;
  name: usize = 0;
  bytes: u32 = 0;
  last: u32 = 0;
  /** It ends in a slash: what it names has to be a directory. */
  slash: u32 = 0;

  at(): Place {
    return changetype<Place>(this.place);
  }
  found(): Entry {
    return changetype<Entry>(this.entry);
  }
}

export function walkNew(): Walk {
  const walk = changetype<Walk>(allocate(offsetof<Walk>()));
  walk.place = changetype<usize>(placeNew());
  walk.entry = changetype<usize>(entryNew());
  walk.path = allocate(PATH_BYTES);
  return walk;
}

/** Returns `result`. */
export function walkEnd(walk: Walk, result: i64): i64 {
  release(walk.path);
  release(walk.entry);
  release(walk.place);
  release(changetype<usize>(walk));
  return result;
}

/** Goes along walk.path from `start` (0: the root), to the directory that its last part is a name in. */
export function walkPath(walk: Walk, start: usize): i64 {
  let at = walk.path;
  if (load<u8>(at) === 0) return -ENOENT;
  let error: i64 = 0;
  if (start === 0 || load<u8>(at) === SLASH) error = systemRoot(SYSTEM_ROOT, walk.at());
  else placeCopy(walk.at(), changetype<Place>(start));
  walk.last = LAST_NOTHING;
  while (error >= 0) {
    walk.slash = 0;
    while (load<u8>(at) === SLASH) {
      at++;
      walk.slash = 1;
    }
    if (load<u8>(at) === 0) return 0;
    if (walk.last !== LAST_NOTHING) error = enter(walk);
    if (error < 0) break;
    walk.name = at;
    while (load<u8>(at) !== 0 && load<u8>(at) !== SLASH) at++;
    if (at - walk.name > NAME_MAX) return -ENAMETOOLONG;
    walk.bytes = u32(at - walk.name);
    const dots = load<u8>(walk.name) === DOT;
    walk.last = LAST_NAME;
    if (dots && walk.bytes === 1) walk.last = LAST_DOT;
    if (dots && walk.bytes === 2 && load<u8>(walk.name + 1) === DOT) walk.last = LAST_DOTS;
  }
  return error;
}

/** Into the directory that the last part names. */
function enter(walk: Walk): i64 {
  if (walk.last === LAST_NOTHING || walk.last === LAST_DOT) return 0;
  const place = walk.at();
  if (walk.last === LAST_DOTS) {
    const parent = placeNew();
    const error = treeParent(place, parent);
    placeCopy(place, parent);
    release(changetype<usize>(parent));
    return error;
  }
  const system = mounted(walk);
  if (system !== SYSTEM_ROOT) return systemRoot(system, place);
  if (place.system === SYSTEM_SHARED) return sharedFile(walk); // no directories there
  const error = treeFind(place, walk.name, walk.bytes, walk.found());
  if (error < 0) return error;
  if (!isDirectory(walk.found())) return -ENOTDIR;
  placeOf(walk.found(), place.system, place);
  return 0;
}

/** The file system that is mounted where the last part leads to. */
function mounted(walk: Walk): u32 {
  if (walk.last !== LAST_NAME) return SYSTEM_ROOT;
  if (isRootOfAll(walk.at())) return mountedAt(walk.name, walk.bytes);
  // Where C libraries look for them (shm_open).
  const shared = walk.at().system === SYSTEM_DEVICES && mountedAt(walk.name, walk.bytes) === SYSTEM_SHARED;
  return shared ? SYSTEM_SHARED : SYSTEM_ROOT;
}

/** walk.place becomes the directory that the whole path names. */
export function walkDirectory(walk: Walk): i64 {
  const error = enter(walk);
  if (error >= 0) walk.last = LAST_NOTHING;
  return error;
}

/** Is it something that is named, and not "/", "." or what is mounted? */
function hasName(walk: Walk): bool {
  return walk.last === LAST_NAME && mounted(walk) === SYSTEM_ROOT;
}

// --- Opening ---

/** On success `*into` is a File with one reference. `mode`: permissions of a file that is made. */
export function walkOpen(walk: Walk, flags: u32, mode: u32, into: usize): i64 {
  const place = walk.at();
  if (walk.last === LAST_NAME && walk.slash !== 0 && flags & O_CREAT) return -EISDIR;
  if (!hasName(walk)) return openDirectory(walk, flags, into);
  if (place.system === SYSTEM_SHARED) return openShared(walk, flags, into);
  let again = false;
  while (true) {
    let found = treeFind(place, walk.name, walk.bytes, walk.found());
    if (found === -ENOENT && flags & O_CREAT) {
      if (!systemChanges(place.system)) return -EROFS;
      found = treeMakeFile(place, walk.name, walk.bytes, TYPE_REGULAR | mode, walk.found(), into);
      if (found === 0) {
        store<usize>(into, fileOf(walk, flags, load<usize>(into)));
        return 0;
      }
      if (found === -EEXIST && flags & O_EXCL) return found;
      if (found === -EEXIST) continue;
    }
    if (found < 0) return found;
    if (isDirectory(walk.found())) return openDirectory(walk, flags, into);
    if ((flags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL)) return -EEXIST;
    if (walk.slash !== 0 || flags & O_DIRECTORY) return -ENOTDIR;
    if (walk.found().number === 0) {
      const writes = (flags & O_ACCESS) !== O_RDONLY || (flags & O_TRUNC) !== 0;
      if (!writes || !systemChanges(place.system)) return openNode(walk, flags, into);
      if (changetype<Inode>(walk.found().node).runs !== 0) return -ETXTBSY;
      const copied = treeCopyUp(place, walk.name, walk.bytes, walk.found());
      if (copied < 0) return copied;
      continue;
    }
    const opened = treeOpenFile(walk.found(), again, into);
    if (opened >= 0) {
      const object = changetype<SharedObject>(load<usize>(into));
      const cut = flags & O_TRUNC ? objectTruncate(object, 0) : 0;
      if (cut < 0) objectClose(object);
      else store<usize>(into, fileOf(walk, flags, changetype<usize>(object)));
      return cut;
    }
    if (opened !== -ENOENT || again) return opened;
    again = stillThere(walk);
  }
}

/** The name stands for the same file as it did. */
function stillThere(walk: Walk): bool {
  const number = walk.found().number;
  return treeFind(walk.at(), walk.name, walk.bytes, walk.found()) === 0 && walk.found().number === number;
}

function fileOf(walk: Walk, flags: u32, object: usize): usize {
  const file = fileCreate(KIND_SHARED, flags, 0, object);
  file.number = entryNumber(walk.found());
  file.mode = walk.found().mode;
  file.system = walk.at().system;
  return changetype<usize>(file);
}

/** What the file system below has, and nobody has changed: a device, or a file that is read in place. */
function openNode(walk: Walk, flags: u32, into: usize): i64 {
  const inode = changetype<Inode>(walk.found().node);
  const device = walk.at().system === SYSTEM_DEVICES;
  const file = fileCreate(
    device ? inode.number : KIND_ARCHIVE,
    flags,
    device ? 0 : changetype<usize>(inode),
    0,
  );
  file.number = entryNumber(walk.found());
  file.system = walk.at().system;
  store<usize>(into, changetype<usize>(file));
  return 0;
}

function openDirectory(walk: Walk, flags: u32, into: usize): i64 {
  if ((flags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL)) return -EEXIST;
  if (flags & (O_CREAT | O_TRUNC) || (flags & O_ACCESS) !== O_RDONLY) return -EISDIR;
  const error = walkDirectory(walk);
  if (error < 0) return error;
  const file = fileCreate(KIND_DIRECTORY, flags, 0, 0);
  const place = placeNew();
  placeCopy(place, walk.at());
  file.place = changetype<usize>(place);
  file.system = place.system;
  store<usize>(into, changetype<usize>(file));
  return 0;
}

function openShared(walk: Walk, flags: u32, into: usize): i64 {
  const name = nameText(walk);
  let how = flags & O_CREAT ? OPEN_MAKE : OPEN_THERE;
  if (how === OPEN_MAKE && flags & O_EXCL) how = OPEN_NEW;
  const opened = objectOpen(name, how, into);
  release(name);
  if (opened < 0) return opened;
  const object = changetype<SharedObject>(load<usize>(into));
  let error: i64 = flags & O_DIRECTORY || walk.slash !== 0 ? -ENOTDIR : 0;
  if (error >= 0 && flags & O_TRUNC) error = objectTruncate(object, 0);
  if (error < 0) {
    objectClose(object);
    return error;
  }
  const file = fileCreate(KIND_SHARED, flags, 0, changetype<usize>(object));
  file.system = SYSTEM_SHARED;
  store<usize>(into, changetype<usize>(file));
  return 0;
}

/** Of who needs a directory of that name: -ENOTDIR, a shared object has it; or why there is none. */
function sharedFile(walk: Walk): i64 {
  const name = nameText(walk);
  const into = allocate(8);
  const opened = objectOpen(name, OPEN_THERE, into);
  if (opened >= 0) objectClose(changetype<SharedObject>(load<usize>(into)));
  release(into);
  release(name);
  return opened < 0 ? opened : -ENOTDIR;
}

/** The last part, zero-terminated, allocated. */
function nameText(walk: Walk): usize {
  const name = allocate(NAME_MAX + 1);
  memory.copy(name, walk.name, usize(walk.bytes));
  return name;
}

// --- Changing ---

/** mkdir(2) */
export function walkMakeDirectory(walk: Walk, mode: u32): i64 {
  if (!hasName(walk)) return -EEXIST;
  const there = walk.at().system === SYSTEM_SHARED && sharedFile(walk) === -ENOTDIR;
  const refused = unchangeable(walk.at(), there ? -EEXIST : -EPERM);
  return refused < 0 ? refused : treeMakeDirectory(walk.at(), walk.name, walk.bytes, mode);
}

/** What can be done with names in this file system: 0; -EROFS; `shared` where names are those of shared objects, without directories. */
function unchangeable(place: Place, shared: i64): i64 {
  if (place.system === SYSTEM_SHARED) return shared;
  return systemChanges(place.system) ? 0 : -EROFS;
}

/** unlink(2) */
export function walkUnlink(walk: Walk): i64 {
  if (!hasName(walk)) return -EISDIR;
  if (walk.at().system === SYSTEM_SHARED) {
    if (walk.slash !== 0) return sharedFile(walk);
    const name = nameText(walk);
    const result = objectUnlink(name);
    release(name);
    return result;
  }
  if (walk.slash !== 0) {
    const found = treeFind(walk.at(), walk.name, walk.bytes, walk.found());
    return found < 0 ? found : isDirectory(walk.found()) ? -EISDIR : -ENOTDIR;
  }
  if (systemChanges(walk.at().system)) return treeRemoveFile(walk.at(), walk.name, walk.bytes);
  const found = treeFind(walk.at(), walk.name, walk.bytes, walk.found());
  return found < 0 ? found : -EROFS;
}

/** rmdir(2) */
export function walkRemoveDirectory(walk: Walk): i64 {
  if (walk.last === LAST_DOT) return -EINVAL;
  if (walk.last === LAST_DOTS) return -ENOTEMPTY;
  if (!hasName(walk)) return -EBUSY;
  if (walk.at().system === SYSTEM_SHARED) return sharedFile(walk);
  const refused = unchangeable(walk.at(), -EPERM);
  return refused < 0 ? refused : treeRemoveDirectory(walk.at(), walk.name, walk.bytes);
}

/** rename(2), of two paths that were walked. What is refused first is what Linux refuses first (fs/namei.c, do_renameat2). */
export function walkRename(from: Walk, to: Walk, replace: bool): i64 {
  if (from.at().system !== to.at().system) return -EXDEV;
  if (!hasName(from)) return -EBUSY;
  if (!hasName(to)) return replace ? -EBUSY : -EEXIST;
  if (from.at().system === SYSTEM_SHARED) return renameShared(from, to, replace);
  if (!systemChanges(from.at().system)) return -EROFS;
  const slash = from.slash !== 0 || to.slash !== 0;
  return treeRename(from.at(), from.name, from.bytes, to.at(), to.name, to.bytes, replace, slash);
}

function renameShared(from: Walk, to: Walk, replace: bool): i64 {
  if (from.slash !== 0 || to.slash !== 0) return ifThere(from, -ENOTDIR);
  const name = nameText(from);
  const other = nameText(to);
  const result = objectRename(name, other, replace);
  release(name);
  release(other);
  return result;
}

/** link(2), of two paths that were walked, after walkThere() of the first. What is refused first is what Linux refuses first (fs/namei.c, do_linkat). */
export function walkLink(from: Walk, to: Walk): i64 {
  if (!hasName(to)) return -EEXIST;
  const slash = to.slash !== 0;
  to.slash = 0;
  const taken = ifThere(to, -EEXIST);
  if (taken !== -ENOENT || slash) return taken;
  const system = to.at().system;
  if (systemOf(from) !== system) return -EXDEV;
  if (!hasName(from)) return -EPERM;
  if (system === SYSTEM_SHARED) return linkShared(from, to);
  if (!systemChanges(system)) return -EROFS;
  return treeLink(from.at(), from.name, from.bytes, to.at(), to.name, to.bytes);
}

function linkShared(from: Walk, to: Walk): i64 {
  const name = nameText(from);
  const other = nameText(to);
  const result = objectLink(name, other);
  release(name);
  release(other);
  return result;
}

/** The file system that what the path names is in. */
function systemOf(walk: Walk): u32 {
  const system = mounted(walk);
  return system !== SYSTEM_ROOT ? system : walk.at().system;
}

/** There is what the path names; or why it is not there. */
export function walkThere(walk: Walk): i64 {
  return ifThere(walk, 0);
}

/** `result` if there is what the path names; or why it is not there. */
function ifThere(walk: Walk, result: i64): i64 {
  const into = allocate(8);
  const error = walkOpen(walk, O_RDONLY, 0, into);
  if (error >= 0) fileRelease(changetype<File>(load<usize>(into)));
  release(into);
  return error < 0 ? error : result;
}

/** access(2) as root. */
export function accessAllowed(mode: u32, system: u32, wanted: u32): i64 {
  if (wanted & 2 && system === SYSTEM_DEVICES && (mode & 0o170000) === 0o040000) return -EROFS;
  return wanted & 1 && !(mode & 0o111) ? -EACCES : 0;
}

// --- Where a directory is ---

/** The path of a directory, written before `end`, with its zero; its length with that, or an error. `room`: bytes that there are. */
export function placePath(place: Place, end: usize, room: usize): i64 {
  const at = placeNew();
  const parent = placeNew();
  const entry = entryNew();
  placeCopy(at, place);
  let to = end - 1;
  store<u8>(to, 0);
  let error: i64 = 0;
  while (error >= 0 && !isRootOfAll(at)) {
    error = treeParent(at, parent);
    if (error >= 0) error = nameIn(parent, at, entry);
    if (error < 0) break;
    if (usize(entry.nameBytes) + 2 > room - (end - to)) error = -ENAMETOOLONG;
    else {
      to -= usize(entry.nameBytes);
      memory.copy(to, changetype<usize>(entry) + 64, usize(entry.nameBytes));
      store<u8>(--to, u8(SLASH));
    }
    placeCopy(at, parent);
  }
  if (to === end - 1) store<u8>(--to, u8(SLASH));
  release(changetype<usize>(at));
  release(changetype<usize>(parent));
  release(changetype<usize>(entry));
  return error < 0 ? error : i64(end - to);
}

/** The name of a directory in the one that it lies in. */
function nameIn(parent: Place, child: Place, entry: Entry): i64 {
  const at = placeNew();
  let position: i64 = 2;
  while (true) {
    position = treeNext(parent, u64(position), entry);
    if (position <= 0) break;
    if (!isDirectory(entry)) continue;
    if (child.system !== parent.system) {
      if (isRootOfAll(parent) && mountedAt(changetype<usize>(entry) + 64, entry.nameBytes) === child.system)
        break;
      continue;
    }
    placeOf(entry, parent.system, at);
    if (isSame(at, child)) break;
  }
  release(changetype<usize>(at));
  return position === 0 ? -ENOENT : min<i64>(position, 0);
}

export function textBytes(text: usize): usize {
  let bytes: usize = 0;
  while (load<u8>(text + bytes)) bytes++;
  return bytes;
}
