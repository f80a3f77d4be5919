// The system calls about signals (Linux man pages, section 2).
import { Thread } from "../lwkt/thread";
import { queueLock, queueUnlock, WaitQueue, waitOn } from "../lwkt/wait";
import { nanoseconds } from "../machine/time";
import { EAGAIN, EFAULT, EINTR, EINVAL, ENOMEM, EPERM, ESRCH } from "./errno";
import { currentLwp, Lwp } from "./lwp";
import { ACTION_BYTES, Process, processEnd, processKickCore } from "./process";
import { tellAction } from "./proxy";
import {
  actionTaken,
  awaitable,
  interrupted,
  maskChanged,
  signalProcess,
  signalThread,
  takeAwaited,
} from "./signal";
import { alternateFlags, INFO_BYTES, onAlternateStack, saveInfo, signalFramePop } from "./signal-frame";
import { SI_TKILL, SI_USER, SIGNALS, SIGSEGV, signalBit, UNBLOCKABLE } from "./signal-numbers";
import { SignalInfo } from "./signal-queue";
import { readUser, scratch, writeUser, writeUser64 } from "./user-memory";

const MASK_BYTES: u64 = 8;

function goodSignal(signal: u64): bool {
  return signal >= 1 && signal <= u64(SIGNALS);
}

export function rtSigaction(signal64: u64, action: u64, old: u64, maskBytes: u64): i64 {
  if (maskBytes !== MASK_BYTES || !goodSignal(signal64)) return -EINVAL;
  const signal = u32(signal64);
  const process = currentLwp().process;
  const fresh = scratch();
  if (action) {
    if (signalBit(signal) & UNBLOCKABLE) return -EINVAL;
    if (!readUser(fresh, action, ACTION_BYTES)) return -EFAULT;
  }
  const previous = fresh + ACTION_BYTES;
  process.spinLock().acquire();
  memory.copy(previous, process.action(signal), ACTION_BYTES);
  if (action) {
    memory.copy(process.action(signal), fresh, ACTION_BYTES);
    actionTaken(process, signal);
  }
  process.spinLock().release();
  if (action && process.shadows !== 0) tellAction(process, signal);
  if (old && !writeUser(old, previous, ACTION_BYTES)) return -EFAULT;
  return 0;
}

const SIG_BLOCK: u64 = 0;
const SIG_UNBLOCK: u64 = 1;
const SIG_SETMASK: u64 = 2;

export function rtSigprocmask(how: u64, set: u64, old: u64, maskBytes: u64): i64 {
  if (maskBytes !== MASK_BYTES) return -EINVAL;
  const lwp = currentLwp();
  const before = lwp.blocked;
  if (set) {
    if (!readUser(scratch(), set, 8)) return -EFAULT;
    const mask = load<u64>(scratch()) & ~UNBLOCKABLE;
    if (how === SIG_BLOCK) lwp.blocked = before | mask;
    else if (how === SIG_UNBLOCK) lwp.blocked = before & ~mask;
    else if (how === SIG_SETMASK) lwp.blocked = mask;
    else return -EINVAL;
  }
  return old && !writeUser64(old, before) ? -EFAULT : 0;
}

export function rtSigpending(set: u64, maskBytes: u64): i64 {
  if (maskBytes !== MASK_BYTES) return -EINVAL;
  const lwp = currentLwp();
  return writeUser64(set, (lwp.queue().pending | lwp.process.queue().pending) & lwp.blocked) ? 0 : -EFAULT;
}

/** The registers come from the frame, RAX among them: what this returns is what was interrupted. */
export function rtSigreturn(): i64 {
  const lwp = currentLwp();
  if (!signalFramePop(lwp, lwp.frame)) {
    processEnd(lwp.process, 128 + SIGSEGV);
    return -EFAULT;
  }
  return i64(lwp.frame.rax);
}

export function rtSigsuspend(set: u64, maskBytes: u64): i64 {
  if (maskBytes !== MASK_BYTES) return -EINVAL;
  if (!readUser(scratch(), set, 8)) return -EFAULT;
  const lwp = currentLwp();
  lwp.savedMask = lwp.blocked;
  lwp.maskSaved = 1;
  lwp.blocked = load<u64>(scratch()) & ~UNBLOCKABLE;
  return pause();
}

/** Until a signal is there to be taken. */
export function pause(): i64 {
  maskChanged(currentLwp());
  const queue = changetype<WaitQueue>(currentLwp().wait);
  queueLock(queue);
  while (!interrupted()) waitOn(queue, 0);
  queueUnlock(queue);
  return -EINTR;
}

const SECOND: u64 = 1_000_000_000;

/** rt_sigtimedwait(2): the signal, one of `set`, taken without a handler; -EAGAIN: none within `timeout`; -EINTR: another one came that has a handler. */
export function rtSigtimedwait(set: u64, info: u64, timeout: u64, maskBytes: u64): i64 {
  if (maskBytes !== MASK_BYTES) return -EINVAL;
  if (!readUser(scratch(), set, 8)) return -EFAULT;
  const lwp = currentLwp();
  const wanted = awaitable(lwp, load<u64>(scratch()) & ~UNBLOCKABLE);
  let limit: u64 = 0;
  if (timeout) {
    if (!readUser(scratch(), timeout, 16)) return -EFAULT;
    const seconds = load<i64>(scratch());
    const fraction = load<u64>(scratch() + 8);
    if (seconds < 0 || fraction >= SECOND) return -EINVAL;
    limit = min<u64>(u64(seconds), 6_000_000_000) * SECOND + fraction;
  }
  let signal = takeAwaited(lwp, wanted);
  if (signal === 0 && (!timeout || limit !== 0)) {
    awaitOne(lwp, wanted, timeout ? nanoseconds() + limit : u64.MAX_VALUE);
    signal = takeAwaited(lwp, wanted);
  }
  if (signal === 0) return interrupted() ? -EINTR : -EAGAIN;
  if (!info) return i64(signal);
  memory.fill(scratch(), 0, INFO_BYTES);
  saveInfo(scratch(), changetype<SignalInfo>(lwp.info));
  return writeUser(info, scratch(), INFO_BYTES) ? i64(signal) : -EFAULT;
}

/** Until there is a signal to be taken, one of `wanted` or any that is not blocked, or it is time. */
function awaitOne(lwp: Lwp, wanted: u64, deadline: u64): void {
  lwp.process.spinLock().acquire();
  lwp.awaited = wanted;
  lwp.process.spinLock().release();
  maskChanged(lwp);
  const queue = changetype<WaitQueue>(lwp.wait);
  queueLock(queue);
  while (!interrupted()) {
    const now = nanoseconds();
    if (now >= deadline) break;
    waitOn(queue, deadline === u64.MAX_VALUE ? 0 : deadline - now);
  }
  queueUnlock(queue);
  lwp.process.spinLock().acquire();
  lwp.awaited = 0;
  lwp.process.spinLock().release();
}

const SS_DISABLE: u32 = 2;
const MINSIGSTKSZ: u64 = 2048;
const STACK_BYTES: usize = 24;

export function sigaltstack(stack: u64, old: u64): i64 {
  const lwp = currentLwp();
  const at = scratch();
  const previous = at + STACK_BYTES;
  store<u64>(previous, lwp.alternateBase);
  store<u64>(previous + 8, u64(alternateFlags(lwp, lwp.frame.rsp)));
  store<u64>(previous + 16, lwp.alternateBytes);
  if (stack) {
    if (!readUser(at, stack, STACK_BYTES)) return -EFAULT;
    if (onAlternateStack(lwp, lwp.frame.rsp)) return -EPERM;
    const flags = load<u32>(at + 8);
    if (flags & ~(SS_DISABLE | 1)) return -EINVAL;
    if (!(flags & SS_DISABLE) && load<u64>(at + 16) < MINSIGSTKSZ) return -ENOMEM;
    lwp.alternateBase = flags & SS_DISABLE ? 0 : load<u64>(at);
    lwp.alternateBytes = flags & SS_DISABLE ? 0 : load<u64>(at + 16);
  }
  return old && !writeUser(old, previous, STACK_BYTES) ? -EFAULT : 0;
}

function sendToThread(process: Process, id: u32, signal: u32, code: u32, sender: u32, value: u64): i64 {
  let target: usize = 0;
  let core: u32 = 0;
  let good = true;
  process.spinLock().acquire();
  for (let at = process.lwps; at !== 0; at = changetype<Lwp>(at).next) {
    if (changetype<Lwp>(at).id === id) target = at;
  }
  if (target && signal) good = signalThread(changetype<Lwp>(target), signal, code, sender, value);
  const thread = target ? changetype<Lwp>(target).thread : 0;
  if (thread) core = changetype<Thread>(thread).core;
  process.spinLock().release();
  if (thread && signal && target !== changetype<usize>(currentLwp())) processKickCore(process, core);
  return target === 0 ? -ESRCH : good ? 0 : -EAGAIN;
}

/** There is one process a machine: signals go nowhere else. */
export function kill(id64: u64, signal: u64): i64 {
  const id = i32(id64);
  const process = currentLwp().process;
  if (signal > u64(SIGNALS)) return -EINVAL;
  if (id !== i32(process.id) && id !== 0 && id !== -1 && id !== -i32(process.id)) return -ESRCH;
  if (signal) signalProcess(process, u32(signal), SI_USER, process.id, 0);
  return 0;
}

export function tkill(id: u64, signal: u64): i64 {
  if (signal > u64(SIGNALS) || i32(id) <= 0) return -EINVAL;
  const process = currentLwp().process;
  return sendToThread(process, u32(id), u32(signal), SI_TKILL, process.id, 0);
}

/** rt_sigqueueinfo(2): si_code, si_pid and si_value as the program has them; it can only be for itself. */
export function rtSigqueueinfo(id: u64, signal: u64, info: u64): i64 {
  if (!readUser(scratch(), info, INFO_BYTES)) return -EFAULT;
  if (signal > u64(SIGNALS)) return -EINVAL;
  const process = currentLwp().process;
  if (u32(id) !== process.id) return -ESRCH;
  if (!signal) return 0;
  const at = scratch();
  const good = signalProcess(process, u32(signal), load<u32>(at, 8), load<u32>(at, 16), load<u64>(at, 24));
  return good ? 0 : -EAGAIN;
}

export function rtTgsigqueueinfo(group: u64, id: u64, signal: u64, info: u64): i64 {
  if (!readUser(scratch(), info, INFO_BYTES)) return -EFAULT;
  if (signal > u64(SIGNALS) || i32(group) <= 0 || i32(id) <= 0) return -EINVAL;
  const process = currentLwp().process;
  if (u32(group) !== process.id) return -ESRCH;
  const at = scratch();
  return sendToThread(process, u32(id), u32(signal), load<u32>(at, 8), load<u32>(at, 16), load<u64>(at, 24));
}

export function tgkill(group: u64, id: u64, signal: u64): i64 {
  if (i32(group) <= 0 || i32(id) <= 0) return -EINVAL;
  if (u32(group) !== currentLwp().process.id) return -ESRCH;
  return tkill(id, signal);
}
