// Processes whose threads are on several machines (`spread` on the command line). A process begins on its origin; clone
// may place a thread elsewhere (proxy.ts), where a shadow of the process lets it run (shadow.ts). Private memory is one object
// (private-memory.ts), so that the page protocol is what the threads share memory by; what is said here is about all else.
//
//   origin                                       another machine
//   Process: descriptors, signals, the map       Process with `origin` set: the parts of the map that were asked for
//   Lwp with `machine` set and a thread,         Lwp: the thread that runs in user mode
//     the proxy: does what the other one calls
//
// This file is what other machines' messages meet: handlers on core 0, which never block and leave longer work to proxies
// and to the thread `serve`, in order. Invariant: a message that changes a shadow's map is counted (forgetCount) when it
// arrives, so that an older answer about the map is known for one.

import { objectGiven } from "../coherence/object-list";
import { SharedObject } from "../coherence/pager";
import { print, printAsciiZ, printDecimal } from "../console";
import { Message, Port, portCreate, portReply, portSend, portWait } from "../lwkt/port";
import { SpinLock } from "../lwkt/spinlock";
import { PRIORITY_KERNEL, Thread, threadCreate } from "../lwkt/thread";
import { queueLock, queueUnlock, WaitQueue, waitOn, wakeAll } from "../lwkt/wait";
import { allocate, release } from "../memory/slab";
import { bootOption } from "../options";
import { clusterMachines, clusterSelf, isDead, messageEnd, messageTo } from "../syslink/cluster";
import {
  COMMAND_PROCESS_ACTION,
  COMMAND_PROCESS_END,
  COMMAND_PROCESS_FORGET,
  COMMAND_PROCESS_GONE,
  COMMAND_SPREAD_OVER,
  COMMAND_THREAD_CALL,
  COMMAND_THREAD_SIGNAL,
  COMMAND_THREAD_START,
  ITEM_CALL,
  ITEM_ERROR,
  ITEM_OBJECT,
  ITEM_RESULT,
  ITEM_SIGNAL,
  ITEM_THREAD,
} from "../syslink/commands";
import { Letter, letterBegin, letterCreate, letterPut, letterSend } from "../syslink/letter";
import { itemData, itemFind, itemPut, MessageHeader, RESPONSE } from "../syslink/message";
import { ESRCH } from "./errno";
import { Lwp } from "./lwp";
import { MEMORY_BYTES } from "./private-memory";
import { Process, processEndHere, processKickCore, processRelease } from "./process";
import { shadowAction, shadowForget, shadowGone, shadowStart } from "./shadow";
import { signalRead } from "./signal-queue";

/**
 * Numbers of THREAD_CALL beyond those of system calls: a map entry is wanted; the signals that it blocks, or waits for, have changed; the thread would go to
 * another core; it has left (migration.ts).
 */
export const CALL_FETCH: u32 = 0x1000;
export const CALL_MASK: u32 = 0x1001;
export const CALL_MOVE: u32 = 0x1002;
export const CALL_MOVED: u32 = 0x1003;
/** ITEM_CALL, as its row says. */
export const CALL_BYTES: usize = 72;
/** Room for a THREAD_CALL, as its row in commands.ts limits it. */
const MAILBOX_BYTES: u32 = 2560;
/** Status of a process whose machine or threads are gone: as by SIGKILL. */
export const STATUS_KILLED: u32 = 128 + 9;

/** The spread processes of this machine, linked by spreadNext, under listLock. */
let first: usize = 0;
const listLock = changetype<SpinLock>(memory.data(16, 16));
export let forgetCount: u32 = 0;

/** Is this a run whose processes may spread? */
export function isSpread(): bool {
  return bootOption("spread") !== 0;
}

export function spreadAdd(process: Process): void {
  listLock.acquire();
  process.spreadNext = first;
  first = changetype<usize>(process);
  listLock.release();
}

export function spreadRemove(process: Process): void {
  listLock.acquire();
  if (first === changetype<usize>(process)) first = process.spreadNext;
  else {
    let at = changetype<Process>(first);
    while (at.spreadNext !== changetype<usize>(process)) at = changetype<Process>(at.spreadNext);
    at.spreadNext = process.spreadNext;
  }
  listLock.release();
}

/** The process's name in messages. */
export function processLinkid(process: Process): u64 {
  return changetype<SharedObject>(process.map.memory).id;
}

/** With a reference for the caller (processRelease); 0 = there is none. */
export function spreadFind(linkid: u64): Process {
  listLock.acquire();
  let at = first;
  while (at !== 0 && processLinkid(changetype<Process>(at)) !== linkid)
    at = changetype<Process>(at).spreadNext;
  if (at !== 0) atomic.add<u32>(at + offsetof<Process>("references"), 1);
  listLock.release();
  return changetype<Process>(at);
}

/** The lwp with that id whose thread runs on `machine` (0: on this one). The process's lock is held. */
function lwpOf(process: Process, id: u32, machine: u32): Lwp {
  let at = process.lwps;
  while (at !== 0 && (changetype<Lwp>(at).id !== id || changetype<Lwp>(at).machine !== machine))
    at = changetype<Lwp>(at).next;
  return changetype<Lwp>(at);
}

// --- On core 0 ---

/** A message for the thread `serve`: a copy of it follows the record. */
@unmanaged
export class Work extends Message {
  from: u32 = 0;
  /** THREAD_START: the process's memory, open once more here, or 0. */
  object: usize = 0;
}
let server: usize = 0;

function workBytes(): usize {
  return (offsetof<Work>() + 7) & ~7;
}

export function workMessage(work: Work): MessageHeader {
  return changetype<MessageHeader>(changetype<usize>(work) + workBytes());
}

/** On core 0. */
export function spreadStart(): void {
  if (!isSpread()) return;
  const thread = threadCreate(serve.index, 0, "spread", 0, PRIORITY_KERNEL);
  server = changetype<usize>(portCreate(changetype<usize>(thread), 0));
}

function workSend(from: u32, message: MessageHeader, object: usize): void {
  const work = changetype<Work>(allocate(workBytes() + <usize>message.length));
  work.from = from;
  work.object = object;
  memory.copy(changetype<usize>(workMessage(work)), changetype<usize>(message), message.length);
  portSend(changetype<Port>(server), work);
}

/** Every command from THREAD_START on that is no answer. */
export function spreadMessage(from: u32, message: MessageHeader): void {
  const command = <u32>message.command;
  if (server === 0) {
    refuse(from, message);
    return;
  }
  switch (command) {
    case COMMAND_THREAD_START: {
      const item = itemFind(message, ITEM_OBJECT);
      let object: usize = 0;
      if (changetype<usize>(item) !== 0)
        object = changetype<usize>(objectGiven(load<u64>(itemData(item)), from, MEMORY_BYTES));
      workSend(from, message, object);
      return;
    }
    case COMMAND_PROCESS_FORGET:
      forgetCount++;
      workSend(from, message, 0);
      return;
    case COMMAND_PROCESS_ACTION:
    case COMMAND_PROCESS_GONE:
      workSend(from, message, 0);
      return;
    case COMMAND_SPREAD_OVER:
      over(0);
      return;
  }
  const process = spreadFind(message.linkid);
  if (changetype<usize>(process) === 0) {
    refuse(from, message);
    return;
  }
  if (command === COMMAND_THREAD_CALL) called(process, from, message);
  else if (command === COMMAND_THREAD_SIGNAL) signalled(process, message);
  else if (command === COMMAND_PROCESS_END) {
    processEndHere(process, <u32>load<u64>(itemData(itemFind(message, ITEM_RESULT))));
  }
  processRelease(process);
}

/** Who asks is told that there is no such process or thread. */
function refuse(to: u32, message: MessageHeader): void {
  if (message.msgid === 0) return;
  const writer = messageTo(to, 16 + 8, message.linkid, message.msgid, <u32>message.command | RESPONSE);
  itemPut(writer, ITEM_ERROR, u32(ESRCH), 0);
  messageEnd();
}

function called(process: Process, from: u32, message: MessageHeader): void {
  const id = itemFind(message, ITEM_THREAD).aux;
  const call = itemFind(message, ITEM_CALL);
  let accepted = false;
  process.spinLock().acquire();
  const lwp = lwpOf(process, id, from);
  if (changetype<usize>(lwp) !== 0 && lwp.request === 0) {
    takeMask(lwp, itemData(call) + 48);
    accepted = true;
    lwp.awaited = call.aux === CALL_MASK ? load<u64>(itemData(call)) : 0;
    if (call.aux !== CALL_MASK) {
      if (lwp.mailbox === 0) lwp.mailbox = allocate(MAILBOX_BYTES);
      assert(<u32>message.length <= MAILBOX_BYTES, "a THREAD_CALL is longer than its table says");
      memory.copy(lwp.mailbox, changetype<usize>(message), message.length);
    }
    wakeLwp(lwp, call.aux !== CALL_MASK ? REQUESTED : 0);
  }
  process.spinLock().release();
  if (!accepted) refuse(from, message);
}

/** What a call says about the thread's signals: a wait for it is cut short by those, too, that it has and has not taken, or does not have yet. */
function takeMask(lwp: Lwp, at: usize): void {
  lwp.blocked = load<u64>(at);
  if (load<u64>(at, 8) === u64(lwp.passed)) lwp.underway = 0;
  lwp.underway |= load<u64>(at, 16);
}

/** Lwp.request */
export const REQUESTED: u32 = 1;

/** A proxy looks up. The process's lock is held. */
function wakeLwp(lwp: Lwp, request: u32): void {
  const queue = changetype<WaitQueue>(lwp.wait);
  queueLock(queue);
  if (request !== 0) lwp.request = request;
  queueUnlock(queue);
  wakeAll(queue);
}

function signalled(process: Process, message: MessageHeader): void {
  const item = itemFind(message, ITEM_SIGNAL);
  let core: i32 = -1;
  process.spinLock().acquire();
  const lwp = lwpOf(process, itemFind(message, ITEM_THREAD).aux, 0);
  if (changetype<usize>(lwp) !== 0) {
    signalRead(lwp.queue(), itemData(item));
    lwp.passed++;
    if (lwp.thread) core = i32(changetype<Thread>(lwp.thread).core);
  }
  process.spinLock().release();
  if (core >= 0) processKickCore(process, u32(core));
}

/** To ourselves: PROCESS_GONE, as the lost machine would have sent it. */
const gone = changetype<MessageHeader>(memory.data(16, 8));

/** Threads there are lost, and so is a process that began there. */
export function spreadMachineDied(machine: u32): void {
  if (server === 0) return;
  listLock.acquire();
  for (let at = first; at !== 0; at = changetype<Process>(at).spreadNext) {
    const process = changetype<Process>(at);
    process.spinLock().acquire();
    for (let each = process.lwps; each !== 0; each = changetype<Lwp>(each).next) {
      const lwp = changetype<Lwp>(each);
      if (lwp.machine !== machine) continue;
      lwp.lost = 1;
      wakeLwp(lwp, 0);
    }
    process.spinLock().release();
  }
  listLock.release();
  while (true) {
    const process = orphan(machine);
    if (changetype<usize>(process) === 0) break;
    printAsciiZ(process.name);
    print(": killed: machine ");
    printDecimal(machine);
    print(", where it began, is lost\n");
    processEndHere(process, STATUS_KILLED);
    gone.linkid = processLinkid(process);
    gone.length = 16;
    gone.command = <u16>COMMAND_PROCESS_GONE;
    workSend(machine, gone, 0);
    processRelease(process);
  }
  if (machine === 1) over(STATUS_KILLED);
}

/** A shadow of a process of that machine which does not know yet, referenced. */
function orphan(machine: u32): Process {
  listLock.acquire();
  let at = first;
  while (at !== 0 && (changetype<Process>(at).origin !== machine || changetype<Process>(at).orphaned !== 0))
    at = changetype<Process>(at).spreadNext;
  if (at !== 0) {
    changetype<Process>(at).orphaned = 1;
    atomic.add<u32>(at + offsetof<Process>("references"), 1);
  }
  listLock.release();
  return changetype<Process>(at);
}

// --- The thread that does what may block ---

function serve(_argument: usize): void {
  const letter = letterCreate(256);
  while (true) {
    const work = changetype<Work>(portWait(changetype<Port>(server)));
    const message = workMessage(work);
    let result: i64 = 0;
    switch (<u32>message.command) {
      case COMMAND_THREAD_START:
        result = shadowStart(work);
        break;
      case COMMAND_PROCESS_FORGET:
        shadowForget(message);
        break;
      case COMMAND_PROCESS_ACTION:
        shadowAction(message);
        break;
      case COMMAND_PROCESS_GONE:
        shadowGone(message.linkid);
        break;
    }
    if (message.msgid !== 0) answer(letter, work.from, message, result);
    portReply(work, 0);
    release(changetype<usize>(work));
  }
}

function answer(letter: Letter, to: u32, message: MessageHeader, result: i64): void {
  letterBegin(letter, to, message.linkid, message.msgid, <u32>message.command | RESPONSE);
  if (result < 0) letterPut(letter, ITEM_ERROR, u32(-result), 0);
  letterSend(letter);
}

// --- Machines on which no process begins ---

const overQueue = changetype<WaitQueue>(memory.data(offsetof<WaitQueue>(), 8));
let isOver: bool = false;
let overStatus: u32 = 0;

function over(status: u32): void {
  queueLock(overQueue);
  if (!isOver) overStatus = status;
  isOver = true;
  queueUnlock(overQueue);
  wakeAll(overQueue);
}

/** Lets threads of other machines' processes run here until machine 1 says that there will be none. The status to end with. */
export function spreadServe(): u32 {
  queueLock(overQueue);
  while (!isOver) waitOn(overQueue, 0);
  queueUnlock(overQueue);
  return overStatus;
}

/** By machine 1, whose last process has ended. */
export function spreadOver(): void {
  const letter = letterCreate(64);
  for (let machine: u32 = 1; machine <= clusterMachines(); machine++) {
    if (machine === clusterSelf() || isDead(machine)) continue;
    letterBegin(letter, machine, 0, 0, COMMAND_SPREAD_OVER);
    letterSend(letter);
  }
}
