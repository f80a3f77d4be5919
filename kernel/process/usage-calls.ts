// What a process has used, and what it asks to be kept for it (Linux man pages, section 2): getrusage, times, mlock and its kin, posix_fadvise. There is no disk
// to which memory would go, so that what is locked is locked already once it is there; and processor time is not told apart by mode.
import { File, fileRelease, KIND_PIPE } from "../fs/file";
import { EBADF, EFAULT, EINVAL, ENOMEM, ESPIPE } from "./errno";
import { fileOf } from "./file-calls";
import { currentLwp } from "./lwp";
import { isCovered, pageUp } from "./memory-map";
import { notImplemented } from "./not-implemented";
import { processCpuTime, threadCpuTime } from "./processor-time";
import { processTime } from "./time-calls";
import { readUser, scratch, USER_TOP, writeUser } from "./user-memory";

const PAGE: u64 = 4096;
const SECOND: u64 = 1_000_000_000;
/** clock_t: USER_HZ is 100. */
const CLOCK: u64 = 10_000_000;

// --- Used ---

const RUSAGE_SELF: i32 = 0;
const RUSAGE_CHILDREN: i32 = -1;
const RUSAGE_THREAD: i32 = 1;
/** struct rusage: user and system time, each in seconds and microseconds; the most memory in KiB; 13 counts. */
const RUSAGE_BYTES: usize = 144;
const MAXRSS: usize = 32;

/** Of the calling process, in nanoseconds; negative: an error. */
function processUsed(what: string): i64 {
  const process = currentLwp().process;
  if (process.origin !== 0 || process.shadows !== 0) return notImplemented(what, 0, -EINVAL);
  return i64(processCpuTime(process));
}

export function getrusage(who64: u64, to: u64): i64 {
  const who = i32(who64);
  if (who !== RUSAGE_SELF && who !== RUSAGE_CHILDREN && who !== RUSAGE_THREAD) return -EINVAL;
  const lwp = currentLwp();
  let used: i64 = 0;
  if (who === RUSAGE_SELF) used = processUsed("getrusage of a process on several machines, of");
  else if (who === RUSAGE_THREAD) used = i64(threadCpuTime(lwp.process, lwp.id));
  if (used < 0) return used;
  const at = scratch();
  memory.fill(at, 0, RUSAGE_BYTES);
  store<u64>(at, u64(used) / SECOND);
  store<u64>(at, (u64(used) % SECOND) / 1000, 8);
  if (who !== RUSAGE_CHILDREN) store<u64>(at, lwp.process.map.frames * 4, MAXRSS);
  return writeUser(to, at, RUSAGE_BYTES) ? 0 : -EFAULT;
}

/** struct tms: user and system time of the process, and of children that it has waited for. */
export function times(to: u64): i64 {
  const used: i64 = to ? processUsed("times of a process on several machines, of") : 0;
  if (used < 0) return used;
  memory.fill(scratch(), 0, 32);
  store<u64>(scratch(), u64(used) / CLOCK);
  return to && !writeUser(to, scratch(), 32) ? -EFAULT : i64(processTime() / CLOCK);
}

// --- Kept ---

const MLOCK_ONFAULT: u64 = 1;

export function mlock(start: u64, length: u64): i64 {
  return mlock2(start, length, 0);
}

export function mlock2(start: u64, length: u64, flags: u64): i64 {
  if (flags & ~MLOCK_ONFAULT) return -EINVAL;
  const result = munlock(start, length);
  if (result < 0 || flags & MLOCK_ONFAULT) return result;
  const end = start + length;
  for (let at = start & ~(PAGE - 1); at < end; at += PAGE) if (!readUser(scratch(), at, 1)) return -ENOMEM;
  return 0;
}

/** All of it has to be mapped. */
export function munlock(start: u64, length: u64): i64 {
  const first = start & ~(PAGE - 1);
  const bytes = pageUp(length + (start - first));
  if (bytes < length || first + bytes < first) return -EINVAL;
  if (bytes === 0) return 0;
  return first <= USER_TOP && bytes <= USER_TOP - first && isCovered(first, first + bytes) ? 0 : -ENOMEM;
}

const MCL_CURRENT: u64 = 1;
const MCL_FUTURE: u64 = 2;
const MCL_ONFAULT: u64 = 4;

export function mlockall(flags: u64): i64 {
  return flags === 0 || flags === MCL_ONFAULT || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)
    ? -EINVAL
    : 0;
}

export function munlockall(): i64 {
  return 0;
}

/** POSIX_FADV_NOREUSE */
const FADV_LAST: u32 = 5;

export function fadvise64(fd: u64, _offset: u64, length: u64, advice: u64): i64 {
  const at = fileOf(fd);
  if (at === 0) return -EBADF;
  const file = changetype<File>(at);
  const result = file.kind === KIND_PIPE ? -ESPIPE : i64(length) < 0 || u32(advice) > FADV_LAST ? -EINVAL : 0;
  fileRelease(file);
  return result;
}
