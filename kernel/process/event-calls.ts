// pipe, pipe2, eventfd, eventfd2 and the calls of epoll(7) (Linux man pages, section 2).
import { descriptorAdd, descriptorClose } from "../fs/descriptors";
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EVENT_BYTES,
  epollChange,
  epollCreate,
  epollReturn,
  epollTake,
  TAKING_BYTES,
} from "../fs/epoll";
import { eventCreate } from "../fs/event-counter";
import { File, fileRelease, KIND_EPOLL, O_CLOEXEC, O_DIRECT, O_NONBLOCK } from "../fs/file";
import { pipeCreate } from "../fs/pipe";
import { READABLE } from "../fs/readiness";
import { nanoseconds } from "../machine/time";
import { mayTakeFrame } from "../memory/reserve";
import { allocate, allocateOrNone, release } from "../memory/slab";
import { EBADF, EFAULT, EINVAL, ENFILE, ENOMEM } from "./errno";
import { fileOf } from "./file-calls";
import { currentLwp } from "./lwp";
import { notImplemented } from "./not-implemented";
import { maskAfterCall, maskForCall } from "./poll-calls";
import { callOrigin } from "./shadow";
import { readUser, SCRATCH_BYTES, scratch, userRange, writeUser, writeUserPart } from "./user-memory";
import { awaitTold, FOR_EVER, ThreadWatch, threadWatch, threadWatchEnd } from "./watching";

/** A descriptor for a new file, whose reference it takes over. */
function opened(file: File, flags: u32): i64 {
  const closeOnExec = (flags & O_CLOEXEC) !== 0;
  const fd = descriptorAdd(currentLwp().process.descriptors, file, 0, closeOnExec);
  if (fd < 0) fileRelease(file);
  return fd;
}

// --- Pipes and eventfds ---

export function pipe(to: u64): i64 {
  return pipe2(to, 0);
}

export function pipe2(to: u64, flags64: u64): i64 {
  const flags = u32(flags64);
  if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) return -EINVAL;
  if (flags & O_DIRECT) return notImplemented("pipe2 with flags", flags64, -EINVAL);
  if (!mayTakeFrame()) return -ENFILE;
  const ends = allocate(8);
  pipeCreate(flags & O_NONBLOCK, ends);
  const reader = changetype<File>(load<usize>(ends));
  const writer = changetype<File>(load<usize>(ends, 4));
  release(ends);
  const table = currentLwp().process.descriptors;
  const from = opened(reader, flags);
  if (from < 0) {
    fileRelease(writer);
    return from;
  }
  const into = opened(writer, flags);
  if (into < 0) {
    descriptorClose(table, u64(from));
    return into;
  }
  store<u32>(scratch(), u32(from));
  store<u32>(scratch(), u32(into), 4);
  if (writeUser(to, scratch(), 8)) return 0;
  descriptorClose(table, u64(from));
  descriptorClose(table, u64(into));
  return -EFAULT;
}

const EFD_SEMAPHORE: u32 = 1;

export function eventfd(count: u64): i64 {
  return eventfd2(count, 0);
}

export function eventfd2(count: u64, flags64: u64): i64 {
  const flags = u32(flags64);
  if (flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK)) return -EINVAL;
  if (!mayTakeFrame()) return -ENFILE;
  return opened(eventCreate(u64(u32(count)), (flags & EFD_SEMAPHORE) !== 0, flags & O_NONBLOCK), flags);
}

// --- epoll ---

export function epollCreateSized(size: u64): i64 {
  return i32(size) <= 0 ? -EINVAL : epollCreate1(0);
}

export function epollCreate1(flags: u64): i64 {
  if (u32(flags) & ~O_CLOEXEC) return -EINVAL;
  if (!mayTakeFrame()) return -ENFILE;
  return opened(epollCreate(0), u32(flags));
}

export function epollCtl(epfd: u64, operation: u64, fd: u64, event: u64): i64 {
  const changes = u32(operation) !== EPOLL_CTL_DEL;
  if (changes && !readUser(scratch(), event, EVENT_BYTES)) return -EFAULT;
  const events: u32 = changes ? load<u32>(scratch()) : 0;
  const data: u64 = changes ? load<u64>(scratch(), 4) : 0;
  if (u32(operation) === EPOLL_CTL_ADD && !mayTakeFrame()) return -ENOMEM;
  const epoll = fileOf(epfd);
  if (epoll === 0) return -EBADF;
  const file = fileOf(fd);
  let result: i64 = -EBADF;
  if (file !== 0) {
    result = epollChange(
      changetype<File>(epoll),
      u32(operation),
      changetype<File>(file),
      u32(fd),
      events,
      data,
    );
    fileRelease(changetype<File>(file));
  }
  fileRelease(changetype<File>(epoll));
  return result;
}

const EVENTS_MOST: i32 = 0x7fff_ffff / i32(EVENT_BYTES);

/** As many events are told at once at most. */
const TOLD_MOST: i32 = 1024;

/** `limit` in milliseconds, negative = for ever. */
export function epollWait(epfd: u64, to: u64, most64: u64, limit: u64): i64 {
  const most = i32(most64);
  if (most <= 0 || most > EVENTS_MOST) return -EINVAL;
  if (!userRange(to, u64(most) * u64(EVENT_BYTES))) return -EFAULT;
  const at = fileOf(epfd);
  if (at === 0) return -EBADF;
  const file = changetype<File>(at);
  const result =
    file.kind === KIND_EPOLL ? waitFor(file, to, min<i32>(most, TOLD_MOST), i32(limit)) : -EINVAL;
  fileRelease(file);
  return result;
}

function waitFor(file: File, to: u64, most: i32, limit: i32): i64 {
  const inScratch = i32((SCRATCH_BYTES - TAKING_BYTES) / EVENT_BYTES);
  const large =
    most > inScratch && mayTakeFrame() ? allocateOrNone(TAKING_BYTES + usize(most) * EVENT_BYTES) : 0;
  const events = large !== 0 ? large : scratch();
  let result = take(file, events, u32(large !== 0 ? most : min<i32>(most, inScratch)), i32(limit));
  if (result > 0) {
    const bytes = usize(result) * EVENT_BYTES;
    const told = writeUserPart(to, events + TAKING_BYTES, bytes) / EVENT_BYTES;
    if (i64(told) < result) {
      epollReturn(file, events, u32(told), u32(result));
      result = told > 0 ? i64(told) : -EFAULT;
    }
  }
  release(large);
  return result;
}

function take(file: File, to: usize, most: u32, limit: i32): i64 {
  let result = i64(epollTake(file, to, most));
  if (result !== 0 || limit === 0) return result;
  const deadline = limit < 0 ? FOR_EVER : nanoseconds() + u64(limit) * 1_000_000;
  const watch = changetype<ThreadWatch>(allocate(offsetof<ThreadWatch>()));
  threadWatch(watch, file, READABLE);
  while (true) {
    result = i64(epollTake(file, to, most));
    if (result !== 0) break;
    result = awaitTold(deadline);
    if (result <= 0) break;
  }
  threadWatchEnd(watch);
  release(changetype<usize>(watch));
  return result;
}

const CALL_EPOLL_PWAIT: u32 = 281;

export function epollPwait(epfd: u64, to: u64, most: u64, limit: u64, mask: u64, maskBytes: u64): i64 {
  const lwp = currentLwp();
  const wrong = maskForCall(mask, maskBytes);
  if (wrong < 0) return wrong;
  if (lwp.process.origin !== 0) return maskAfterCall(callOrigin(lwp, lwp.frame, CALL_EPOLL_PWAIT));
  return maskAfterCall(epollWait(epfd, to, most, limit));
}
