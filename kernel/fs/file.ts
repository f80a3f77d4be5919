// Open files. A file is of a kind, and a kind is one row of functions (after Plan 9's Dev): what reads it, what
// writes it, how long it is. Buffers here are kernel memory; process/file-calls.ts carries bytes to and from users.
//
// Invariant: a File lives as long as somebody holds a counted reference: a descriptor, a map entry, or a call in progress.

import { commitOutput } from "../coherence/commits";
import { advisoryUnlock, objectLock, objectLockTail, objectUnlock } from "../coherence/lock-calls";
import { LOCK_LAST } from "../coherence/lock-pieces";
import {
  objectClearTail,
  objectClose,
  objectLinks,
  objectRead,
  objectSize,
  objectTruncate,
  objectWrite,
  PAGE,
  SharedObject,
} from "../coherence/pager";
import { consoleWrite } from "../console";
import { allocate, release } from "../memory/slab";
import { EBADF, EINVAL, EIO, EISDIR, ENOENT, EROFS } from "../process/errno";
import { SleepLock, sleepLockCreate, sleepLockDestroy } from "../process/lock";
import { Inode, TYPE_CHARACTER, TYPE_DIRECTORY, TYPE_FIFO, TYPE_REGULAR } from "./archive";
import { epollEnd, epollReady, interestsForget } from "./epoll";
import { eventEnd, eventRead, eventReady, eventWrite } from "./event-counter";
import { Entry } from "./names";
import { pipeEnd, pipeRead, pipeReady, pipeWrite } from "./pipe";
import { randomBytes } from "./random";
import { READABLE, readinessLock, readinessUnlock, WRITABLE } from "./readiness";
import { entryNew, treeChanged } from "./tree";
import { treeOpenFile } from "./tree-changes";

/** open(2) flags */
export const O_ACCESS: u32 = 3;
export const O_RDONLY: u32 = 0;
export const O_WRONLY: u32 = 1;
export const O_RDWR: u32 = 2;
export const O_CREAT: u32 = 0o100;
export const O_EXCL: u32 = 0o200;
const O_NOCTTY: u32 = 0o400;
export const O_TRUNC: u32 = 0o1000;
export const O_APPEND: u32 = 0o2000;
export const O_NONBLOCK: u32 = 0o4000;
/** O_SYNC has this bit as well. */
export const O_DSYNC: u32 = 0o10000;
export const O_DIRECT: u32 = 0o40000;
export const O_DIRECTORY: u32 = 0o200000;
export const O_CLOEXEC: u32 = 0o2000000;

/** File.kind: rows of the table below. */
export const KIND_ARCHIVE: u32 = 0;
export const KIND_DIRECTORY: u32 = 1;
export const KIND_SHARED: u32 = 2;
export const KIND_CONSOLE: u32 = 3;
export const KIND_NULL: u32 = 4;
export const KIND_ZERO: u32 = 5;
export const KIND_RANDOM: u32 = 6;
export const KIND_PIPE: u32 = 7;
export const KIND_EVENT: u32 = 8;
export const KIND_EPOLL: u32 = 9;
const KINDS: u32 = 10;

@unmanaged
export class File {
  references: u32 = 0;
  kind: u32 = 0;
  /** O_* as opened, and as F_SETFL changed them. */
  flags: u32 = 0;
  /** Inode of the archive, or SharedObject; else 0. */
  inode: usize = 0;
  object: usize = 0;
  /** Where read() and write() go on; `lock` is held for the length of such a call. */
  position: u64 = 0;
  lock: usize = 0;
  /** By flock(): LOCK_SH, LOCK_EX, 0 = not. */
  locked: u32 = 0;
  /** Of a directory, a Place (names.ts). */
  place: usize = 0;
  /** Of a file of names.ts: its number, st_ino; mode; and st_dev, its file system. */
  number: u64 = 0;
  mode: u32 = 0;
  system: u32 = 0;
  /** A pipe, an eventfd or an epoll: what its kind has made; and its Source (readiness.ts). */
  stream: usize = 0;
  source: usize = 0;
  /** What epolls want to know of it (epoll.ts). */
  interests: usize = 0;

  sleepLock(): SleepLock {
    return changetype<SleepLock>(this.lock);
  }
  // Who opens with both bits may neither read nor write, as on Linux (open(2), "File access mode").
  readable(): bool {
    return (this.flags & O_ACCESS) === O_RDONLY || (this.flags & O_ACCESS) === O_RDWR;
  }
  writable(): bool {
    return (this.flags & O_ACCESS) === O_WRONLY || (this.flags & O_ACCESS) === O_RDWR;
  }
}

/** Kind.seekable: it has none; they count bytes; the same is everywhere, and lseek() says 0 (Linux, drivers/char/mem.c). */
const PLACES_NONE: u32 = 0;
const PLACES_COUNT: u32 = 1;
const PLACES_SAME: u32 = 2;

@unmanaged
class Kind {
  /** (file: File, offset: u64, buffer: usize, bytes: usize) => i64, as table indices. */
  read: u32 = 0;
  write: u32 = 0;
  /** (file: File) => u64 */
  size: u32 = 0;
  /** S_IFMT bits, and what places in it are: PLACES_*. */
  type: u32 = 0;
  seekable: u32 = 0;
  /** (file: File) => u32: the events of poll(2) that are there, asked under the lock of readiness; 0 = it is always ready. */
  ready: u32 = 0;
  /** (file: File) => void: it is open no more. 0 = nothing is to be done. */
  ended: u32 = 0;
}

const kinds: usize = memory.data(280, 4);

function kindAt(kind: u32): Kind {
  assert(kind < KINDS, "a file of no kind");
  return changetype<Kind>(kinds + <usize>kind * offsetof<Kind>());
}

function row(kind: u32, type: u32, seekable: u32, read: u32, write: u32, size: u32): void {
  const at = kindAt(kind);
  at.type = type;
  at.seekable = seekable;
  at.read = read;
  at.write = write;
  at.size = size;
}

/** Of a kind that is not always ready, or can be waited for all the same. */
function rowReady(kind: u32, ready: u32, ended: u32): void {
  kindAt(kind).ready = ready;
  kindAt(kind).ended = ended;
}

/** Held while a file becomes another kind. */
let followLock = changetype<SleepLock>(0);

export function filesPrepare(): void {
  followLock = sleepLockCreate();
  //  kind            type            seekable      read                write                size
  row(KIND_ARCHIVE, TYPE_REGULAR, PLACES_COUNT, readArchive.index, refuseWrite.index, sizeArchive.index);
  row(
    KIND_DIRECTORY,
    TYPE_DIRECTORY,
    PLACES_NONE,
    refuseDirectory.index,
    refuseDirectory.index,
    sizeNone.index,
  );
  row(KIND_SHARED, TYPE_REGULAR, PLACES_COUNT, readShared.index, writeShared.index, sizeShared.index);
  row(KIND_CONSOLE, TYPE_CHARACTER, PLACES_NONE, readNothing.index, writeConsole.index, sizeNone.index);
  row(KIND_NULL, TYPE_CHARACTER, PLACES_SAME, readNothing.index, swallow.index, sizeNone.index);
  row(KIND_ZERO, TYPE_CHARACTER, PLACES_SAME, readZeros.index, swallow.index, sizeNone.index);
  row(KIND_RANDOM, TYPE_CHARACTER, PLACES_SAME, readRandom.index, swallow.index, sizeNone.index);
  row(KIND_PIPE, TYPE_FIFO, PLACES_NONE, pipeRead.index, pipeWrite.index, sizeNone.index);
  row(KIND_EVENT, 0, PLACES_NONE, eventRead.index, eventWrite.index, sizeNone.index);
  row(KIND_EPOLL, 0, PLACES_NONE, refuseBytes.index, refuseBytes.index, sizeNone.index);
  rowReady(KIND_CONSOLE, readyAlways.index, 0);
  rowReady(KIND_RANDOM, readyAlways.index, 0);
  rowReady(KIND_PIPE, pipeReady.index, pipeEnd.index);
  rowReady(KIND_EVENT, eventReady.index, eventEnd.index);
  rowReady(KIND_EPOLL, epollReady.index, epollEnd.index);
}

/** With one reference, the caller's. For KIND_SHARED it takes over the caller's reference to the object. */
export function fileCreate(kind: u32, flags: u32, inode: usize, object: usize): File {
  const file = changetype<File>(allocate(offsetof<File>()));
  file.references = 1;
  file.kind = kind;
  file.flags = flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
  file.inode = inode;
  file.object = object;
  file.lock = changetype<usize>(sleepLockCreate());
  return file;
}

export function fileReference(file: File): void {
  atomic.add<u32>(changetype<usize>(file) + offsetof<File>("references"), 1);
}

export function fileRelease(file: File): void {
  const before = atomic.sub<u32>(changetype<usize>(file) + offsetof<File>("references"), 1);
  assert(before > 0, "a file released once too often");
  if (before > 1) return;
  interestsForget(file);
  const ended = kindAt(file.kind).ended;
  if (ended !== 0) call_indirect<void>(ended, file);
  if (file.object) {
    const object = changetype<SharedObject>(file.object);
    const owner = u64(changetype<usize>(file));
    advisoryUnlock(object, false, owner, 0, LOCK_LAST);
    advisoryUnlock(object, true, owner, 0, LOCK_LAST);
    objectClose(object);
  }
  if (file.place) release(file.place);
  sleepLockDestroy(file.sleepLock());
  release(changetype<usize>(file));
}

/** A descriptor goes: as fcntl(2) says, all locks of its process on the file go with it. Then its reference. */
export function fileClosed(file: File, process: usize): void {
  if (file.object) advisoryUnlock(changetype<SharedObject>(file.object), false, u64(process), 0, LOCK_LAST);
  fileRelease(file);
}

/** Bytes read into kernel memory, fewer at the end of the file; or a negative error. May block. */
export function fileReadAt(file: File, offset: u64, buffer: usize, bytes: usize): i64 {
  return call_indirect<i64>(kindAt(file.kind).read, file, offset, buffer, bytes);
}

export function fileWriteAt(file: File, offset: u64, buffer: usize, bytes: usize): i64 {
  return call_indirect<i64>(kindAt(file.kind).write, file, offset, buffer, bytes);
}

export function fileSize(file: File): u64 {
  return call_indirect<u64>(kindAt(file.kind).size, file);
}

const READY: u32 = READABLE | WRITABLE;

/** The events of poll(2) that are there. The lock of readiness is held. */
export function fileReadyHeld(file: File): u32 {
  const ready = kindAt(file.kind).ready;
  return ready === 0 ? READY : call_indirect<u32>(ready, file);
}

export function fileReady(file: File): u32 {
  readinessLock();
  const events = fileReadyHeld(file);
  readinessUnlock();
  return events;
}

/** May it be asked for by epoll(7)? */
export function fileTellsReadiness(file: File): bool {
  return kindAt(file.kind).ready !== 0;
}

/** st_nlink, of what is no directory. */
export function fileLinks(file: File): u64 {
  return file.kind === KIND_SHARED ? u64(objectLinks(changetype<SharedObject>(file.object))) : 1;
}

export function fileSeekable(file: File): bool {
  return kindAt(file.kind).seekable !== PLACES_NONE;
}

/** One place is like the other. */
export function fileEndless(file: File): bool {
  return kindAt(file.kind).seekable === PLACES_SAME;
}

/** st_mode: type and permissions. */
export function fileMode(file: File): u32 {
  if (file.mode) return file.mode;
  if (file.inode) return changetype<Inode>(file.inode).mode;
  const type = kindAt(file.kind).type;
  return type | (type === TYPE_DIRECTORY ? 0o755 : 0o666);
}

export function fileTruncate(file: File, size: u64): i64 {
  if (!file.writable()) return -EINVAL;
  return file.kind === KIND_SHARED ? objectTruncate(changetype<SharedObject>(file.object), size) : -EINVAL;
}

/** What was written to it is safe, as far as it is to be (mirrored mode). Only files keep bytes. */
export function fileSync(file: File): i64 {
  if (kindAt(file.kind).type === TYPE_CHARACTER || file.stream !== 0) return -EINVAL;
  return file.kind === KIND_SHARED && commitOutput() !== 0 ? -EIO : 0;
}

/** Before bytes [offset, offset + bytes) are read or written: nobody sees them half done, or a part of them changed. */
export function fileLock(file: File, offset: u64, bytes: u64, write: bool): i64 {
  if (file.kind !== KIND_SHARED) return 0;
  const last = offset + bytes - 1;
  const object = changetype<SharedObject>(file.object);
  const result = objectLock(object, offset, last < offset ? LOCK_LAST : last, write);
  if (result < 0 || !write || object.size >= offset || object.size % PAGE === 0) return result;
  // A gap: it begins in the file's last page.
  objectUnlock(object);
  const size = objectLockTail(object, offset);
  if (size < 0 || u64(size) >= offset) return min<i64>(size, 0);
  const cleared = objectClearTail(object, u64(size));
  if (cleared < 0) objectUnlock(object);
  return cleared;
}

/** Before bytes are added behind the file's end: where that is, and stays. */
export function fileLockEnd(file: File): i64 {
  if (file.kind !== KIND_SHARED) return i64(fileSize(file));
  return objectLockTail(changetype<SharedObject>(file.object), LOCK_LAST);
}

export function fileUnlock(file: File): void {
  if (file.kind === KIND_SHARED) objectUnlock(changetype<SharedObject>(file.object));
}

/**
 * A file of the archive that was read in place may have been written since, here or elsewhere: then it is that file from now on. -EIO: names that
 * say so were lost.
 */
export function fileFollow(file: File): i64 {
  if (file.kind !== KIND_ARCHIVE) return 0;
  const entry = entryNew();
  let result = treeChanged(file.inode, entry);
  if (result > 0) result = follow(file, entry, result === 1);
  release(changetype<usize>(entry));
  return result;
}

/** `named`: it has its name. Else it may have ended since, and what was there before it was changed is all that there is. */
function follow(file: File, entry: Entry, named: bool): i64 {
  const into = allocate(8);
  const opened = treeOpenFile(entry, named, into);
  const object = load<usize>(into);
  release(into);
  if (opened < 0) return !named && opened === -ENOENT ? 0 : opened;
  followLock.acquire();
  const first = file.kind === KIND_ARCHIVE;
  if (first) {
    file.object = object;
    file.mode = entry.mode;
    file.kind = KIND_SHARED;
  }
  followLock.release();
  if (!first) objectClose(changetype<SharedObject>(object));
  return 0;
}

// --- The rows' functions ---

function sizeNone(_file: File): u64 {
  return 0;
}
function sizeArchive(file: File): u64 {
  return u64(changetype<Inode>(file.inode).bytes);
}
function sizeShared(file: File): u64 {
  return objectSize(changetype<SharedObject>(file.object));
}

function readArchive(file: File, offset: u64, buffer: usize, bytes: usize): i64 {
  const inode = changetype<Inode>(file.inode);
  if (offset >= u64(inode.bytes)) return 0;
  const count = min<usize>(bytes, usize(inode.bytes) - usize(offset));
  memory.copy(buffer, inode.data + usize(offset), count);
  return i64(count);
}
function readShared(file: File, offset: u64, buffer: usize, bytes: usize): i64 {
  return objectRead(changetype<SharedObject>(file.object), offset, buffer, bytes);
}
/** The console has no input yet: a program sees its end. */
function readNothing(_file: File, _offset: u64, _buffer: usize, _bytes: usize): i64 {
  return 0;
}
function readZeros(_file: File, _offset: u64, buffer: usize, bytes: usize): i64 {
  memory.fill(buffer, 0, bytes);
  return i64(bytes);
}
function readRandom(_file: File, _offset: u64, buffer: usize, bytes: usize): i64 {
  randomBytes(buffer, bytes);
  return i64(bytes);
}
function refuseDirectory(_file: File, _offset: u64, _buffer: usize, _bytes: usize): i64 {
  return -EISDIR;
}
function refuseWrite(_file: File, _offset: u64, _buffer: usize, _bytes: usize): i64 {
  // open() has refused to write already, so nobody comes here with a writable archive file.
  return _bytes === 0 ? -EBADF : -EROFS;
}
function writeShared(file: File, offset: u64, buffer: usize, bytes: usize): i64 {
  return objectWrite(changetype<SharedObject>(file.object), offset, buffer, bytes);
}
/** Who reads it has seen what the program did before. */
function writeConsole(_file: File, _offset: u64, buffer: usize, bytes: usize): i64 {
  if (commitOutput() != 0) return -EIO;
  consoleWrite(buffer, bytes);
  return i64(bytes);
}
function refuseBytes(_file: File, _offset: u64, _buffer: usize, _bytes: usize): i64 {
  return -EINVAL;
}
function readyAlways(_file: File): u32 {
  return READY;
}
function swallow(_file: File, _offset: u64, _buffer: usize, bytes: usize): i64 {
  return i64(bytes);
}
