// The system calls about files (Linux man pages, section 2): descriptors, bytes between user memory and files.
//
// Bytes pass through the calling thread's scratch page: user memory may fault and block at any byte, and a file's
// bytes may come from another machine, so neither happens while the other is half done.

import {
  DESCRIPTORS_MAX,
  descriptorAdd,
  descriptorClose,
  descriptorFile,
  descriptorFlags,
  descriptorSet,
  descriptorSetFlags,
} from "../fs/descriptors";
import {
  File,
  fileEndless,
  fileFollow,
  fileLock,
  fileLockEnd,
  fileReadAt,
  fileRelease,
  fileSeekable,
  fileSize,
  fileSync,
  fileTruncate,
  fileUnlock,
  fileWriteAt,
  KIND_DIRECTORY,
  KIND_PIPE,
  KIND_SHARED,
  O_APPEND,
  O_CLOEXEC,
  O_DIRECT,
  O_DSYNC,
  O_NONBLOCK,
} from "../fs/file";
import { PIPE_BYTES, pipeUnread } from "../fs/pipe";
import { EBADF, EFAULT, EINVAL, EISDIR, ENOTTY, ENXIO, ESPIPE } from "./errno";
import { fcntlLock, isLockCommand, RESERVE, reserve } from "./lock-calls";
import { currentLwp } from "./lwp";
import { notImplemented } from "./not-implemented";
import { stream } from "./stream";
import {
  readUser,
  readUserPart,
  SCRATCH_BYTES,
  scratch,
  userRange,
  writeUser,
  writeUserPart,
} from "./user-memory";

const IOV_MAX: u64 = 1024;
/** Where the vector entry being worked on stands: behind the bytes in flight. */
const CHUNK_BYTES: usize = SCRATCH_BYTES - 16;

/** Of the calling process, with a reference; 0 = it is not open. */
export function fileOf(fd: u64): usize {
  return descriptorFile(currentLwp().process.descriptors, u64(u32(fd)));
}

// --- Reading and writing ---

const AT_POSITION: u64 = -1;

export function read(fd: u64, buffer: u64, bytes: u64): i64 {
  return transfer(fd, buffer, bytes, 0, 0, AT_POSITION, false);
}
export function write(fd: u64, buffer: u64, bytes: u64): i64 {
  return transfer(fd, buffer, bytes, 0, 0, AT_POSITION, true);
}
export function pread64(fd: u64, buffer: u64, bytes: u64, offset: u64): i64 {
  return i64(offset) < 0 ? -EINVAL : transfer(fd, buffer, bytes, 0, 0, offset, false);
}
export function pwrite64(fd: u64, buffer: u64, bytes: u64, offset: u64): i64 {
  return i64(offset) < 0 ? -EINVAL : transfer(fd, buffer, bytes, 0, 0, offset, true);
}
export function preadv(fd: u64, vector: u64, count: u64, offset: u64): i64 {
  return i64(offset) < 0 ? -EINVAL : transfer(fd, 0, 0, vector, count, offset, false);
}
export function pwritev(fd: u64, vector: u64, count: u64, offset: u64): i64 {
  return i64(offset) < 0 ? -EINVAL : transfer(fd, 0, 0, vector, count, offset, true);
}
export function readv(fd: u64, vector: u64, count: u64): i64 {
  return transfer(fd, 0, 0, vector, count, AT_POSITION, false);
}
export function writev(fd: u64, vector: u64, count: u64): i64 {
  return transfer(fd, 0, 0, vector, count, AT_POSITION, true);
}

function transfer(fd: u64, buffer: u64, bytes: u64, vector: u64, count: u64, offset: u64, out: bool): i64 {
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const file = changetype<File>(at);
  let result = count > IOV_MAX ? -EINVAL : fileFollow(file);
  if (result < 0) {
    fileRelease(file);
    return result;
  }
  result = -EBADF;
  if (out ? file.writable() : file.readable()) {
    const all = vector === 0 && count === 0 ? i64(bytes) : vectorBytes(vector, count);
    if (all < 0) result = vector === 0 && count === 0 ? -EFAULT : all;
    else if (file.kind === KIND_DIRECTORY) result = all > 0 || vector === 0 ? -EISDIR : 0;
    else if (file.stream !== 0 && offset === AT_POSITION) {
      result = stream(file, buffer, u64(all), vector, count, out);
    } else if (offset !== AT_POSITION) {
      result = fileSeekable(file)
        ? runAt(file, buffer, bytes, vector, count, offset, u64(all), out)
        : -ESPIPE;
    } else if (!fileSeekable(file)) result = run(file, buffer, bytes, vector, count, 0, out);
    else result = runAtPosition(file, buffer, bytes, vector, count, u64(all), out);
    if (out && result > 0 && file.flags & O_DSYNC && file.kind === KIND_SHARED) {
      const error = fileSync(file);
      if (error < 0) result = error;
    }
  }
  fileRelease(file);
  return result;
}

/** The file's lock is held for the whole call: reads and writes of one open file do not interleave. */
function runAtPosition(
  file: File,
  buffer: u64,
  bytes: u64,
  vector: u64,
  count: u64,
  all: u64,
  out: bool,
): i64 {
  file.sleepLock().acquire();
  let result: i64 = 0;
  if (out && file.flags & O_APPEND) result = runAtEnd(file, buffer, bytes, vector, count, true);
  else {
    result = runLocked(file, buffer, bytes, vector, count, file.position, all, out);
    if (result > 0) file.position += u64(result);
  }
  file.sleepLock().release();
  return result;
}

/** At a place of the call's own: with O_APPEND what is written goes behind the end even so, as on Linux (pwrite(2), BUGS). */
function runAt(
  file: File,
  buffer: u64,
  bytes: u64,
  vector: u64,
  count: u64,
  offset: u64,
  all: u64,
  out: bool,
): i64 {
  if (out && file.flags & O_APPEND) return runAtEnd(file, buffer, bytes, vector, count, false);
  return runLocked(file, buffer, bytes, vector, count, offset, all, out);
}

/** Behind the file's end, which stays where it is until then; `moves`: what is written next goes on there, if anything was written. */
function runAtEnd(file: File, buffer: u64, bytes: u64, vector: u64, count: u64, moves: bool): i64 {
  const end = fileLockEnd(file);
  if (end < 0) return end;
  const result = run(file, buffer, bytes, vector, count, u64(end), true);
  fileUnlock(file);
  if (moves && result > 0) file.position = u64(end) + u64(result);
  return result;
}

/** As one step for everybody who reads or writes the same bytes, however many they are: `all`. */
function runLocked(
  file: File,
  buffer: u64,
  bytes: u64,
  vector: u64,
  count: u64,
  offset: u64,
  all: u64,
  out: bool,
): i64 {
  if (all === 0) return run(file, buffer, bytes, vector, count, offset, out);
  const locked = fileLock(file, offset, all, out);
  if (locked < 0) return locked;
  const result = run(file, buffer, bytes, vector, count, offset, out);
  fileUnlock(file);
  return result;
}

/** Of all entries together, or an error: as on Linux nothing is moved when one of them is none. */
function vectorBytes(vector: u64, count: u64): i64 {
  const entry = scratch();
  let bytes: i64 = 0;
  for (let i: u64 = 0; i < count; i++) {
    if (!readUser(entry, vector + i * 16, 16)) return -EFAULT;
    const more = load<i64>(entry + 8);
    if (more < 0 || bytes + more < 0) return -EINVAL;
    bytes += more;
  }
  return bytes;
}

/** Bytes moved, or an error when there were none. */
function run(file: File, buffer: u64, bytes: u64, vector: u64, count: u64, offset: u64, out: bool): i64 {
  if (vector === 0 && count === 0)
    return out ? put(file, buffer, bytes, offset) : get(file, buffer, bytes, offset);
  return out ? putVector(file, vector, count, offset) : getVector(file, vector, count, offset);
}

function get(file: File, buffer: u64, bytes: u64, offset: u64): i64 {
  if (!userRange(buffer, bytes)) return -EFAULT;
  let done: u64 = 0;
  while (done < bytes) {
    const chunk = usize(min<u64>(bytes - done, u64(CHUNK_BYTES)));
    const got = fileReadAt(file, offset + done, scratch(), chunk);
    if (got < 0) return done > 0 ? i64(done) : got;
    if (got === 0) break;
    const copied = writeUserPart(buffer + done, scratch(), usize(got));
    done += u64(copied);
    if (copied < usize(got)) return done > 0 ? i64(done) : -EFAULT;
    if (copied < chunk) break;
  }
  return i64(done);
}

function put(file: File, buffer: u64, bytes: u64, offset: u64): i64 {
  if (!userRange(buffer, bytes)) return -EFAULT;
  let done: u64 = 0;
  while (done < bytes) {
    const chunk = usize(min<u64>(bytes - done, u64(CHUNK_BYTES)));
    const copied = readUserPart(scratch(), buffer + done, chunk);
    if (copied === 0) return done > 0 ? i64(done) : -EFAULT;
    const written = fileWriteAt(file, offset + done, scratch(), copied);
    if (written < 0) return done > 0 ? i64(done) : written;
    done += u64(written);
    if (usize(written) < chunk) break;
  }
  return i64(done);
}

function getVector(file: File, vector: u64, count: u64, offset: u64): i64 {
  const entry = scratch() + CHUNK_BYTES;
  let done: u64 = 0;
  for (let i: u64 = 0; i < count; i++) {
    if (!readUser(entry, vector + i * 16, 16)) return done > 0 ? i64(done) : -EFAULT;
    const bytes = load<u64>(entry + 8);
    const got = get(file, load<u64>(entry), bytes, offset + done);
    if (got < 0) return done > 0 ? i64(done) : got;
    done += u64(got);
    if (u64(got) < bytes) break;
  }
  return i64(done);
}

/** Gathers: short pieces leave together, so that a line written in parts is one line on the console. */
function putVector(file: File, vector: u64, count: u64, offset: u64): i64 {
  const gathered = scratch();
  const entry = gathered + CHUNK_BYTES;
  let done: u64 = 0;
  let held: usize = 0;
  let whole = true;
  for (let i: u64 = 0; i < count && whole; i++) {
    whole = readUser(entry, vector + i * 16, 16);
    let at = load<u64>(entry);
    let left = whole ? load<u64>(entry + 8) : 0;
    while (left > 0 && whole) {
      const piece = usize(min<u64>(left, u64(CHUNK_BYTES - held)));
      const copied = readUserPart(gathered + held, at, piece);
      whole = copied === piece;
      held += copied;
      at += u64(copied);
      left -= u64(copied);
      if (held < CHUNK_BYTES) continue;
      const written = fileWriteAt(file, offset + done, gathered, held);
      if (written < 0) return done > 0 ? i64(done) : written;
      done += u64(held);
      held = 0;
    }
  }
  if (held === 0) return done > 0 || whole ? i64(done) : -EFAULT;
  const written = fileWriteAt(file, offset + done, gathered, held);
  if (written < 0) return done > 0 ? i64(done) : written;
  return i64(done) + written;
}

const SEEK_SET: u64 = 0;
const SEEK_CUR: u64 = 1;
const SEEK_END: u64 = 2;
const SEEK_DATA: u64 = 3;
const SEEK_HOLE: u64 = 4;

export function lseek(fd: u64, offset: u64, whence: u64): i64 {
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const file = changetype<File>(at);
  let result = -ESPIPE;
  // In a directory the places are those that getdents64() tells; it has no end to go from.
  const directory = file.kind === KIND_DIRECTORY && whence !== SEEK_END;
  if (fileSeekable(file) || directory) {
    fileFollow(file);
    file.sleepLock().acquire();
    result = sought(file, i64(offset), whence);
    if (result >= 0) file.position = u64(result);
    file.sleepLock().release();
  }
  fileRelease(file);
  return result;
}

/** Where that is, or an error. A file is data to its end, behind which the only hole lies, as lseek(2) allows. */
function sought(file: File, offset: i64, whence: u64): i64 {
  let base: i64 = whence === SEEK_SET ? 0 : -1;
  if (whence === SEEK_CUR) base = i64(file.position);
  if (whence === SEEK_END) base = i64(fileSize(file));
  if ((whence === SEEK_DATA || whence === SEEK_HOLE) && file.kind !== KIND_DIRECTORY) {
    const size = i64(fileSize(file));
    if (offset < 0 || offset >= size) return -ENXIO;
    return whence === SEEK_DATA ? offset : size;
  }
  if (fileEndless(file) && whence <= SEEK_HOLE) return 0;
  return base >= 0 && base + offset >= 0 ? base + offset : -EINVAL;
}

// --- Descriptors ---

export function close(fd: u64): i64 {
  return descriptorClose(currentLwp().process.descriptors, u64(u32(fd)));
}

const CLOSE_RANGE_UNSHARE: u64 = 2;
const CLOSE_RANGE_CLOEXEC: u64 = 4;

/** The table is this process's alone. */
export function closeRange(first: u64, last: u64, flags: u64): i64 {
  if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || u32(first) > u32(last)) return -EINVAL;
  const table = currentLwp().process.descriptors;
  const end = min<u32>(u32(last), DESCRIPTORS_MAX - 1);
  for (let fd = u32(first); fd <= end; fd++) {
    if (flags & CLOSE_RANGE_CLOEXEC) descriptorSetFlags(table, u64(fd), 1);
    else descriptorClose(table, u64(fd));
  }
  return 0;
}

export function ftruncate(fd: u64, size: u64): i64 {
  if (i64(size) < 0) return -EINVAL;
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const result = fileTruncate(changetype<File>(at), size);
  fileRelease(changetype<File>(at));
  return result;
}

export function dup(fd: u64): i64 {
  return duplicate(fd, 0, false);
}

function duplicate(fd: u64, least: u64, closeOnExec: bool): i64 {
  const file = fileOf(fd);
  if (file === 0) return -EBADF;
  const result = descriptorAdd(currentLwp().process.descriptors, changetype<File>(file), least, closeOnExec);
  if (result < 0) fileRelease(changetype<File>(file));
  return result;
}

export function dup2(fd: u64, target: u64): i64 {
  if (u32(fd) !== u32(target)) return dup3(fd, target, 0);
  return descriptorFlags(currentLwp().process.descriptors, u64(u32(fd))) < 0 ? -EBADF : i64(u32(fd));
}

export function dup3(fd: u64, target: u64, flags: u64): i64 {
  if (u32(flags) & ~O_CLOEXEC || u32(fd) === u32(target)) return -EINVAL;
  const file = fileOf(fd);
  if (file === 0) return -EBADF;
  const table = currentLwp().process.descriptors;
  const closeOnExec = (u32(flags) & O_CLOEXEC) !== 0;
  const result = descriptorSet(table, u64(u32(target)), changetype<File>(file), closeOnExec);
  if (result < 0) fileRelease(changetype<File>(file));
  return result;
}

const F_DUPFD: u64 = 0;
const F_GETFD: u64 = 1;
const F_SETFD: u64 = 2;
const F_GETFL: u64 = 3;
const F_SETFL: u64 = 4;
const F_DUPFD_CLOEXEC: u64 = 1030;
const F_GETPIPE_SZ: u64 = 1032;

export function fcntl(fd: u64, command: u64, argument: u64): i64 {
  const table = currentLwp().process.descriptors;
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      if (descriptorFlags(table, u64(u32(fd))) < 0) return -EBADF;
      if (u64(u32(argument)) >= u64(DESCRIPTORS_MAX)) return -EINVAL;
      return duplicate(fd, u64(u32(argument)), command === F_DUPFD_CLOEXEC);
    case F_GETFD:
      return descriptorFlags(table, u64(u32(fd)));
    case F_SETFD:
      return descriptorSetFlags(table, u64(u32(fd)), u32(argument) & 1);
  }
  if (isLockCommand(command)) return fcntlLock(fd, command, argument);
  if (command === F_GETPIPE_SZ) return pipeSize(fd);
  if (command !== F_GETFL && command !== F_SETFL) return notImplemented("fcntl command", command, -EINVAL);
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const file = changetype<File>(at);
  let result: i64 = command === F_GETFL ? i64(file.flags) : 0;
  if (command === F_SETFL && u32(argument) & O_DIRECT && file.kind === KIND_PIPE) {
    result = notImplemented("a pipe of packets, flags", u64(u32(argument)), -EINVAL);
  } else if (command === F_SETFL) {
    const changeable = O_APPEND | O_NONBLOCK;
    file.flags = (file.flags & ~changeable) | (u32(argument) & changeable);
  }
  fileRelease(file);
  return result;
}

function pipeSize(fd: u64): i64 {
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const result = changetype<File>(at).kind === KIND_PIPE ? PIPE_BYTES : -EBADF;
  fileRelease(changetype<File>(at));
  return result;
}

// --- Devices ---

const FIONBIO: u64 = 0x5421;
const FIONREAD: u64 = 0x541b;

/** The console is a wire, not a terminal: programs then buffer by the block, as into a file. */
export function ioctl(fd: u64, request: u64, argument: u64): i64 {
  if (request === RESERVE) return reserve(fd, argument);
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const file = changetype<File>(at);
  let result = -ENOTTY;
  if (request === FIONREAD && file.kind === KIND_PIPE) {
    store<u32>(scratch(), pipeUnread(file));
    result = writeUser(argument, scratch(), 4) ? 0 : -EFAULT;
  } else if (request === FIONBIO) {
    result = readUser(scratch(), argument, 4) ? 0 : -EFAULT;
    if (result === 0)
      file.flags = load<u32>(scratch()) !== 0 ? file.flags | O_NONBLOCK : file.flags & ~O_NONBLOCK;
  }
  fileRelease(file);
  return result;
}
