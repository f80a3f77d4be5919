// Light-weight processes: the threads of a process, each on a kernel thread of its own (DragonFly's lwp).
//
// Invariant: an lwp is on its process's list from lwpCreate() to the last step of lwpExit(); its fields belong to
// its own thread, except `signals`, `thread` and the futex fields, which have their locks named at them.
import { cli, resume, sti } from "../arch";
import { clusterLeave, userLeaving } from "../coherence/progress";
import { TrapFrame } from "../frame";
import { thisCore } from "../lwkt/core";
import {
  fpuPrepare,
  fpuSave,
  PRIORITY_USER,
  threadCurrent,
  threadExit,
  threadNew,
  threadStart,
} from "../lwkt/thread";
import { useSpace } from "../memory/paging";
import { allocate, release } from "../memory/slab";
import { Letter, letterCreate, letterDestroy } from "../syslink/letter";
import { waitQueueCreate } from "./lock";
import { Process } from "./process";
import { lwpRan } from "./processor-time";
import { returningToUser, userWorkPending } from "./signal";
import { frameSanitize } from "./signal-frame";
import { SignalInfo, SignalQueue, signalQueueCreate, signalQueueDestroy } from "./signal-queue";
import { USER_TOP } from "./user-memory";

/** The FXSAVE area (Intel SDM vol. 1, 10.5.1): two of its fields, and what Linux starts a program with. */
export const FXSAVE_BYTES: usize = 512;
const FX_FCW: usize = 0;
export const FX_MXCSR: usize = 24;
const FCW_RESET: u16 = 0x37f;
const MXCSR_RESET: u32 = 0x1f80;
/** All but the reserved ones, and DAZ, which not every processor has. */
const MXCSR_BITS: u32 = 0xffbf;

@unmanaged
export class Lwp {
  process: Process = changetype<Process>(0);
  /** Kernel thread; 0 until it runs and after it left (process.lock). */
  thread: usize = 0;
  /** Thread id, unique in the cluster: musl's process-shared mutexes compare them across machines. */
  id: u32 = 0;
  /** Next lwp of the process (process.lock). */
  next: usize = 0;
  /** Nanoseconds that kernel threads ran for it which do no more (processor-time.ts). */
  ran: u64 = 0;
  /** A page for what system calls copy. */
  scratch: usize = 0;
  /** Trap frame of the system call that the thread is in. */
  frame: TrapFrame = changetype<TrapFrame>(0);
  /** Cores that it may run on. */
  affinity: u64 = 0;
  /** What it is called, THREAD_NAME bytes with a zero at the end (pthread_setname_np(3)); of a thread elsewhere its proxy knows. */
  name: u64 = 0;
  nameRest: u64 = 0;
  /** Where the thread begins in user mode: frame, FXSAVE area, FS base. */
  start: usize = 0;

  // Signals (signal.ts). Bit n-1 stands for signal n. `signals`, a SignalQueue, under process.lock.
  blocked: u64 = 0;
  /** It waits for one of these, also of those that it blocks (sigwait(3)). */
  awaited: u64 = 0;
  signals: usize = 0;
  /** SignalInfo of the signal being taken. */
  info: usize = 0;
  /** rt_sigsuspend and the like: the mask to go back to. */
  savedMask: u64 = 0;
  maskSaved: u32 = 0;
  alternateBase: u64 = 0;
  alternateBytes: u64 = 0;
  alternateFlags: u32 = 0;
  /** Set when the call returned -ERESTART: its number, to run it again. */
  restart: u32 = 0;
  restartNumber: u64 = 0;

  // The last page fault that could not be resolved (fault.ts), for raiseFault.
  faultAddress: u64 = 0;
  faultError: u32 = 0;
  faultCode: u32 = 0;
  faultSignal: u32 = 0;

  /** Something that it watches has told (watching.ts; under `wait`). */
  told: u32 = 0;

  // Futexes (futex.ts); the links under the bucket's lock, as long as futexQueued.
  wait: usize = 0;
  futexNext: usize = 0;
  futexPrevious: usize = 0;
  futexSpace: usize = 0;
  futexAddress: u64 = 0;
  futexBits: u32 = 0;
  futexQueued: u32 = 0;
  clearChildId: u64 = 0;
  robustList: u64 = 0;

  // Of a spread process (spread.ts).
  /** The machine on which the thread runs; this lwp is its proxy here. 0: it runs here. */
  machine: u32 = 0;
  /** Proxy: a THREAD_CALL is in the mailbox (under `wait`); that machine died; it has been told that the process ends. */
  request: u32 = 0;
  lost: u32 = 0;
  toldEnd: u32 = 0;
  /** It has asked to go elsewhere: signals wait until it has said what it is. */
  moves: u32 = 0;
  mailbox: usize = 0;
  letter: usize = 0;
  /** Signals that the proxy has passed to the thread, counted at both; of the proxy those among them that the thread has not taken, as far as is known (process.lock). */
  passed: u32 = 0;
  underway: u64 = 0;
  /** In a shadow: `blocked` and `awaited` as the proxy knows them. */
  toldMask: u64 = 0;
  toldAwaited: u64 = 0;

  queue(): SignalQueue {
    return changetype<SignalQueue>(this.signals);
  }
}

/** Lwp.start: all that a fresh kernel thread needs to enter user mode. */
const START_FX: usize = 0;
const START_FS: usize = 512;
/** Room below the frame for what the processor would push if IRET itself faulted. */
const START_FRAME: usize = 2048;

export const THREAD_NAME: usize = 16;

export function lwpName(lwp: Lwp): usize {
  return changetype<usize>(lwp) + offsetof<Lwp>("name");
}
/** As much of it as there is room for. */
export function lwpRename(lwp: Lwp, text: usize, bytes: usize): void {
  const kept = min<usize>(bytes, THREAD_NAME - 1);
  memory.fill(lwpName(lwp), 0, THREAD_NAME);
  memory.copy(lwpName(lwp), text, kept);
}

export function currentLwp(): Lwp {
  return changetype<Lwp>(threadCurrent().lwp);
}

/** An lwp that does not run yet; it begins with the frame that startFrame() shows. On no list. */
export function lwpCreate(process: Process): Lwp {
  const lwp = changetype<Lwp>(allocate(offsetof<Lwp>()));
  lwp.process = process;
  lwp.affinity = u64.MAX_VALUE;
  lwp.scratch = allocate(4096);
  lwp.signals = changetype<usize>(signalQueueCreate());
  lwp.info = allocate(offsetof<SignalInfo>());
  lwp.wait = changetype<usize>(waitQueueCreate());
  lwp.start = allocate(START_FRAME + offsetof<TrapFrame>());
  store<u16>(startFx(lwp) + FX_FCW, FCW_RESET);
  store<u32>(startFx(lwp) + FX_MXCSR, MXCSR_RESET);
  return lwp;
}

export function lwpDestroy(lwp: Lwp): void {
  assert(lwp.futexQueued === 0, "an lwp ended on a futex queue");
  release(lwp.scratch);
  signalQueueDestroy(lwp.queue());
  release(lwp.info);
  release(lwp.wait);
  release(lwp.start);
  release(lwp.mailbox);
  if (lwp.letter) letterDestroy(changetype<Letter>(lwp.letter));
  release(changetype<usize>(lwp));
}

const LETTER_BYTES: u32 = 2560;

/** For what the lwp's own thread says to other machines. */
export function lwpLetter(lwp: Lwp): Letter {
  if (lwp.letter === 0) lwp.letter = changetype<usize>(letterCreate(LETTER_BYTES));
  return changetype<Letter>(lwp.letter);
}

export function startFrame(lwp: Lwp): TrapFrame {
  return changetype<TrapFrame>(lwp.start + START_FRAME);
}
/** FXSAVE image to begin with (512 bytes). */
export function startFx(lwp: Lwp): usize {
  return lwp.start + START_FX;
}
export function setStartFsBase(lwp: Lwp, base: u64): void {
  store<u64>(lwp.start + START_FS, base);
}

/** What the thread would start with as it is now: its own start, which it has behind it, takes it. */
export function lwpCapture(lwp: Lwp, frame: TrapFrame): void {
  memory.copy(changetype<usize>(startFrame(lwp)), changetype<usize>(frame), offsetof<TrapFrame>());
  fpuSave();
  memory.copy(startFx(lwp), threadCurrent().fpu, FXSAVE_BYTES);
  setStartFsBase(lwp, threadCurrent().fsBase);
}

export function startCopy(to: Lwp, from: Lwp): void {
  memory.copy(to.start, from.start, START_FRAME + offsetof<TrapFrame>());
}

/** A start as it travels: FXSAVE area, FS base, frame. */
export const STATE_BYTES: usize = 512 + 8 + offsetof<TrapFrame>();

export function stateWrite(lwp: Lwp, to: usize): void {
  memory.copy(to, lwp.start, START_FS + 8);
  memory.copy(to + START_FS + 8, changetype<usize>(startFrame(lwp)), offsetof<TrapFrame>());
}

/** Nothing in it can harm the kernel: what a program may not choose is as it must be. */
export function stateRead(lwp: Lwp, from: usize): void {
  memory.copy(lwp.start, from, START_FS + 8);
  memory.copy(changetype<usize>(startFrame(lwp)), from + START_FS + 8, offsetof<TrapFrame>());
  frameSanitize(startFrame(lwp));
  if (load<u64>(lwp.start + START_FS) >= USER_TOP) setStartFsBase(lwp, 0);
  const mxcsr = startFx(lwp) + FX_MXCSR;
  store<u32>(mxcsr, load<u32>(mxcsr) & MXCSR_BITS);
}

/** Gives the lwp a kernel thread on this core that begins with `entry` (lwpMain for one that has a start frame). */
export function lwpRun(lwp: Lwp, core: u32, entry: u32, priority: u32): void {
  const thread = threadNew(entry, changetype<usize>(lwp), "lwp", i32(core), priority);
  fpuPrepare(thread);
  memory.copy(thread.fpu, startFx(lwp), FXSAVE_BYTES);
  thread.fsBase = load<u64>(lwp.start + START_FS);
  thread.space = lwp.process.map.tables;
  thread.process = changetype<usize>(lwp.process);
  thread.lwp = changetype<usize>(lwp);
  lwp.process.spinLock().acquire();
  lwp.thread = changetype<usize>(thread);
  lwp.process.spinLock().release();
  threadStart(thread);
}

/** The first function of an lwp's kernel thread. */
export function lwpMain(argument: usize): void {
  const lwp = changetype<Lwp>(argument);
  enterUser(lwp, startFrame(lwp));
}

/** Leaves the kernel for user mode. Never returns. */
export function enterUser(lwp: Lwp, frame: TrapFrame): void {
  assert(thisCore().critical === 0, "user mode entered from a critical section");
  lwp.frame = frame;
  do {
    sti();
    returningToUser(frame);
    cli();
  } while (userWorkPending());
  userLeaving(frame);
  resume(changetype<usize>(frame));
}

/** The kernel thread lets go of its process: from here on it is a kernel thread like others. */
export function lwpLeave(lwp: Lwp): void {
  const thread = threadCurrent();
  clusterLeave(thread);
  // Under the lock, because somebody may be kicking the thread that is about to end.
  lwp.process.spinLock().acquire();
  lwpRan(lwp);
  lwp.thread = 0;
  lwp.process.spinLock().release();
  thread.lwp = 0;
  thread.process = 0;
  useSpace(0);
}

/** Goes on with this lwp on another core: a new kernel thread takes over, the calling one ends. Never returns. */
export function lwpMove(lwp: Lwp, frame: TrapFrame, core: u32): void {
  lwpCapture(lwp, frame);
  lwpLeave(lwp);
  lwpRun(lwp, core, lwpMain.index, PRIORITY_USER);
  threadExit();
}
