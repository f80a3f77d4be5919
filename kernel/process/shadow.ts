// Elsewhere than at the origin of a spread process (spread.ts): its shadow, and the threads that run in it. The shadow's map
// holds what threads here have met of the origin's: an address that it lacks is asked for, what changes there is forgotten here.
// A thread does some system calls itself (the table's HERE); all others are done by its proxy.

import { clientCurrent } from "../coherence/client";
import { framesAwait, objectClose, objectJoin, SharedObject } from "../coherence/pager";
import { pinsRelease } from "../coherence/progress";
import { TrapFrame } from "../frame";
import { File, fileCreate, fileRelease, KIND_SHARED, O_RDWR } from "../fs/file";
import { coreCount } from "../lwkt/core";
import { PRIORITY_USER } from "../lwkt/thread";
import { queueLock, queueUnlock, WaitQueue, waitOn, wakeAll } from "../lwkt/wait";
import { nanoseconds } from "../machine/time";
import { spaceDestroy } from "../memory/paging";
import { mayMakeThread, threadFrames } from "../memory/reserve";
import { allocate } from "../memory/slab";
import {
  COMMAND_THREAD_CALL,
  ITEM_ACTIONS,
  ITEM_CALL,
  ITEM_NAME,
  ITEM_RANGE,
  ITEM_RESULT,
  ITEM_SIGNAL,
  ITEM_STATE,
  ITEM_THREAD,
} from "../syslink/commands";
import { Letter, letterAnswer, letterAsk, letterBegin, letterPut, letterSend } from "../syslink/letter";
import { itemData, itemDataBytes, itemFind, MessageHeader, MessageItem } from "../syslink/message";
import { EAGAIN, ERESTART } from "./errno";
import {
  Lwp,
  lwpCapture,
  lwpCreate,
  lwpDestroy,
  lwpLetter,
  lwpMain,
  lwpRun,
  STATE_BYTES,
  stateRead,
  stateWrite,
} from "./lwp";
import { AddressSpace, awaitQuiet, entryAdd, entryAt, indexAt, mapDestroy, SHARED } from "./mapping";
import { dropRange, mapEmpty } from "./memory-map";
import { belongingsTake } from "./migration";
import {
  ACTION_BYTES,
  framesPrint,
  Process,
  processAddLwp,
  processEndHere,
  processNew,
  processRelease,
} from "./process";
import { actionTaken } from "./signal";
import { SIGNALS } from "./signal-numbers";
import {
  CALL_BYTES,
  CALL_FETCH,
  CALL_MASK,
  CALL_MOVE,
  forgetCount,
  processLinkid,
  STATUS_KILLED,
  spreadAdd,
  spreadFind,
  spreadRemove,
  Work,
  workMessage,
} from "./spread";

const CALL_CLONE: u32 = 56;
const CALL_EXIT: u32 = 60;
const CALL_EXIT_GROUP: u32 = 231;

// --- By the thread of spread.ts ---

/** THREAD_START: a thread goes on here. */
export function shadowStart(work: Work): i64 {
  const message = workMessage(work);
  const thread = itemFind(message, ITEM_THREAD);
  const state = itemFind(message, ITEM_STATE);
  const at = itemData(thread);
  let process = spreadFind(message.linkid);
  if (changetype<usize>(process) === 0) {
    if (work.object === 0) return -EAGAIN;
    process = shadowCreate(work, message, load<u32>(at));
  }
  clockSet(process, load<u64>(at, 16));
  let result: i64 = -EAGAIN;
  if (itemDataBytes(state) === u32(STATE_BYTES) && (mayMakeThread() || framesAwait(threadFrames()))) {
    const lwp = lwpCreate(process);
    lwp.id = thread.aux;
    lwp.blocked = load<u64>(at, 8);
    lwp.toldMask = lwp.blocked;
    stateRead(lwp, itemData(state));
    belongingsTake(lwp, message);
    if (processAddLwp(process, lwp)) {
      lwpRun(lwp, load<u32>(at, 4) % coreCount(), lwpMain.index, PRIORITY_USER);
      result = 0;
    } else lwpDestroy(lwp);
  }
  processRelease(process);
  return result;
}

/** Referenced once for the list and once for the caller. */
function shadowCreate(work: Work, message: MessageHeader, id: u32): Process {
  const process = processNew(id);
  process.origin = work.from;
  process.map.memory = work.object;
  const name = itemFind(message, ITEM_NAME);
  const bytes: u32 = changetype<usize>(name) !== 0 ? itemDataBytes(name) : 0;
  process.name = allocate(bytes + 1);
  if (bytes !== 0) memory.copy(process.name, itemData(name), bytes);
  const actions = itemFind(message, ITEM_ACTIONS);
  if (changetype<usize>(actions) !== 0)
    memory.copy(process.actions, itemData(actions), <usize>SIGNALS * ACTION_BYTES);
  process.references++;
  spreadAdd(process);
  return process;
}

/** The time at the origin was `then` a moment ago. Ours for the process never runs ahead of it, and never back. */
function clockSet(process: Process, then: u64): void {
  const ahead = i64(then - nanoseconds());
  if (process.clockKnown === 0 || ahead > process.clockAhead) process.clockAhead = ahead;
  process.clockKnown = 1;
}

/** PROCESS_FORGET */
export function shadowForget(message: MessageHeader): void {
  const process = spreadFind(message.linkid);
  if (changetype<usize>(process) === 0) return;
  const at = itemData(itemFind(message, ITEM_RANGE));
  process.map.sleepLock().acquire();
  dropRange(process.map, load<u64>(at), load<u64>(at, 8));
  process.map.sleepLock().release();
  processRelease(process);
}

/** PROCESS_ACTION */
export function shadowAction(message: MessageHeader): void {
  const process = spreadFind(message.linkid);
  if (changetype<usize>(process) === 0) return;
  const item = itemFind(message, ITEM_SIGNAL);
  if (item.aux >= 1 && item.aux <= SIGNALS) {
    process.spinLock().acquire();
    memory.copy(process.action(item.aux), itemData(item), ACTION_BYTES);
    actionTaken(process, item.aux);
    process.spinLock().release();
  }
  processRelease(process);
}

/** PROCESS_GONE: all threads have ended, here at least almost. Gives everything back. */
export function shadowGone(linkid: u64): void {
  const process = spreadFind(linkid);
  if (changetype<usize>(process) === 0) return;
  const queue = changetype<WaitQueue>(process.ended);
  queueLock(queue);
  while (process.count !== 0) waitOn(queue, 0);
  queueUnlock(queue);
  spreadRemove(process);
  mapEmpty(process.map);
  const tables = process.map.tables;
  objectClose(changetype<SharedObject>(process.map.memory));
  mapDestroy(process.map);
  spaceDestroy(tables);
  processRelease(process); // the list's
  processRelease(process);
  framesPrint();
}

// --- By threads ---

export function putCall(letter: Letter, lwp: Lwp, number: u32): usize {
  const process = lwp.process;
  letterBegin(letter, process.origin, processLinkid(process), 0, COMMAND_THREAD_CALL);
  letterPut(letter, ITEM_THREAD, lwp.id, 0);
  const at = letterPut(letter, ITEM_CALL, number, u32(CALL_BYTES));
  memory.fill(at, 0, 48);
  process.spinLock().acquire();
  store<u64>(at + 48, lwp.blocked);
  store<u64>(at + 56, u64(lwp.passed));
  store<u64>(at + 64, lwp.queue().pending & ~lwp.blocked);
  process.spinLock().release();
  lwp.toldMask = lwp.blocked;
  lwp.toldAwaited = 0;
  return at;
}

/** A system call that is done at the origin. */
export function callOrigin(lwp: Lwp, frame: TrapFrame, number: u32): i64 {
  const letter = lwpLetter(lwp);
  const at = putCall(letter, lwp, number);
  store<u64>(at, frame.rdi);
  store<u64>(at, frame.rsi, 8);
  store<u64>(at, frame.rdx, 16);
  store<u64>(at, frame.r10, 24);
  store<u64>(at, frame.r8, 32);
  store<u64>(at, frame.r9, 40);
  if (number === CALL_CLONE) {
    lwpCapture(lwp, frame);
    stateWrite(lwp, letterPut(letter, ITEM_STATE, 0, u32(STATE_BYTES)));
  }
  const result = ask(lwp, letter);
  return changetype<usize>(result) === 0
    ? -EAGAIN
    : result.aux !== 0
      ? -ERESTART
      : load<i64>(itemData(result));
}

/** May the thread go to that core, of all machines'? 0, or an error. */
export function callMove(lwp: Lwp, slot: u32): i64 {
  const letter = lwpLetter(lwp);
  store<u64>(putCall(letter, lwp, CALL_MOVE), u64(slot));
  const result = ask(lwp, letter);
  return changetype<usize>(result) === 0 ? -EAGAIN : load<i64>(itemData(result));
}

/** ITEM_RESULT of the answer; 0: the origin does not know the thread any more, which ends. */
function ask(lwp: Lwp, letter: Letter): MessageItem {
  pinsRelease(clientCurrent());
  const error = letterAsk(letter);
  const result = error < 0 ? changetype<MessageItem>(0) : itemFind(letterAnswer(letter), ITEM_RESULT);
  if (changetype<usize>(result) === 0) processEndHere(lwp.process, STATUS_KILLED);
  else clockSet(lwp.process, load<u64>(itemData(result), 8));
  return result;
}

/** The signals that the thread blocks, or waits for, are not what the origin was told. */
export function tellMask(lwp: Lwp): void {
  const letter = lwpLetter(lwp);
  store<u64>(putCall(letter, lwp, CALL_MASK), lwp.awaited);
  lwp.toldAwaited = lwp.awaited;
  letterSend(letter);
}

/** The thread has left user mode for good: its proxy ends, and the process too when a fault here ended it. */
export function tellExit(lwp: Lwp, status: u32): void {
  const process = lwp.process;
  const letter = lwpLetter(lwp);
  const all = process.ending !== 0 && process.told === 0;
  store<u64>(putCall(letter, lwp, all ? CALL_EXIT_GROUP : CALL_EXIT), u64(status));
  letterSend(letter);
}

/** The last that a thread does with the process; the reference goes with it. */
export function shadowLeft(process: Process): void {
  const queue = changetype<WaitQueue>(process.ended);
  queueLock(queue);
  wakeAll(queue);
  queueUnlock(queue);
  processRelease(process);
}

// --- The map ---

/**
 * By a fault at an address that the map lacks, or that it permits too little of: asks the origin. The map's lock is held, and
 * held again on return. False: there is nothing at that address, or the process ends.
 */
export function mapFetch(lwp: Lwp, map: AddressSpace, address: u64): bool {
  while (true) {
    map.sleepLock().release();
    const letter = lwpLetter(lwp);
    store<u64>(putCall(letter, lwp, CALL_FETCH), address);
    const result = ask(lwp, letter);
    const item =
      changetype<usize>(result) === 0
        ? changetype<MessageItem>(0)
        : itemFind(letterAnswer(letter), ITEM_RANGE);
    const found = changetype<usize>(item) !== 0;
    let file: usize = 0;
    if (found && item.aux >> 8 === SHARED) file = join(load<u64>(itemData(item), 32));
    map.sleepLock().acquire();
    awaitQuiet(map);
    // A change may have been told, and perhaps carried out, between the answer and now.
    const current = letter.forgets === forgetCount;
    const good = found && (file !== 0 || item.aux >> 8 !== SHARED);
    if (good && current) take(map, item, file);
    if (file) fileRelease(changetype<File>(file));
    if (current || !found) return good;
  }
}

/** A file of ours for an object that the process has mapped; 0 = it is gone. */
function join(id: u64): usize {
  const object = objectJoin(id);
  if (changetype<usize>(object) === 0) return 0;
  return changetype<usize>(fileCreate(KIND_SHARED, O_RDWR, 0, changetype<usize>(object)));
}

/** What the origin has said about a range replaces what is known of it. */
function take(map: AddressSpace, item: MessageItem, file: usize): void {
  const at = itemData(item);
  const protection = item.aux & 0xff;
  const kind = item.aux >> 8;
  const start = load<u64>(at);
  const end = load<u64>(at, 8);
  // Parts that were known with another protection go.
  let index = indexAt(map, start);
  while (index < map.count && map.at(index).start < end) {
    const entry = map.at(index);
    if (entry.protection === protection) index++;
    else {
      dropRange(map, max<u64>(start, entry.start), min<u64>(end, entry.end));
      index = indexAt(map, start);
    }
  }
  let from = start;
  while (from < end) {
    const known = entryAt(map, from);
    if (changetype<usize>(known) !== 0) {
      from = known.end;
      continue;
    }
    index = indexAt(map, from);
    const next: u64 = index < map.count ? min<u64>(map.at(index).start, end) : end;
    entryAdd(map, from, next, kind, protection, file, load<u64>(at, 16) + (from - start), load<u64>(at, 24));
    from = next;
  }
}
