// At the origin of a spread process (spread.ts): where threads are placed, and the proxy that each thread elsewhere has here. A proxy
// is an lwp of the process like any other, with the thread's id, except that its system calls come by THREAD_CALL:
// descriptors, the map, signals, the thread's end and the walk over its robust locks are what they are for a thread that runs here.
//
// Invariant: a change that takes something from the map is told to every machine that was shown it, and they have answered, before
// the call that made it returns; an answer to CALL_FETCH leaves under the map's lock, hence before any later change is told.
import { clientCurrent } from "../coherence/client";
import { SharedObject } from "../coherence/pager";
import { pinsRelease } from "../coherence/progress";
import { print, printAsciiZ, printDecimal } from "../console";
import { textBytes } from "../fs/path";
import { coreCount } from "../lwkt/core";
import { portCreate, portDestroy } from "../lwkt/port";
import { PRIORITY_KERNEL, threadCurrent } from "../lwkt/thread";
import { queueLock, queueUnlock, WaitQueue, waitOn } from "../lwkt/wait";
import { nanoseconds } from "../machine/time";
import { bit, clusterMachines, clusterSelf, isDead } from "../syslink/cluster";
import {
  COMMAND_PROCESS_ACTION,
  COMMAND_PROCESS_END,
  COMMAND_PROCESS_FORGET,
  COMMAND_PROCESS_GONE,
  COMMAND_THREAD_CALL,
  COMMAND_THREAD_SIGNAL,
  COMMAND_THREAD_START,
  ITEM_ACTIONS,
  ITEM_CALL,
  ITEM_NAME,
  ITEM_OBJECT,
  ITEM_RANGE,
  ITEM_RESULT,
  ITEM_SIGNAL,
  ITEM_STATE,
  ITEM_THREAD,
} from "../syslink/commands";
import {
  Letter,
  letterAsk,
  letterAskBy,
  letterBegin,
  letterCreate,
  letterDestroy,
  letterPut,
  letterSend,
  lettersAwait,
} from "../syslink/letter";
import { itemData, itemDataBytes, itemFind, MessageHeader, REFERENCES, RESPONSE } from "../syslink/message";
import { EIO } from "./errno";
import { Lwp, lwpLetter, lwpRun, STATE_BYTES, startFrame, stateRead, stateWrite } from "./lwp";
import { entryAt, MapEntry } from "./mapping";
import { belongingsGone, belongingsPut, belongingsStay, moveAsked, moved } from "./migration";
import { ACTION_BYTES, lwpExit, Process, processEnd } from "./process";
import { actionHandler, defaultAction, lwpWanted, SIG_DFL, SIG_IGN, takeSignal } from "./signal";
import { SIGNALS, signalBit } from "./signal-numbers";
import { SIGNAL_BYTES, SignalInfo, signalWrite } from "./signal-queue";
import { CALL_FETCH, CALL_MOVE, CALL_MOVED, processLinkid, STATUS_KILLED } from "./spread";
import { systemCall } from "./syscalls";

const CALL_EXIT: u32 = 60;
const CALL_EXIT_GROUP: u32 = 231;
/** Room for THREAD_START: name, state and actions. */
const START_BYTES: u32 = 6144;

// --- Placing ---

/** Cores of all machines together, as a program counts them: machine by machine, each with as many as this one. */
export function slotCount(): u32 {
  return clusterMachines() * coreCount();
}

/** This machine's first. */
export function slotBase(): u32 {
  return (clusterSelf() - 1) * coreCount();
}

/** The machine of a slot, or this one when that is not there. */
export function machineOf(slot: u32): u32 {
  const machine = slot / coreCount() + 1;
  return machine === clusterSelf() || isDead(machine) ? 0 : machine;
}

/** Gives the child, which is on the process's list, its thread on that core of another machine. Negative: not to be had. */
export function proxyStart(child: Lwp, machine: u32, core: u32): i64 {
  const result = threadStartAt(child, machine, core, false);
  if (result >= 0) lwpRun(child, child.process.started % coreCount(), proxyMain.index, PRIORITY_KERNEL);
  return result;
}

/** Lets the lwp go on over there, from its start; `moves`: it has run before. Negative: it does not. */
export function threadStartAt(child: Lwp, machine: u32, core: u32, moves: bool): i64 {
  const process = child.process;
  child.machine = machine;
  child.passed = 0;
  child.underway = 0;
  // One after the other: only the first message to a machine makes it a shadow of the process.
  process.sleepLock().acquire();
  const known = (process.shadows & bit(machine)) !== 0;
  const letter = letterCreate(START_BYTES);
  letterBegin(letter, machine, processLinkid(process), 0, COMMAND_THREAD_START);
  const thread = letterPut(letter, ITEM_THREAD, child.id, 24);
  store<u64>(thread, u64(process.id) | (u64(core) << 32));
  store<u64>(thread + 8, child.blocked);
  store<u64>(thread + 16, nanoseconds());
  stateWrite(child, letterPut(letter, ITEM_STATE, 0, u32(STATE_BYTES)));
  const gone: usize = moves ? belongingsPut(letter, child) : 0;
  if (!known) {
    store<u64>(letterPut(letter, ITEM_OBJECT | REFERENCES, 0, 8), processLinkid(process));
    const bytes = min<u32>(u32(textBytes(process.name)), 255);
    memory.copy(letterPut(letter, ITEM_NAME, 0, bytes), process.name, bytes);
    process.shadows |= bit(machine);
    const actions = u32(ACTION_BYTES) * SIGNALS;
    const at = letterPut(letter, ITEM_ACTIONS, 0, actions);
    process.spinLock().acquire();
    memory.copy(at, process.actions, actions);
    process.spinLock().release();
  }
  const result = letterAsk(letter);
  process.sleepLock().release();
  letterDestroy(letter);
  if (result >= 0) {
    belongingsGone(gone);
    return result;
  }
  belongingsStay(child, gone);
  // It may have begun there, and others have seen what it did.
  if (result === -EIO) lose(process, machine);
  child.machine = 0;
  child.lost = 0;
  return result;
}

// --- The proxy ---

export function proxyMain(argument: usize): void {
  const lwp = changetype<Lwp>(argument);
  const process = lwp.process;
  lwp.frame = startFrame(lwp);
  while (true) {
    rest(lwp);
    if (lwp.lost !== 0) lost(lwp);
    if (process.ending !== 0) tellEnd(lwp);
    else if (lwp.moves === 0) passSignals(lwp);
    if (lwp.request !== 0) serve(lwp);
  }
}

function rest(lwp: Lwp): void {
  const queue = changetype<WaitQueue>(lwp.wait);
  queueLock(queue);
  while (lwp.request === 0 && lwp.lost === 0 && !mustLook(lwp)) waitOn(queue, 0);
  queueUnlock(queue);
}

function mustLook(lwp: Lwp): bool {
  if (lwp.process.ending !== 0) return lwp.toldEnd === 0;
  return lwp.moves === 0 && lwpWanted(lwp);
}

/** The machine of the thread died. */
function lost(lwp: Lwp): void {
  lose(lwp.process, lwp.machine);
  lwpExit(lwp, STATUS_KILLED);
}

/** What that machine had written last may be lost with it, so the process cannot go on. */
function lose(process: Process, machine: u32): void {
  process.spinLock().acquire();
  const first = process.ending === 0 && process.orphaned === 0;
  process.orphaned = 1;
  process.spinLock().release();
  if (first) {
    printAsciiZ(process.name);
    print(": killed: machine ");
    printDecimal(machine);
    print(" is lost, and threads with it\n");
  }
  processEnd(process, STATUS_KILLED);
}

/** A machine with threads of the process that is no member any more, although its death may not have been dealt with here; or 0. */
function machineLost(process: Process): u32 {
  let machine: u32 = 0;
  process.spinLock().acquire();
  for (let at = process.lwps; at !== 0; at = changetype<Lwp>(at).next) {
    const where = changetype<Lwp>(at).machine;
    if (where !== 0 && isDead(where)) machine = where;
  }
  process.spinLock().release();
  return machine;
}

/** A thread is about to die of a fault: if it is for the loss of a machine with threads of the process, the process ends by that. */
export function endsByLoss(process: Process): bool {
  const machine = process.origin === 0 ? machineLost(process) : 0;
  if (machine !== 0) lose(process, machine);
  return machine !== 0;
}

function tellEnd(lwp: Lwp): void {
  if (lwp.toldEnd !== 0) return;
  lwp.toldEnd = 1;
  const letter = lwpLetter(lwp);
  letterBegin(letter, lwp.machine, processLinkid(lwp.process), 0, COMMAND_PROCESS_END);
  store<u64>(letterPut(letter, ITEM_RESULT, 0, 8), u64(lwp.process.status));
  letterSend(letter);
}

/** Signals with a handler, and those that it blocks, are the thread's own affair; the others are dealt with here. */
function passSignals(lwp: Lwp): void {
  const process = lwp.process;
  while (process.ending === 0 && lwpWanted(lwp)) {
    const signal = takeSignal(lwp);
    if (signal === 0) continue;
    const handler = actionHandler(process, signal);
    const blocked = (lwp.blocked & signalBit(signal)) !== 0;
    if (handler === SIG_IGN && !blocked) continue;
    if (handler === SIG_DFL && !blocked) {
      defaultAction(lwp, signal);
      continue;
    }
    process.spinLock().acquire();
    lwp.passed++;
    lwp.underway |= signalBit(signal);
    process.spinLock().release();
    const info = changetype<SignalInfo>(lwp.info);
    const letter = lwpLetter(lwp);
    letterBegin(letter, lwp.machine, processLinkid(process), 0, COMMAND_THREAD_SIGNAL);
    letterPut(letter, ITEM_THREAD, lwp.id, 0);
    const at = letterPut(letter, ITEM_SIGNAL, signal, u32(SIGNAL_BYTES));
    signalWrite(at, signal, info.code, u32(info.address), info.value);
    letterSend(letter);
  }
}

/** The thread's call, as if it had been made here. */
function serve(lwp: Lwp): void {
  const message = changetype<MessageHeader>(lwp.mailbox);
  const msgid = message.msgid;
  const call = itemFind(message, ITEM_CALL);
  const state = itemFind(message, ITEM_STATE);
  const number = call.aux;
  const frame = startFrame(lwp);
  if (changetype<usize>(state) !== 0 && itemDataBytes(state) === u32(STATE_BYTES)) {
    stateRead(lwp, itemData(state));
  }
  const at = itemData(call);
  if (number === CALL_MOVED) {
    atomic.store<u32>(changetype<usize>(lwp) + offsetof<Lwp>("request"), 0);
    moved(lwp, message, <u32>load<u64>(at));
    return;
  }
  frame.rax = u64(number);
  frame.rdi = load<u64>(at);
  frame.rsi = load<u64>(at, 8);
  frame.rdx = load<u64>(at, 16);
  frame.r10 = load<u64>(at, 24);
  frame.r8 = load<u64>(at, 32);
  frame.r9 = load<u64>(at, 40);
  atomic.store<u32>(changetype<usize>(lwp) + offsetof<Lwp>("request"), 0);
  if (number === CALL_EXIT || (number === CALL_EXIT_GROUP && msgid === 0)) {
    // What it died of there may be the loss of a machine, of which its own knew first.
    const machine = number === CALL_EXIT_GROUP ? machineLost(lwp.process) : 0;
    if (machine !== 0) lose(lwp.process, machine);
    else if (number === CALL_EXIT_GROUP) processEnd(lwp.process, u32(frame.rdi));
    lwpExit(lwp, u32(frame.rdi) & 255);
  }
  if (number === CALL_FETCH) {
    fetch(lwp, frame.rdi, msgid);
    return;
  }
  if (number === CALL_MOVE) {
    answer(lwpLetter(lwp), lwp, msgid, u64(moveAsked(lwp, frame.rdi)), 0);
    letterSend(lwpLetter(lwp));
    return;
  }
  systemCall(frame);
  pinsRelease(clientCurrent());
  const again = lwp.restart;
  lwp.restart = 0;
  // What cut the call short is there before the call returns.
  if (lwp.process.ending !== 0) tellEnd(lwp);
  else passSignals(lwp);
  const letter = lwpLetter(lwp);
  answer(letter, lwp, msgid, frame.rax, again);
  letterSend(letter);
}

function answer(letter: Letter, lwp: Lwp, msgid: u32, result: u64, again: u32): void {
  letterBegin(letter, lwp.machine, processLinkid(lwp.process), msgid, COMMAND_THREAD_CALL | RESPONSE);
  const at = letterPut(letter, ITEM_RESULT, again, 16);
  store<u64>(at, result);
  store<u64>(at + 8, nanoseconds());
}

/** CALL_FETCH: the entry of the map at that address, if there is one. */
function fetch(lwp: Lwp, address: u64, msgid: u32): void {
  const map = lwp.process.map;
  const letter = lwpLetter(lwp);
  map.sleepLock().acquire();
  const entry = entryAt(map, address);
  answer(letter, lwp, msgid, 0, 0);
  if (changetype<usize>(entry) !== 0) {
    entry.shownTo |= bit(lwp.machine);
    putEntry(letter, entry);
  }
  letterSend(letter);
  map.sleepLock().release();
}

function putEntry(letter: Letter, entry: MapEntry): void {
  const at = letterPut(letter, ITEM_RANGE, entry.protection | (entry.kind << 8), 40);
  store<u64>(at, entry.start);
  store<u64>(at + 8, entry.end);
  store<u64>(at + 16, entry.offset);
  store<u64>(at + 24, entry.limit);
  store<u64>(at + 32, changetype<SharedObject>(entry.object).id);
}

// --- What the shadows are told ---

/**
 * [start, end) of the map is not what it was: the machines that have seen it, all told at once, ask again. Blocks until they
 * have answered.
 */
export function tellForget(process: Process, machines: u64, start: u64, end: u64): void {
  if (machines === 0) return;
  const port = portCreate(changetype<usize>(threadCurrent()), 0);
  for (let left = machines; left !== 0; left &= left - 1) {
    const letter = letterCreate(256);
    letterBegin(letter, u32(ctz<u64>(left)) + 1, processLinkid(process), 0, COMMAND_PROCESS_FORGET);
    const at = letterPut(letter, ITEM_RANGE, 0, 16);
    store<u64>(at, start);
    store<u64>(at + 8, end);
    letterAskBy(letter, port);
  }
  lettersAwait(port, u32(popcnt<u64>(machines)));
  portDestroy(port);
}

/** The action of a signal has changed. */
export function tellAction(process: Process, signal: u32): void {
  const letter = letterCreate(256);
  for (let left = process.shadows; left !== 0; left &= left - 1) {
    const machine = u32(ctz<u64>(left)) + 1;
    letterBegin(letter, machine, processLinkid(process), 0, COMMAND_PROCESS_ACTION);
    const at = letterPut(letter, ITEM_SIGNAL, signal, u32(ACTION_BYTES));
    process.spinLock().acquire();
    memory.copy(at, process.action(signal), ACTION_BYTES);
    process.spinLock().release();
    letterAsk(letter);
  }
  letterDestroy(letter);
}

/** No thread is left: the shadows go. By the last thread of the process. */
export function tellGone(process: Process): void {
  const letter = letterCreate(256);
  for (let left = process.shadows; left !== 0; left &= left - 1) {
    letterBegin(letter, u32(ctz<u64>(left)) + 1, processLinkid(process), 0, COMMAND_PROCESS_GONE);
    letterAsk(letter);
  }
  letterDestroy(letter);
}
