// Paths and what they name: the archive at the root, /dev with a few devices, /shm with the shared objects.
import { objectClose, objectOpen, objectTruncate, objectUnlink, SharedObject } from "../coherence/pager";
import { EACCES, EEXIST, EISDIR, ENOENT, ENOTDIR, EROFS } from "../process/errno";
import { archiveFind, archiveFirst, Inode, TYPE_DIRECTORY, TYPE_MASK } from "./archive";
import {
  File,
  fileCreate,
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

/** Opens a normalized path; on success `*into` is a File with one reference and the result is 0. */
export function pathOpen(path: usize, flags: u32, into: usize): i64 {
  if (pathBegins(path, "shm/")) return openShared(path + 4, flags, into);
  let kind = deviceKind(path);
  let inode: usize = 0;
  if (kind === KIND_ARCHIVE) {
    inode = archiveFind(path, textBytes(path));
    if (inode === 0 && !isDirectory(path)) return flags & O_CREAT ? -EROFS : -ENOENT;
    if (inode === 0 || (changetype<Inode>(inode).mode & TYPE_MASK) === TYPE_DIRECTORY) kind = KIND_DIRECTORY;
  }
  if ((flags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL)) return -EEXIST;
  if (kind !== KIND_DIRECTORY && flags & O_DIRECTORY) return -ENOTDIR;
  if (kind === KIND_DIRECTORY && (flags & O_ACCESS) !== O_RDONLY) return -EISDIR;
  if (kind === KIND_ARCHIVE && ((flags & O_ACCESS) !== O_RDONLY || flags & O_TRUNC)) return -EROFS;
  store<usize>(into, changetype<usize>(fileCreate(kind, flags, inode, 0)));
  return 0;
}

function openShared(name: usize, flags: u32, into: usize): i64 {
  if ((flags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL)) {
    // Two steps: of two machines that create at the same instant both may succeed.
    const there = objectOpen(name, false, into);
    if (there !== -ENOENT) {
      if (there < 0) return there;
      objectClose(changetype<SharedObject>(load<usize>(into)));
      return -EEXIST;
    }
  }
  const opened = objectOpen(name, (flags & O_CREAT) !== 0, into);
  if (opened < 0) return opened;
  const object = changetype<SharedObject>(load<usize>(into));
  const file = fileCreate(KIND_SHARED, flags, 0, changetype<usize>(object));
  if (flags & O_TRUNC && (flags & O_ACCESS) !== O_RDONLY) objectTruncate(object, 0);
  store<usize>(into, changetype<usize>(file));
  return 0;
}

/** KIND_ARCHIVE when the path names no device. */
function deviceKind(path: usize): u32 {
  if (!pathBegins(path, "dev/")) return KIND_ARCHIVE;
  const name = path + 4;
  if (pathIs(name, "null")) return KIND_NULL;
  if (pathIs(name, "zero")) return KIND_ZERO;
  if (pathIs(name, "urandom") || pathIs(name, "random")) return KIND_RANDOM;
  if (pathIs(name, "console") || pathIs(name, "tty")) return KIND_CONSOLE;
  return KIND_ARCHIVE;
}

/** The root, /dev and /shm, and what some archive entry lies in. */
function isDirectory(path: usize): bool {
  const bytes = textBytes(path);
  if (bytes === 0 || pathIs(path, "dev") || pathIs(path, "shm")) return true;
  let at = archiveFirst();
  while (at !== 0) {
    const inode = changetype<Inode>(at);
    if (usize(inode.nameBytes) > bytes && load<u8>(inode.name + bytes) === SLASH) {
      if (memory.compare(inode.name, path, bytes) === 0) return true;
    }
    at = inode.next;
  }
  return false;
}

/** unlink(2): only shared objects can go. */
export function pathUnlink(path: usize): i64 {
  if (pathBegins(path, "shm/")) return objectUnlink(path + 4);
  if (isDirectory(path)) return -EISDIR;
  return deviceKind(path) !== KIND_ARCHIVE || archiveFind(path, textBytes(path)) ? -EROFS : -ENOENT;
}

/** access(2) as root, except that nothing in the archive can be written. */
export function accessAllowed(file: File, wanted: u32): i64 {
  if (wanted & 2 && (file.kind === KIND_ARCHIVE || file.kind === KIND_DIRECTORY)) return -EROFS;
  if (wanted & 1 && file.kind === KIND_ARCHIVE && !(changetype<Inode>(file.inode).mode & 0o111))
    return -EACCES;
  if (wanted & 1 && file.kind === KIND_SHARED) return -EACCES;
  return 0;
}

export function textBytes(text: usize): usize {
  let bytes: usize = 0;
  while (load<u8>(text + bytes)) bytes++;
  return bytes;
}
