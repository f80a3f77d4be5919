// The system calls about names (Linux man pages, section 2): what a path leads to is opened, made, removed, renamed, listed and described. Paths
// begin at the root, at the working directory, or at a directory that is open.
import { SharedObject } from "../coherence/pager";
import { descriptorAdd, descriptorsFull } from "../fs/descriptors";
import {
  File,
  fileCreate,
  fileFollow,
  fileLinks,
  fileMode,
  fileRelease,
  fileSize,
  fileTruncate,
  KIND_CONSOLE,
  KIND_DIRECTORY,
  KIND_SHARED,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
} from "../fs/file";
import { SYSTEM_SHARED } from "../fs/filesystems";
import { Entry, entryName, Place, placeCopy, placeNew } from "../fs/names";
import {
  accessAllowed,
  PATH_BYTES,
  placePath,
  Walk,
  walkEnd,
  walkLink,
  walkMakeDirectory,
  walkNew,
  walkOpen,
  walkPath,
  walkRemoveDirectory,
  walkRename,
  walkThere,
  walkUnlink,
} from "../fs/path";
import { entryNew, entryNumber, placeNumber, treeDescribe, treeNext } from "../fs/tree";
import { WALL_CLOCK_EPOCH } from "../machine/time";
import { allocate, release } from "../memory/slab";
import { EBADF, EFAULT, EINVAL, EMFILE, ENOENT, ENOTDIR, EOPNOTSUPP, ERANGE } from "./errno";
import { fileOf } from "./file-calls";
import { currentLwp } from "./lwp";
import { notImplemented } from "./not-implemented";
import { readUserText, scratch, writeUser } from "./user-memory";

const AT_FDCWD: i32 = -100;
const AT_REMOVEDIR: u64 = 0x200;
const AT_EACCESS: u64 = 0x200;
const AT_SYMLINK_FOLLOW: u64 = 0x400;
const AT_EMPTY_PATH: u64 = 0x1000;
const RENAME_NOREPLACE: u64 = 1;
const PERMISSIONS: u32 = 0o7777;
/** Of a new directory (mkdir(2)). */
const DIRECTORY_PERMISSIONS: u32 = 0o1777;

/** Where a path has come to, with its last part left; or an error, in `*error`, and null. */
function walkArgument(directory: u64, path: u64, error: usize): Walk {
  const walk = walkNew();
  const bytes = readUserText(walk.path, path, PATH_BYTES);
  let result: i64 = bytes;
  if (result === 0) result = -ENOENT; // whatever the directory is
  if (result > 0) result = walkFrom(walk, directory);
  store<i64>(error, result);
  if (result >= 0) return walk;
  walkEnd(walk, 0);
  return changetype<Walk>(0);
}

function walkFrom(walk: Walk, directory: u64): i64 {
  if (load<u8>(walk.path) === 0x2f) return walkPath(walk, 0);
  const start = placeNew();
  let result = startAt(start, directory);
  if (result >= 0) result = walkPath(walk, changetype<usize>(start));
  release(changetype<usize>(start));
  return result;
}

/** The working directory, or an open one. */
function startAt(into: Place, directory: u64): i64 {
  if (i32(directory) === AT_FDCWD) return workingDirectory(into);
  const at = fileOf(directory);
  if (at === 0) return -EBADF;
  const file = changetype<File>(at);
  const good = file.kind === KIND_DIRECTORY;
  if (good) placeCopy(into, changetype<Place>(file.place));
  fileRelease(file);
  return good ? 0 : -ENOTDIR;
}

function workingDirectory(into: Place): i64 {
  const process = currentLwp().process;
  process.spinLock().acquire();
  const known = process.directory !== 0;
  if (known) placeCopy(into, changetype<Place>(process.directory));
  process.spinLock().release();
  if (known) return 0;
  const walk = walkNew();
  store<u16>(walk.path, 0x2f);
  const result = walkPath(walk, 0);
  placeCopy(into, walk.at());
  return walkEnd(walk, result);
}

/** Takes the place over. */
function setWorkingDirectory(place: usize): void {
  const process = currentLwp().process;
  process.spinLock().acquire();
  const old = process.directory;
  process.directory = place;
  process.spinLock().release();
  if (old) release(old);
}

function masked(mode: u64): u32 {
  return u32(mode) & PERMISSIONS & ~currentLwp().process.umask;
}

export function umask(mask: u64): i64 {
  const process = currentLwp().process;
  const old = process.umask;
  process.umask = u32(mask) & 0o777;
  return i64(old);
}

// --- Opening ---

export function open(path: u64, flags: u64, mode: u64): i64 {
  return openat(u64(AT_FDCWD), path, flags, mode);
}

export function creat(path: u64, mode: u64): i64 {
  return openat(u64(AT_FDCWD), path, u64(O_CREAT | O_WRONLY | O_TRUNC), mode);
}

export function openat(directory: u64, path: u64, flags: u64, mode: u64): i64 {
  const both = O_CREAT | O_DIRECTORY;
  if ((u32(flags) & both) === both) return -EINVAL;
  // Nothing is made or cut that cannot be given.
  if (descriptorsFull(currentLwp().process.descriptors)) return -EMFILE;
  const file = openPath(directory, path, u32(flags), masked(mode));
  if (file < 0) return file;
  const closeOnExec = (u32(flags) & O_CLOEXEC) !== 0;
  const fd = descriptorAdd(currentLwp().process.descriptors, changetype<File>(usize(file)), 0, closeOnExec);
  if (fd < 0) fileRelease(changetype<File>(usize(file)));
  return fd;
}

/** A File with one reference, or an error. */
function openPath(directory: u64, path: u64, flags: u32, mode: u32): i64 {
  const into = allocate(8);
  const walk = walkArgument(directory, path, into);
  let result = load<i64>(into);
  if (result >= 0) result = walkEnd(walk, walkOpen(walk, flags, mode, into));
  if (result >= 0) result = i64(load<usize>(into));
  release(into);
  return result;
}

export function truncate(path: u64, size: u64): i64 {
  if (i64(size) < 0) return -EINVAL;
  const file = openPath(u64(AT_FDCWD), path, O_WRONLY, 0);
  if (file < 0) return file;
  const result = fileTruncate(changetype<File>(usize(file)), size);
  fileRelease(changetype<File>(usize(file)));
  return result;
}

// --- Changing ---

export function mkdir(path: u64, mode: u64): i64 {
  return mkdirat(u64(AT_FDCWD), path, mode);
}

export function mkdirat(directory: u64, path: u64, mode: u64): i64 {
  const error = allocate(8);
  const walk = walkArgument(directory, path, error);
  let result = load<i64>(error);
  release(error);
  if (result >= 0) result = walkEnd(walk, walkMakeDirectory(walk, masked(mode) & DIRECTORY_PERMISSIONS));
  return result;
}

export function unlink(path: u64): i64 {
  return unlinkat(u64(AT_FDCWD), path, 0);
}

export function rmdir(path: u64): i64 {
  return unlinkat(u64(AT_FDCWD), path, AT_REMOVEDIR);
}

export function unlinkat(directory: u64, path: u64, flags: u64): i64 {
  if (flags & ~AT_REMOVEDIR) return -EINVAL;
  const error = allocate(8);
  const walk = walkArgument(directory, path, error);
  let result = load<i64>(error);
  release(error);
  if (result >= 0) result = walkEnd(walk, flags !== 0 ? walkRemoveDirectory(walk) : walkUnlink(walk));
  return result;
}

export function rename(from: u64, to: u64): i64 {
  return renameat2(u64(AT_FDCWD), from, u64(AT_FDCWD), to, 0);
}

export function renameat(fromDirectory: u64, from: u64, toDirectory: u64, to: u64): i64 {
  return renameat2(fromDirectory, from, toDirectory, to, 0);
}

export function renameat2(fromDirectory: u64, from: u64, toDirectory: u64, to: u64, flags: u64): i64 {
  if (flags & ~RENAME_NOREPLACE) return notImplemented("renameat2 with flags", flags, -EINVAL);
  return ofTwo(fromDirectory, from, toDirectory, to, flags === 0 ? REPLACE : RENAME);
}

// Of two paths: what becomes of what the first one leads to.
const RENAME: u32 = 0;
const REPLACE: u32 = 1;
const LINK: u32 = 2;

function ofTwo(fromDirectory: u64, from: u64, toDirectory: u64, to: u64, what: u32): i64 {
  const error = allocate(8);
  const walk = walkArgument(fromDirectory, from, error);
  let result = load<i64>(error);
  if (result >= 0) {
    if (what === LINK) result = walkThere(walk); // before anything is said of the other path
    const other = result >= 0 ? walkArgument(toDirectory, to, error) : changetype<Walk>(0);
    if (result >= 0) result = load<i64>(error);
    if (result >= 0) {
      result = what === LINK ? walkLink(walk, other) : walkRename(walk, other, what === REPLACE);
      walkEnd(other, 0);
    }
    walkEnd(walk, 0);
  }
  release(error);
  return result;
}

export function link(from: u64, to: u64): i64 {
  return linkat(u64(AT_FDCWD), from, u64(AT_FDCWD), to, 0);
}

export function linkat(fromDirectory: u64, from: u64, toDirectory: u64, to: u64, flags: u64): i64 {
  if (flags & AT_EMPTY_PATH) return notImplemented("linkat with flags", flags, -EINVAL);
  if (flags & ~AT_SYMLINK_FOLLOW) return -EINVAL;
  return ofTwo(fromDirectory, from, toDirectory, to, LINK);
}

// --- What a file is ---

const STAT_BYTES: usize = 144;

/** struct stat of x86-64: dev ino nlink mode uid gid pad rdev size blksize blocks, three times, three spare. */
function writeStat(file: File, to: u64): i64 {
  const followed = fileFollow(file);
  if (followed < 0) return followed;
  const size = fileSize(file);
  const links = fileLinks(file);
  const at = scratch();
  memory.fill(at, 0, STAT_BYTES);
  store<u64>(at, 1 + u64(file.system));
  store<u64>(at + 8, inodeNumber(file));
  store<u64>(at + 16, links);
  store<u32>(at + 24, fileMode(file));
  if (file.place) describeDirectory(file, at + 16);
  store<u64>(at + 40, file.kind === KIND_CONSOLE ? 0x501 : 0);
  store<u64>(at + 48, size);
  store<u64>(at + 56, 4096);
  store<u64>(at + 64, (size + 511) / 512);
  store<u64>(at + 72, WALL_CLOCK_EPOCH);
  store<u64>(at + 88, WALL_CLOCK_EPOCH);
  store<u64>(at + 104, WALL_CLOCK_EPOCH);
  return writeUser(to, at, STAT_BYTES) ? 0 : -EFAULT;
}

/** nlink mode */
function describeDirectory(file: File, to: usize): void {
  const place = placeNew();
  placeCopy(place, changetype<Place>(file.place));
  treeDescribe(place, to);
  release(changetype<usize>(place));
}

function inodeNumber(file: File): u64 {
  if (file.place) return placeNumber(changetype<Place>(file.place));
  if (file.number) return file.number;
  return file.kind === KIND_SHARED ? changetype<SharedObject>(file.object).id : 1;
}

export function fstat(fd: u64, to: u64): i64 {
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const result = writeStat(changetype<File>(at), to);
  fileRelease(changetype<File>(at));
  return result;
}

export function stat(path: u64, to: u64): i64 {
  return newfstatat(u64(AT_FDCWD), path, to, 0);
}

export function newfstatat(directory: u64, path: u64, to: u64, flags: u64): i64 {
  if (flags & AT_EMPTY_PATH) {
    const bytes = readUserText(scratch(), path, 2);
    if (bytes === 0) return i32(directory) === AT_FDCWD ? statWorking(to) : fstat(directory, to);
  }
  const file = openPath(directory, path, O_RDONLY, 0);
  if (file < 0) return file;
  const result = writeStat(changetype<File>(usize(file)), to);
  fileRelease(changetype<File>(usize(file)));
  return result;
}

function statWorking(to: u64): i64 {
  const place = placeNew();
  const file = fileCreate(KIND_DIRECTORY, O_RDONLY, 0, 0);
  file.place = changetype<usize>(place);
  let result = workingDirectory(place);
  file.system = place.system;
  if (result >= 0) result = writeStat(file, to);
  fileRelease(file);
  return result;
}

const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
const AT_NO_AUTOMOUNT: u64 = 0x800;
/** How fresh it is to be: it is always what is so. */
const AT_STATX_SYNC: u64 = 0x6000;
const STATX_RESERVED: u64 = 0x8000_0000;
const STATX_BASIC: u32 = 0x7ff;
const STATX_BYTES: usize = 256;

/** statx(2): what stat tells, in other places. */
export function statx(directory: u64, path: u64, flags: u64, mask: u64, to: u64): i64 {
  const known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC;
  if (flags & ~known || (flags & AT_STATX_SYNC) === AT_STATX_SYNC || mask & STATX_RESERVED) return -EINVAL;
  const result = newfstatat(directory, path, to, flags & AT_EMPTY_PATH);
  if (result < 0) return result;
  const old = scratch(); // where the stat is still, of which the program has been given a copy
  const at = scratch() + STAT_BYTES;
  memory.fill(at, 0, STATX_BYTES);
  store<u32>(at, STATX_BASIC);
  store<u32>(at, load<u32>(old, 56), 4);
  store<u32>(at, load<u32>(old, 16), 16);
  store<u16>(at, load<u16>(old, 24), 28);
  memory.copy(at + 32, old + 8, 8);
  memory.copy(at + 40, old + 48, 8);
  memory.copy(at + 48, old + 64, 8);
  memory.copy(at + 64, old + 72, 8);
  memory.copy(at + 96, old + 104, 8);
  memory.copy(at + 112, old + 88, 8);
  store<u32>(at, load<u32>(old, 40) >> 8, 128);
  store<u32>(at, load<u32>(old, 40) & 0xff, 132);
  store<u32>(at, load<u32>(old), 140);
  return writeUser(to, at, STATX_BYTES) ? 0 : -EFAULT;
}

/** R_OK, W_OK and X_OK. */
const ACCESS_ALL: u32 = 7;

export function access(path: u64, mode: u64): i64 {
  return faccessat(u64(AT_FDCWD), path, mode);
}

export function faccessat(directory: u64, path: u64, mode: u64): i64 {
  if (u32(mode) & ~ACCESS_ALL) return -EINVAL;
  const opened = openPath(directory, path, O_RDONLY, 0);
  if (opened < 0) return opened;
  const file = changetype<File>(usize(opened));
  const result = accessAllowed(fileMode(file), file.system, u32(mode));
  fileRelease(file);
  return result;
}

/** faccessat2(2): whose permissions are asked for is the same here. */
export function faccessat2(directory: u64, path: u64, mode: u64, flags: u64): i64 {
  if (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW)) return -EINVAL;
  return faccessat(directory, path, mode);
}

export function readlink(path: u64): i64 {
  return readlinkat(u64(AT_FDCWD), path);
}

/** There are no symbolic links. */
export function readlinkat(directory: u64, path: u64): i64 {
  const file = openPath(directory, path, O_RDONLY, 0);
  if (file < 0) return file;
  fileRelease(changetype<File>(usize(file)));
  return -EINVAL;
}

// --- Directories ---

export function getcwd(buffer: u64, bytes: u64): i64 {
  const place = placeNew();
  const room = allocate(PATH_BYTES);
  let result = workingDirectory(place);
  if (result >= 0) result = placePath(place, room + PATH_BYTES, PATH_BYTES);
  if (result >= 0 && u64(result) > bytes) result = -ERANGE;
  if (result >= 0 && !writeUser(buffer, room + PATH_BYTES - usize(result), usize(result))) result = -EFAULT;
  release(room);
  release(changetype<usize>(place));
  return result;
}

export function chdir(path: u64): i64 {
  const file = openPath(u64(AT_FDCWD), path, O_RDONLY | O_DIRECTORY, 0);
  if (file < 0) return file;
  const place = placeNew();
  placeCopy(place, changetype<Place>(changetype<File>(usize(file)).place));
  fileRelease(changetype<File>(usize(file)));
  setWorkingDirectory(changetype<usize>(place));
  return 0;
}

export function fchdir(fd: u64): i64 {
  const place = placeNew();
  const result = i32(fd) === AT_FDCWD ? -EBADF : startAt(place, fd);
  if (result >= 0) setWorkingDirectory(changetype<usize>(place));
  else release(changetype<usize>(place));
  return result;
}

/** struct linux_dirent64: ino off reclen[2] type[1], then the name with its zero. */
const DIRENT_BYTES: usize = 19;

export function getdents64(fd: u64, buffer: u64, bytes: u64): i64 {
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const file = changetype<File>(at);
  let result: i64 = -ENOTDIR;
  if (file.system === SYSTEM_SHARED && file.place) {
    result = notImplemented("getdents64 of file system", u64(SYSTEM_SHARED), -EOPNOTSUPP);
  } else if (file.place) {
    const place = placeNew();
    const entry = entryNew();
    placeCopy(place, changetype<Place>(file.place));
    file.sleepLock().acquire();
    result = list(file, place, entry, buffer, bytes);
    file.sleepLock().release();
    release(changetype<usize>(entry));
    release(changetype<usize>(place));
  }
  fileRelease(file);
  return result;
}

/** Bytes written; 0 at the end. */
function list(file: File, place: Place, entry: Entry, buffer: u64, bytes: u64): i64 {
  let done: u64 = 0;
  while (true) {
    const next = treeNext(place, file.position, entry);
    if (next < 0) return done > 0 ? i64(done) : next;
    if (next === 0) return i64(done);
    const record = (DIRENT_BYTES + usize(entry.nameBytes) + 8) & ~7;
    if (done + u64(record) > bytes) return done > 0 ? i64(done) : -EINVAL;
    const to = scratch();
    memory.fill(to, 0, record);
    store<u64>(to, entryNumber(entry));
    store<u64>(to + 8, u64(next));
    store<u16>(to + 16, u16(record));
    store<u8>(to + 18, u8(entry.mode >> 12));
    memory.copy(to + DIRENT_BYTES, entryName(entry), usize(entry.nameBytes));
    if (!writeUser(buffer + done, to, record)) return done > 0 ? i64(done) : -EFAULT;
    done += u64(record);
    file.position = u64(next);
  }
}
