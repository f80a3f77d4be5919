// Range locks as the rest of the kernel uses them (object-locks.ts does the work on core 0). By threads that may wait.
//
// read() and write() of any length, and truncate(), lock the bytes that they work on: none is ever seen half done by another, on whatever
// core or machine. Loads and stores of mapped files lock nothing: UNIX promises nothing of them. A thread holds
// one such lock at a time, and while it does waits for pages only, never for another lock.
import { portCall } from "../lwkt/port";
import { queueLock, queueUnlock, WaitQueue, waitOn } from "../lwkt/wait";
import { allocate } from "../memory/slab";
import { bootNumber } from "../options";
import { interrupted } from "../process/signal";
import { clusterPort } from "../syslink/cluster";
import { ASK_LOCK, ASK_LOCK_CANCEL, ASK_UNLOCK, Client, clientCurrent } from "./client";
import { commitOutput } from "./commits";
import { EXCLUSIVE_LOCK, LOCK_LAST, SHARED_LOCK } from "./lock-pieces";
import { LOCK_TEST, LOCK_TRY } from "./lock-space";
import {
  LOCK_CALL_BYTES,
  LOCK_RANGE_BYTES,
  LOCKS_FCNTL,
  LOCKS_FLOCK,
  LOCKS_IO,
  LockCall,
  lockCallRange,
} from "./object-locks";
import { objectSize, SharedObject } from "./pager";

const EINTR: i64 = 4;

/** `locks=0` on the command line, for comparisons: reads and writes lock nothing. */
const LOCKS: u32 = 1;
const TEARS: u32 = 2;
let locks: u32 = 0;

/** The calling thread's. */
function callOf(client: Client, space: u32, owner: u64): LockCall {
  if (client.lock == 0) client.lock = allocate(LOCK_CALL_BYTES);
  const call = changetype<LockCall>(client.lock);
  call.space = space;
  call.owner = owner;
  call.flags = 0;
  call.process = 0;
  call.count = 0;
  call.asleep = 0;
  return call;
}

function put(call: LockCall, first: u64, last: u64, mode: u32): void {
  const range = lockCallRange(call, call.count++);
  store<u64>(range, first);
  store<u64>(range, last, 8);
  store<u32>(range, mode, 16);
}

function ask(client: Client, object: SharedObject, command: u32): i64 {
  client.object = changetype<usize>(object);
  client.command = command;
  return portCall(clusterPort(), client);
}

// --- Reads and writes ---

/** Blocks. Then sizes of the object are right for bytes up to `last`, and stay so until objectUnlock(). */
export function objectLock(object: SharedObject, first: u64, last: u64, write: bool): i64 {
  if (locks == 0) locks = bootNumber("locks", 1) != 0 ? LOCKS : TEARS;
  if (locks == TEARS) return 0;
  const client = clientCurrent();
  const call = callOf(client, LOCKS_IO, changetype<usize>(client));
  put(call, first, last, write ? EXCLUSIVE_LOCK : SHARED_LOCK);
  const result = ask(client, object, ASK_LOCK);
  if (result == 0) client.lockEnd = last == LOCK_LAST ? LOCK_LAST : last + 1;
  return result;
}

export function objectUnlock(object: SharedObject): void {
  if (locks == TEARS) return;
  const client = clientCurrent();
  const call = callOf(client, LOCKS_IO, changetype<usize>(client));
  put(call, 0, LOCK_LAST, EXCLUSIVE_LOCK);
  client.lockEnd = 0;
  ask(client, object, ASK_UNLOCK);
}

/** Of names (fs/names.ts): all of these pages at once, for this thread alone, whatever `locks` says. Ranges: first and last page, u64 each. */
export function pagesLock(object: SharedObject, ranges: usize, count: u32): i64 {
  const client = clientCurrent();
  const call = callOf(client, LOCKS_IO, changetype<usize>(client));
  for (let i: u32 = 0; i < count; i++) {
    const range = ranges + ((<usize>i) << 4);
    put(call, load<u64>(range) << 12, (load<u64>(range, 8) << 12) | 4095, EXCLUSIVE_LOCK);
  }
  return ask(client, object, ASK_LOCK);
}

export function pagesUnlock(object: SharedObject): void {
  const client = clientCurrent();
  const call = callOf(client, LOCKS_IO, changetype<usize>(client));
  put(call, 0, LOCK_LAST, EXCLUSIVE_LOCK);
  ask(client, object, ASK_UNLOCK);
}

/** Everything from `limit`, or from the object's end if that comes first, exclusive: the size stays what it is, and is returned. */
export function objectLockTail(object: SharedObject, limit: u64): i64 {
  while (true) {
    const from = min<u64>(limit, objectSize(object));
    const result = objectLock(object, from, LOCK_LAST, true);
    if (result < 0) return result;
    const size = objectSize(object);
    if (size >= from) return i64(size);
    objectUnlock(object); // it was cut meanwhile
  }
}

// --- fcntl and flock ---

/** Ranges as LockCall has them. */
export function advisoryLock(
  object: SharedObject,
  whole: bool,
  owner: u64,
  process: u32,
  from: usize,
  count: u32,
  wait: bool,
): i64 {
  commitOutput(); // others see that it is locked
  const client = clientCurrent();
  const call = callOf(client, whole ? LOCKS_FLOCK : LOCKS_FCNTL, owner);
  memory.copy(lockCallRange(call, 0), from, <usize>count * LOCK_RANGE_BYTES);
  call.count = count;
  call.process = process;
  object.locked = 1;
  if (!wait) {
    call.flags = LOCK_TRY;
    return ask(client, object, ASK_LOCK);
  }
  call.asleep = 1;
  const begun = ask(client, object, ASK_LOCK);
  return begun < 0 ? begun : asleep(client, object, call);
}

function asleep(client: Client, object: SharedObject, call: LockCall): i64 {
  const queue = changetype<WaitQueue>(changetype<usize>(client) + offsetof<Client>("queueLock"));
  let cut = false;
  queueLock(queue);
  while (client.woken == 0 && !cut) {
    if (interrupted()) cut = true;
    else waitOn(queue, 0);
  }
  queueUnlock(queue);
  if (client.woken == 0 && ask(client, object, ASK_LOCK_CANCEL) != 0) return -EINTR;
  return call.result;
}

/** Whether somebody else's lock stands against this one: its range is at `into` then, as LockCall has them, with its process. */
export function advisoryTest(
  object: SharedObject,
  owner: u64,
  first: u64,
  last: u64,
  mode: u32,
  into: usize,
): bool {
  const client = clientCurrent();
  const call = callOf(client, LOCKS_FCNTL, owner);
  call.flags = LOCK_TRY | LOCK_TEST;
  put(call, first, last, mode);
  if (ask(client, object, ASK_LOCK) == 0) return false;
  store<u64>(into, call.first);
  store<u64>(into, call.last, 8);
  store<u32>(into, call.mode, 16);
  store<u32>(into, call.holder, 20);
  return true;
}

export function advisoryUnlock(object: SharedObject, whole: bool, owner: u64, first: u64, last: u64): void {
  if (object.locked == 0) return;
  const client = clientCurrent();
  const call = callOf(client, whole ? LOCKS_FLOCK : LOCKS_FCNTL, owner);
  put(call, first, last, EXCLUSIVE_LOCK);
  ask(client, object, ASK_UNLOCK);
}
