// poll, ppoll, select and pselect6 (Linux man pages, section 2): all four look at a list of descriptors, each with the events that are wanted, and wait
// until one of them is there. None of them runs again behind a signal's handler (signal(7)).
import { DESCRIPTORS_MAX } from "../fs/descriptors";
import { File, fileReady, fileRelease } from "../fs/file";
import {
  ALWAYS,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLPRI,
  POLLRDBAND,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
} from "../fs/readiness";
import { nanoseconds } from "../machine/time";
import { mayTakeFrame } from "../memory/reserve";
import { allocate, allocateOrNone, release } from "../memory/slab";
import { EBADF, EFAULT, EINTR, EINVAL, ENOMEM } from "./errno";
import { fileOf } from "./file-calls";
import { currentLwp } from "./lwp";
import { callOrigin } from "./shadow";
import { interrupted, maskChanged } from "./signal";
import { UNBLOCKABLE } from "./signal-numbers";
import { readUser, scratch, writeUser } from "./user-memory";
import { awaitTold, FOR_EVER, ThreadWatch, threadWatch, threadWatchEnd } from "./watching";

const SECOND: u64 = 1_000_000_000;
const MICROSECOND: u64 = 1_000;
const CALL_PPOLL: u32 = 271;
const CALL_PSELECT6: u32 = 270;

/** struct pollfd, with what the call has of it. */
@unmanaged
class Look {
  fd: i32 = 0;
  events: u16 = 0;
  found: u16 = 0;
  /** All events that end the wait. */
  wanted: u32 = 0;
  /** A File, with a reference. */
  file: usize = 0;
}
const POLLFD_BYTES: usize = 8;

function lookAt(list: usize, index: u32): Look {
  return changetype<Look>(list + <usize>index * offsetof<Look>());
}

// --- Waiting ---

/** How many of them are ready, which `found` says; 0: it is time; or -EINTR. */
function awaitReady(list: usize, count: u32, deadline: u64): i64 {
  for (let i: u32 = 0; i < count; i++) {
    const look = lookAt(list, i);
    look.file = look.fd >= 0 ? fileOf(u64(look.fd)) : 0;
  }
  let result = i64(looked(list, count));
  if (result === 0 && deadline !== 0) result = awaitFiles(list, count, deadline);
  else if (result === 0 && interrupted()) result = -EINTR; // before the time, even none at all
  for (let i: u32 = 0; i < count; i++) {
    const file = lookAt(list, i).file;
    if (file) fileRelease(changetype<File>(file));
  }
  return result;
}

function looked(list: usize, count: u32): u32 {
  let ready: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const look = lookAt(list, i);
    if (look.file) look.found = u16(fileReady(changetype<File>(look.file)) & look.wanted);
    else look.found = look.fd >= 0 ? u16(POLLNVAL) : 0;
    if (look.found) ready++;
  }
  return ready;
}

function awaitFiles(list: usize, count: u32, deadline: u64): i64 {
  const bytes = offsetof<ThreadWatch>();
  const watches: usize = count === 0 ? 0 : allocateOrNone(<usize>count * bytes);
  if (watches === 0 && count !== 0) return -ENOMEM;
  for (let i: u32 = 0; i < count; i++) {
    const look = lookAt(list, i);
    const watch = changetype<ThreadWatch>(watches + <usize>i * bytes);
    if (look.file) threadWatch(watch, changetype<File>(look.file), look.wanted);
  }
  let result: i64 = 0;
  while (true) {
    result = i64(looked(list, count));
    if (result !== 0) break;
    result = awaitTold(deadline);
    if (result <= 0) break;
  }
  for (let i: u32 = 0; i < count; i++) threadWatchEnd(changetype<ThreadWatch>(watches + <usize>i * bytes));
  if (watches !== 0) release(watches);
  return result;
}

/** Room for so many; 0 = there is no memory. */
function looksNew(count: u32): usize {
  return mayTakeFrame() ? allocateOrNone(<usize>max<u32>(count, 1) * offsetof<Look>()) : 0;
}

/** In nanoseconds() time; `span` in nanoseconds, at most centuries. */
function deadlineIn(span: u64): u64 {
  return span === 0 ? 0 : nanoseconds() + span;
}

/** The time at a user address, seconds and parts of `part` nanoseconds, in nanoseconds; FOR_EVER if there is none; negative: an error. */
function spanAt(at: u64, part: u64): i64 {
  if (at === 0) return i64.MAX_VALUE;
  if (!readUser(scratch(), at, 16)) return -EFAULT;
  const seconds = load<i64>(scratch());
  const parts = load<u64>(scratch(), 8);
  if (seconds < 0 || (part === 1 && parts >= SECOND) || i64(parts) < 0) return -EINVAL;
  return i64(
    min<u64>(u64(seconds) + parts / (SECOND / part), 6_000_000_000) * SECOND +
      (parts % (SECOND / part)) * part,
  );
}

function deadlineOf(span: i64): u64 {
  return span === i64.MAX_VALUE ? FOR_EVER : deadlineIn(u64(span));
}

/** What is left of it, to where the program has it. */
function tellLeft(at: u64, deadline: u64, part: u64): void {
  if (at === 0) return;
  const now = nanoseconds();
  const left: u64 = deadline > now ? deadline - now : 0;
  store<u64>(scratch(), left / SECOND);
  store<u64>(scratch(), (left % SECOND) / part, 8);
  writeUser(at, scratch(), 16);
}

// --- A mask of signals for the time of a call ---

/**
 * The thread blocks these signals until the call is over; behind -EINTR, until a handler has run. `mask` 0: as it is. By the thread itself, wherever it runs: what
 * its proxy then does for it is done with the mask that it has.
 */
export function maskForCall(mask: u64, bytes: u64): i64 {
  const lwp = currentLwp();
  if (mask === 0 || lwp.machine !== 0) return 0;
  if (bytes !== 8) return -EINVAL;
  if (!readUser(scratch(), mask, 8)) return -EFAULT;
  lwp.savedMask = lwp.blocked;
  lwp.maskSaved = 1;
  lwp.blocked = load<u64>(scratch()) & ~UNBLOCKABLE;
  return 0;
}

export function maskAfterCall(result: i64): i64 {
  const lwp = currentLwp();
  if (lwp.maskSaved === 0 || lwp.machine !== 0 || result === -EINTR) return result;
  lwp.maskSaved = 0;
  lwp.blocked = lwp.savedMask;
  maskChanged(lwp);
  return result;
}

// --- poll ---

/** poll(2): `limit` in milliseconds, negative = for ever. */
export function poll(fds: u64, count: u64, limit: u64): i64 {
  const milliseconds = i32(limit);
  return pollUntil(fds, u32(count), milliseconds < 0 ? FOR_EVER : deadlineIn(u64(milliseconds) * 1_000_000));
}

export function ppoll(fds: u64, count: u64, limit: u64, mask: u64, maskBytes: u64): i64 {
  const lwp = currentLwp();
  const wrong = maskForCall(mask, maskBytes);
  if (wrong < 0) return wrong;
  if (lwp.process.origin !== 0) return maskAfterCall(callOrigin(lwp, lwp.frame, CALL_PPOLL));
  const span = spanAt(limit, 1);
  if (span < 0) return maskAfterCall(span);
  const deadline = deadlineOf(span);
  const result = pollUntil(fds, u32(count), deadline);
  tellLeft(limit, deadline, 1);
  return maskAfterCall(result);
}

function pollUntil(fds: u64, count: u32, deadline: u64): i64 {
  if (count > DESCRIPTORS_MAX) return -EINVAL;
  const list = looksNew(count);
  if (list === 0) return -ENOMEM;
  let result: i64 = 0;
  for (let i: u32 = 0; i < count && result === 0; i++) {
    const look = lookAt(list, i);
    if (!readUser(changetype<usize>(look), fds + u64(i) * u64(POLLFD_BYTES), POLLFD_BYTES)) result = -EFAULT;
    look.wanted = u32(look.events) | ALWAYS;
  }
  if (result === 0) result = awaitReady(list, count, deadline);
  for (let i: u32 = 0; i < count && result >= 0; i++) {
    const look = lookAt(list, i);
    if (!writeUser(fds + u64(i) * u64(POLLFD_BYTES), changetype<usize>(look), POLLFD_BYTES)) result = -EFAULT;
  }
  release(list);
  return result;
}

// --- select ---

/** What a descriptor of each of the three sets is ready by, and what it asks for. */
const READ_SET: u32 = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR;
const WRITE_SET: u32 = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR;
const EXCEPT_SET: u32 = POLLPRI;
/** A set of all descriptors. */
const SET_BYTES: usize = usize(DESCRIPTORS_MAX) / 8;

function setEvents(set: u32): u32 {
  return set === 0 ? READ_SET : set === 1 ? WRITE_SET : EXCEPT_SET;
}

export function select(count: u64, read: u64, write: u64, except: u64, limit: u64): i64 {
  const span = spanAt(limit, MICROSECOND);
  if (span < 0) return span;
  const deadline = deadlineOf(span);
  const result = selectUntil(i32(count), read, write, except, deadline);
  tellLeft(limit, deadline, MICROSECOND);
  return result;
}

/** `mask`: the address of a signal set's address and size. */
export function pselect6(count: u64, read: u64, write: u64, except: u64, limit: u64, mask: u64): i64 {
  const lwp = currentLwp();
  if (mask && !readUser(scratch(), mask, 16)) return -EFAULT;
  const wrong = mask ? maskForCall(load<u64>(scratch()), load<u64>(scratch(), 8)) : 0;
  if (wrong < 0) return wrong;
  if (lwp.process.origin !== 0) return maskAfterCall(callOrigin(lwp, lwp.frame, CALL_PSELECT6));
  const span = spanAt(limit, 1);
  if (span < 0) return maskAfterCall(span);
  const deadline = deadlineOf(span);
  const result = selectUntil(i32(count), read, write, except, deadline);
  tellLeft(limit, deadline, 1);
  return maskAfterCall(result);
}

function selectUntil(count: i32, read: u64, write: u64, except: u64, deadline: u64): i64 {
  if (count < 0) return -EINVAL;
  const highest = min<u32>(u32(count), DESCRIPTORS_MAX);
  const sets = allocate(SET_BYTES * 3);
  const bytes = <usize>((highest + 63) / 64) * 8;
  let result = setRead(sets, read, bytes);
  if (result === 0) result = setRead(sets + SET_BYTES, write, bytes);
  if (result === 0) result = setRead(sets + SET_BYTES * 2, except, bytes);
  if (result === 0) result = selectSets(sets, highest, deadline);
  if (result >= 0 && !setWrite(read, sets, bytes)) result = -EFAULT;
  if (result >= 0 && !setWrite(write, sets + SET_BYTES, bytes)) result = -EFAULT;
  if (result >= 0 && !setWrite(except, sets + SET_BYTES * 2, bytes)) result = -EFAULT;
  release(sets);
  return result;
}

function setRead(to: usize, from: u64, bytes: usize): i64 {
  return from === 0 || readUser(to, from, bytes) ? 0 : -EFAULT;
}
function setWrite(to: u64, from: usize, bytes: usize): bool {
  return to === 0 || writeUser(to, from, bytes);
}

/** Bits in all sets together that stay: the others are cleared. */
function selectSets(sets: usize, highest: u32, deadline: u64): i64 {
  const list = looksNew(highest);
  if (list === 0) return -ENOMEM;
  let count: u32 = 0;
  for (let fd: u32 = 0; fd < highest; fd++) {
    const wanted = wantedOf(sets, fd);
    if (wanted === 0) continue;
    const look = lookAt(list, count++);
    look.fd = i32(fd);
    look.wanted = wanted;
  }
  let result = awaitReady(list, count, deadline);
  if (result >= 0) result = i64(keepFound(list, count, sets));
  release(list);
  return result;
}

function bitAt(sets: usize, set: u32, fd: u32): usize {
  return sets + <usize>set * SET_BYTES + <usize>(fd >> 3);
}

function wantedOf(sets: usize, fd: u32): u32 {
  let events: u32 = 0;
  for (let set: u32 = 0; set < 3; set++)
    if (load<u8>(bitAt(sets, set, fd)) & (1 << (fd & 7))) events |= setEvents(set);
  return events;
}

function keepFound(list: usize, count: u32, sets: usize): i32 {
  let bits: i32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const look = lookAt(list, i);
    if (u32(look.found) === POLLNVAL) return -i32(EBADF);
    const mask: u32 = 1 << (look.fd & 7);
    for (let set: u32 = 0; set < 3; set++) {
      const at = bitAt(sets, set, u32(look.fd));
      if (!(load<u8>(at) & mask)) continue;
      if (u32(look.found) & setEvents(set)) bits++;
      else store<u8>(at, u32(load<u8>(at)) & ~mask);
    }
  }
  return bits;
}
