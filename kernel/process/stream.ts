// Reading and writing what has no places and may have to be waited for: pipes and eventfds. Bytes pass through a piece of kernel memory, a page of a
// pipe at most; a piece for which there is not all of the user's memory is not moved, but an eventfd's count is lost then, all of it as on Linux.
//
// Invariant: whoever takes bytes out holds the open file's lock until they are with the user, so that what one call reads lay together. Nobody holds it who waits.
import { framesAwait } from "../coherence/pager";
import { File, fileReadAt, fileWriteAt, KIND_PIPE, O_NONBLOCK } from "../fs/file";
import { PIPE_BUF, pipeBegin, pipeTaken } from "../fs/pipe";
import { ALWAYS, READABLE, WRITABLE } from "../fs/readiness";
import { mayTakeFrame } from "../memory/reserve";
import { allocate, release } from "../memory/slab";
import { EAGAIN, EFAULT, ENOMEM, EPIPE, ERESTART } from "./errno";
import { currentLwp } from "./lwp";
import { signalThread } from "./signal";
import { SI_USER, SIGPIPE } from "./signal-numbers";
import { readUser, readUserPart, scratch, userRange, writeUserPart } from "./user-memory";
import { awaitTold, FOR_EVER, ThreadWatch, threadWatch, threadWatchEnd } from "./watching";

/** Where a call is in the user's memory; behind it is the piece of kernel memory. */
@unmanaged
class Cursor {
  at: u64 = 0;
  bytes: u64 = 0;
  /** The rest of a vector. */
  vector: u64 = 0;
  count: u64 = 0;
}

/** `total` bytes at `buffer`, or by the vector if there is one. */
export function stream(file: File, buffer: u64, total: u64, vector: u64, count: u64, out: bool): i64 {
  if (vector === 0 && count === 0 && !userRange(buffer, total)) return -EFAULT;
  if (vector !== 0 && total === 0) return 0;
  const room = usize(min<u64>(total, u64(PIPE_BUF)));
  const cursor = changetype<Cursor>(allocate(offsetof<Cursor>() + max<usize>(room, 8)));
  cursor.at = buffer;
  cursor.bytes = vector === 0 && count === 0 ? total : 0;
  cursor.vector = vector;
  cursor.count = count;
  const result = out ? writeStream(file, cursor, total) : readStream(file, cursor, total);
  release(changetype<usize>(cursor));
  return result;
}

function piece(cursor: Cursor): usize {
  return changetype<usize>(cursor) + offsetof<Cursor>();
}

function readStream(file: File, cursor: Cursor, total: u64): i64 {
  let done: u64 = 0;
  let result: i64 = 0;
  file.sleepLock().acquire();
  do {
    const wanted = usize(min<u64>(total - done, u64(PIPE_BUF)));
    const got =
      done === 0 ? awaitBytes(file, piece(cursor), wanted) : fileReadAt(file, 0, piece(cursor), wanted);
    result = got;
    if (got <= 0) break;
    result = -EFAULT;
    if (carry(cursor, piece(cursor), usize(got), false) < usize(got)) break;
    if (file.kind === KIND_PIPE) pipeTaken(file, usize(got));
    done += u64(got);
  } while (done < total && file.kind === KIND_PIPE);
  file.sleepLock().release();
  return done > 0 ? i64(done) : result;
}

/** The file's lock is held, and held again on return. */
function awaitBytes(file: File, buffer: usize, bytes: usize): i64 {
  let result = fileReadAt(file, 0, buffer, bytes);
  if (result !== -EAGAIN || file.flags & O_NONBLOCK) return result;
  const watch = watchFor(file, READABLE | ALWAYS);
  while (true) {
    result = fileReadAt(file, 0, buffer, bytes);
    if (result !== -EAGAIN) break;
    file.sleepLock().release();
    const told = awaitTold(FOR_EVER);
    file.sleepLock().acquire();
    if (told < 0) {
      result = -ERESTART;
      break;
    }
  }
  watchOver(watch);
  return result;
}

function writeStream(file: File, cursor: Cursor, total: u64): i64 {
  let done: u64 = 0;
  let result: i64 = 0;
  do {
    const wanted = pieceBytes(file, cursor, total, done);
    result = -EFAULT;
    if (carry(cursor, piece(cursor), wanted, true) < wanted) break;
    result = awaitRoom(file, piece(cursor), wanted);
    if (result === -EPIPE) brokenPipe();
    if (result <= 0) break;
    done += u64(result);
    if (usize(result) < wanted) break;
  } while (done < total);
  return done > 0 ? i64(done) : result;
}

/** How much of what is left to write goes at once. To an eventfd each part of a vector is a write of its own. */
function pieceBytes(file: File, cursor: Cursor, total: u64, done: u64): usize {
  if (file.kind === KIND_PIPE && done === 0) return pipeBegin(file, total);
  if (file.kind === KIND_PIPE) return usize(min<u64>(total - done, u64(PIPE_BUF)));
  while (cursor.bytes === 0 && next(cursor)) {}
  return usize(min<u64>(cursor.bytes, u64(PIPE_BUF)));
}

function awaitRoom(file: File, buffer: usize, bytes: usize): i64 {
  if (file.kind === KIND_PIPE && !mayTakeFrame() && !framesAwait(1)) return -ENOMEM;
  let result = fileWriteAt(file, 0, buffer, bytes);
  if (result !== -EAGAIN || file.flags & O_NONBLOCK) return result;
  const watch = watchFor(file, WRITABLE | ALWAYS);
  while (true) {
    result = fileWriteAt(file, 0, buffer, bytes);
    if (result !== -EAGAIN) break;
    if (awaitTold(FOR_EVER) < 0) {
      result = -ERESTART;
      break;
    }
  }
  watchOver(watch);
  return result;
}

function watchFor(file: File, events: u32): ThreadWatch {
  const watch = changetype<ThreadWatch>(allocate(offsetof<ThreadWatch>()));
  threadWatch(watch, file, events);
  return watch;
}
function watchOver(watch: ThreadWatch): void {
  threadWatchEnd(watch);
  release(changetype<usize>(watch));
}

/** Nobody will ever read it: the thread that wrote is told by a signal as well. */
function brokenPipe(): void {
  const lwp = currentLwp();
  lwp.process.spinLock().acquire();
  signalThread(lwp, SIGPIPE, SI_USER, lwp.process.id, 0);
  lwp.process.spinLock().release();
}

/** Bytes between the kernel's memory and the user's, where the call is; fewer where the user's ends. */
function carry(cursor: Cursor, kernel: usize, bytes: usize, out: bool): usize {
  let done: usize = 0;
  while (done < bytes) {
    if (cursor.bytes === 0) {
      if (!next(cursor)) break;
      continue;
    }
    const wanted = usize(min<u64>(u64(bytes - done), cursor.bytes));
    const moved = out
      ? readUserPart(kernel + done, cursor.at, wanted)
      : writeUserPart(cursor.at, kernel + done, wanted);
    done += moved;
    cursor.at += u64(moved);
    cursor.bytes -= u64(moved);
    if (moved < wanted) break;
  }
  return done;
}

function next(cursor: Cursor): bool {
  if (cursor.count === 0 || !readUser(scratch(), cursor.vector, 16)) return false;
  cursor.at = load<u64>(scratch());
  cursor.bytes = load<u64>(scratch(), 8);
  cursor.vector += 16;
  cursor.count--;
  return true;
}
