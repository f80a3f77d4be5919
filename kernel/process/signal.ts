// Signals: raising them, and taking them on the way back to user mode (Linux signal(7)).
//
// Invariant: a signal is put into its queue under process.lock before its thread is kicked, so that a thread that is about
// to sleep or to leave for user mode either sees it or is woken from where it sleeps.
import { print, printAsciiZ, printHex, printLetter } from "../console";
import { TrapFrame } from "../frame";
import { threadCurrent } from "../lwkt/thread";
import { floatingPointCode } from "./fpu-fault";
import { currentLwp, Lwp } from "./lwp";
import { lwpExit, Process, processEnd, processKick } from "./process";
import { endsByLoss } from "./proxy";
import { tellMask } from "./shadow";
import { signalFramePush } from "./signal-frame";
import {
  BUS_ADRALN,
  FPE_INTDIV,
  IGNORED,
  ILL_ILLOPN,
  printSignal,
  SEGV_MAPERR,
  SI_KERNEL,
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGKILL,
  SIGSEGV,
  SIGTRAP,
  STOPPING,
  SYNCHRONOUS,
  signalBit,
  TRAP_TRACE,
} from "./signal-numbers";
import { queueForget, queuePut, queueTake, SignalInfo } from "./signal-queue";

/** sigaction's handler values */
export const SIG_DFL: u64 = 0;
export const SIG_IGN: u64 = 1;
/** sigaction's flags */
export const SA_SIGINFO: u64 = 4;
export const SA_ONSTACK: u64 = 0x0800_0000;
export const SA_RESTART: u64 = 0x1000_0000;
export const SA_NODEFER: u64 = 0x4000_0000;
export const SA_RESETHAND: u64 = 0x8000_0000;

export function actionHandler(process: Process, signal: u32): u64 {
  return load<u64>(process.action(signal));
}
export function actionFlags(process: Process, signal: u32): u64 {
  return load<u64>(process.action(signal) + 8);
}

function ignored(process: Process, signal: u32): bool {
  const handler = actionHandler(process, signal);
  if (handler === SIG_IGN) return true;
  return handler === SIG_DFL && (IGNORED & signalBit(signal)) !== 0;
}

// --- Raising ---

/**
 * To one thread (tgkill). False: there is no room for another one. process.lock is held: it keeps the lwp from going away. processKickCore() is to
 * follow.
 */
export function signalThread(lwp: Lwp, signal: u32, code: u32, sender: u32, value: u64): bool {
  const process = lwp.process;
  assert(process.spinLock().held(), "a signal sent to an lwp that may be gone");
  // What is blocked waits: there may be a handler when it is blocked no more.
  if (ignored(process, signal) && !(lwp.blocked & signalBit(signal))) return true;
  return queuePut(lwp.queue(), signal, code, sender, value);
}

/** To the process (kill): whichever thread does not block it and is first takes it. False: there is no room for another one. */
export function signalProcess(process: Process, signal: u32, code: u32, sender: u32, value: u64): bool {
  process.spinLock().acquire();
  const waits = !ignored(process, signal) || blockedByAll(process, signal);
  const good = !waits || queuePut(process.queue(), signal, code, sender, value);
  process.spinLock().release();
  processKick(process);
  return good;
}

function blockedByAll(process: Process, signal: u32): bool {
  let all = signalBit(signal);
  for (let at = process.lwps; at !== 0; at = changetype<Lwp>(at).next) all &= changetype<Lwp>(at).blocked;
  return all !== 0;
}

/** The signal has got an action: one that ignores it forgets those that wait, of all threads (POSIX, sigaction()). process.lock is held. */
export function actionTaken(process: Process, signal: u32): void {
  assert(process.spinLock().held(), "an action changed beside the process's lock");
  if (!ignored(process, signal)) return;
  queueForget(process.queue(), signalBit(signal));
  for (let at = process.lwps; at !== 0; at = changetype<Lwp>(at).next)
    queueForget(changetype<Lwp>(at).queue(), signalBit(signal));
}

/** Those that a thread may take now, of what waits for it or for its process. */
function open(lwp: Lwp): u64 {
  return ~lwp.blocked | lwp.awaited;
}

function takeable(lwp: Lwp): u64 {
  return (lwp.queue().pending | lwp.process.queue().pending) & open(lwp);
}

/** What a proxy passes on besides: its thread keeps what it blocks itself, to have it at hand when it blocks it no more. */
function passable(lwp: Lwp): u64 {
  return takeable(lwp) | (lwp.machine !== 0 ? lwp.queue().pending : 0);
}

/** There is something for the lwp to look at, also when that cuts no wait short. */
export function lwpWanted(lwp: Lwp): bool {
  const ending = atomic.load<u32>(changetype<usize>(lwp.process) + offsetof<Process>("ending"));
  return ending !== 0 || passable(lwp) !== 0;
}

/** The current thread has a signal to take or a process to leave: a wait that may be cut short returns -EINTR. */
export function interrupted(): bool {
  const thread = threadCurrent();
  return thread.lwp !== 0 && lwpInterrupted(changetype<Lwp>(thread.lwp));
}

export function lwpInterrupted(lwp: Lwp): bool {
  const ending = atomic.load<u32>(changetype<usize>(lwp.process) + offsetof<Process>("ending"));
  if (ending !== 0 || takeable(lwp) !== 0) return true;
  // A proxy waits neither for a thread that is lost, nor for one that has a signal to take.
  return lwp.machine !== 0 && (lwp.lost !== 0 || (lwp.underway & ~lwp.blocked) !== 0);
}

/** With interrupts off, just before user mode: is there something that returningToUser() would have to see? */
export function userWorkPending(): bool {
  return interrupted();
}

// --- Taking ---

/**
 * Called by trap() and syscall() as the last thing that may block before a return to user mode (interrupts on,
 * before userLeaving): delivers pending signals into `frame`, and ends the thread when its process is ending.
 */
export function returningToUser(frame: TrapFrame): void {
  const thread = threadCurrent();
  if (!thread.lwp) return;
  const lwp = changetype<Lwp>(thread.lwp);
  const process = lwp.process;
  if (process.ending) lwpExit(lwp, process.status);
  let delivered = false;
  while (takeable(lwp) !== 0) {
    const signal = takeSignal(lwp);
    if (signal === 0) continue;
    const handler = actionHandler(process, signal);
    if (handler === SIG_IGN) continue;
    if (handler === SIG_DFL) {
      if (defaultAction(lwp, signal)) lwpExit(lwp, process.status);
      continue;
    }
    restartCall(lwp, frame, (actionFlags(process, signal) & SA_RESTART) !== 0);
    delivered = true;
    if (!pushFrame(lwp, frame, changetype<SignalInfo>(lwp.info))) lwpExit(lwp, process.status);
  }
  if (!delivered) {
    restartCall(lwp, frame, true);
    if (lwp.maskSaved) {
      lwp.maskSaved = 0;
      lwp.blocked = lwp.savedMask;
    }
  }
  maskChanged(lwp);
}

/** A thread away from home tells its proxy which signals it blocks, and which it waits for. */
export function maskChanged(lwp: Lwp): void {
  if (lwp.process.origin === 0) return;
  if (lwp.blocked !== lwp.toldMask || lwp.awaited !== lwp.toldAwaited) tellMask(lwp);
}

/** A call that a signal cut short runs again, unless the handler's flags say that it must fail with EINTR. */
function restartCall(lwp: Lwp, frame: TrapFrame, again: bool): void {
  if (!lwp.restart) return;
  lwp.restart = 0;
  if (!again) return;
  frame.rax = lwp.restartNumber;
  frame.rip -= 2; // SYSCALL is two bytes long
}

/** Takes a signal out of those that wait, and describes it in lwp.info; 0 when another thread was faster. */
export function takeSignal(lwp: Lwp): u32 {
  return takeOf(lwp, lwp.machine !== 0 ? ~(<u64>0) : open(lwp), open(lwp));
}

/** Of the signals in `set` those that a thread can wait for: one that it does not block and has no handler for does what it does otherwise. */
export function awaitable(lwp: Lwp, set: u64): u64 {
  let left = set;
  for (let rest = set & ~lwp.blocked; rest !== 0; rest &= rest - 1) {
    const signal = u32(ctz<u64>(rest)) + 1;
    if (actionHandler(lwp.process, signal) <= SIG_IGN) left &= ~signalBit(signal);
  }
  return left;
}

/** The same of a set only, whether the thread blocks them or not. */
export function takeAwaited(lwp: Lwp, set: u64): u32 {
  return takeOf(lwp, set, set);
}

/** The thread's own before its process's; of each what an instruction has done, then the lowest, as on Linux (kernel/signal.c, next_signal). */
function takeOf(lwp: Lwp, own: u64, shared: u64): u32 {
  const process = lwp.process;
  process.spinLock().acquire();
  let queue = lwp.queue();
  let set = queue.pending & own;
  if (set === 0) {
    queue = process.queue();
    set = queue.pending & shared;
  }
  if (set & SYNCHRONOUS) set &= SYNCHRONOUS;
  const signal: u32 = set === 0 ? 0 : u32(ctz<u64>(set)) + 1;
  if (signal !== 0) queueTake(queue, signal, changetype<SignalInfo>(lwp.info));
  process.spinLock().release();
  return signal;
}

/** True: the process ends by it. */
export function defaultAction(lwp: Lwp, signal: u32): bool {
  if (IGNORED & signalBit(signal)) return false;
  if (STOPPING & signalBit(signal)) {
    printAsciiZ(lwp.process.name);
    print(": ");
    printSignal(signal);
    print(" ignored: there is no job control\n");
    return false;
  }
  printKilled(lwp, signal);
  print("\n");
  processEnd(lwp.process, 128 + signal);
  return true;
}

/** False: the stack took no frame, and the process ends by SIGSEGV. */
function pushFrame(lwp: Lwp, frame: TrapFrame, info: SignalInfo): bool {
  const process = lwp.process;
  const signal = info.signal;
  const flags = actionFlags(process, signal);
  if (!signalFramePush(lwp, frame, info)) {
    if (endsByLoss(process)) return false;
    printKilled(lwp, SIGSEGV);
    print(" (no room for a signal frame below ");
    printHex(frame.rsp);
    printRip(frame);
    processEnd(process, 128 + SIGSEGV);
    return false;
  }
  if (flags & SA_RESETHAND) store<u64>(process.action(signal), SIG_DFL);
  return true;
}

// --- Faults ---

/** Called by trap() for an exception of a user thread that nothing else resolved: the thread gets a signal. */
export function raiseFault(frame: TrapFrame, vector: u32): void {
  const lwp = currentLwp();
  const process = lwp.process;
  if (process.ending !== 0) return; // it may be the end that took the page away
  const info = changetype<SignalInfo>(lwp.info);
  info.trap = u64(vector);
  info.value = 0;
  info.error = frame.error;
  describeFault(lwp, info, vector, frame.rip);
  const bit = signalBit(info.signal);
  const handler = actionHandler(process, info.signal);
  // A fault cannot wait: blocked, ignored or without handler it is the end.
  if (handler <= SIG_IGN || lwp.blocked & bit || info.signal === SIGKILL) {
    if (endsByLoss(process)) return;
    explain(lwp, frame, info, vector);
    processEnd(process, 128 + info.signal);
    return;
  }
  pushFrame(lwp, frame, info);
}

/** Exception vectors (Intel SDM vol. 3A, table 6-1). */
const DIVIDE: u32 = 0;
const DEBUG: u32 = 1;
const BREAKPOINT: u32 = 3;
const INVALID_OPCODE: u32 = 6;
const STACK: u32 = 12;
const PAGE_FAULT: u32 = 14;
const X87: u32 = 16;
const ALIGNMENT: u32 = 17;
const SIMD: u32 = 19;

/** #GP, #OF, #BR, #NP and #TS stay SIGSEGV without an address that would mean anything. */
function describeFault(lwp: Lwp, info: SignalInfo, vector: u32, rip: u64): void {
  info.address = 0;
  describe(info, SIGSEGV, SI_KERNEL);
  if (vector === PAGE_FAULT) {
    info.address = lwp.faultAddress;
    describe(info, lwp.faultSignal, lwp.faultCode);
  } else if (vector === BREAKPOINT) describe(info, SIGTRAP, SI_KERNEL);
  else if (vector === ALIGNMENT) describe(info, SIGBUS, BUS_ADRALN);
  else if (vector === STACK) describe(info, SIGBUS, SI_KERNEL);
  else {
    // The address is the instruction's.
    if (vector === DIVIDE) describeAt(info, SIGFPE, FPE_INTDIV, rip);
    if (vector === DEBUG) describeAt(info, SIGTRAP, TRAP_TRACE, rip);
    if (vector === INVALID_OPCODE) describeAt(info, SIGILL, ILL_ILLOPN, rip);
    if (vector === X87) describeAt(info, SIGFPE, floatingPointCode(false), rip);
    if (vector === SIMD) describeAt(info, SIGFPE, floatingPointCode(true), rip);
  }
}

function describeAt(info: SignalInfo, signal: u32, code: u32, address: u64): void {
  describe(info, signal, code);
  info.address = address;
}

function describe(info: SignalInfo, signal: u32, code: u32): void {
  info.signal = signal;
  info.code = code;
}

/** The manual's mnemonics, two letters a vector. */
const EXCEPTIONS: string = "DEDBNMBPOFBRUDNMDF??TSNPSSGPPF??MFACMCXM";

/** `counter: killed by SIGSEGV (address 0x0 not mapped, write) at rip 0x401136` */
function explain(lwp: Lwp, frame: TrapFrame, info: SignalInfo, vector: u32): void {
  if (vector !== PAGE_FAULT) {
    printKilled(lwp, info.signal);
    print(" (#");
    for (let at = i32(vector) << 1; at < (i32(vector) << 1) + 2; at++)
      printLetter(u32(EXCEPTIONS.charCodeAt(at)));
    printRip(frame);
    return;
  }
  printKilled(lwp, info.signal);
  print(" (address ");
  printHex(lwp.faultAddress);
  if (info.signal === SIGKILL) print(" wants memory and there is none");
  else if (info.signal === SIGBUS) print(" has nothing behind it");
  else print(info.code === SEGV_MAPERR ? " not mapped" : " not permitted");
  print(lwp.faultError & 16 ? ", execute" : lwp.faultError & 2 ? ", write" : ", read");
  printRip(frame);
}

function printKilled(lwp: Lwp, signal: u32): void {
  printAsciiZ(lwp.process.name);
  print(": killed by ");
  printSignal(signal);
}

function printRip(frame: TrapFrame): void {
  print(") at rip ");
  printHex(frame.rip);
  print("\n");
}
