// Locks that programs take on ranges of files: fcntl(2) by process (F_SETLK) and by open file (F_OFD_SETLK), flock(2), and RESERVE, which is
// ours: several ranges at once, all or none. They hold between machines as between processes of one, bind only who asks for
// them, and go with their owner: a process when it closes any descriptor of the file, an open file with its last descriptor,
// both with their machine. Processes that would wait in a circle are told EDEADLK (coherence/lock-circles.ts).
//
// RESERVE: ioctl(fd, 0x40104201, {u32 count, u32 wait, u64 ranges}), `ranges` an array of up to 16 struct flock, of which type,
// whence, start and length count. The locks are the open file's, as by F_OFD_SETLK, which lets go of them too. 0, or -EAGAIN: none of
// them was to be had at once; with `wait` the call waits until all are. Elsewhere the number gives ENOTTY.
import { advisoryLock, advisoryTest, advisoryUnlock } from "../coherence/lock-calls";
import { EXCLUSIVE_LOCK, SHARED_LOCK } from "../coherence/lock-pieces";
import { LOCK_RANGE_BYTES, LOCK_RANGES_MAX } from "../coherence/object-locks";
import { SharedObject } from "../coherence/pager";
import { descriptorFile } from "../fs/descriptors";
import { File, fileFollow, fileRelease, fileSize, KIND_SHARED } from "../fs/file";
import { EAGAIN, EBADF, EFAULT, EINTR, EINVAL, ENOTTY, EOVERFLOW, ERESTART } from "./errno";
import { currentLwp } from "./lwp";
import { notImplemented } from "./not-implemented";
import { readUser, scratch, writeUser } from "./user-memory";

export const F_GETLK: u64 = 5;
export const F_SETLK: u64 = 6;
export const F_SETLKW: u64 = 7;
export const F_OFD_GETLK: u64 = 36;
export const F_OFD_SETLKW: u64 = 38;
/** struct flock: type i16, whence i16, start i64 at 8, length i64, process i32; 32 bytes. */
const FLOCK_BYTES: usize = 32;
const F_RDLCK: u32 = 0;
const F_WRLCK: u32 = 1;
const F_UNLCK: u32 = 2;
const SEEK_CUR: u32 = 1;
const SEEK_END: u32 = 2;
/** The last byte that a file may have: what a length of 0 means. */
const OFFSET_MAX: u64 = ~(<u64>0) >> 1;

/** Of the calling process's descriptor, with a reference; 0 = it is not open. */
function fileOf(fd: u64): usize {
  return descriptorFile(currentLwp().process.descriptors, u64(u32(fd)));
}

/** Processes own locks by their table of descriptors. */
function processOwner(): u64 {
  return u64(changetype<usize>(currentLwp().process.descriptors));
}

export function isLockCommand(command: u64): bool {
  return (command >= F_GETLK && command <= F_SETLKW) || (command >= F_OFD_GETLK && command <= F_OFD_SETLKW);
}

/** fcntl(2): F_GETLK to F_SETLKW, and their like for open files. */
export function fcntlLock(fd: u64, command: u64, argument: u64): i64 {
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const file = changetype<File>(at);
  const result = byFile(file, command, argument);
  fileRelease(file);
  return result;
}

function byFile(file: File, command: u64, argument: u64): i64 {
  const followed = fileFollow(file);
  if (followed < 0) return followed;
  if (file.kind !== KIND_SHARED)
    return notImplemented("lock on a file that is not in /shm: kind", u64(file.kind), -EINVAL);
  const range = scratch();
  const wanted = range + LOCK_RANGE_BYTES;
  if (!readUser(wanted, argument, FLOCK_BYTES)) return -EFAULT;
  const error = rangeOf(file, wanted, range);
  if (error < 0) return error;
  const byOpenFile = command >= F_OFD_GETLK;
  if (byOpenFile && load<i32>(wanted + 24) !== 0) return -EINVAL;
  const owner = byOpenFile ? u64(changetype<usize>(file)) : processOwner();
  const object = changetype<SharedObject>(file.object);
  const type = u32(load<u16>(wanted));
  if (command === F_GETLK || command === F_OFD_GETLK) return test(object, owner, type, range, argument);
  if (type === F_UNLCK) {
    advisoryUnlock(object, false, owner, load<u64>(range), load<u64>(range + 8));
    return 0;
  }
  if (type === F_RDLCK ? !file.readable() : !file.writable()) return -EBADF;
  // The number that others are told: none, when the owner is no process.
  const process = byOpenFile ? u32(-1) : currentLwp().process.id;
  const wait = command === F_SETLKW || command === F_OFD_SETLKW;
  return restarted(advisoryLock(object, false, owner, process, range, 1, wait));
}

/** A wait that a signal cut short goes on behind a handler with SA_RESTART. */
function restarted(result: i64): i64 {
  return result === -EINTR ? -ERESTART : result;
}

/** The bytes that a struct flock means, as LockCall has them. */
function rangeOf(file: File, wanted: usize, range: usize): i64 {
  const type = u32(load<u16>(wanted));
  const whence = u32(load<u16>(wanted + 2));
  if (type > F_UNLCK || whence > SEEK_END) return -EINVAL;
  let start = load<i64>(wanted + 8);
  const length = load<i64>(wanted + 16);
  const base: i64 = whence === SEEK_CUR ? i64(file.position) : whence === SEEK_END ? i64(fileSize(file)) : 0;
  if (start > 0 && base > i64(OFFSET_MAX) - start) return -EOVERFLOW;
  start += base;
  if (start < 0) return -EINVAL;
  let last = OFFSET_MAX;
  if (length > 0) {
    if (length - 1 > i64(OFFSET_MAX) - start) return -EOVERFLOW;
    last = u64(start + length - 1);
  } else if (length < 0) {
    if (start + length < 0) return -EINVAL;
    last = u64(start - 1);
    start += length;
  }
  store<u64>(range, u64(start));
  store<u64>(range + 8, last);
  store<u32>(range + 16, type === F_RDLCK ? SHARED_LOCK : EXCLUSIVE_LOCK);
  store<u32>(range + 20, 0);
  return 0;
}

function test(object: SharedObject, owner: u64, type: u32, range: usize, argument: u64): i64 {
  if (type === F_UNLCK) return -EINVAL;
  const answer = range + LOCK_RANGE_BYTES;
  if (!advisoryTest(object, owner, load<u64>(range), load<u64>(range + 8), load<u32>(range + 16), range)) {
    store<u16>(answer, u16(F_UNLCK));
    return writeUser(argument, answer, 2) ? 0 : -EFAULT;
  }
  const last = load<u64>(range + 8);
  store<u16>(answer, u16(load<u32>(range + 16) === SHARED_LOCK ? F_RDLCK : F_WRLCK));
  store<u16>(answer + 2, 0);
  store<u64>(answer + 8, load<u64>(range));
  store<u64>(answer + 16, last >= OFFSET_MAX ? 0 : last - load<u64>(range) + 1);
  store<u32>(answer + 24, load<u32>(range + 20));
  return writeUser(argument, answer, FLOCK_BYTES) ? 0 : -EFAULT;
}

// --- flock ---

const LOCK_SH: u32 = 1;
const LOCK_EX: u32 = 2;
const LOCK_NB: u32 = 4;
const LOCK_UN: u32 = 8;

export function flock(fd: u64, operation: u64): i64 {
  const what = u32(operation) & ~LOCK_NB;
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const file = changetype<File>(at);
  let result = fileFollow(file);
  if (result < 0) {
    fileRelease(file);
    return result;
  }
  if (file.kind !== KIND_SHARED) {
    result = notImplemented("flock of a file that is not in /shm: kind", u64(file.kind), -EINVAL);
  } else if (what !== LOCK_SH && what !== LOCK_EX && what !== LOCK_UN) result = -EINVAL;
  else if (what !== LOCK_UN && !file.readable() && !file.writable()) result = -EBADF;
  else {
    const object = changetype<SharedObject>(file.object);
    const owner = u64(at);
    // One is let go before the other is taken, as flock(2) says of conversions.
    if (what === LOCK_UN || file.locked !== what) advisoryUnlock(object, true, owner, 0, OFFSET_MAX);
    if (what !== file.locked) file.locked = 0;
    if (what !== LOCK_UN && file.locked === 0) {
      const range = scratch();
      store<u64>(range, 0);
      store<u64>(range + 8, OFFSET_MAX);
      store<u32>(range + 16, what === LOCK_SH ? SHARED_LOCK : EXCLUSIVE_LOCK);
      result = restarted(advisoryLock(object, true, owner, 0, range, 1, (u32(operation) & LOCK_NB) === 0));
      if (result === 0) file.locked = what;
    }
  }
  fileRelease(file);
  return result;
}

// --- Several ranges at once ---

export const RESERVE: u64 = 0x4010_4201;

export function reserve(fd: u64, argument: u64): i64 {
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const file = changetype<File>(at);
  const result = file.kind === KIND_SHARED ? reserveIn(file, argument) : -ENOTTY;
  fileRelease(file);
  return result;
}

function reserveIn(file: File, argument: u64): i64 {
  const ranges = scratch();
  const wanted = ranges + <usize>LOCK_RANGES_MAX * LOCK_RANGE_BYTES;
  if (!readUser(wanted, argument, 16)) return -EFAULT;
  const count = load<u32>(wanted);
  const wait = load<u32>(wanted + 4);
  const from = load<u64>(wanted + 8);
  if (count === 0 || count > LOCK_RANGES_MAX || wait > 1) return -EINVAL;
  for (let i: u32 = 0; i < count; i++) {
    if (!readUser(wanted, from + u64(i) * u64(FLOCK_BYTES), FLOCK_BYTES)) return -EFAULT;
    const type = u32(load<u16>(wanted));
    if (type === F_UNLCK) return -EINVAL;
    const error = rangeOf(file, wanted, ranges + <usize>i * LOCK_RANGE_BYTES);
    if (error < 0) return error;
    if (type === F_RDLCK ? !file.readable() : !file.writable()) return -EBADF;
  }
  const owner = u64(changetype<usize>(file));
  const object = changetype<SharedObject>(file.object);
  const result = advisoryLock(object, false, owner, u32(-1), ranges, count, wait !== 0);
  return result === -EAGAIN ? -EAGAIN : restarted(result);
}
