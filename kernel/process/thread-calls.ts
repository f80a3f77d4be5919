// The system calls about threads and the identity of the caller (Linux man pages, section 2).
import { framesAwait } from "../coherence/pager";
import { coreCount, thisCore } from "../lwkt/core";
import { PRIORITY_USER, threadCurrent, threadSetFsBase, threadYield } from "../lwkt/thread";
import { mayMakeThread, threadFrames } from "../memory/reserve";
import { EAGAIN, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from "./errno";
import {
  currentLwp,
  Lwp,
  lwpCapture,
  lwpCreate,
  lwpDestroy,
  lwpMain,
  lwpMove,
  lwpName,
  lwpRename,
  lwpRun,
  setStartFsBase,
  startCopy,
  startFrame,
  THREAD_NAME,
} from "./lwp";
import { migrate } from "./migration";
import { notImplemented } from "./not-implemented";
import { lwpExit, nextId, processAddLwp, processEnd } from "./process";
import { machineOf, proxyStart, slotBase, slotCount } from "./proxy";
import { isSpread } from "./spread";
import {
  readUser,
  readUserText,
  scratch,
  USER_TOP,
  writeUser,
  writeUser32,
  writeUser64,
} from "./user-memory";

const CLONE_VM: u64 = 0x100;
const CLONE_FS: u64 = 0x200;
const CLONE_FILES: u64 = 0x400;
const CLONE_SIGHAND: u64 = 0x800;
const CLONE_THREAD: u64 = 0x1_0000;
const CLONE_SETTLS: u64 = 0x8_0000;
const CLONE_PARENT_SETTID: u64 = 0x10_0000;
const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
const CLONE_CHILD_SETTID: u64 = 0x100_0000;
/** What makes the child a thread of this process. */
const THREAD_FLAGS: u64 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

export function clone(flags: u64, stack: u64, parentId: u64, childId: u64, tls: u64): i64 {
  // Less than a thread is a fork.
  if ((flags & THREAD_FLAGS) !== THREAD_FLAGS) return notImplemented("clone with flags", flags, -ENOSYS);
  // Threads leave pages to those that there are.
  if (!mayMakeThread() && !framesAwait(threadFrames())) return -EAGAIN;
  if (flags & CLONE_SETTLS && tls >= USER_TOP) return -EPERM;
  const parent = currentLwp();
  const process = parent.process;
  const child = lwpCreate(process);
  child.id = nextId();
  child.blocked = parent.blocked;
  child.affinity = parent.affinity;
  memory.copy(lwpName(child), lwpName(parent), THREAD_NAME);
  if (flags & CLONE_CHILD_CLEARTID) child.clearChildId = childId;
  inherit(parent, child, stack);
  if (flags & CLONE_SETTLS) setStartFsBase(child, tls);
  const id = child.id;
  if (flags & CLONE_PARENT_SETTID && !writeUser32(parentId, id)) return discard(child, -EFAULT);
  if (flags & CLONE_CHILD_SETTID && !writeUser32(childId, id)) return discard(child, -EFAULT);
  const slot = coreOf(child.affinity & allCores(), process.started);
  const machine = isSpread() ? machineOf(slot) : 0;
  if (!processAddLwp(process, child)) return discard(child, -EAGAIN);
  // What another machine has no room for runs here.
  if (machine !== 0 && proxyStart(child, machine, slot % coreCount()) >= 0) return i64(id);
  lwpRun(child, slot % coreCount(), lwpMain.index, PRIORITY_USER);
  return i64(id);
}

function discard(child: Lwp, error: i64): i64 {
  lwpDestroy(child);
  return error;
}

/** The child returns from the same call with 0, on its own stack, with the parent's registers and rounding modes. */
function inherit(parent: Lwp, child: Lwp, stack: u64): void {
  // A proxy has been told its thread's state with the call.
  if (parent.machine === 0) lwpCapture(parent, parent.frame);
  startCopy(child, parent);
  const frame = startFrame(child);
  frame.rax = 0;
  if (stack) frame.rsp = stack;
}

/** exit(2): this thread only. */
export function exitThread(status: u64): i64 {
  lwpExit(currentLwp(), u32(status) & 255);
  return 0;
}

/** exit_group(2): the caller ends on its way back to user mode like every other thread. */
export function exitGroup(status: u64): i64 {
  processEnd(currentLwp().process, u32(status) & 255);
  return 0;
}

export function getpid(): i64 {
  return i64(currentLwp().process.id);
}
export function getppid(): i64 {
  return 0;
}
export function gettid(): i64 {
  return i64(currentLwp().id);
}
/** The one user is root: getuid, geteuid, getgid, getegid. */
export function getRoot(): i64 {
  return 0;
}

/** getresuid, getresgid: real, effective, saved. */
export function getRoots(real: u64, effective: u64, saved: u64): i64 {
  return writeUser32(real, 0) && writeUser32(effective, 0) && writeUser32(saved, 0) ? 0 : -EFAULT;
}
/** getpgid, getsid: the process leads its group and its session. */
export function getGroup(id: u64): i64 {
  const own = currentLwp().process.id;
  return u32(id) === 0 || u32(id) === own ? i64(own) : -ESRCH;
}

export function setTidAddress(at: u64): i64 {
  const lwp = currentLwp();
  lwp.clearChildId = at;
  return i64(lwp.id);
}

const ROBUST_HEAD_BYTES: u64 = 24;

export function setRobustList(head: u64, bytes: u64): i64 {
  if (bytes !== ROBUST_HEAD_BYTES) return -EINVAL;
  currentLwp().robustList = head;
  return 0;
}

/** Of the caller only. */
export function getRobustList(id: u64, head: u64, bytes: u64): i64 {
  const lwp = currentLwp();
  if (u32(id) !== 0 && u32(id) !== lwp.id) return knownThread(u32(id)) ? -EPERM : -ESRCH;
  return writeUser64(head, lwp.robustList) && writeUser64(bytes, ROBUST_HEAD_BYTES) ? 0 : -EFAULT;
}

const ARCH_SET_GS: u64 = 0x1001;
const ARCH_SET_FS: u64 = 0x1002;
const ARCH_GET_FS: u64 = 0x1003;
const ARCH_GET_GS: u64 = 0x1004;

export function archPrctl(code: u64, address: u64): i64 {
  switch (code) {
    case ARCH_SET_FS:
      if (address >= USER_TOP) return -EPERM;
      threadSetFsBase(address);
      return 0;
    case ARCH_GET_FS:
      return writeUser64(address, threadCurrent().fsBase) ? 0 : -EFAULT;
    case ARCH_GET_GS:
      return writeUser64(address, 0) ? 0 : -EFAULT;
    case ARCH_SET_GS:
      // GS is the kernel's way to the core block, and its user base is not kept per thread.
      return address === 0 ? 0 : notImplemented("arch_prctl code", code, -EPERM);
  }
  return notImplemented("arch_prctl code", code, -EINVAL);
}

const PR_SET_NAME: u64 = 15;
const PR_GET_NAME: u64 = 16;

/** The caller's name. */
export function prctl(option: u64, at: u64): i64 {
  const lwp = currentLwp();
  if (option === PR_GET_NAME) return writeUser(at, lwpName(lwp), THREAD_NAME) ? 0 : -EFAULT;
  if (option !== PR_SET_NAME) return notImplemented("prctl option", option, -EINVAL);
  const bytes = readUserText(scratch(), at, THREAD_NAME - 1);
  if (bytes === -EFAULT) return -EFAULT;
  lwpRename(lwp, scratch(), bytes < 0 ? THREAD_NAME - 1 : usize(bytes));
  return 0;
}

// --- Scheduling ---

export function schedYield(): i64 {
  threadYield();
  return 0;
}

/** The thread with this id must be one of the caller's process; 0 is the caller. */
function knownThread(id: u32): bool {
  const lwp = currentLwp();
  if (id === 0 || id === lwp.id) return true;
  const process = lwp.process;
  let found = false;
  process.spinLock().acquire();
  for (let at = process.lwps; at !== 0; at = changetype<Lwp>(at).next)
    if (changetype<Lwp>(at).id === id) found = true;
  process.spinLock().release();
  return found;
}

/** Bit per core; in a spread process of all machines, one after the other. */
function allCores(): u64 {
  const cores = u64(isSpread() ? slotCount() : coreCount());
  return cores >= 64 ? u64.MAX_VALUE : (u64(1) << cores) - 1;
}

/** The n-th core of a mask, counted round. */
function coreOf(mask: u64, n: u32): u32 {
  let skip = n % u32(popcnt<u64>(mask));
  let left = mask;
  while (skip--) left &= left - 1;
  return u32(ctz<u64>(left));
}

/** Returns the bytes of the mask, as the kernel's call does: 8 for up to 64 cores. */
export function schedGetaffinity(id: u64, bytes: u64, mask: u64): i64 {
  if (bytes < 8 || bytes & 7) return -EINVAL;
  if (!knownThread(u32(id))) return -ESRCH;
  return writeUser64(mask, currentLwp().affinity & allCores()) ? 8 : -EFAULT;
}

/** The caller moves to the first core of the mask unless it is on one of them, or on a machine that has one. Other threads cannot be moved. */
export function schedSetaffinity(id: u64, bytes: u64, mask: u64): i64 {
  const lwp = currentLwp();
  if (!knownThread(u32(id))) return -ESRCH;
  if (bytes === 0) return -EINVAL;
  store<u64>(scratch(), 0);
  if (!readUser(scratch(), mask, usize(min<u64>(bytes, 8)))) return -EFAULT;
  const wanted = load<u64>(scratch()) & allCores();
  if (wanted === 0) return -EINVAL;
  if (u32(id) !== 0 && u32(id) !== lwp.id) return -EPERM;
  const base: u64 = isSpread() ? u64(slotBase()) : 0;
  const cores = u64(coreCount());
  const own = (base < 64 ? wanted >> base : 0) & (cores < 64 ? (u64(1) << cores) - 1 : u64.MAX_VALUE);
  if (own === 0) return migrate(lwp, wanted);
  lwp.affinity = wanted;
  if ((own >> u64(thisCore().index)) & 1) return 0;
  lwp.frame.rax = 0;
  lwpMove(lwp, lwp.frame, u32(ctz<u64>(own)));
  return 0;
}

const SCHED_OTHER: u64 = 0;
const SCHED_FIFO: u64 = 1;
const SCHED_RR: u64 = 2;
const SCHED_BATCH: u64 = 3;
const SCHED_IDLE: u64 = 5;
const SCHED_DEADLINE: u64 = 6;
/** A bit beside the policy. */
const SCHED_RESET_ON_FORK: u32 = 0x4000_0000;

function isPolicy(policy: u64): bool {
  return policy <= SCHED_BATCH || policy === SCHED_IDLE || policy === SCHED_DEADLINE;
}
function isRealTime(policy: u64): bool {
  return policy === SCHED_FIFO || policy === SCHED_RR;
}

export function schedGetPriorityMax(policy: u64): i64 {
  return isRealTime(policy) ? 99 : isPolicy(policy) ? 0 : -EINVAL;
}
export function schedGetPriorityMin(policy: u64): i64 {
  return isRealTime(policy) ? 1 : isPolicy(policy) ? 0 : -EINVAL;
}

/** All threads run by SCHED_OTHER. */
export function schedGetscheduler(id: u64): i64 {
  if (i32(id) < 0) return -EINVAL;
  return knownThread(u32(id)) ? i64(SCHED_OTHER) : -ESRCH;
}

export function schedGetparam(id: u64, to: u64): i64 {
  if (i32(id) < 0 || to === 0) return -EINVAL;
  if (!knownThread(u32(id))) return -ESRCH;
  return writeUser32(to, 0) ? 0 : -EFAULT;
}

export function schedSetscheduler(id: u64, policy: u64, from: u64): i64 {
  if (i32(id) < 0 || from === 0) return -EINVAL;
  if (!readUser(scratch(), from, 4)) return -EFAULT;
  if (!knownThread(u32(id))) return -ESRCH;
  const kind = u64(u32(policy) & ~SCHED_RESET_ON_FORK);
  const priority = load<i32>(scratch());
  if (!isPolicy(kind) || kind === SCHED_DEADLINE) return -EINVAL;
  if (priority < i32(schedGetPriorityMin(kind)) || priority > i32(schedGetPriorityMax(kind))) return -EINVAL;
  return kind === SCHED_OTHER ? 0 : notImplemented("scheduling by policy", kind, -EPERM);
}

export function schedSetparam(id: u64, from: u64): i64 {
  return schedSetscheduler(id, SCHED_OTHER, from);
}

/** In a spread process the machines are the nodes. */
export function getcpu(core: u64, node: u64): i64 {
  const base: u32 = isSpread() ? slotBase() : 0;
  if (core && !writeUser32(core, base + thisCore().index)) return -EFAULT;
  return node && !writeUser32(node, base / coreCount()) ? -EFAULT : 0;
}

const MEMBARRIER_QUERY: u64 = 0;

/** No command is offered: a program falls back to fences of its own. */
export function membarrier(command: u64): i64 {
  return command === MEMBARRIER_QUERY ? 0 : -EINVAL;
}
