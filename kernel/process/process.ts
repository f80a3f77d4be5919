// Processes: an address space, its threads (lwps), its descriptors, its signal actions, and its end.
//
// Life: processCreate() makes an empty one; init's first thread loads the program (start.ts) and enters user mode; the
// thread that ends last takes the process down and wakes whoever waits for it. `lock` guards the list of lwps,
// the pending signals and the state; it is a spinlock, held for a few steps.

import { commitLast } from "../coherence/commits";
import { clusterFarewell, objectClose, objectCreate, SharedObject } from "../coherence/pager";
import { clusterLeave } from "../coherence/progress";
import { print, printDecimal } from "../console";
import { archiveMount } from "../fs/archive";
import { Descriptors, descriptorsCreate, descriptorsDestroy } from "../fs/descriptors";
import { filesPrepare } from "../fs/file";
import { fileSystemsPrepare } from "../fs/filesystems";
import { namesPrepare } from "../fs/names";
import { pathsPrepare } from "../fs/path";
import { randomSeed } from "../fs/random";
import { coreCount, thisCore } from "../lwkt/core";
import { ipiSend } from "../lwkt/ipi";
import { SpinLock } from "../lwkt/spinlock";
import {
  PRIORITY_KERNEL,
  PRIORITY_USER,
  Thread,
  threadCreate,
  threadCurrent,
  threadExit,
} from "../lwkt/thread";
import { kickHere, queueLock, queueUnlock, sleep, WaitQueue, waitOn, wakeAll } from "../lwkt/wait";
import { machineStop } from "../main";
import { framesFree } from "../memory/frames";
import { spaceCreate, spaceDestroy } from "../memory/paging";
import { allocate, release } from "../memory/slab";
import { bootNumber, bootOption } from "../options";
import { clusterSelf } from "../syslink/cluster";
import { farewellHurry } from "../syslink/farewell";
import { lwpExitWork } from "./futex";
import { timerEnd } from "./interval-timer";
import { SleepLock, sleepLockCreate, sleepLockDestroy, waitQueueCreate } from "./lock";
import { enterUser, Lwp, lwpCreate, lwpDestroy, lwpLeave, lwpRun, startFrame } from "./lwp";
import { AddressSpace, mapCreate, mapDestroy } from "./mapping";
import { mapEmpty } from "./memory-map";
import { MEMORY_BYTES } from "./private-memory";
import { tellGone } from "./proxy";
import { shadowLeft, tellExit } from "./shadow";
import { lwpWanted, signalProcess } from "./signal";
import { SIGKILL, SIGNALS, SIGTERM } from "./signal-numbers";
import { SignalQueue, signalQueueCreate, signalQueueDestroy } from "./signal-queue";
import { isSpread, spreadAdd, spreadOver, spreadRemove, spreadServe } from "./spread";
import { loadInit } from "./start";
import { systemCallsPrepare } from "./syscalls";

/** Process and thread ids: the machine's number above, so that they are unique in the cluster. */
const ID_SHIFT: u32 = 16;
/** A signal's action: handler u64, flags u64, restorer u64, mask u64, as rt_sigaction passes it. */
export const ACTION_BYTES: usize = 32;

@unmanaged
export class Process {
  lock: usize = 0;
  /** Who waits for the end, and messages under way: the last one frees the record. Changed by locked instructions. */
  references: u32 = 0;
  id: u32 = 0;
  /** The lwps, linked by Lwp.next. */
  lwps: usize = 0;
  count: u32 = 0;
  /** Nanoseconds of threads that have ended (processor-time.ts). */
  ran: u64 = 0;
  /** Its real-time timer (interval-timer.ts), 0 until it is used first. */
  timer: usize = 0;
  /** Threads started so far: the next one's core. */
  started: u32 = 0;
  /** Set once, with the status: every thread ends on its way to user mode. */
  ending: u32 = 0;
  /** As the machine's exit status: 0-255, 128 + n for signal n. */
  status: u32 = 0;
  /** Zero-terminated: the last part of the program's path. */
  name: usize = 0;
  map: AddressSpace = changetype<AddressSpace>(0);
  descriptors: Descriptors = changetype<Descriptors>(0);
  /** Its working directory, a Place under `lock`; 0 = the root. Permissions that files which it makes do not have. */
  directory: usize = 0;
  umask: u32 = 0;
  actions: usize = 0;
  /** Signals for the process as a whole, taken by whichever thread does not block them. */
  signals: usize = 0;
  /** Gone: waited for on `ended`, as the end of a shadow's threads. */
  gone: u32 = 0;
  ended: usize = 0;

  // Spread over machines (spread.ts).
  spreadNext: usize = 0;
  /** This is a shadow of a process that began on that machine; 0: it began here. */
  origin: u32 = 0;
  /** At the origin: bit per machine that has a shadow, under sleepLock(). */
  startLock: usize = 0;
  shadows: u64 = 0;
  /** The end was told by the origin, not the origin by us; the loss of a machine has been dealt with. */
  told: u32 = 0;
  orphaned: u32 = 0;
  /** In a shadow: the origin's clock minus ours. */
  clockKnown: u32 = 0;
  clockAhead: i64 = 0;

  spinLock(): SpinLock {
    return changetype<SpinLock>(this.lock);
  }
  sleepLock(): SleepLock {
    return changetype<SleepLock>(this.startLock);
  }
  queue(): SignalQueue {
    return changetype<SignalQueue>(this.signals);
  }
  action(signal: u32): usize {
    return this.actions + <usize>(signal - 1) * ACTION_BYTES;
  }
}

let lastId: u32 = 0;
const idLock: usize = memory.data(16, 16);

export function nextId(): u32 {
  const lock = changetype<SpinLock>(idLock);
  lock.acquire();
  const id = ++lastId;
  lock.release();
  return (u32(bootNumber("node", 1)) << ID_SHIFT) | id;
}

function processCreate(): Process {
  const process = processNew(nextId());
  process.descriptors = descriptorsCreate();
  process.umask = 0o022;
  if (isSpread()) {
    process.map.memory = changetype<usize>(objectCreate(MEMORY_BYTES));
    spreadAdd(process);
  }
  return process;
}

/** Without descriptors and memory. */
export function processNew(id: u32): Process {
  const process = changetype<Process>(allocate(offsetof<Process>()));
  process.lock = allocate(offsetof<SpinLock>());
  process.startLock = changetype<usize>(sleepLockCreate());
  process.references = 1;
  process.id = id;
  process.map = mapCreate(spaceCreate());
  process.actions = allocate(<usize>SIGNALS * ACTION_BYTES);
  process.signals = changetype<usize>(signalQueueCreate());
  process.ended = changetype<usize>(waitQueueCreate());
  return process;
}

/** By the last thread, which has left the address space: everything but the record itself goes. */
function processDismantle(process: Process): void {
  timerEnd(process);
  descriptorsDestroy(process.descriptors);
  if (process.directory) release(process.directory);
  if (process.map.memory) {
    tellGone(process);
    spreadRemove(process);
  }
  mapEmpty(process.map);
  const tables = process.map.tables;
  if (process.map.memory) objectClose(changetype<SharedObject>(process.map.memory));
  mapDestroy(process.map);
  spaceDestroy(tables);
  clusterLeave(threadCurrent()); // closing asks the cluster as well
}

export function processRelease(process: Process): void {
  if (atomic.sub<u32>(changetype<usize>(process) + offsetof<Process>("references"), 1) !== 1) return;
  release(process.lock);
  sleepLockDestroy(process.sleepLock());
  release(process.actions);
  signalQueueDestroy(process.queue());
  release(process.ended);
  release(process.name);
  release(changetype<usize>(process));
}

/** Puts a new lwp on the list; false when the process is ending. */
export function processAddLwp(process: Process, lwp: Lwp): bool {
  process.spinLock().acquire();
  const welcome = process.ending === 0;
  if (welcome) {
    lwp.next = process.lwps;
    process.lwps = changetype<usize>(lwp);
    process.count++;
    process.started++;
  }
  process.spinLock().release();
  return welcome;
}

/** Every thread of the process ends on its way to user mode. The first call decides the status. */
export function processEnd(process: Process, status: u32): void {
  process.spinLock().acquire();
  const first = process.ending === 0;
  if (first) {
    process.ending = 1;
    process.status = status;
  }
  process.spinLock().release();
  if (first) processKick(process);
}

/** The same in a shadow, by the origin's word, or because the origin is gone. */
export function processEndHere(process: Process, status: u32): void {
  process.told = 1;
  processEnd(process, status);
}

/** Makes all of the process's threads look up, see processKickCore. */
export function processKick(process: Process): void {
  for (let core: u32 = 0; core < coreCount(); core++) processKickCore(process, core);
}

/**
 * Makes the process's threads on this core look up: one that runs passes through returningToUser(), one that waits has
 * its wait cut short. With no spinlock held. The core looks for the threads itself, since one might end while a
 * message about it is under way; the message holds a reference, since the process might.
 */
export function processKickCore(process: Process, core: u32): void {
  atomic.add<u32>(changetype<usize>(process) + offsetof<Process>("references"), 1);
  ipiSend(core, kickOwn.index, changetype<usize>(process));
}

/** IPI message. */
function kickOwn(argument: usize): void {
  const process = changetype<Process>(argument);
  const self = thisCore();
  process.spinLock().acquire();
  for (let at = process.lwps; at !== 0; at = changetype<Lwp>(at).next) {
    const thread = changetype<Lwp>(at).thread;
    if (thread === 0 || thread === self.thread || changetype<Thread>(thread).core !== self.index) continue;
    if (lwpWanted(changetype<Lwp>(at))) kickHere(thread);
  }
  process.spinLock().release();
  processRelease(process);
}

/** The calling thread ends; the process too, with `status`, when it was the last. Never returns. */
export function lwpExit(lwp: Lwp, status: u32): void {
  const process = lwp.process;
  if (process.origin !== 0) {
    tellExit(lwp, status);
    lwpVanish(lwp);
  }
  lwpExitWork(lwp);
  lwpLeave(lwp);
  process.spinLock().acquire();
  unlinkLwp(process, lwp);
  const last = process.count === 0;
  if (last && process.ending === 0) {
    process.ending = 1;
    process.status = status;
  }
  process.spinLock().release();
  lwpDestroy(lwp);
  if (last) {
    processDismantle(process);
    const queue = changetype<WaitQueue>(process.ended);
    queueLock(queue);
    process.gone = 1;
    wakeAll(queue);
    queueUnlock(queue);
  }
  threadExit();
}

/** The calling thread, of a shadow, is not here any more, as its origin knows: what is here of it goes. Never returns. */
export function lwpVanish(lwp: Lwp): void {
  const process = lwp.process;
  atomic.add<u32>(changetype<usize>(process) + offsetof<Process>("references"), 1);
  lwpLeave(lwp);
  process.spinLock().acquire();
  unlinkLwp(process, lwp);
  process.spinLock().release();
  lwpDestroy(lwp);
  shadowLeft(process);
  threadExit();
}

function unlinkLwp(process: Process, lwp: Lwp): void {
  const self = changetype<usize>(lwp);
  if (process.lwps === self) process.lwps = lwp.next;
  else {
    let at = changetype<Lwp>(process.lwps);
    while (at.next !== self) at = changetype<Lwp>(at.next);
    at.next = lwp.next;
  }
  process.ran += lwp.ran;
  process.count--;
}

/** Waits for the process's end, gives its record back, returns its status. */
function processWait(process: Process): u32 {
  const queue = changetype<WaitQueue>(process.ended);
  queueLock(queue);
  while (process.gone === 0) waitOn(queue, 0);
  queueUnlock(queue);
  const status = process.status;
  processRelease(process);
  return status;
}

// --- Init ---

/** Called last by main.ts's boot: starts the thread that loads and runs init, and returns. */
export function processStart(): void {
  systemCallsPrepare();
  filesPrepare();
  fileSystemsPrepare();
  namesPrepare();
  pathsPrepare();
  randomSeed();
  archiveMount();
  threadCreate(initWatch.index, 0, "init", 0, PRIORITY_KERNEL);
}

/** The thread that waits for init's end and stops the machine. `runs=N` runs init N times, to show what stays behind. */
function initWatch(_argument: usize): void {
  // With `spread`, init begins on machine 1 only.
  const status = isSpread() && clusterSelf() !== 1 ? spreadServe() : runInit();
  if (isSpread() && clusterSelf() === 1) spreadOver();
  commitLast();
  print("exit: ");
  printDecimal(u64(status));
  print("\n");
  clusterFarewell();
  machineStop(status);
}

/** Init, while there is one. Core 0's. */
let init: usize = 0;
let initStopped: bool = false;

/** The power button, for the so manieth time; on core 0. */
export function initStop(times: u32): void {
  initStopped = true;
  farewellHurry();
  if (init !== 0) signalProcess(changetype<Process>(init), times === 1 ? SIGTERM : SIGKILL, 0, 0, 0);
}

/** Init's status, the last run's when there were several. */
function runInit(): u32 {
  const runs = bootNumber("runs", 1);
  let status: u32 = 0;
  for (let run: u64 = 0; run < runs; run++) {
    const process = processCreate();
    const lwp = lwpCreate(process);
    lwp.id = process.id;
    processAddLwp(process, lwp);
    atomic.add<u32>(changetype<usize>(process) + offsetof<Process>("references"), 1);
    init = changetype<usize>(process);
    lwpRun(lwp, 0, initMain.index, PRIORITY_USER);
    status = processWait(process);
    init = 0;
    processRelease(process);
    if (initStopped) break;
    framesPrint();
  }
  return status;
}

/** `frames`: what a process leaves behind shows. */
export function framesPrint(): void {
  if (bootOption("frames") === 0) return;
  // Ended threads' stacks and objects released from afar come home with each core's next tick.
  sleep(50_000_000);
  print("process: frames free ");
  printDecimal(u64(framesFree()));
  print("\n");
}

/** Init's first thread: loads the program within its own address space, so that page faults do the work. */
function initMain(argument: usize): void {
  const lwp = changetype<Lwp>(argument);
  if (!loadInit(lwp)) {
    processEnd(lwp.process, 127);
    lwpExit(lwp, 127);
  }
  enterUser(lwp, startFrame(lwp));
}
