// The system calls of Linux x86-64 that a static binary needs, one row each: number, name, argument names, handler,
// and where it is done for a thread that is not where its process began.
// The number of argument names is the handler's arity, and the trace (`trace=calls` on the command line) prints them.
import { print, printAsciiZ, printDecimal, printHex, printLetter } from "../console";
import { TrapFrame } from "../frame";
import { pathIs } from "../fs/path";
import { bootOption } from "../options";
import { stats } from "../stats";
import { absentCalls } from "./absent";
import { EINTR, ENOSYS, ERESTART } from "./errno";
import {
  epollCreate1,
  epollCreateSized,
  epollCtl,
  epollPwait,
  epollWait,
  eventfd,
  eventfd2,
  pipe,
  pipe2,
} from "./event-calls";
import {
  close,
  closeRange,
  dup,
  dup2,
  dup3,
  fcntl,
  ftruncate,
  ioctl,
  lseek,
  pread64,
  preadv,
  pwrite64,
  pwritev,
  read,
  readv,
  write,
  writev,
} from "./file-calls";
import { futex } from "./futex";
import { alarm, getitimer, setitimer } from "./interval-timer";
import { flock } from "./lock-calls";
import { currentLwp, Lwp } from "./lwp";
import { madvise, mmap, mprotect, mremap, munmap, setBreak } from "./memory-map";
import {
  access,
  chdir,
  creat,
  faccessat,
  faccessat2,
  fchdir,
  fstat,
  getcwd,
  getdents64,
  link,
  linkat,
  mkdir,
  mkdirat,
  newfstatat,
  open,
  openat,
  readlink,
  readlinkat,
  rename,
  renameat,
  renameat2,
  rmdir,
  stat,
  statx,
  truncate,
  umask,
  unlink,
  unlinkat,
} from "./name-calls";
import { poll, ppoll, pselect6, select } from "./poll-calls";
import { callOrigin } from "./shadow";
import {
  kill,
  pause,
  rtSigaction,
  rtSigpending,
  rtSigprocmask,
  rtSigqueueinfo,
  rtSigreturn,
  rtSigsuspend,
  rtSigtimedwait,
  rtTgsigqueueinfo,
  sigaltstack,
  tgkill,
  tkill,
} from "./signal-calls";
import { fsync, msync, sync, syncfs } from "./sync-calls";
import { getrandom, getrlimit, prlimit64, sysinfo, uname } from "./system-calls";
import {
  archPrctl,
  clone,
  exitGroup,
  exitThread,
  getcpu,
  getGroup,
  getpid,
  getppid,
  getRobustList,
  getRoot,
  getRoots,
  gettid,
  membarrier,
  prctl,
  schedGetaffinity,
  schedGetPriorityMax,
  schedGetPriorityMin,
  schedGetparam,
  schedGetscheduler,
  schedSetaffinity,
  schedSetparam,
  schedSetscheduler,
  schedYield,
  setRobustList,
  setTidAddress,
} from "./thread-calls";
import { clockGetres, clockGettime, clockNanosleep, gettimeofday, nanosleep, time } from "./time-calls";
import { fadvise64, getrusage, mlock, mlock2, mlockall, munlock, munlockall, times } from "./usage-calls";

const CALLS: u32 = 512;

@unmanaged
class Row {
  /** A string, or for a call that is absent its letters' address. */
  name: usize = 0;
  nameLength: u32 = 0;
  arguments: usize = 0;
  arity: u32 = 0;
  /** Table index; 0 = absent. */
  handler: u32 = 0;
  /** HERE or ORIGIN. */
  place: u32 = 0;
  reported: u32 = 0;
}

const rows: usize = memory.data(16384, 16);
let tracing = false;

function rowAt(number: u32): Row {
  return changetype<Row>(rows + <usize>number * offsetof<Row>());
}

/** Where a thread that runs elsewhere than its process began does the call: itself, or by its proxy (shadow.ts). */
const HERE: u32 = 0;
const ORIGIN: u32 = 1;

function row(number: u32, name: string, names: string, handler: u32, place: u32): void {
  const at = rowAt(number);
  at.place = place;
  assert(at.name === 0, "two rows for one system call");
  at.name = changetype<usize>(name);
  at.nameLength = u32(name.length);
  at.arguments = changetype<usize>(names);
  at.handler = handler;
  let arity: u32 = names.length > 0 ? 1 : 0;
  for (let i = 0; i < names.length; i++) if (names.charCodeAt(i) === 0x20) arity++;
  at.arity = arity;
}

/** C libraries try these two first and do without: not worth a line on the console. */
function notOffered(): i64 {
  return -ENOSYS;
}

function absentRow(number: u32, name: usize, length: u32): void {
  const at = rowAt(number);
  assert(at.name === 0, "an absent system call that has a row");
  at.name = name;
  at.nameLength = length;
}

export function systemCallsPrepare(): void {
  assert(CALLS * u32(offsetof<Row>()) <= 16384, "the table of system calls is larger than its memory");
  const trace = bootOption("trace");
  tracing = trace !== 0 && pathIs(trace, "calls");
  row(0, "read", "fd buffer bytes", read.index, ORIGIN);
  row(1, "write", "fd buffer bytes", write.index, ORIGIN);
  row(2, "open", "path flags mode", open.index, ORIGIN);
  row(3, "close", "fd", close.index, ORIGIN);
  row(4, "stat", "path to", stat.index, ORIGIN);
  row(5, "fstat", "fd to", fstat.index, ORIGIN);
  row(6, "lstat", "path to", stat.index, ORIGIN);
  row(7, "poll", "fds count limit", poll.index, ORIGIN);
  row(8, "lseek", "fd offset whence", lseek.index, ORIGIN);
  row(9, "mmap", "at bytes protection flags fd offset", mmap.index, ORIGIN);
  row(10, "mprotect", "at bytes protection", mprotect.index, ORIGIN);
  row(11, "munmap", "at bytes", munmap.index, ORIGIN);
  row(12, "brk", "end", setBreak.index, ORIGIN);
  row(13, "rt_sigaction", "signal action old maskBytes", rtSigaction.index, ORIGIN);
  row(14, "rt_sigprocmask", "how set old maskBytes", rtSigprocmask.index, HERE);
  row(15, "rt_sigreturn", "", rtSigreturn.index, HERE);
  row(16, "ioctl", "fd request argument", ioctl.index, ORIGIN);
  row(17, "pread64", "fd buffer bytes offset", pread64.index, ORIGIN);
  row(18, "pwrite64", "fd buffer bytes offset", pwrite64.index, ORIGIN);
  row(19, "readv", "fd vector count", readv.index, ORIGIN);
  row(20, "writev", "fd vector count", writev.index, ORIGIN);
  row(21, "access", "path mode", access.index, ORIGIN);
  row(22, "pipe", "to", pipe.index, ORIGIN);
  row(23, "select", "count read write except limit", select.index, ORIGIN);
  row(24, "sched_yield", "", schedYield.index, HERE);
  row(25, "mremap", "at oldBytes newBytes flags", mremap.index, ORIGIN);
  row(26, "msync", "at bytes flags", msync.index, ORIGIN);
  row(28, "madvise", "at bytes advice", madvise.index, ORIGIN);
  row(32, "dup", "fd", dup.index, ORIGIN);
  row(33, "dup2", "fd target", dup2.index, ORIGIN);
  row(34, "pause", "", pause.index, HERE);
  row(35, "nanosleep", "request remaining", nanosleep.index, HERE);
  row(36, "getitimer", "which to", getitimer.index, ORIGIN);
  row(37, "alarm", "seconds", alarm.index, ORIGIN);
  row(38, "setitimer", "which fresh old", setitimer.index, ORIGIN);
  row(39, "getpid", "", getpid.index, HERE);
  row(56, "clone", "flags stack parentId childId tls", clone.index, ORIGIN);
  row(60, "exit", "status", exitThread.index, HERE);
  row(62, "kill", "id signal", kill.index, ORIGIN);
  row(63, "uname", "to", uname.index, ORIGIN);
  row(72, "fcntl", "fd command argument", fcntl.index, ORIGIN);
  row(73, "flock", "fd operation", flock.index, ORIGIN);
  row(74, "fsync", "fd", fsync.index, ORIGIN);
  row(75, "fdatasync", "fd", fsync.index, ORIGIN);
  row(76, "truncate", "path bytes", truncate.index, ORIGIN);
  row(77, "ftruncate", "fd bytes", ftruncate.index, ORIGIN);
  row(79, "getcwd", "buffer bytes", getcwd.index, ORIGIN);
  row(80, "chdir", "path", chdir.index, ORIGIN);
  row(81, "fchdir", "fd", fchdir.index, ORIGIN);
  row(82, "rename", "from to", rename.index, ORIGIN);
  row(83, "mkdir", "path mode", mkdir.index, ORIGIN);
  row(84, "rmdir", "path", rmdir.index, ORIGIN);
  row(85, "creat", "path mode", creat.index, ORIGIN);
  row(86, "link", "from to", link.index, ORIGIN);
  row(87, "unlink", "path", unlink.index, ORIGIN);
  row(89, "readlink", "path", readlink.index, ORIGIN);
  row(95, "umask", "mask", umask.index, ORIGIN);
  row(96, "gettimeofday", "to zone", gettimeofday.index, HERE);
  row(97, "getrlimit", "resource to", getrlimit.index, HERE);
  row(99, "sysinfo", "to", sysinfo.index, ORIGIN);
  row(102, "getuid", "", getRoot.index, HERE);
  row(104, "getgid", "", getRoot.index, HERE);
  row(107, "geteuid", "", getRoot.index, HERE);
  row(108, "getegid", "", getRoot.index, HERE);
  row(98, "getrusage", "who to", getrusage.index, HERE);
  row(100, "times", "to", times.index, HERE);
  row(111, "getpgrp", "", getpid.index, HERE);
  row(115, "getgroups", "count list", getRoot.index, HERE);
  row(118, "getresuid", "real effective saved", getRoots.index, HERE);
  row(120, "getresgid", "real effective saved", getRoots.index, HERE);
  row(121, "getpgid", "id", getGroup.index, HERE);
  row(124, "getsid", "id", getGroup.index, HERE);
  row(149, "mlock", "at bytes", mlock.index, ORIGIN);
  row(150, "munlock", "at bytes", munlock.index, ORIGIN);
  row(151, "mlockall", "flags", mlockall.index, HERE);
  row(152, "munlockall", "", munlockall.index, HERE);
  row(221, "fadvise64", "fd offset bytes advice", fadvise64.index, ORIGIN);
  row(325, "mlock2", "at bytes flags", mlock2.index, ORIGIN);
  row(332, "statx", "directory path flags mask to", statx.index, ORIGIN);
  row(436, "close_range", "first last flags", closeRange.index, ORIGIN);
  row(439, "faccessat2", "directory path mode flags", faccessat2.index, ORIGIN);
  row(110, "getppid", "", getppid.index, HERE);
  row(127, "rt_sigpending", "set maskBytes", rtSigpending.index, HERE);
  row(128, "rt_sigtimedwait", "set info timeout maskBytes", rtSigtimedwait.index, HERE);
  row(129, "rt_sigqueueinfo", "id signal info", rtSigqueueinfo.index, ORIGIN);
  row(130, "rt_sigsuspend", "set maskBytes", rtSigsuspend.index, HERE);
  row(131, "sigaltstack", "stack old", sigaltstack.index, HERE);
  row(142, "sched_setparam", "id from", schedSetparam.index, ORIGIN);
  row(143, "sched_getparam", "id to", schedGetparam.index, ORIGIN);
  row(144, "sched_setscheduler", "id policy from", schedSetscheduler.index, ORIGIN);
  row(145, "sched_getscheduler", "id", schedGetscheduler.index, ORIGIN);
  row(146, "sched_get_priority_max", "policy", schedGetPriorityMax.index, HERE);
  row(147, "sched_get_priority_min", "policy", schedGetPriorityMin.index, HERE);
  row(157, "prctl", "option at", prctl.index, ORIGIN);
  row(158, "arch_prctl", "code address", archPrctl.index, HERE);
  row(162, "sync", "", sync.index, ORIGIN);
  row(186, "gettid", "", gettid.index, HERE);
  row(200, "tkill", "id signal", tkill.index, ORIGIN);
  row(201, "time", "to", time.index, HERE);
  row(202, "futex", "address operation value limit second third", futex.index, HERE);
  row(203, "sched_setaffinity", "id bytes mask", schedSetaffinity.index, HERE);
  row(204, "sched_getaffinity", "id bytes mask", schedGetaffinity.index, HERE);
  row(213, "epoll_create", "size", epollCreateSized.index, ORIGIN);
  row(217, "getdents64", "fd buffer bytes", getdents64.index, ORIGIN);
  row(218, "set_tid_address", "at", setTidAddress.index, ORIGIN);
  row(228, "clock_gettime", "clock to", clockGettime.index, HERE);
  row(229, "clock_getres", "clock to", clockGetres.index, HERE);
  row(230, "clock_nanosleep", "clock flags request remaining", clockNanosleep.index, HERE);
  row(231, "exit_group", "status", exitGroup.index, ORIGIN);
  row(232, "epoll_wait", "fd events most limit", epollWait.index, ORIGIN);
  row(233, "epoll_ctl", "fd operation of event", epollCtl.index, ORIGIN);
  row(234, "tgkill", "group id signal", tgkill.index, ORIGIN);
  row(257, "openat", "directory path flags mode", openat.index, ORIGIN);
  row(258, "mkdirat", "directory path mode", mkdirat.index, ORIGIN);
  row(262, "newfstatat", "directory path to flags", newfstatat.index, ORIGIN);
  row(263, "unlinkat", "directory path flags", unlinkat.index, ORIGIN);
  row(264, "renameat", "fromDirectory from toDirectory to", renameat.index, ORIGIN);
  row(267, "readlinkat", "directory path", readlinkat.index, ORIGIN);
  row(269, "faccessat", "directory path mode", faccessat.index, ORIGIN);
  row(270, "pselect6", "count read write except limit mask", pselect6.index, HERE);
  row(271, "ppoll", "fds count limit mask maskBytes", ppoll.index, HERE);
  row(273, "set_robust_list", "head bytes", setRobustList.index, ORIGIN);
  row(274, "get_robust_list", "id head bytes", getRobustList.index, ORIGIN);
  row(281, "epoll_pwait", "fd events most limit mask maskBytes", epollPwait.index, HERE);
  row(284, "eventfd", "count", eventfd.index, ORIGIN);
  row(290, "eventfd2", "count flags", eventfd2.index, ORIGIN);
  row(291, "epoll_create1", "flags", epollCreate1.index, ORIGIN);
  row(292, "dup3", "fd target flags", dup3.index, ORIGIN);
  row(293, "pipe2", "to flags", pipe2.index, ORIGIN);
  row(295, "preadv", "fd vector count offset", preadv.index, ORIGIN);
  row(296, "pwritev", "fd vector count offset", pwritev.index, ORIGIN);
  row(302, "prlimit64", "id resource fresh old", prlimit64.index, HERE);
  row(306, "syncfs", "fd", syncfs.index, ORIGIN);
  row(309, "getcpu", "core node", getcpu.index, HERE);
  row(265, "linkat", "fromDirectory from toDirectory to flags", linkat.index, ORIGIN);
  row(297, "rt_tgsigqueueinfo", "group id signal info", rtTgsigqueueinfo.index, ORIGIN);
  row(316, "renameat2", "fromDirectory from toDirectory to flags", renameat2.index, ORIGIN);
  row(318, "getrandom", "buffer bytes flags", getrandom.index, HERE);
  row(324, "membarrier", "command", membarrier.index, HERE);
  row(334, "rseq", "", notOffered.index, HERE);
  row(435, "clone3", "", notOffered.index, HERE);

  absentCalls(absentRow.index);
}

/** Called by syscall() with interrupts on: number in frame.rax, arguments in rdi rsi rdx r10 r8 r9; result to rax. */
export function systemCall(frame: TrapFrame): void {
  const lwp = currentLwp();
  const number = frame.rax;
  lwp.frame = frame;
  const counters = stats();
  counters.systemCalls++;
  if (number >= u64(CALLS) || rowAt(u32(number)).handler === 0) {
    reportAbsent(lwp, number);
    frame.rax = u64(-ENOSYS);
    return;
  }
  const at = rowAt(u32(number));
  const away = at.place === ORIGIN && lwp.process.origin !== 0;
  const result = away ? callOrigin(lwp, frame, u32(number)) : dispatch(at, frame);
  if (tracing) trace(lwp, at, frame, result);
  lwp.restart = u32(result === -ERESTART);
  lwp.restartNumber = number;
  frame.rax = result === -ERESTART ? u64(-EINTR) : u64(result);
}

function dispatch(at: Row, frame: TrapFrame): i64 {
  const f = at.handler;
  switch (at.arity) {
    case 0:
      return call_indirect<i64>(f);
    case 1:
      return call_indirect<i64>(f, frame.rdi);
    case 2:
      return call_indirect<i64>(f, frame.rdi, frame.rsi);
    case 3:
      return call_indirect<i64>(f, frame.rdi, frame.rsi, frame.rdx);
    case 4:
      return call_indirect<i64>(f, frame.rdi, frame.rsi, frame.rdx, frame.r10);
    case 5:
      return call_indirect<i64>(f, frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8);
  }
  return call_indirect<i64>(f, frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9);
}

// --- What the console is told ---

/** Once per number, or once for all numbers beyond the table. */
function reportAbsent(lwp: Lwp, number: u64): void {
  const at = rowAt(number < u64(CALLS) ? u32(number) : CALLS - 1);
  if (at.reported) return;
  at.reported = 1;
  printAsciiZ(lwp.process.name);
  print(": system call ");
  printDecimal(number);
  if (number < u64(CALLS) && at.name) {
    print(" (");
    printLetters(at.name, at.nameLength);
    print(")");
  }
  print(" is not implemented\n");
}

function printLetters(at: usize, length: u32): void {
  for (let i: usize = 0; i < usize(length); i++) printLetter(load<u16>(at + (i << 1)));
}

/** `65537 write(fd=1, buffer=0x402000, bytes=12) = 12` */
function trace(lwp: Lwp, at: Row, frame: TrapFrame, result: i64): void {
  printDecimal(u64(lwp.id));
  print(" ");
  printLetters(at.name, at.nameLength);
  print("(");
  let word: usize = at.arguments;
  for (let i: u32 = 0; i < at.arity; i++) {
    if (i > 0) print(", ");
    let length: u32 = 0;
    while (
      load<u16>(word + ((<usize>length) << 1)) !== 0x20 &&
      word + ((<usize>length) << 1) < argumentsEnd(at)
    )
      length++;
    printLetters(word, length);
    print("=");
    printHex(argument(frame, i));
    word += (<usize>(length + 1)) << 1;
  }
  print(") = ");
  if (result < 0) print("-");
  if (result < 0 || result < 0x1_0000) printDecimal(u64(result < 0 ? -result : result));
  else printHex(u64(result));
  print("\n");
}

function argumentsEnd(at: Row): usize {
  return at.arguments + (usize(changetype<string>(at.arguments).length) << 1);
}

function argument(frame: TrapFrame, index: u32): u64 {
  switch (index) {
    case 0:
      return frame.rdi;
    case 1:
      return frame.rsi;
    case 2:
      return frame.rdx;
    case 3:
      return frame.r10;
    case 4:
      return frame.r8;
  }
  return frame.r9;
}
